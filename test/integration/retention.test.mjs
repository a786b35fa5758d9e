// Retention with everything going on beside it: writers and readers, an autovacuum of what is to go, and a server that
// dies in the middle of a cycle.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor, within } from '../harness/index.mjs';
import { age, pastPartition } from '../harness/past.mjs';

const cluster = await Cluster.create({ settings: { 'oa_sync.retention_interval': 0, 'oa_sync.checkpoint_interval': '1s' } });
after(() => cluster.destroy());
await cluster.createDatabase('test');
let db = cluster.pool('test', 8);
const query = async (/** @type {string} */ text, /** @type {unknown[]} */ values = []) => (await db.query(text, values)).rows;
const emit = (/** @type {string} */ topic, /** @type {number} */ count) =>
  query(`SELECT count(runtime.sync_emit($1, 'k', i, '{"n":1}')) FROM generate_series(1, $2::int) i`, [topic, count]);
const retain = async () => (await query('SELECT * FROM runtime.sync_retain()'))[0];
/**
 * Cycles until so many partitions are gone: one that somebody has open for a moment is left for the next. Gives how many went.
 * @param {number} wanted
 */
async function retainUntil(wanted) {
  let dropped = 0;
  await waitFor(async () => (dropped += (await retain()).partitions_dropped) >= wanted, { timeoutMs: 90_000, what: () => `${wanted} partitions are dropped, not ${dropped}` });
  return dropped;
}
/** The names of partitions of the past. */
const past = async () => (await query(`SELECT relname FROM pg_class WHERE relname LIKE 'sync\\_stream\\_events\\_past\\_%' AND relkind = 'r' ORDER BY 1`)).map((r) => r.relname);
const ready = async () => await waitFor(async () => (await query(`SELECT recovered AND worker_pid IS NOT NULL AND EXISTS
    (SELECT FROM runtime.sync_journal_partitions WHERE lower > now()) AS ok FROM runtime.sync_stats`))[0].ok,
{ timeoutMs: 60_000, what: 'the worker is ready' });
await emit('first', 1);
await ready();

test('writers and readers wait for nobody while partitions are dropped', async (t) => {
  await query(`SELECT runtime.sync_set_policy('busy:*', horizon => '2 days')`);
  const topics = ['busy:1', 'busy:2', 'busy:3'];
  let running = true;
  let written = 0;
  /** @type {Record<string, number>} */
  const read = {};
  let stale = 0;
  // Whoever waits for a lock that long fails: a drop holds its own for the moment of its commit.
  const connect = async () => {
    const client = await cluster.connect('test');
    await client.query(`SET lock_timeout = '30s'`);
    return client;
  };
  const writer = async (/** @type {string} */ topic) => {
    const client = await connect();
    while (running) {
      await client.query(`SELECT runtime.sync_emit($1, 'k', 1, '{"n":1}')`, [topic]);
      written++;
    }
    await client.end();
  };
  const reader = async (/** @type {string} */ topic) => {
    const client = await connect();
    let cursor = 0;
    read[topic] = 0;
    while (running) {
      try {
        const { rows } = await client.query(`SELECT watermark FROM runtime.sync_replay($1, $2, 500)`, [topic, cursor]);
        for (const { watermark } of rows) {
          assert.equal(watermark, cursor + 1, `${topic} is read without a gap`);
          cursor = watermark;
          read[topic]++;
        }
      } catch (error) {
        // Only where the events are gone, and never for somebody at or above the floor.
        if (/** @type {any} */ (error).code !== '55000') throw error;
        stale++;
        const [{ floor }] = (await client.query('SELECT floor FROM runtime.sync_topic_heads(ARRAY[$1])', [topic])).rows;
        assert.ok(floor > cursor, `stale at ${cursor}, floor ${floor}`);
        cursor = floor;
      }
    }
    await client.end();
  };
  const all = [...topics.map(writer), ...topics.map(reader), ...topics.map(reader)];
  let skipped = 0;
  for (let round = 0; round < 12; round++) {
    await pastPartition(query, 24 * (200 - round), 24 * (199 - round));
    for (const topic of topics) {
      const [{ head }] = await query('SELECT head FROM runtime.sync_topic_heads(ARRAY[$1])', [topic]);
      await age(query, topic, head - 5, 24 * (199.5 - round));
    }
    skipped += (await retain()).skipped;
  }
  // What was in use then goes now, and everybody got on.
  await waitFor(async () => {
    await retain();
    return (await past()).length === 0 && written > 100 && topics.every((topic) => (read[topic] ?? 0) > 100);
  }, { timeoutMs: 120_000, what: () => `all are dropped; ${written} written, read ${JSON.stringify(read)}` });
  running = false;
  await Promise.all(all);
  t.diagnostic(`${written} written, ${skipped} attempts put off, ${stale} stale readers`);
  for (const { topic, head, floor, oldest } of await query(`SELECT * FROM runtime.sync_topics WHERE topic LIKE 'busy:%'`)) {
    assert.equal(oldest, floor + 1, topic);
    const [{ n }] = await query('SELECT count(*) AS n FROM runtime.sync_stream_events WHERE topic = $1', [topic]);
    assert.equal(n, head - floor, `${topic} is dense`);
  }
  assert.equal((await query('SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()'))[0].n, 0);
});

test('a long snapshot of the journal delays retention, and retention delays nobody', async () => {
  const topic = 'held:1';
  await emit(topic, 100);
  const name = await pastPartition(query, 24 * 100, 24 * 99);
  await age(query, topic, 90, 24 * 99.5);
  const dump = await cluster.connect('test');
  await dump.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await dump.query(`SELECT count(*) FROM runtime.sync_stream_events WHERE topic = $1`, [topic]);
  const done = await retain();
  assert.equal(done.partitions_dropped, 0);
  assert.ok(done.skipped >= 1);
  // Whoever queued behind the attempt would wait for as long as the dump is open.
  await within((async () => {
    await emit(topic, 1);
    await query(`SELECT * FROM runtime.sync_replay($1, 90)`, [topic]);
    // Partitions of the time ahead are not made now either.
    await query(`SELECT runtime.sync_maintain_partitions()`);
  })(), 30_000, 'nobody waits for the dump');
  assert.equal((await dump.query(`SELECT count(*) AS n FROM ${name}`)).rows[0].n, 90, 'it sees what it saw');
  await dump.query('COMMIT');
  await dump.end();
  assert.equal(await retainUntil(1), 1);
});

test('a policy that is set while a cycle is under way keeps what is there still', async () => {
  // Each of these is tried for a quarter of a second before it is left; the one behind them is free.
  const names = [];
  for (let i = 0; i < 16; i++) names.push(await pastPartition(query, 24 * (180 - i), 24 * (179 - i)));
  const last = await pastPartition(query, 24 * 150, 24 * 149);
  await emit('kept:1', 10);
  await age(query, 'kept:1', 10, 24 * 149.5);
  const reader = await cluster.connect('test');
  await reader.query(`BEGIN; LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE`);
  const cycle = retain();
  await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE state = 'active'
    AND query LIKE '%FROM runtime.sync_retain()%' AND pid <> pg_backend_pid() AND clock_timestamp() - query_start > interval '0.4 s'`)).length > 0,
    { everyMs: 5, what: 'it is at the first ones' });
  await query(`SELECT runtime.sync_set_policy('kept:*', horizon => '0')`);
  const done = await cycle;
  assert.equal(done.partitions_dropped, 0, JSON.stringify(done));
  assert.equal((await query(`SELECT count(*) AS n FROM ${last}`))[0].n, 10);
  await reader.query('COMMIT');
  await reader.end();
  assert.equal(await retainUntil(16), 16, 'the others go');
  assert.deepEqual(await query(`SELECT head, floor, oldest FROM runtime.sync_topics WHERE topic = 'kept:1'`), [{ head: 10, floor: 0, oldest: 1 }]);
  await query(`SELECT runtime.sync_drop_policy('kept:*')`);
  assert.equal(await retainUntil(1), 1);
});

test('an autovacuum of a partition that goes is ended', async () => {
  const name = await pastPartition(query, 24 * 98, 24 * 97);
  await emit('vacuumed', 40_000);
  await age(query, 'vacuumed', 40_000, 24 * 97.5);
  await query(`ALTER TABLE ${name} SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_insert_threshold = 1,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)`);
  await query('ALTER SYSTEM SET autovacuum_naptime = 1');
  await query('SELECT pg_reload_conf()');
  await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'
    AND query LIKE '%sync_stream_events_past_%'`)).length > 0, { timeoutMs: 60_000, what: 'an autovacuum of it runs' });
  // By itself it would go on for minutes: a tenth of a second for each page, as the table has it.
  assert.equal(await retainUntil(1), 1);
  assert.deepEqual(await query('SELECT head, floor FROM runtime.sync_topic_heads(ARRAY[$1])', ['vacuumed']),
    [{ head: 40_000, floor: 40_000 }]);
  await query('ALTER SYSTEM SET autovacuum = off');
  await query('SELECT pg_reload_conf()');
});

test('the server dies in the middle of a cycle', async () => {
  /** @type {Map<string, number>} */
  const heads = new Map();
  const topics = Array.from({ length: 400 }, (_, i) => `crash:${i}`);
  let between = 0;
  for (let round = 0; round < 5; round++) {
    const parts = [];
    for (let part = 0; part < 4; part++) {
      await query(`SELECT count(runtime.sync_emit(topic, 'k', 1, '1')) FROM unnest($1::text[]) topic, generate_series(1, 3)`, [topics]);
      parts.push(await pastPartition(query, 24 * (90 - 10 * round - part), 24 * (89 - 10 * round - part)));
      await query(`UPDATE runtime.sync_stream_events SET inserted_at = now() - $1 * interval '1 day'
        WHERE topic LIKE 'crash:%' AND inserted_at > now() - interval '1 day'`, [89.5 - 10 * round - part]);
    }
    for (const topic of topics) heads.set(topic, (heads.get(topic) ?? 0) + 12);
    const cycle = retain().then(() => 'done', () => 'cut');
    await new Promise((resolve) => setTimeout(resolve, 3 + round * 9));
    await cluster.kill9();
    await cycle;
    await db.end();
    await cluster.start();
    db = cluster.pool('test', 8);
    await ready();
    const left = (await query(`SELECT count(*) AS n FROM pg_class WHERE relname = ANY ($1)`,
      [parts.map((name) => name.split('.')[1])]))[0].n;
    if (left > 0 && left < 4) between++;
    const states = await query(`SELECT * FROM runtime.sync_topics WHERE topic LIKE 'crash:%'`);
    assert.equal(states.length, topics.length);
    for (const { topic, head, floor, oldest } of states) {
      const expected = heads.get(topic) ?? 0;
      assert.equal(head, expected, `${topic} keeps its head, ${left} of 4 partitions left`);
      assert.ok(floor <= expected);
      // What is gone is below the floor, so that no cursor is answered with nothing.
      assert.ok(floor >= (oldest === null ? expected : oldest - 1), `${topic}: floor ${floor}, oldest ${oldest}`);
    }
    await retain();
    assert.deepEqual((await query(`SELECT DISTINCT floor FROM runtime.sync_topics WHERE topic LIKE 'crash:%'`)).map((r) => r.floor),
      [heads.get('crash:0')]);
  }
  await emit('crash:0', 1);
  assert.deepEqual(await query(`SELECT watermark FROM runtime.sync_stream_events WHERE topic = 'crash:0'`),
    [{ watermark: 61 }], 'no watermark is given twice');
  console.log(`# cut between two partitions: ${between} of 5`);
});

test('a step that fails is said once, and harms nothing', async () => {
  await query(`SELECT runtime.sync_set_policy('viewed', horizon => '2 days')`);
  const name = await pastPartition(query, 24 * 300, 24 * 299);
  await emit('viewed', 10);
  await age(query, 'viewed', 10, 24 * 299.5);
  await query(`CREATE VIEW public.of_partition AS SELECT * FROM ${name}`);
  // Where somebody has it open for a moment, it is not tried.
  await waitFor(() => retain().then(() => false, (error) => /a step of retention failed/.test(String(error))), { timeoutMs: 60_000, what: 'a step fails' });
  assert.match(cluster.logTail(400), /cannot drop table .* because other objects depend on it/);
  // The lock of the worker's session went with the transaction that failed.
  assert.doesNotMatch(cluster.logTail(400), /you don't own a lock/);
  await query('DROP VIEW public.of_partition');
  assert.equal(await retainUntil(1), 1);
});
