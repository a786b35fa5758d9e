// The oracle's checks are able to fail: each kind of damage, done to a copy of good evidence, is found, and by the
// check that is there for it. And they are quiet about what is allowed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson, nullHash, sha256 } from '../harness/index.mjs';
import { checkDatabase, checkDense, checkDependencies, checkPayloads, checkReplay, checkSubscriber, checkTransactions,
  contentOf } from './oracle/checks.mjs';

/** @typedef {import('./oracle/evidence.mjs').Entry} Entry */
/** @typedef {import('./oracle/evidence.mjs').Evidence} Evidence */
/** @typedef {import('./oracle/transaction.mjs').Transaction} Transaction */
/** @typedef {import('./oracle/checks.mjs').Received} Received */

const ledger = 'oracle.ledger';
const counters = 'oracle.counters';
const items = 'run:1:items';

/**
 * @param {string} topic @param {number} watermark @param {string} txid @param {string} key @param {number} version
 * @param {any} row @returns {Entry}
 */
function upsert(topic, watermark, txid, key, version, row) {
  const payload = canonicalJson(row);
  return { topic, watermark, epoch: 1, key, version, op: 'upsert', payload, hash: sha256(payload), txid };
}

/**
 * @param {string} topic @param {number} watermark @param {string} txid @param {Entry['op']} op @param {string} key
 * @param {number} version @returns {Entry}
 */
const bare = (topic, watermark, txid, op, key, version) =>
  ({ topic, watermark, epoch: 1, key, version, op, payload: null, hash: nullHash, txid });

/**
 * @param {string} label @param {string} txid @param {Transaction['groups'][number]['events']} events
 * @returns {Transaction}
 */
const committed = (label, txid, ...events) => ({ label, kind: 'small', synchronous: true, txid, outcome: 'committed',
  endedAt: 1000, groups: [{ ordered: true, events: [{ topic: ledger, op: 'upsert', key: `tx:${label}` }, ...events] }] });

/**
 * Three transactions, a rolled back one, a void, an unknown one that did not make it.
 * @returns {{evidence: Evidence, transactions: Transaction[], received: Map<string, Received[]>}}
 */
function goodRun() {
  const row = (/** @type {string} */ label, /** @type {string} */ txid) => ({ label, txid });
  /** @type {Entry[]} */
  const journal = [
    upsert(counters, 1, '10', 'counter:1', 1, { id: 1, n: 1 }),
    upsert(counters, 2, '11', 'counter:1', 2, { id: 1, n: 2 }),
    bare(counters, 3, '99', 'void', '', 0),
    upsert(counters, 4, '12', 'counter:1', 3, { id: 1, n: 3 }),
    upsert(ledger, 1, '10', 'tx:a', 1, row('a', '10')),
    upsert(ledger, 2, '11', 'tx:b', 2, row('b', '11')),
    upsert(ledger, 3, '12', 'tx:c', 3, row('c', '12')),
    upsert(items, 1, '11', 'item:1', 1, { run: 1, id: 1 }),
    upsert(items, 2, '11', 'item:2', 1, { run: 1, id: 2 }),
    bare(items, 3, '12', 'delete', 'item:1', 1),
  ];
  const documents = [
    { topic: counters, key: 'counter:1', version: 3, json: '{"n":3,"id":1}' },
    ...[['a', '10'], ['b', '11'], ['c', '12']].map(([label, txid]) => (
      { topic: ledger, key: `tx:${label}`, version: null, json: JSON.stringify({ txid, label }) })),
    { topic: items, key: 'item:2', version: 1, json: '{"run":1,"id":2}' },
  ];
  const heads = [[counters, 4], [ledger, 3], [items, 3]].map(([topic, head]) => (
    { topic: String(topic), head: Number(head), floor: 0, in_flight: 0 }));
  const upsertOf = (/** @type {string} */ topic, /** @type {string} */ key, /** @type {number} */ version) =>
    ({ topic, op: /** @type {const} */ ('upsert'), key, version });
  const transactions = [
    committed('a', '10', upsertOf(counters, 'counter:1', 1)),
    committed('b', '11', upsertOf(counters, 'counter:1', 2), upsertOf(items, 'item:1', 1), upsertOf(items, 'item:2', 1)),
    committed('c', '12', upsertOf(counters, 'counter:1', 3), { topic: items, op: 'delete', key: 'item:1', version: 1 }),
    { ...committed('d', '13'), outcome: /** @type {const} */ ('rolled back') },
    { ...committed('e', '14'), outcome: /** @type {const} */ ('unknown') },
    { ...committed('f', '15'), synchronous: false },
  ];
  /** @type {Map<string, Received[]>} */
  const received = new Map();
  for (const entry of journal) {
    if (entry.op === 'void') continue;
    received.set(entry.topic, [...(received.get(entry.topic) ?? []), [entry.watermark, contentOf(entry)]]);
  }
  return { evidence: { journal, documents, heads, misplaced: [] }, transactions, received };
}

const crashes = [2000];

test('a good run has no problems', () => {
  const { evidence, transactions, received } = goodRun();
  assert.deepEqual(checkDatabase(evidence, transactions, crashes), []);
  assert.deepEqual(checkSubscriber(evidence.journal, 's', received), []);
});

/**
 * @typedef {object} Damage
 * @property {string} name
 * @property {(run: ReturnType<typeof goodRun>) => void} damage
 * @property {(run: ReturnType<typeof goodRun>) => string[]} check
 * @property {RegExp} says
 */
const dense = (/** @type {ReturnType<typeof goodRun>} */ { evidence }) => checkDense(evidence);
const payloads = (/** @type {ReturnType<typeof goodRun>} */ { evidence }) => checkPayloads(evidence.journal);
const replay = (/** @type {ReturnType<typeof goodRun>} */ { evidence }) => checkReplay(evidence);
const dependencies = (/** @type {ReturnType<typeof goodRun>} */ { evidence }) => checkDependencies(evidence.journal);
const subscriber = (/** @type {ReturnType<typeof goodRun>} */ { evidence, received }) =>
  checkSubscriber(evidence.journal, 's', received);
const transactionsWith = (/** @type {number[]} */ when) => (/** @type {ReturnType<typeof goodRun>} */ { evidence, transactions }) =>
  checkTransactions(evidence.journal, transactions, when);
const transactions = transactionsWith(crashes);

/** @param {Evidence} evidence @param {string} topic @param {number} watermark @returns {Entry} */
function at(evidence, topic, watermark) {
  const entry = evidence.journal.find((e) => e.topic === topic && e.watermark === watermark);
  assert.ok(entry);
  return entry;
}

/** @param {Evidence} evidence @param {string} topic @param {number} watermark */
function remove(evidence, topic, watermark) {
  evidence.journal.splice(evidence.journal.indexOf(at(evidence, topic, watermark)), 1);
}

/** @type {Damage[]} */
const damages = [
  { name: 'a void is missing', check: dense, says: /gap: 4 follows 2/, damage: ({ evidence }) => remove(evidence, counters, 3) },
  { name: 'a topic does not begin at 1', check: dense, says: /gap: 2 follows 0/,
    damage: ({ evidence }) => remove(evidence, items, 1) },
  { name: 'a watermark is there twice', check: dense, says: /there twice/,
    damage: ({ evidence }) => void evidence.journal.splice(1, 0, { ...at(evidence, counters, 1) }) },
  { name: 'a head is told wrong', check: dense, says: /head is told as 3/,
    damage: ({ evidence }) => void evidence.heads.splice(0, 1, { topic: counters, head: 3, floor: 0, in_flight: 0 }) },
  { name: 'a head is not told', check: dense, says: /told as undefined/, damage: ({ evidence }) => void evidence.heads.pop() },
  { name: 'something stays in flight', check: dense, says: /in_flight/,
    damage: ({ evidence }) => void evidence.heads.splice(0, 1, { topic: counters, head: 4, floor: 0, in_flight: 1 }) },
  { name: 'a row lies in the wrong partition', check: dense, says: /bounds/,
    damage: ({ evidence }) => void evidence.misplaced.push('1 rows of p do not fit its bounds') },
  { name: 'a payload is changed', check: payloads, says: /hash/,
    damage: ({ evidence }) => void (at(evidence, items, 2).payload = '{"id":3,"run":1}') },
  { name: 'a payload is not canonical', check: payloads, says: /not canonical/, damage: ({ evidence }) => {
    const entry = at(evidence, items, 2);
    entry.payload = '{"run":1,"id":2}';
    entry.hash = sha256(entry.payload);
  } },
  { name: 'a delete has a payload', check: payloads, says: /delete, payload/, damage: ({ evidence }) => {
    Object.assign(at(evidence, items, 3), { payload: '{}', hash: sha256('{}') });
  } },
  { name: 'a row has no event', check: replay, says: /lacks item:9/,
    damage: ({ evidence }) => void evidence.documents.push({ topic: items, key: 'item:9', version: 1, json: '{}' }) },
  { name: 'a document has no row', check: replay, says: /has no row/, damage: ({ evidence }) => void evidence.documents.pop() },
  { name: 'a delete is missing', check: replay, says: /item:1 v1 has no row/, damage: ({ evidence }) => remove(evidence, items, 3) },
  { name: 'a row differs from its last event', check: replay, says: /the row is/,
    damage: ({ evidence }) => void (/** @type {any} */ (evidence.documents.at(-1)).json = '{"run":1,"id":3}') },
  { name: 'a version differs from the row', check: replay, says: /the row has 2/,
    damage: ({ evidence }) => void (/** @type {any} */ (evidence.documents.at(-1)).version = 2) },
  { name: 'two states of a document changed places', check: replay, says: /counter:1 v3 follows v1/, damage: ({ evidence }) => {
    [at(evidence, counters, 2).version, at(evidence, counters, 4).version] = [3, 2];
  } },
  { name: 'a document is deleted that is not there', check: replay, says: /not there/, damage: ({ evidence }) => {
    at(evidence, items, 3).key = 'item:7';
  } },
  { name: 'a committed transaction has lost everything', check: transactions, says: /^a .* has no events/,
    damage: ({ evidence }) => void (evidence.journal = evidence.journal.filter((entry) => entry.txid !== '10')) },
  { name: 'an asynchronous commit is lost without a crash', check: transactionsWith([500]), says: /^f .* has no events/,
    damage: () => {} },
  { name: 'a committed transaction has lost an event', check: transactions, says: /^b .* on run:1:items: has upsert item:1 v1/,
    damage: ({ evidence }) => remove(evidence, items, 2) },
  { name: 'a rolled back transaction has events', check: transactions, says: /^d .* has events/,
    damage: ({ evidence }) => void evidence.journal.push(upsert(ledger, 4, '13', 'tx:d', 4, {})) },
  { name: 'an unknown transaction has more than all', check: transactions, says: /^e .* on run:1:items: has upsert item:5/,
    damage: ({ evidence }) => void evidence.journal.push(upsert(ledger, 4, '14', 'tx:e', 4, {}),
      upsert(items, 4, '14', 'item:5', 1, {})) },
  { name: 'events of a transaction changed places', check: transactions, says: /^b .* has upsert item:2 v1, upsert item:1 v1/,
    damage: ({ evidence }) => {
      [at(evidence, items, 1).key, at(evidence, items, 2).key] = ['item:2', 'item:1'];
    } },
  { name: 'events of a transaction are not contiguous', check: transactions, says: /^b .* its 2 events lie in 1\.\.3/,
    damage: ({ evidence }) => {
      const [second, third] = [at(evidence, items, 2), at(evidence, items, 3)];
      [second.watermark, third.watermark] = [3, 2];
    } },
  { name: 'an event is nobody\'s', check: transactions, says: /nobody's/,
    damage: ({ evidence }) => void evidence.journal.push(bare(items, 4, '77', 'delete', 'item:2', 1)) },
  { name: 'who saw an effect lies before it', check: dependencies, says: /saw upsert counter:1 v1 of 10/, damage: ({ evidence }) => {
    [at(evidence, ledger, 1).txid, at(evidence, ledger, 2).txid] = ['11', '10'];
  } },
  { name: 'a counter\'s versions have a hole', check: dependencies, says: /v3 follows v1/,
    damage: ({ evidence }) => remove(evidence, counters, 2) },
  { name: 'a subscriber misses an event', check: subscriber, says: /run:1:items: update 1 of 3 should be 2/,
    damage: ({ received }) => void received.get(items)?.splice(1, 1) },
  { name: 'a subscriber misses the last event', check: subscriber, says: /missing/, damage: ({ received }) => void received.get(items)?.pop() },
  { name: 'a subscriber has nothing of a topic', check: subscriber, says: /oracle.ledger/,
    damage: ({ received }) => void received.delete(ledger) },
  { name: 'a subscriber has an event twice', check: subscriber, says: /run:1:items: update 1/, damage: ({ received }) => {
    const list = received.get(items);
    list?.splice(0, 0, /** @type {Received} */ (list[0]));
  } },
  { name: 'a subscriber has the last event twice', check: subscriber, says: /beyond the journal/, damage: ({ received }) => {
    const list = received.get(items);
    list?.push(/** @type {Received} */ (list.at(-1)));
  } },
  { name: 'a subscriber has two events in the wrong order', check: subscriber, says: /update 0/,
    damage: ({ received }) => void received.get(items)?.reverse() },
  { name: 'a subscriber has another content', check: subscriber, says: /update 0/, damage: ({ received }) => {
    /** @type {any} */ (received.get(items))[0][1] += '0';
  } },
  { name: 'a subscriber has what the journal lacks', check: subscriber, says: /beyond the journal/,
    damage: ({ received }) => void received.set('other', [[1, 'x']]) },
];

for (const { name, damage, check, says } of damages) {
  test(`found: ${name}`, () => {
    const run = goodRun();
    damage(run);
    const problems = check(run);
    assert.ok(problems.some((problem) => says.test(problem)), `${says} in ${JSON.stringify(problems, null, 1)}`);
  });
}
