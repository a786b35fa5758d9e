// More failed commits than the queue of the void filler holds, in the worst order: the last one fails after the worker
// has already looked how far there can be holes. Every hole is filled all the same.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const queueSize = 16;
const cluster = await Cluster.create({ settings: { 'oa_sync.void_queue_size': queueSize, 'oa_sync.naptime': '50ms' } });
after(() => cluster.destroy());

const topic = 'queue.t';
const writerName = 'void-writer';

test('a queue that overflows while it is worked on', async () => {
  await cluster.createDatabase('test');
  const admin = await cluster.connect('test');
  await admin.query('SELECT runtime.sync_maintain_partitions()');
  const blocker = await cluster.connect('test');
  await blocker.query('BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE');
  const held = async (/** @type {number} */ count) => await waitFor(async () => (await admin.query(
    `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`, [writerName])).rowCount === count,
  { what: `${count} writers are held` });
  /** @type {{pid: number, client: import('pg').Client, done: Promise<string>}[]} */
  const writers = [];
  const addWriter = async () => {
    const client = await cluster.connect('test');
    await client.query(`SET application_name = '${writerName}'`);
    const done = client.query(`SELECT runtime.sync_emit($1, 'k', 1, '{}')`, [topic])
      .then(() => 'committed', (error) => error.code);
    writers.push({ client, done, pid: /** @type {any} */ (client).processID });
  };
  const fail = async (/** @type {number} */ index) => {
    await admin.query('SELECT pg_terminate_backend($1)', [writers[index]?.pid]);
    assert.equal(await writers[index]?.done, '57P01');
  };
  const overflowing = queueSize + 2;
  for (let i = 0; i < overflowing + 2; i++) {
    await addWriter();
    await held(i + 1);
  }
  for (let i = 0; i < overflowing; i++) await fail(i);
  await held(2);
  // The worker now waits for the two that are left, to see how far there can be holes.
  await waitFor(async () => (await admin.query(`SELECT FROM pg_stat_activity
    WHERE backend_type = 'oa_sync worker' AND query = 'look for overflowed topics' AND wait_event = 'Extension'`)).rowCount,
  { what: 'the worker waits for commits' });
  await addWriter();
  await held(3);
  await fail(overflowing + 2);
  await blocker.query('COMMIT');
  for (const i of [overflowing, overflowing + 1]) assert.equal(await writers[i]?.done, 'committed');
  await admin.query(`SELECT runtime.sync_emit($1, 'k', 1, '{}')`, [topic]);
  const total = overflowing + 4;
  const { rows } = await waitFor(async () => {
    const result = await admin.query('SELECT watermark, op FROM runtime.sync_stream_events WHERE topic = $1', [topic]);
    return result.rowCount === total ? result : undefined;
  }, { timeoutMs: 60_000, what: `${topic} is dense to ${total}` });
  assert.equal(rows.filter((row) => row.op === 'void').length, overflowing + 1);
  await Promise.all([admin, blocker, ...writers.map(({ client }) => client)].map((client) => client.end().catch(() => {})));
});
