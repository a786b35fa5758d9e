// A commit that hangs (its synchronous standby is away) does not keep the voids of others waiting: the worker fills
// them also while it waits for that commit, to persist heads.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const cluster = await Cluster.create({ settings: { synchronous_commit: 'local', synchronous_standby_names: 'nobody',
  'oa_sync.checkpoint_interval': '1s', 'oa_sync.retention_interval': 0 } });
after(() => cluster.destroy());

test('voids are filled while a commit hangs', async () => {
  await cluster.createDatabase('test');
  const admin = await cluster.connect('test');
  await admin.query(`SELECT runtime.sync_emit('t', 'k', 1, '1')`);
  // The default partition has an event of the present: the first other one begins in some seconds.
  await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_journal_partitions WHERE lower > now()`)).rowCount === 4,
    { timeoutMs: 30_000, what: 'partitions are made' });
  const hanging = await cluster.connect('test');
  await hanging.query('SET synchronous_commit = on');
  const hangs = hanging.query(`SELECT runtime.sync_emit('other', 'k', 1, '1')`);
  await waitFor(async () => (await admin.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).rowCount === 1, { what: 'it hangs' });

  // It holds the default partition; the others write to the next one.
  await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_journal_partitions WHERE lower <= now() AND upper > now()`)).rowCount === 1,
    { what: 'the present has its partition' });
  await admin.query(`SELECT runtime.sync_emit('t', 'k', 2, '1')`);
  const [{ name }] = (await admin.query(`SELECT tableoid::regclass::text AS name FROM runtime.sync_stream_events WHERE topic = 't' AND watermark = 2`)).rows;
  const blocker = await cluster.connect('test');
  for (let i = 0; i < 6; i++) {
    await blocker.query(`BEGIN; LOCK TABLE ${name} IN SHARE MODE`);
    const writer = await cluster.connect('test');
    const failed = writer.query(`SELECT runtime.sync_emit('t', 'k', 3, '1')`).then(() => '', (error) => error.code);
    const { processID } = /** @type {any} */ (writer);
    await waitFor(async () => (await admin.query(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [processID])).rowCount,
      { what: 'a writer has its watermark' });
    await blocker.query(`SELECT pg_terminate_backend(${processID})`);
    assert.equal(await failed, '57P01');
    await blocker.query('COMMIT');
    // The other commit hangs for the whole test: a void that waited for it would never come.
    await waitFor(async () => (await admin.query(`SELECT FROM runtime.sync_replay('t', $1)`, [2 + i])).rowCount === 1, { everyMs: 5, what: 'the void' });
    assert.equal((await admin.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = $1`, [/** @type {any} */ (hanging).processID])).rowCount, 1, 'it hangs still');
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  await admin.query(`ALTER SYSTEM SET synchronous_standby_names = ''`);
  await admin.query('SELECT pg_reload_conf()');
  await hangs;
  await Promise.all([admin, hanging, blocker].map((client) => client.end()));
});
