// The server dies while a large transaction is between the allocation of its watermarks and its commit, and a later
// one has already committed: the hole is filled, nothing waits for it, and nobody who was attached notices more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { cluster } = stand;
const size = 100_000;
// From here on events lie in a partition for longer than this takes, so that one place for each is known beforehand.
await waitFor(async () => (await stand.query(`SELECT FROM runtime.sync_journal_partitions
  WHERE lower <= clock_timestamp() AND upper > clock_timestamp()`)).length === 1, { timeoutMs: 60_000, what: 'the present has its partition' });

/**
 * Leaves a commit of `size` events unfinished, in the middle of its append, with one event committed behind it, and gives
 * that one's watermark and the process id of the large one. Another transaction, open as well, has a row in the place of
 * one of the events: who appends that one has to wait for its end.
 * @param {string} topic its head is 1 @param {number} id of the one that commits
 */
async function commitBehindOpenCommit(topic, id) {
  const inTheWay = await cluster.connect(stand.database);
  await inTheWay.query('BEGIN');
  await inTheWay.query(`INSERT INTO runtime.sync_stream_events
    SELECT $1, $2, 1, 'in the way', 1, 'upsert', '1', sha256('1'), pg_current_xact_id(),
      CASE WHEN lower IS NULL THEN '2000-01-01' ELSE greatest(lower, clock_timestamp()) END
    FROM runtime.sync_journal_partitions WHERE upper IS NULL OR upper > clock_timestamp()`, [topic, size / 2]);
  const large = await cluster.connect(stand.database);
  await large.query(`BEGIN; INSERT INTO app.items (topic, id) SELECT $$${topic}$$, 1000 * i FROM generate_series(1, ${size}) i`);
  large.query('COMMIT').catch(() => {});
  const { processID: pid } = /** @type {any} */ (large);
  await waitFor(async () => (await stand.query(`SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' AND pid = $1`, [pid])).length > 0,
    { timeoutMs: 60_000, what: 'the large transaction appends' });
  const [state] = await stand.query('SELECT in_flight FROM runtime.sync_topics WHERE topic = $1', [topic]);
  assert.equal(state?.in_flight, size, 'the large transaction has its watermarks');
  await stand.insert(topic, 1, { first: id });
  const [last] = await stand.query('SELECT watermark FROM runtime.sync_stream_events WHERE topic = $1 AND doc_key = $2',
    [topic, `item:${id}`]);
  return { last: last.watermark, pid, inTheWay };
}

/** @param {string} topic */
const counts = async (topic) => (await stand.query(`SELECT count(*) AS rows, max(watermark) AS head,
    count(*) FILTER (WHERE op = 'void') AS voids FROM runtime.sync_stream_events WHERE topic = $1`, [topic]))[0];

/** The counts when every place of the topic is taken. @param {string} topic */
const dense = (topic) => waitFor(async () => {
  const now = await counts(topic);
  return now.rows === now.head ? now : undefined;
}, { timeoutMs: 60_000, what: 'the hole is filled' });

for (const [topic, end] of /** @type {const} */ ([['hole.kill', () => cluster.kill9()],
  ['hole.immediate', () => cluster.stop('immediate')]])) {
  test(`a hole of ${size} watermarks, ${topic}`, async () => {
    await stand.insert(topic, 1, { first: 1 });
    const clients = [stand.client({ topics: [topic] }), stand.client({ topics: [topic], encoding: 'proto' })];
    for (const client of clients) {
      await client.connect();
      await client.reach(topic, 1);
    }
    const { last } = await commitBehindOpenCommit(topic, 2);
    assert.equal(last, size + 2);
    await end();
    await cluster.start();
    assert.deepEqual(await dense(topic), { rows: size + 2, head: size + 2, voids: size });
    for (const client of clients) {
      await client.reach(topic, last, 60_000);
      assert.deepEqual(client.watermarks(topic), [1, last]);
      const batch = client.batches.at(-1);
      assert.ok(batch && batch.through >= last && batch.after >= 1 && batch.updates.length === 1);
      assert.equal(client.gaps + client.duplicates, 0);
      assert.deepEqual(client.errors, []);
    }
    await stand.insert(topic, 1, { first: 3 });
    for (const client of clients) await client.reach(topic, last + 1);
  });
}

test('a large transaction that is ended in COMMIT leaves voids, and delays nobody for longer', async () => {
  const topic = 'hole.cancel';
  const client = stand.client({ topics: [topic] });
  await client.connect();
  await stand.insert(topic, 1, { first: 1 });
  const { last, pid, inTheWay } = await commitBehindOpenCommit(topic, 2);
  await stand.query('SELECT pg_terminate_backend($1)', [pid]);
  // The place is free for the void, and for nothing else: what stood in the way was never committed.
  await inTheWay.query('ROLLBACK');
  await client.reach(topic, last, 60_000);
  assert.deepEqual(await dense(topic), { rows: size + 2, head: size + 2, voids: size });
  assert.deepEqual(client.watermarks(topic), [1, last]);
  await inTheWay.end();
});
