// Heads of topics that left shared memory before they were persisted: retention persists them on its way, so that they
// outlive their events also when those are taken away by hand.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';
import { pastPartition } from '../harness/past.mjs';

const cluster = await Cluster.create({ settings: { 'oa_sync.retention_interval': 0, 'oa_sync.checkpoint_interval': '1h',
  'oa_sync.max_hot_topics': 1024 } });
after(() => cluster.destroy());
await cluster.createDatabase('test');
const db = cluster.pool('test', 4);
const query = async (/** @type {string} */ text, /** @type {unknown[]} */ values = []) => (await db.query(text, values)).rows;
await query(`SELECT runtime.sync_set_policy('*', horizon => '0')`);
await waitFor(async () => (await query('SELECT recovered AND worker_pid IS NOT NULL AS ok FROM runtime.sync_stats'))[0].ok,
  { timeoutMs: 60_000, what: 'the worker is ready' });

test('an evicted topic keeps its head when its partition is dropped by hand', async () => {
  for (let i = 0; i < 40; i++) {
    await query(`SELECT count(runtime.sync_emit('topic:' || n, 'k', v, '1')) FROM generate_series($1::int, $1::int + 99) n, generate_series(1, 5) v`, [i * 100]);
  }
  assert.ok((await query('SELECT heads_evicted AS n FROM runtime.sync_stats'))[0].n > 2000);
  assert.equal((await query('SELECT count(*) AS n FROM runtime.sync_topic_sequences'))[0].n, 0);
  const [done] = await query('SELECT * FROM runtime.sync_retain()');
  assert.equal(done.floors_raised, 0, 'a head is no floor');
  assert.deepEqual(await query('SELECT count(*) AS n, min(next_watermark) AS next, max(floor) AS floor FROM runtime.sync_topic_sequences'),
    [{ n: 4000, next: 6, floor: 0 }]);

  const name = await pastPartition(query, 48, 24);
  await query(`UPDATE runtime.sync_stream_events SET inserted_at = now() - interval '36 hours'`);
  await query(`DROP TABLE ${name}`);
  await cluster.restart({ mode: 'fast' });
  await waitFor(async () => (await query('SELECT recovered AS ok FROM runtime.sync_stats').catch(() => [{ ok: false }]))[0].ok,
    { timeoutMs: 60_000, what: 'the worker is ready again' });
  await query(`SELECT runtime.sync_emit('topic:17', 'k', 6, '1')`);
  assert.deepEqual(await query(`SELECT watermark, op FROM runtime.sync_stream_events WHERE topic = 'topic:17'`), [{ watermark: 6, op: 'upsert' }]);
  await query('SELECT * FROM runtime.sync_retain()');
  assert.deepEqual(await query(`SELECT head, floor FROM runtime.sync_topic_heads('{topic:17,topic:18}')`), [{ head: 6, floor: 5 }, { head: 5, floor: 5 }]);
  await assert.rejects(query(`SELECT * FROM runtime.sync_replay('topic:18', 3)`), { code: '55000' });
});
