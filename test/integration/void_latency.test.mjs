// A commit that hangs (its synchronous standby is away) does not keep the voids of others waiting: the worker fills
// them also while it waits for that commit, to persist heads.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const cluster = await Cluster.create({ settings: { synchronous_commit: 'local', synchronous_standby_names: 'nobody',
  'oa_sync.checkpoint_interval': '1s', 'oa_sync.retention_interval': 0 } });
after(() => cluster.destroy());

/**
 * A database with a commit that hangs and holds the journal's default partition; undefined when the machine was so slow that
 * the next partition had begun.
 * @param {string} name
 */
async function hangInDefault(name) {
  await cluster.createDatabase(name);
  const admin = await cluster.connect(name);
  await admin.query(`SELECT runtime.sync_emit('t', 'k', 1, '1')`);
  // The default partition has an event of the present: the first other one begins in some seconds.
  await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL`)).rowCount === 4,
    { timeoutMs: 90_000, what: 'partitions are made' });
  const hanging = await cluster.connect(name);
  await hanging.query('SET synchronous_commit = on');
  const hangs = hanging.query(`SELECT runtime.sync_emit('other', 'k', 1, '1')`);
  const { processID: pid } = /** @type {any} */ (hanging);
  const isHanging = async () => (await admin.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = $1`, [pid])).rowCount === 1;
  await waitFor(isHanging, { timeoutMs: 60_000, what: 'it hangs' });
  const { rowCount } = await admin.query(`SELECT FROM pg_locks WHERE relation = 'runtime.sync_stream_events_default'::regclass AND pid = $1`, [pid]);
  return rowCount ? { name, admin, hanging, hangs, isHanging } : undefined;
}

test('voids are filled while a commit hangs', async () => {
  let made;
  for (let n = 1; n <= 5 && !made; n++) made = await hangInDefault(`test${n}`);
  assert.ok(made, 'a commit hangs in the default partition');
  const { name: database, admin, hanging, hangs, isHanging } = made;

  // It holds the default partition; the others write to the next one.
  await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_journal_partitions WHERE lower <= now() AND upper > now()`)).rowCount === 1,
    { timeoutMs: 60_000, what: 'the present has its partition' });
  await admin.query(`SELECT runtime.sync_emit('t', 'k', 2, '1')`);
  const [{ name }] = (await admin.query(`SELECT tableoid::regclass::text AS name FROM runtime.sync_stream_events WHERE topic = 't' AND watermark = 2`)).rows;
  const blocker = await cluster.connect(database);
  for (let i = 0; i < 6; i++) {
    await blocker.query(`BEGIN; LOCK TABLE ${name} IN SHARE MODE`);
    const writer = await cluster.connect(database);
    const failed = writer.query(`SELECT runtime.sync_emit('t', 'k', 3, '1')`).then(() => '', (error) => error.code);
    const { processID } = /** @type {any} */ (writer);
    await waitFor(async () => (await admin.query(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [processID])).rowCount,
      { what: 'a writer has its watermark' });
    await blocker.query(`SELECT pg_terminate_backend(${processID})`);
    assert.equal(await failed, '57P01');
    await blocker.query('COMMIT');
    // The other commit hangs for the whole test: a void that waited for it would never come.
    await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_replay('t', $1)`, [2 + i])).rowCount === 1, { everyMs: 5, what: 'the void' });
    assert.ok(await isHanging(), 'it hangs still');
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  await admin.query(`ALTER SYSTEM SET synchronous_standby_names = ''`);
  await admin.query('SELECT pg_reload_conf()');
  await hangs;
  await Promise.all([admin, hanging, blocker].map((client) => client.end()));
});
