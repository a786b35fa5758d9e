// Histories that part: promotion of a standby that has everything, of one that lacks the last commits, of one with a
// hole, recovery to a point in time. What clients that are attached see, and what becomes of cursors.
import assert from 'node:assert/strict';
import { mkdirSync, chownSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, SyncClient, waitFor } from '../harness/index.mjs';

const schema = `
  CREATE SCHEMA app;
  CREATE TABLE app.items (topic text, id bigint, body text, PRIMARY KEY (topic, id));
  SELECT runtime.sync_publish('app.items', topic => '{topic}', doc_key => 'item:{id}');`;
const cleanups = /** @type {(() => Promise<unknown>)[]} */ ([]);
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** A primary with the table. @param {Record<string, string | number | boolean>} [settings] */
async function primaryWith(settings = {}) {
  const primary = await Cluster.create({ settings });
  cleanups.push(() => primary.destroy());
  await primary.createDatabase('test');
  primary.psql('test', schema);
  return primary;
}

/** @param {Cluster} primary @param {Parameters<Cluster['backup']>[0]} options */
async function backupOf(primary, options) {
  const copy = await primary.backup(options);
  cleanups.push(() => copy.destroy());
  return copy;
}

/** @param {Cluster} cluster @param {string} topic @param {number} first @param {number} last @param {string} [body] */
const insert = (cluster, topic, first, last, body = 'x') => cluster.psql('test',
  `INSERT INTO app.items SELECT '${topic}', i, '${body}' FROM generate_series(${first}, ${last}) i;`);
/** @param {Cluster} cluster @param {string} sql @returns {string} */
const ask = (cluster, sql) => cluster.psql('test', sql).trim();
/** @param {Cluster} cluster */
const epochOf = (cluster) => Number(ask(cluster, 'SELECT runtime.sync_current_epoch()'));
/** @param {Cluster} cluster @param {string} topic @param {number} epoch @param {number} watermark */
const verdict = (cluster, topic, epoch, watermark) =>
  ask(cluster, `SELECT coalesce(reason, 'fine') FROM runtime.sync_check_cursors(ARRAY['${topic}'], ARRAY[${epoch}], ARRAY[${watermark}])`);
/** @param {Cluster} primary @param {Cluster} standby */
async function caughtUp(primary, standby) {
  const lsn = ask(primary, 'SELECT pg_current_wal_flush_lsn()');
  await waitFor(() => ask(standby, `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`) === 't', { what: 'the standby has everything' });
}
/** @param {Cluster} cluster */
const newEpoch = (cluster, /** @type {number} */ before) => waitFor(() => epochOf(cluster) > before, { what: 'a new epoch' });

/**
 * A commit that has its watermark and does not get on; returns what lets it go.
 * @param {Cluster} cluster @param {string} sql
 */
async function commitThatStands(cluster, sql) {
  const blocker = await cluster.connect('test');
  await blocker.query('BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE');
  const slow = await cluster.connect('test');
  const { rows: [{ pid }] } = await slow.query('SELECT pg_backend_pid() AS pid');
  slow.query(sql).then(() => slow.end()).catch(() => {});
  await waitFor(async () => (await blocker.query(`SELECT FROM pg_locks WHERE NOT granted AND pid = ${pid}`)).rowCount, { what: 'it waits' });
  process.kill(pid, 'SIGSTOP');
  await blocker.query('COMMIT');
  await blocker.end();
  return () => process.kill(pid, 'SIGCONT');
}

/** A fan-out that goes where writes are. @param {Cluster[]} clusters */
async function fanoutOver(...clusters) {
  const fanout = await Fanout.start({ database: `host=${clusters.map((c) => c.socketDir).join(',')} port=5432 user=postgres
    dbname=test target_session_attrs=read-write`.replace(/\s+/g, ' ') });
  cleanups.push(() => fanout.destroy());
  await fanout.ready();
  return fanout;
}

/**
 * A client, connected.
 * @param {Fanout} fanout
 * @param {{topics?: string[], encoding?: 'json' | 'proto', from?: {topic: string, watermark: number, epoch: number}}} options
 *   from: the cursor it comes back with.
 */
async function follow(fanout, { from, ...options }) {
  const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), ...options });
  if (from) Object.assign(client.state(from.topic), { cursor: from.watermark, epoch: from.epoch });
  cleanups.push(async () => client.close());
  await client.connect();
  return client;
}

test('promotion of a standby that has everything resets nobody', async () => {
  const primary = await primaryWith();
  insert(primary, 'p.a', 1, 20);
  const standby = await backupOf(primary, { standby: true });
  const fanout = await fanoutOver(primary, standby);
  const live = await follow(fanout, { topics: ['p.a'] });
  const quiet = await follow(fanout, { topics: ['p.b'], encoding: 'proto' });
  await live.reach('p.a', 20);
  insert(primary, 'p.a', 21, 30);
  await live.reach('p.a', 30);
  const before = epochOf(primary);
  await caughtUp(primary, standby);
  await primary.kill9();
  await standby.promote();
  insert(standby, 'p.a', 31, 40);
  insert(standby, 'p.b', 1, 1);
  await live.reach('p.a', 40);
  await quiet.reach('p.b', 1);
  for (const client of [live, quiet]) {
    assert.deepEqual(client.errors, []);
    assert.equal(client.gaps + client.duplicates, 0);
    assert.equal(client.opened, 1, 'the socket stayed open');
  }
  const now = epochOf(standby);
  assert.ok(now > before);
  assert.equal(ask(standby, 'SELECT reason FROM runtime.sync_epochs ORDER BY epoch DESC LIMIT 1'), 'promotion or point-in-time recovery');
  assert.equal(ask(standby, `SELECT epoch || ' ' || through FROM runtime.sync_topic_histories(ARRAY['p.a'])`), `${before} 30`);
  // Who comes back with what it had before goes on too; a cursor that this history never gave out does not.
  const back = await follow(fanout, { topics: ['p.a'], from: { topic: 'p.a', watermark: 25, epoch: before } });
  await back.reach('p.a', 40);
  assert.deepEqual(back.watermarks('p.a'), Array.from({ length: 15 }, (_, i) => 26 + i));
  assert.equal(verdict(standby, 'p.a', before, 30), 'fine');
  assert.equal(verdict(standby, 'p.a', before, 31), 'epoch_diverged');
  assert.equal(verdict(standby, 'p.a', now, 40), 'fine');
  assert.equal(verdict(standby, 'p.a', now, 41), 'cursor_ahead_of_head');
  assert.equal(verdict(standby, 'p.a', before - 1, 5), 'epoch_diverged');
});

test('promotion of a standby that lacks the last commits: who has seen them is told, nobody else', async () => {
  const primary = await primaryWith();
  for (const topic of ['l.lost', 'l.kept']) insert(primary, topic, 1, 10);
  const standby = await backupOf(primary, { standby: true });
  const fanout = await fanoutOver(primary, standby);
  const lost = await follow(fanout, { topics: ['l.lost'] });
  const kept = await follow(fanout, { topics: ['l.kept'] });
  await lost.reach('l.lost', 10);
  await kept.reach('l.kept', 10);
  await caughtUp(primary, standby);
  standby.psql('postgres', 'ALTER SYSTEM SET primary_conninfo = \'\'; SELECT pg_reload_conf();');
  await waitFor(() => ask(primary, 'SELECT count(*) FROM pg_stat_replication WHERE application_name = \'walreceiver\'') === '0',
    { what: 'the standby is cut off' });
  insert(primary, 'l.lost', 11, 15, 'lost');
  await lost.reach('l.lost', 15);
  const before = epochOf(primary);
  await primary.kill9();
  await standby.promote();
  await newEpoch(standby, before);
  for (const topic of ['l.lost', 'l.kept']) insert(standby, topic, 11, 20, 'new');
  await kept.reach('l.kept', 20);
  assert.deepEqual(kept.errors, []);
  await waitFor(() => lost.errors.length > 0, { what: 'the subscriber of lost events is told' });
  assert.equal(lost.errors[0].code, 'stale_cursor');
  assert.deepEqual(lost.errors[0].reason_codes, ['epoch_diverged']);
  for (const [watermark, expected] of /** @type {[number, string][]} */ ([[10, 'fine'], [11, 'epoch_diverged'], [15, 'epoch_diverged'], [30, 'epoch_diverged']])) {
    assert.equal(verdict(standby, 'l.lost', before, watermark), expected, `watermark ${watermark}`);
  }
  const refused = await follow(fanout, {});
  await assert.rejects(refused.request('sync:subscribe', { topics: ['l.lost'], resume_after: [{ topic: 'l.lost', watermark: 15, epoch: before }] }),
    (/** @type {any} */ error) => error.response.reason_codes[0] === 'epoch_diverged');
  const back = await follow(fanout, { topics: ['l.lost'], from: { topic: 'l.lost', watermark: 10, epoch: before } });
  await back.reach('l.lost', 20);
  assert.ok(back.state('l.lost').events.every((event) => /** @type {any} */ (event.payload).body === 'new'));
  assert.equal(ask(standby, `SELECT count(*) = 20 AND max(watermark) = 20 FROM runtime.sync_stream_events WHERE topic = 'l.lost'`), 't');
});

test('a hole that the primary would have filled later: the histories part there', async () => {
  const primary = await primaryWith();
  insert(primary, 'h.t', 1, 5);
  primary.psql('test', 'SELECT runtime.sync_maintain_partitions();');
  const standby = await backupOf(primary, { standby: true });
  await commitThatStands(primary, `INSERT INTO app.items VALUES ('h.t', 6, 'slow')`);
  insert(primary, 'h.t', 7, 9);
  const before = epochOf(primary);
  await caughtUp(primary, standby);
  await primary.kill9();
  await standby.promote();
  await waitFor(() => ask(standby, `SELECT count(*) FROM runtime.sync_replay('h.t', 0)`) === '9', { what: 'the hole is filled' });
  assert.equal(ask(standby, `SELECT string_agg(watermark || op, ' ' ORDER BY watermark) FROM runtime.sync_replay('h.t', 4)`),
    '5upsert 6void 7upsert 8upsert 9upsert');
  const verdicts = [5, 6, 9].map((watermark) => verdict(standby, 'h.t', before, watermark));
  assert.deepEqual(verdicts, ['fine', 'epoch_diverged', 'epoch_diverged']);
});

test('recovery to a point in time begins an epoch; events after the point are of another history', async () => {
  const primary = await primaryWith({ archive_mode: 'on', archive_command: 'cp %p ../archive/%f' });
  mkdirSync(`${primary.dir}/archive`);
  const { uid, gid } = primary.account;
  if (uid !== undefined && gid !== undefined) chownSync(`${primary.dir}/archive`, uid, gid);
  insert(primary, 'r.t', 1, 10);
  const before = epochOf(primary);
  const recovered = await backupOf(primary, { start: false, settings: { archive_mode: 'off',
    restore_command: `cp ${primary.dir}/archive/%f %p`, recovery_target_name: 'here', recovery_target_action: 'promote' } });
  insert(primary, 'r.t', 11, 15);
  primary.psql('postgres', `SELECT pg_create_restore_point('here');`);
  insert(primary, 'r.t', 16, 25, 'undone');
  const segment = primary.psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal());').trim();
  await waitFor(() => primary.psql('postgres', `SELECT coalesce(last_archived_wal >= '${segment}', false) FROM pg_stat_archiver`).trim() === 't',
    { what: 'the log is archived' });
  await recovered.start();
  await waitFor(() => recovered.psql('postgres', 'SELECT pg_is_in_recovery()').trim() === 'f', { what: 'it is promoted' });
  insert(recovered, 'r.t', 16, 18, 'instead');
  const now = epochOf(recovered);
  assert.ok(now > before);
  assert.deepEqual([15, 16, 18, 25].map((watermark) => verdict(recovered, 'r.t', before, watermark)),
    ['fine', 'epoch_diverged', 'epoch_diverged', 'epoch_diverged']);
  assert.equal(verdict(recovered, 'r.t', now, 18), 'fine');
  // The one it came from goes on in its own epoch, which the other does not know of and never takes.
  insert(primary, 'r.t', 26, 26);
  assert.equal(epochOf(primary), before);
  assert.equal(verdict(primary, 'r.t', now, 16), 'epoch_diverged');
});

test('a hole that is not filled yet parts the histories already', async () => {
  const primary = await primaryWith({ 'oa_sync.checkpoint_interval': '1h' });
  insert(primary, 'w.t', 1, 5);
  const standby = await backupOf(primary, { standby: true });
  const fanout = await fanoutOver(primary, standby);
  const client = await follow(fanout, { topics: ['w.t'] });
  await client.reach('w.t', 5);
  const release = await commitThatStands(primary, `INSERT INTO app.items VALUES ('w.t', 6, 'slow')`);
  insert(primary, 'w.t', 7, 9);
  await caughtUp(primary, standby);
  standby.psql('postgres', 'ALTER SYSTEM SET primary_conninfo = \'\'; SELECT pg_reload_conf();');
  await waitFor(() => ask(primary, 'SELECT count(*) FROM pg_stat_replication WHERE application_name = \'walreceiver\'') === '0',
    { what: 'the standby is cut off' });
  release();
  // The client gets the slow one, which the standby does not have, and what follows it.
  await client.reach('w.t', 9);
  const before = epochOf(primary);
  await primary.kill9();
  await standby.promote();
  assert.deepEqual([5, 6, 9].map((watermark) => verdict(standby, 'w.t', before, watermark)), ['fine', 'epoch_diverged', 'epoch_diverged'], 'at once');
  await waitFor(() => client.errors.length > 0, { what: 'the client is told' });
  assert.deepEqual(client.errors[0].reason_codes, ['epoch_diverged']);
  await waitFor(() => ask(standby, `SELECT count(*) FROM runtime.sync_replay('w.t', 0)`) === '9', { what: 'the hole is filled' });
  assert.deepEqual([5, 6, 9].map((watermark) => verdict(standby, 'w.t', before, watermark)), ['fine', 'epoch_diverged', 'epoch_diverged'], 'and after');
});

test('two standbys that are promoted at once do not share an epoch', async () => {
  const primary = await primaryWith();
  insert(primary, 's.t', 1, 3);
  const standbys = [await backupOf(primary, { standby: true }), await backupOf(primary, { standby: true })];
  const before = epochOf(primary);
  for (const standby of standbys) await caughtUp(primary, standby);
  assert.deepEqual(standbys.map((standby) => verdict(standby, 's.t', before, 3)), ['fine', 'fine'], 'standbys answer too');
  await primary.kill9();
  await Promise.all(standbys.map((standby) => standby.promote()));
  for (const standby of standbys) {
    await newEpoch(standby, before);
    insert(standby, 's.t', 4, 4);
  }
  const [first, second] = standbys.map(epochOf);
  assert.notEqual(first, second);
  assert.equal(verdict(/** @type {Cluster} */ (standbys[1]), 's.t', Number(first), 4), 'epoch_diverged');
});

test('sync_new_epoch: for what PostgreSQL does not show', async () => {
  const primary = await primaryWith();
  insert(primary, 'n.t', 1, 3);
  const before = epochOf(primary);
  const told = Number(ask(primary, `SELECT runtime.sync_new_epoch('disk image put back')`));
  assert.ok(told > before);
  insert(primary, 'n.t', 4, 5);
  assert.equal(ask(primary, `SELECT string_agg((epoch = ${told})::text, ' ' ORDER BY watermark) FROM runtime.sync_replay('n.t', 0)`),
    'false false false true true');
  assert.deepEqual([3, 4].map((w) => verdict(primary, 'n.t', before, w)), ['fine', 'epoch_diverged']);
  primary.psql('test', `BEGIN; SELECT runtime.sync_new_epoch('not after all'); ROLLBACK;`);
  await primary.restart();
  insert(primary, 'n.t', 6, 6);
  assert.equal(epochOf(primary), told);
  // Others append in the old epoch until it is committed: there is no right one for events of its own transaction.
  assert.throws(() => primary.psql('test', `BEGIN; SELECT runtime.sync_new_epoch('mixed'); INSERT INTO app.items VALUES ('n.t', 7, 'x'); COMMIT;`),
    /events cannot be written in the transaction that begins a new epoch/);
  assert.equal(epochOf(primary), told);
  // A void at the end is of the epoch it was written in: a cursor past it is good.
  const writers = [await primary.connect('test'), await primary.connect('test')];
  for (const writer of writers) await writer.query(`BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM app.items WHERE topic = 'n.t' AND body = 'x'`);
  await Promise.all(writers.map((writer, i) => writer.query(`UPDATE app.items SET body = 'y' WHERE topic = 'n.t' AND id = ${i + 1}`)));
  const ends = [];
  for (const writer of writers) ends.push(await writer.query('COMMIT').then(() => 'committed', (error) => error.code));
  assert.deepEqual(ends, ['committed', '40001']);
  await Promise.all(writers.map((writer) => writer.end()));
  await waitFor(() => ask(primary, `SELECT string_agg(op, ' ' ORDER BY watermark) FROM runtime.sync_replay('n.t', 6)`) === 'upsert void', { what: 'the void' });
  primary.psql('test', `SELECT runtime.sync_new_epoch('again')`);
  insert(primary, 'n.t', 8, 8);
  assert.deepEqual([7, 8, 9].map((w) => verdict(primary, 'n.t', told, w)), ['fine', 'fine', 'epoch_diverged']);
});
