// The server dies while a large transaction is between the allocation of its watermarks and its commit, and a later
// one has already committed: the hole is filled, nothing waits for it, and nobody who was attached notices more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { cluster } = stand;
const size = 100_000;

/**
 * Leaves a commit of `size` events unfinished with one event committed behind it, and gives that one's watermark.
 * @param {string} topic @param {number} id of the one that commits
 */
async function commitBehindOpenCommit(topic, id) {
  const large = await cluster.connect(stand.database);
  await large.query(`BEGIN; INSERT INTO app.items (topic, id) SELECT $$${topic}$$, 1000 * i FROM generate_series(1, ${size}) i`);
  large.query('COMMIT').catch(() => {});
  await waitFor(async () => {
    const [state] = await stand.query('SELECT in_flight FROM runtime.sync_topics WHERE topic = $1', [topic]);
    return state?.in_flight === size;
  }, { everyMs: 2, what: 'the large transaction has its watermarks' });
  await stand.insert(topic, 1, { first: id });
  const [last] = await stand.query('SELECT watermark FROM runtime.sync_stream_events WHERE topic = $1 AND doc_key = $2',
    [topic, `item:${id}`]);
  return last.watermark;
}

/** @param {string} topic */
const counts = async (topic) => (await stand.query(`SELECT count(*) AS rows, max(watermark) AS head,
    count(*) FILTER (WHERE op = 'void') AS voids FROM runtime.sync_stream_events WHERE topic = $1`, [topic]))[0];

for (const [topic, end] of /** @type {const} */ ([['hole.kill', () => cluster.kill9()],
  ['hole.immediate', () => cluster.stop('immediate')]])) {
  test(`a hole of ${size} watermarks, ${topic}`, async () => {
    await stand.insert(topic, 1, { first: 1 });
    const clients = [stand.client({ topics: [topic] }), stand.client({ topics: [topic], encoding: 'proto' })];
    for (const client of clients) {
      await client.connect();
      await client.reach(topic, 1);
    }
    const last = await commitBehindOpenCommit(topic, 2);
    assert.equal(last, size + 2);
    await end();
    await cluster.start();
    const settled = await waitFor(async () => {
      const now = await counts(topic);
      return now.rows === now.head ? now : undefined;
    }, { timeoutMs: 60_000, what: 'the hole is filled' });
    assert.deepEqual(settled, { rows: size + 2, head: size + 2, voids: size });
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

test('a large transaction that is cancelled in COMMIT leaves voids, and delays nobody for longer', async () => {
  const topic = 'hole.cancel';
  const client = stand.client({ topics: [topic] });
  await client.connect();
  await stand.insert(topic, 1, { first: 1 });
  const last = await commitBehindOpenCommit(topic, 2);
  await stand.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'`);
  await client.reach(topic, last, 30_000);
  const { rows, head, voids } = await counts(topic);
  // The large one may have been quicker than its end.
  assert.equal(rows, head);
  assert.ok(voids === size || voids === 0, `${voids} voids`);
  assert.equal(client.watermarks(topic).length, head - voids);
});
