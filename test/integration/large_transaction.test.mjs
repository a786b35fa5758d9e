// One large transaction at COMMIT: how far it is can be seen, its memory stays within a few work_mem, other topics go on.
// It is stopped at some of its events: another transaction, open as well, has a row in the place that the event is to have.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const rows = 600_000;
const stops = [100_000, 300_000, 500_000];
const workMemKb = 1024;
const patient = { timeoutMs: 120_000 };
const cluster = await Cluster.create({ settings: { work_mem: `${workMemKb}kB` } });
after(() => cluster.destroy());

/**
 * A transaction that has a row in the place of an event, in whichever partition that will lie; its end lets the event pass.
 * @param {number} watermark
 */
async function inTheWay(watermark) {
  const client = await cluster.connect('test');
  await client.query('BEGIN');
  await client.query(`INSERT INTO runtime.sync_stream_events
    SELECT 'large', $1, 1, 'in the way', 1, 'upsert', '1', sha256('1'), pg_current_xact_id(),
      CASE WHEN lower IS NULL THEN '2000-01-01' ELSE greatest(lower, clock_timestamp()) END
    FROM runtime.sync_journal_partitions WHERE upper IS NULL OR upper > clock_timestamp()`, [watermark]);
  return { watermark, step: async () => {
    await client.query('ROLLBACK');
    await client.end();
  } };
}

test('the append of a large transaction', { timeout: 400_000 }, async () => {
  await cluster.createDatabase('test');
  cluster.psql('test', `CREATE TABLE items (topic text, id int, body text);
    SELECT runtime.sync_publish('items', topic => '{topic}', doc_key => '{id}', payload => 'body');`);
  const [large, watch, other] = await Promise.all([1, 2, 3].map(() => cluster.connect('test')));
  if (!large || !watch || !other) throw new Error('no connection');
  const pid = (await large.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  // The partitions of all the time that this takes are there, and none is made meanwhile.
  await waitFor(async () => (await watch.query('SELECT FROM runtime.sync_journal_partitions WHERE lower <= clock_timestamp() AND upper > clock_timestamp()')).rowCount === 1,
    { ...patient, what: 'the present has its partition' });
  /** @returns {Promise<{phase: string, events_total: number, events_appended: number} | undefined>} */
  const progress = async () => (await watch.query('SELECT * FROM runtime.sync_progress_append WHERE pid = $1', [pid])).rows[0];
  // level: 1; oa_sync commit: 8192 total in 1 blocks; …
  const contexts = () => [...readFileSync(cluster.logFile, 'utf8').matchAll(/level: \d+; (oa_sync [^:]+): (\d+) total/g)]
    .map(([, name = '', bytes]) => ({ name, kb: Number(bytes) / 1024 }));
  const logged = () => contexts().filter(({ name }) => name === 'oa_sync event log').length;

  /** How far it is where it is stopped: further than at the obstacle before. @param {number} appended */
  const stoppedBehind = (appended) => waitFor(async () => {
    const waits = (await watch.query(`SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' AND pid = $1`, [pid])).rowCount;
    const now = waits ? await progress() : undefined;
    return now && now.events_appended > appended ? now : undefined;
  }, { ...patient, what: 'it is stopped' });

  await large.query('BEGIN');
  const write = (/** @type {number} */ first, /** @type {number} */ last) =>
    large.query(`INSERT INTO items SELECT 'large', i, repeat('x', 40) FROM generate_series($1::int, $2::int) i`, [first, last]);
  await write(1, rows / 2);
  const captured = await progress();
  assert.equal(captured?.phase, 'capture');
  assert.ok(captured.events_total > 0 && captured.events_total <= rows / 2, `seen while it captures: ${captured.events_total}`);
  await write(rows / 2 + 1, rows);

  const obstacles = [];
  for (const watermark of stops) obstacles.push(await inTheWay(watermark));
  let ended = false;
  const commit = large.query('COMMIT').then(() => (ended = true));
  let before = -1;
  for (const [n, { watermark, step }] of obstacles.entries()) {
    const row = await stoppedBehind(before);
    assert.equal(row.phase, 'append');
    assert.equal(row.events_total, rows);
    // It says so with every batch.
    assert.ok(row.events_appended <= watermark && row.events_appended > watermark - 10_000, `${row.events_appended} are said at ${watermark}`);
    before = row.events_appended;
    const known = logged();
    await watch.query('SELECT pg_log_backend_memory_contexts($1)', [pid]);
    await waitFor(() => logged() > known, { ...patient, what: 'its memory is logged' });
    await other.query(`INSERT INTO items VALUES ('other', $1)`, [n]);
    assert.equal((await other.query(`SELECT head FROM runtime.sync_topic_heads('{other}')`)).rows[0].head, n + 1, 'another topic goes on');
    assert.ok(!ended);
    await step();
  }
  await commit;

  assert.equal((await watch.query('SELECT count(*) AS n FROM runtime.sync_progress_append')).rows[0].n, 0);
  assert.equal((await watch.query(`SELECT head FROM runtime.sync_topic_heads('{large}')`)).rows[0].head, rows);
  const tooLarge = contexts().filter(({ kb }) => kb > 2 * workMemKb);
  assert.deepEqual(tooLarge, [], 'every context of ours stays under twice work_mem');
  await Promise.all([large.end(), watch.end(), other.end()]);
});
