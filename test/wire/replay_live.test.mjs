// Replay from the journal, then live, joined without gap or repeat; what a delivered event says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, nullHash, range, sha256 } from '../harness/index.mjs';

const stand = await Stand.create();

/** @param {import('../harness/client.mjs').SyncClient} client @param {string} topic */
async function assertEqualsJournal(client, topic) {
  const journal = await stand.journal(topic);
  await client.reach(topic, journal.at(-1).watermark);
  assert.deepEqual(client.state(topic).events.map((e) => [e.watermark, e.epoch, e.docKey, e.docVersion, e.op, e.payloadHash]),
    journal.map((e) => [e.watermark, e.epoch, e.doc_key, e.doc_version, e.op, e.payload_hash]));
  assert.deepEqual(client.state(topic).events.map((e) => e.payload), journal.map((e) => e.payload));
}

test('what was written before and after the subscription arrives once, in order', async () => {
  await stand.insert('live.t', 500);
  const client = stand.client({ topics: ['live.t'] });
  await client.connect();
  for (let i = 0; i < 20; i++) await stand.insert('live.t', 5, { first: 501 + 5 * i });
  await client.reach('live.t', 600);
  assert.deepEqual(client.watermarks('live.t'), range(1, 600));
  assert.equal(client.duplicates, 0);
  assert.equal(client.gaps, 0);
  await assertEqualsJournal(client, 'live.t');
});

test('subscribing in the middle of a storm of writes', async () => {
  const topic = 'storm.t';
  let stop = false;
  const writers = Array.from({ length: 4 }, async (_, w) => {
    for (let i = 0; !stop; i++) await stand.insert(topic, 3, { first: 1_000_000 * w + 3 * i + 1 });
  });
  const clients = [];
  for (let i = 0; i < 5; i++) {
    const client = stand.client({ topics: [topic] });
    await client.connect();
    await client.reach(topic, 200 * (i + 1));
    clients.push(client);
  }
  stop = true;
  await Promise.all(writers);
  const journal = await stand.journal(topic);
  for (const client of clients) {
    await client.reach(topic, journal.at(-1).watermark);
    assert.deepEqual(client.watermarks(topic), journal.map((e) => e.watermark));
    assert.equal(client.gaps, 0);
    assert.equal(client.duplicates, 0);
  }
});

test('insert, update, delete of a document', async () => {
  const client = stand.client({ topics: ['ops.t'] });
  await client.connect();
  await stand.query(`INSERT INTO app.items VALUES ('ops.t', 7, 1, 12.50, 'a')`);
  await stand.query(`UPDATE app.items SET body = 'b', version = 2 WHERE topic = 'ops.t'`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'ops.t'`);
  await client.reach('ops.t', 3);
  const [insert, update, remove] = client.state('ops.t').events;
  assert.ok(insert && update && remove);
  assert.deepEqual([insert.op, insert.docKey, insert.docVersion], ['upsert', 'item:7', 1]);
  assert.deepEqual(insert.payload, { body: 'a', id: 7, n: 12.5, topic: 'ops.t', version: 1 });
  assert.deepEqual([update.op, update.docVersion, update.payload.body], ['upsert', 2, 'b']);
  assert.deepEqual([remove.op, remove.docKey, remove.payload, remove.payloadHash, remove.hydrationRequired],
    ['delete', 'item:7', null, nullHash, false]);
  assert.equal(nullHash, sha256('null'));
  await assertEqualsJournal(client, 'ops.t');
});

test('a changed key is a delete and an upsert, also across topics', async () => {
  await stand.insert('move.a', 1);
  const client = stand.client({ topics: ['move.a', 'move.b'] });
  await client.connect();
  await client.reach('move.a', 1);
  await stand.query(`UPDATE app.items SET topic = 'move.b' WHERE topic = 'move.a'`);
  await Promise.all([client.reach('move.a', 2), client.reach('move.b', 1)]);
  assert.equal(client.state('move.a').events[1]?.op, 'delete');
  assert.equal(client.state('move.b').events[0]?.op, 'upsert');
});

test('a rolled back transaction and savepoint leave no trace', async () => {
  const client = stand.client({ topics: ['rollback.t'] });
  await client.connect();
  const db = await stand.cluster.connect(stand.database);
  await db.query(`BEGIN; INSERT INTO app.items (topic, id) VALUES ('rollback.t', 1); ROLLBACK`);
  await db.query(`BEGIN; INSERT INTO app.items (topic, id) VALUES ('rollback.t', 2); SAVEPOINT s;
    INSERT INTO app.items (topic, id) VALUES ('rollback.t', 3); ROLLBACK TO s;
    INSERT INTO app.items (topic, id) VALUES ('rollback.t', 4); COMMIT`);
  await db.end();
  await client.reach('rollback.t', 2);
  assert.deepEqual(client.state('rollback.t').events.map((e) => [e.watermark, e.docKey]), [[1, 'item:2'], [2, 'item:4']]);
});

test('an event by hand arrives like any other', async () => {
  const client = stand.client({ topics: ['emit.t'] });
  await client.connect();
  await stand.query(`SELECT runtime.sync_emit('emit.t', 'doc:1', 5, '{"b": 2, "a": 1}')`);
  await client.reach('emit.t', 1);
  const event = client.state('emit.t').events[0];
  assert.deepEqual([event?.docKey, event?.docVersion, event?.op], ['doc:1', 5, 'upsert']);
  assert.equal(event?.payloadHash, '43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777');
});

test('TRUNCATE is one typed event', async () => {
  await stand.query(`CREATE TABLE app.cut (id int PRIMARY KEY, v text);
    SELECT runtime.sync_publish('app.cut', topic => 'cut.t', doc_key => 'cut/{id}')`);
  const client = stand.client({ topics: ['cut.t'] });
  await client.connect();
  await stand.query(`INSERT INTO app.cut SELECT i, 'v' FROM generate_series(1, 3) i`);
  await stand.query('TRUNCATE app.cut');
  await client.reach('cut.t', 4);
  const event = client.state('cut.t').events[3];
  assert.deepEqual([event?.op, event?.docKey, event?.payload, event?.payloadHash], ['truncate', 'cut/', null, nullHash]);
});

test('text of every kind keeps its hash', async () => {
  const client = stand.client({ topics: ['text.t'] });
  await client.connect();
  const controls = Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join('');
  const bodies = [controls, '"\\/\u007f', '\u2028\u2029', 'ü ñ 漢字', '🦆\u{10ffff}', '', '</script>'];
  for (const [i, body] of bodies.entries()) await stand.insert('text.t', 1, { first: i, body });
  await client.reach('text.t', bodies.length);
  assert.deepEqual(client.state('text.t').events.map((e) => e.payload.body), bodies);
});

test('numbers keep their digits', async () => {
  const client = stand.client({ topics: ['digits.t'] });
  await client.connect();
  const numbers = ['1.10', '9007199254740993', '123456789012345678901234567890.123', '-0.000001', '1e-30', '0'];
  for (const [i, n] of numbers.entries()) {
    await stand.query(`INSERT INTO app.items (topic, id, n) VALUES ('digits.t', $1, $2)`, [i, n]);
  }
  await client.reach('digits.t', numbers.length);
  await assertEqualsJournal(client, 'digits.t');
  assert.deepEqual(client.problems, [], 'every hash is over the digits that were sent');
});

test('replay_complete is true on the batch that reaches the head, and on live ones', async () => {
  await stand.insert('complete.t', 450);
  const client = stand.client({ topics: ['complete.t'] });
  await client.connect();
  await client.reach('complete.t', 450);
  const replayed = client.batches.map((b) => b.replayComplete);
  assert.deepEqual(replayed, [...Array(replayed.length - 1).fill(false), true]);
  await stand.insert('complete.t', 1, { first: 451 });
  await client.reach('complete.t', 451);
  assert.equal(client.batches.at(-1)?.replayComplete, true);
});

test('an open transaction delays nobody else', async () => {
  const client = stand.client({ topics: ['open.t'] });
  await client.connect();
  const db = await stand.cluster.connect(stand.database);
  await db.query(`BEGIN; INSERT INTO app.items (topic, id) VALUES ('open.t', 1)`);
  await stand.insert('open.t', 10, { first: 2 });
  await client.reach('open.t', 10);
  await db.query('COMMIT');
  await db.end();
  await client.reach('open.t', 11);
  assert.equal(client.state('open.t').events[10]?.docKey, 'item:1');
});
