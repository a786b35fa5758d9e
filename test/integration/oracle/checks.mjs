// What has to be true in the end. Pure functions from evidence to problems, so that oracle_checks.test.mjs can show
// that each of them is able to fail.
import { canonicalJson, nullHash, parseExact, sha256 } from '../../harness/index.mjs';
import { counterTopic, ledgerTopic } from './schema.mjs';

/** @typedef {import('./evidence.mjs').Entry} Entry */
/** @typedef {import('./evidence.mjs').Evidence} Evidence */
/** @typedef {import('./transaction.mjs').Transaction} Transaction */
/** @typedef {import('./transaction.mjs').Expected} Expected */

/** @template T, K @param {T[]} list @param {(element: T) => K} key @returns {Map<K, T[]>} */
export function groupBy(list, key) {
  /** @type {Map<K, T[]>} */
  const groups = new Map();
  for (const element of list) {
    const name = key(element);
    const group = groups.get(name);
    if (group) group.push(element);
    else groups.set(name, [element]);
  }
  return groups;
}

const place = (/** @type {Entry} */ e) => `${e.topic}@${e.watermark}`;
const brief = (/** @type {{op: string, key: string, version?: number}} */ e) => `${e.op} ${e.key} v${e.version ?? '?'}`;

/**
 * Every topic is 1..head, each watermark once, and the heads that readers are told are those.
 * @param {Evidence} evidence
 */
export function checkDense({ journal, heads, misplaced }) {
  const problems = [...misplaced];
  const told = new Map(heads.map((head) => [head.topic, head]));
  for (const [topic, entries] of groupBy(journal, (e) => e.topic)) {
    let last = 0;
    for (const { watermark } of entries) {
      if (watermark === last) problems.push(`${topic}@${watermark} is there twice`);
      else if (watermark !== last + 1) problems.push(`${topic} has a gap: ${watermark} follows ${last}`);
      last = watermark;
    }
    const head = told.get(topic);
    if (head?.head !== last) problems.push(`${topic} ends at ${last}, its head is told as ${head?.head}`);
    if (head && (head.in_flight !== 0 || head.floor !== 0)) problems.push(`${topic}: ${JSON.stringify(head)}`);
  }
  return problems;
}

/** Payloads are canonical and hash to their hash; what has no payload has the hash of null. @param {Entry[]} journal */
export function checkPayloads(journal) {
  const problems = [];
  for (const entry of journal) {
    const { payload, hash, op } = entry;
    if ((payload !== null) !== (op === 'upsert')) problems.push(`${place(entry)}: ${op}, payload ${payload}`);
    if (payload === null ? hash !== nullHash : hash !== sha256(payload)) problems.push(`${place(entry)}: hash ${hash}`);
    if (payload !== null && canonicalJson(parseExact(payload)) !== payload) {
      problems.push(`${place(entry)}: not canonical: ${payload.slice(0, 200)}`);
    }
  }
  return problems;
}

/**
 * Replaying the journal gives the rows of the source tables: the same keys, versions and payloads.
 * On the way: a document's states follow each other in the journal (each next version is one more than the last).
 * @param {Evidence} evidence
 */
export function checkReplay({ journal, documents }) {
  const problems = [];
  /** @type {Map<string, Map<string, Entry>>} */
  const topics = new Map();
  for (const entry of journal) {
    if (entry.op === 'void') continue;
    let state = topics.get(entry.topic);
    if (!state) topics.set(entry.topic, (state = new Map()));
    const before = state.get(entry.key);
    if (entry.op === 'upsert') {
      if (before && entry.version !== before.version + 1) {
        problems.push(`${place(entry)}: ${brief(entry)} follows v${before.version} of ${place(before)}`);
      }
      state.set(entry.key, entry);
    } else if (entry.op === 'delete') {
      if (before?.version !== entry.version) {
        problems.push(`${place(entry)}: ${brief(entry)}, but the document is ${before ? brief(before) : 'not there'}`);
      }
      state.delete(entry.key);
    } else {
      for (const key of [...state.keys()]) if (key.startsWith(entry.key)) state.delete(key);
    }
  }
  for (const { topic, key, version, json } of documents) {
    const entry = topics.get(topic)?.get(key);
    topics.get(topic)?.delete(key);
    if (!entry) {
      problems.push(`${topic} lacks ${key}: ${json}`);
      continue;
    }
    if (entry.version !== (version ?? entry.watermark)) problems.push(`${place(entry)}: ${brief(entry)}, the row has ${version}`);
    const wanted = canonicalJson(parseExact(json));
    if (entry.payload !== wanted) problems.push(`${place(entry)}: ${entry.payload}, the row is ${wanted}`);
  }
  for (const state of topics.values()) {
    for (const entry of state.values()) problems.push(`${place(entry)}: ${brief(entry)} has no row`);
  }
  return problems;
}

/**
 * Whether the events that a transaction has on one topic are those that it has to have.
 * @param {Expected[][]} wanted groups, sorted where unordered @param {Entry[]} got
 */
function matches(wanted, got) {
  let at = 0;
  for (const group of wanted) {
    const part = got.slice(at, at + group.length);
    at += group.length;
    if (part.length !== group.length) return false;
    const sorted = /** @type {any} */ (group).unordered
      ? [...part].sort((a, b) => (a.key < b.key ? -1 : 1)) : part;
    for (const [i, event] of group.entries()) {
      const entry = /** @type {Entry} */ (sorted[i]);
      if (entry.op !== event.op || entry.key !== event.key) return false;
      if (event.version !== undefined && entry.version !== event.version) return false;
    }
  }
  return at === got.length;
}

/**
 * What a transaction has to have on each topic.
 * @param {Transaction} transaction @returns {Map<string, Expected[][]>}
 */
function wantedByTopic(transaction) {
  /** @type {Map<string, Expected[][]>} */
  const wanted = new Map();
  for (const { ordered, events } of transaction.groups) {
    for (const [topic, part] of groupBy(events, (event) => event.topic)) {
      const group = ordered ? part : Object.assign([...part].sort((a, b) => (a.key < b.key ? -1 : 1)), { unordered: true });
      wanted.set(topic, [...(wanted.get(topic) ?? []), group]);
    }
  }
  return wanted;
}

/**
 * Committed transactions have all their events, rolled back ones none, unknown ones all or none; the events of one
 * transaction are contiguous within a topic and in the order in which they happened; nobody else has events.
 * @param {Entry[]} journal
 * @param {Transaction[]} transactions
 * @param {number[]} crashes when a crash of the server began, milliseconds since 1970
 */
export function checkTransactions(journal, transactions, crashes) {
  const problems = [];
  const events = journal.filter((entry) => entry.op !== 'void');
  const byTxid = groupBy(events, (entry) => entry.txid);
  const byLabel = new Map(events.filter((entry) => entry.topic === ledgerTopic)
    .map((entry) => [entry.key.slice('tx:'.length), entry]));
  const lastCrash = Math.max(0, ...crashes);
  for (const transaction of transactions) {
    const { label, outcome, kind, synchronous, endedAt } = transaction;
    const who = `${label} (${kind}, ${outcome}${synchronous ? '' : ', asynchronous'}, txid ${transaction.txid})`;
    const mark = byLabel.get(label);
    if (!mark) {
      const lost = !synchronous && endedAt <= lastCrash;
      if (outcome === 'committed' && !lost) problems.push(`${who} has no events`);
      continue;
    }
    if (outcome === 'rolled back') problems.push(`${who} has events: ${place(mark)}`);
    if (transaction.txid !== mark.txid) problems.push(`${who} has events of transaction ${mark.txid}`);
    const mine = groupBy(byTxid.get(mark.txid) ?? [], (entry) => entry.topic);
    byTxid.delete(mark.txid);
    const wanted = wantedByTopic(transaction);
    for (const topic of new Set([...wanted.keys(), ...mine.keys()])) {
      const got = mine.get(topic) ?? [];
      if (!matches(wanted.get(topic) ?? [], got)) {
        problems.push(`${who} on ${topic}: has ${got.slice(0, 12).map(brief).join(', ')} (${got.length}), ` +
          `wanted ${(wanted.get(topic) ?? []).flat().slice(0, 12).map(brief).join(', ')}`);
      }
      const [first, last] = [got[0], got.at(-1)];
      if (first && last && last.watermark - first.watermark !== got.length - 1) {
        problems.push(`${who} on ${topic}: its ${got.length} events lie in ${first.watermark}..${last.watermark}`);
      }
    }
  }
  for (const [txid, [entry]] of byTxid) problems.push(`${place(/** @type {Entry} */ (entry))}: transaction ${txid} is nobody's`);
  return problems;
}

/**
 * Dependency order: who wrote the next state of a document saw the one before under its lock, so that its events
 * follow on every topic that both wrote. All of them wrote the ledger's.
 * @param {Entry[]} journal
 */
export function checkDependencies(journal) {
  const problems = [];
  /** @type {Map<string, Map<string, {first: number, last: number}>>} txid → topic → its range */
  const ranges = new Map();
  for (const entry of journal) {
    if (entry.op === 'void') continue;
    let topics = ranges.get(entry.txid);
    if (!topics) ranges.set(entry.txid, (topics = new Map()));
    const range = topics.get(entry.topic);
    if (range) range.last = entry.watermark;
    else topics.set(entry.topic, { first: entry.watermark, last: entry.watermark });
  }
  const counted = journal.filter((entry) => entry.topic === counterTopic && entry.op === 'upsert')
    .sort((a, b) => a.version - b.version || a.watermark - b.watermark);
  const others = journal.filter((entry) => entry.topic !== counterTopic && ['upsert', 'delete'].includes(entry.op));
  /** @type {Map<string, Entry>} */
  const states = new Map();
  for (const entry of [...counted, ...others]) {
    const name = `${entry.topic} ${entry.key}`;
    const before = states.get(name);
    states.set(name, entry);
    if (!before) continue;
    if (entry.topic === counterTopic && entry.version !== before.version + 1) {
      problems.push(`${place(entry)}: ${brief(entry)} follows v${before.version}`);
    }
    if (entry.txid === before.txid) continue;
    const earlier = ranges.get(before.txid);
    for (const [topic, range] of ranges.get(entry.txid) ?? []) {
      const other = earlier?.get(topic);
      if (other && other.last >= range.first) {
        problems.push(`${topic}: transaction ${entry.txid} saw ${brief(before)} of ${before.txid}, but is at ` +
          `${range.first}, and that at ${other.last}`);
      }
    }
  }
  return problems;
}

/** What a subscriber noted of an update. @typedef {[watermark: number, content: string]} Received */

/** @param {{epoch: number, key: string, version: number, op: string, hash: string}} e */
export const contentOf = (e) => `${e.op} ${e.key} v${e.version} e${e.epoch} ${e.hash}`;

/**
 * A subscriber holds every event that is not void exactly once, in order.
 * @param {Entry[]} journal
 * @param {string} name
 * @param {Map<string, Received[]>} received by topic
 */
export function checkSubscriber(journal, name, received) {
  const problems = [];
  const wanted = groupBy(journal.filter((entry) => entry.op !== 'void'), (entry) => entry.topic);
  for (const topic of new Set([...wanted.keys(), ...received.keys()])) {
    const all = wanted.get(topic) ?? [];
    const got = received.get(topic) ?? [];
    const differs = all.findIndex((entry, i) => got[i]?.[0] !== entry.watermark || got[i]?.[1] !== contentOf(entry));
    if (differs >= 0) {
      const entry = /** @type {Entry} */ (all[differs]);
      problems.push(`${name} on ${topic}: update ${differs} of ${all.length} should be ${entry.watermark} ` +
        `${contentOf(entry)}, is ${got[differs]?.join(' ') ?? 'missing'}`);
    } else if (got.length > all.length) {
      problems.push(`${name} on ${topic}: has ${got[all.length]?.join(' ')} beyond the journal`);
    }
  }
  return problems;
}

/**
 * All checks of the database itself.
 * @param {Evidence} evidence @param {Transaction[]} transactions @param {number[]} crashes
 */
export function checkDatabase(evidence, transactions, crashes) {
  return [
    ...checkDense(evidence), ...checkPayloads(evidence.journal), ...checkReplay(evidence),
    ...checkTransactions(evidence.journal, transactions, crashes), ...checkDependencies(evidence.journal),
  ];
}
