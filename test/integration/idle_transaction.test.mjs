// A transaction that writes, sits idle while the journal gets new partitions and others write on, and then commits.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, range, waitFor } from '../harness/index.mjs';
import { holdLauncher } from './launcher.mjs';

// So few hot topics that one which is not written to is soon forgotten, and its head has to be read again.
const cluster = await Cluster.create({ settings: { 'oa_sync.max_hot_topics': 1024 } });
after(() => cluster.destroy());

const emit = `SELECT runtime.sync_emit($1, $2, 1, '{}')`;
const evict = `SELECT runtime.sync_emit('other:' || i, 'k', 1, '{}') FROM generate_series($1::int, $1::int + 299) i`;

/** The watermarks of a topic. @param {import('pg').Client} client @param {string} topic */
const watermarks = async (client, topic) => (await client.query(
  'SELECT watermark FROM runtime.sync_stream_events WHERE topic = $1 ORDER BY 1', [topic])).rows.map((row) => row.watermark);

test('its topic goes on behind the events that it has not heard of', async () => {
  const admin = await cluster.connect('postgres');
  // The launcher is held, so that the extension has no partition but the default one for as long as we like.
  const letGo = await holdLauncher(admin);
  await cluster.createDatabase('test');
  const idle = await cluster.connect('test');
  const other = await cluster.connect('test');
  await idle.query('BEGIN');
  await idle.query(emit, ['idle.t', 'idle']);
  await idle.query('SELECT runtime.sync_current_epoch()');
  letGo();
  // A call gives way to who has the default partition open, as the worker may for a moment.
  await waitFor(async () => (await other.query('SELECT runtime.sync_maintain_partitions()')) && (await other.query(`SELECT
    FROM runtime.sync_journal_partitions WHERE lower <= now() AND now() < upper`)).rowCount === 1, { timeoutMs: 60_000, what: 'the present has its partition' });
  for (let i = 0; i < 5; i++) await other.query(emit, ['idle.t', `other ${i}`]);
  for (let i = 0; i < 30; i++) await other.query(evict, [300 * i]);
  await idle.query('COMMIT');
  await other.query(emit, ['idle.t', 'after']);
  assert.deepEqual(await watermarks(other, 'idle.t'), range(1, 7));
  await Promise.all([admin, idle, other].map((client) => client.end()));
});

test('topics that come and go from shared memory stay dense, whatever fails, also across a crash', async () => {
  const topics = 3000;
  cluster.psql('test', 'CREATE TABLE skew (x text)');
  const work = async (/** @type {number} */ seed) => {
    const client = await cluster.connect('test');
    for (let i = 0; i < 60; i++) {
      await client.query('BEGIN');
      await client.query(`SELECT runtime.sync_emit('cold:' || (i * 7919 + $1::int) % ${topics}, 'k' || i, 1, '{}')
        FROM generate_series(1, 40) i ORDER BY random()`, [seed * 1009 + i * 101]);
      await client.query(i % 5 === 4 ? 'ROLLBACK' : 'COMMIT');
      // Some fail behind their allocation.
      if (i % 7 === 3) {
        const refused = (/** @type {any} */ error) => assert.equal(error.code, '40001');
        await client.query(`BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM skew; INSERT INTO skew VALUES ('x');
          SELECT runtime.sync_emit('cold:' || i, 'k', 1, '{}') FROM generate_series(1, 40) i`).catch(refused);
        await client.query('COMMIT').catch(refused);
      }
    }
    await client.end();
  };
  await Promise.all(range(1, 3).map(work));
  await cluster.kill9();
  await cluster.start();
  await Promise.all(range(4, 6).map(work));
  const client = await cluster.connect('test');
  const evicted = await client.query('SELECT heads_evicted FROM runtime.sync_stats');
  assert.ok(evicted.rows[0].heads_evicted > topics, 'topics came and went');
  await waitFor(async () => (await client.query(`SELECT FROM runtime.sync_stream_events
    GROUP BY topic HAVING count(*) <> max(watermark) OR count(DISTINCT watermark) <> max(watermark)`)).rowCount === 0,
  { timeoutMs: 90_000, everyMs: 200, what: 'every topic is dense' });
  await client.end();
});
