// pg_dump and pg_restore, a copied database, pg_upgrade: journal, heads, policies, publications and triggers go along,
// no watermark is used twice, and cursors of the original are good exactly as far as the copy goes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Cluster, pgBinDir, waitFor } from '../harness/index.mjs';

const cleanups = /** @type {(() => Promise<unknown>)[]} */ ([]);
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** @type {Cluster} */
let origin;
/** @type {string[]} */
let journal;
/** @type {number} */
let epoch;

/** @param {Cluster} cluster @param {string} sql @param {string} [database] */
const ask = (cluster, sql, database = 'test') => cluster.psql(database, sql).trim();
/** Every event, a line each. @param {Cluster} cluster @param {string} [database] */
const journalOf = (cluster, database = 'test') => ask(cluster, `SELECT concat_ws('|', topic, watermark, epoch, doc_key,
    doc_version, op, payload, encode(payload_hash, 'hex'), txid, extract(epoch FROM inserted_at), traceparent)
  FROM runtime.sync_stream_events ORDER BY topic, watermark`, database).split('\n');
/** @param {Cluster} cluster @param {string} topic @param {number} watermark @param {string} [database] */
const verdict = (cluster, topic, watermark, database = 'test') => ask(cluster,
  `SELECT coalesce(reason, 'fine') FROM runtime.sync_check_cursors(ARRAY['${topic}'], ARRAY[${epoch}], ARRAY[${watermark}])`, database);

before(async () => {
  origin = await Cluster.create();
  cleanups.push(() => origin.destroy());
  await origin.createDatabase('test');
  origin.psql('test', `
    CREATE SCHEMA app;
    CREATE TABLE app.docs (id int PRIMARY KEY, version int NOT NULL DEFAULT 1, body text);
    CREATE TABLE app.parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE app.parts_now PARTITION OF app.parts DEFAULT;
    SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'd:{id}', doc_version => 'version', skip_unchanged => true);
    SELECT runtime.sync_publish('app.parts', topic => 'parts', doc_key => 'p:{id}', always => true);
    SELECT runtime.sync_maintain_partitions();
    INSERT INTO app.docs SELECT i, 1, 'body ' || i FROM generate_series(1, 500) i;
    SET oa_sync.traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    INSERT INTO app.parts SELECT i, '2026-01-01' FROM generate_series(1, 20) i;
    RESET oa_sync.traceparent;
    DELETE FROM app.docs WHERE id <= 20;
    SELECT runtime.sync_upsert_document('runtime.sync_run_summaries', 'runtime/run_summary:' || i, i, to_json(i)) FROM generate_series(1, 30) i;
    SELECT runtime.sync_emit('by.hand', 'k', i, to_json(i)) FROM generate_series(1, 5) i;
    -- What retention leaves of a topic.
    INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor, floor_epoch)
      VALUES ('by.hand', 6, 3, runtime.sync_current_epoch()), ('purged', 1001, 1000, runtime.sync_current_epoch())
      ON CONFLICT (topic) DO UPDATE SET floor = excluded.floor, floor_epoch = excluded.floor_epoch;
    DELETE FROM runtime.sync_stream_events WHERE topic = 'by.hand' AND watermark <= 3;
    INSERT INTO runtime.sync_topic_policies (pattern, horizon) VALUES ('docs', '3 days');`);
  epoch = Number(ask(origin, 'SELECT runtime.sync_current_epoch()'));
  // A commit that is on its way while the dump is made: its watermark is missing, the next one is there.
  const slow = await origin.connect('test');
  const blocker = await origin.connect('test');
  await blocker.query('BEGIN');
  for (const { partition } of (await blocker.query('SELECT partition::text FROM runtime.sync_journal_partitions')).rows) {
    await blocker.query(`LOCK TABLE ${partition} IN SHARE MODE`);
  }
  const { rows: [{ pid }] } = await slow.query('SELECT pg_backend_pid() AS pid');
  slow.query(`INSERT INTO app.docs VALUES (1000, 1, 'slow')`).catch(() => {});
  await waitFor(async () => (await blocker.query(`SELECT FROM pg_locks WHERE NOT granted AND pid = ${pid}`)).rowCount, { what: 'it waits' });
  process.kill(pid, 'SIGSTOP');
  await blocker.query('COMMIT');
  origin.psql('test', `INSERT INTO app.docs VALUES (1001, 1, 'after the slow one')`);
  journal = journalOf(origin);
  for (const format of ['custom', 'directory', 'plain']) {
    execFileSync('pg_dump', [`--format=${format}`, '-d', origin.conninfo('test'), '-f', `${origin.dir}/dump.${format}`]);
  }
  process.kill(pid, 'SIGCONT');
  await waitFor(() => ask(origin, `SELECT count(*) FROM runtime.sync_replay('docs', 520)`) === '2', { what: 'it commits' });
  await Promise.all([slow.end(), blocker.end()]);
});

/** What has to be true of a restored database. @param {Cluster} cluster @param {string} [database] */
async function examine(cluster, database = 'test') {
  await waitFor(() => ask(cluster, `SELECT count(*) FROM runtime.sync_replay('docs', 520)`, database) === '2',
    { what: 'the worker has seen to the restored journal' });
  assert.ok(Number(ask(cluster, 'SELECT runtime.sync_current_epoch()', database)) > epoch);
  const restored = journalOf(cluster, database);
  assert.deepEqual(restored.filter((line) => !line.includes('|void|')), journal);
  assert.equal(restored.length, journal.length + 1, 'the hole of the commit that was on its way is filled');
  assert.equal(ask(cluster, `SELECT concat_ws(' ', topic, next_watermark, floor) FROM runtime.sync_topic_sequences WHERE topic IN ('by.hand', 'purged') ORDER BY topic`, database),
    'by.hand 6 3\npurged 1001 1000');
  assert.equal(ask(cluster, 'SELECT pattern, horizon FROM runtime.sync_topic_policies', database), 'docs|3 days');
  assert.equal(ask(cluster, `SELECT string_agg(relation::text, ' ' ORDER BY relation::text) FROM runtime.sync_publications WHERE relation::text LIKE 'app.%'`, database), 'app.docs app.parts');
  assert.equal(ask(cluster, `SELECT count(*), count(payload_hash), sum(doc_version) FROM runtime.sync_run_summaries`, database), '30|30|465');
  assert.notEqual(ask(cluster, 'SELECT reason FROM runtime.sync_epochs ORDER BY epoch DESC LIMIT 1', database), 'being restored');
  // The end of the restore was seen: whatever a session has set, what it writes is an event.
  cluster.psql(database, `SET check_function_bodies = off; SET row_security = off; SET client_min_messages = warning; SET search_path = '';
    INSERT INTO runtime.sync_codex_worker_summaries (doc_key, doc_version, payload) VALUES ('late', 1, '1');`);
  assert.equal(ask(cluster, `SELECT head FROM runtime.sync_topic_heads(ARRAY['runtime.codex_worker_summaries'])`, database), '1');
  // It goes on, with the next watermarks, by the restored triggers.
  cluster.psql(database, `INSERT INTO app.docs VALUES (2000, 1, 'restored');
    UPDATE app.docs SET body = body WHERE id = 100;
    SET session_replication_role = replica; INSERT INTO app.parts VALUES (21, '2026-01-02'); RESET session_replication_role;
    SELECT runtime.sync_upsert_document('runtime.sync_run_summaries', 'runtime/run_summary:1', 100, '"new"');
    SELECT runtime.sync_emit('purged', 'k', 1, '1'); SELECT runtime.sync_emit('by.hand', 'k', 6, '6');`);
  assert.equal(ask(cluster, `SELECT string_agg(topic || ' ' || head, ', ' ORDER BY topic) FROM runtime.sync_topics
    WHERE topic IN ('docs', 'parts', 'by.hand', 'purged', 'runtime.run_summaries')`, database),
  'by.hand 6, docs 523, parts 21, purged 1001, runtime.run_summaries 31');
  assert.equal(ask(cluster, `SELECT doc_key FROM runtime.sync_replay('docs', 522)`, database), 'd:2000');
  // The commit that was on its way is d:1000 there and nothing here: from its place on the histories differ.
  assert.deepEqual([520, 521, 522].map((watermark) => verdict(cluster, 'docs', watermark, database)),
    ['fine', 'epoch_diverged', 'epoch_diverged']);
  assert.deepEqual([20, 21].map((watermark) => verdict(cluster, 'parts', watermark, database)), ['fine', 'epoch_diverged']);
  assert.deepEqual([2, 3, 5, 6].map((watermark) => verdict(cluster, 'by.hand', watermark, database)),
    ['retention_floor_breach', 'fine', 'fine', 'epoch_diverged']);
  assert.deepEqual([999, 1000, 1001].map((watermark) => verdict(cluster, 'purged', watermark, database)),
    ['retention_floor_breach', 'fine', 'epoch_diverged']);
  assert.equal(ask(cluster, `SELECT count(*) FROM runtime.sync_journal_partitions a JOIN runtime.sync_journal_partitions b
    ON a.partition < b.partition AND a.lower < b.upper AND b.lower < a.upper`, database), '0');
  assert.equal(ask(cluster, 'SELECT runtime.sync_maintain_partitions()', database), '0', 'the present has its partitions');
}

for (const format of ['custom', 'directory', 'plain']) {
  test(`pg_dump --format=${format}, restored into another cluster`, async () => {
    const target = await Cluster.create();
    cleanups.push(() => target.destroy());
    target.psql('postgres', 'CREATE DATABASE test');
    const file = `${origin.dir}/dump.${format}`;
    if (format === 'plain') {
      execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', target.conninfo('test'), '-f', file], { stdio: 'pipe' });
    } else {
      execFileSync('pg_restore', ['--exit-on-error', ...(format === 'directory' ? ['-j', '2'] : []), '-d', target.conninfo('test'), file]);
    }
    await examine(target);
    assert.equal(ask(target, 'SELECT reason FROM runtime.sync_epochs ORDER BY epoch DESC LIMIT 1'), 'restored');
    target.assertNoCrash();
  });
}

test('a restored database that is written to at once', async () => {
  const target = await Cluster.create();
  cleanups.push(() => target.destroy());
  target.psql('postgres', 'CREATE DATABASE test');
  execFileSync('pg_restore', ['--exit-on-error', '-d', target.conninfo('test'), `${origin.dir}/dump.custom`]);
  assert.deepEqual([520, 521, 522].map((watermark) => verdict(target, 'docs', watermark)), ['fine', 'epoch_diverged', 'epoch_diverged'], 'at once');
  const writer = await target.connect('test');
  let id = 5000;
  await waitFor(async () => {
    await writer.query(`INSERT INTO app.parts SELECT i, '2026-02-01' FROM generate_series($1::int, $1 + 99) i`, [id += 100]);
    return ask(target, 'SELECT recovered FROM runtime.sync_stats') === 't'
      && ask(target, `SELECT count(*) FROM runtime.sync_replay('docs', 520)`) === '2';
  }, { timeoutMs: 60_000, everyMs: 100, what: 'the hole is filled while it is written to' });
  await writer.end();
});

test('restored beside the original, in the same cluster', async () => {
  origin.psql('postgres', 'CREATE DATABASE beside');
  execFileSync('pg_restore', ['--exit-on-error', '-d', origin.conninfo('beside'), `${origin.dir}/dump.custom`]);
  await examine(origin, 'beside');
});

test('a dump into a cluster that lacks the library fails at once, and says why', async () => {
  const bare = await Cluster.create({ settings: { shared_preload_libraries: '' } });
  cleanups.push(() => bare.destroy());
  bare.psql('postgres', 'CREATE DATABASE test');
  assert.throws(() => execFileSync('pg_restore', ['--exit-on-error', '-d', bare.conninfo('test'), `${origin.dir}/dump.custom`], { stdio: 'pipe' }),
    /oa_sync has to be loaded when the server starts/);
});

test('a database made from this one as its template has an epoch of its own', async () => {
  const head = Number(ask(origin, `SELECT head FROM runtime.sync_topics WHERE topic = 'docs'`));
  origin.psql('postgres', 'CREATE DATABASE copy TEMPLATE test');
  await waitFor(() => ask(origin, `SELECT runtime.sync_current_epoch() > ${epoch}`, 'copy') === 't', { what: 'a new epoch' });
  for (const database of ['test', 'copy']) origin.psql(database, `INSERT INTO app.docs VALUES (3000, 1, '${database}')`);
  assert.equal(ask(origin, 'SELECT reason FROM runtime.sync_epochs ORDER BY epoch DESC LIMIT 1', 'copy'), 'restored or copied');
  assert.equal(Number(ask(origin, 'SELECT runtime.sync_current_epoch()')), epoch, 'the original keeps its own');
  assert.deepEqual([head, head + 1].map((watermark) => verdict(origin, 'docs', watermark, 'copy')), ['fine', 'epoch_diverged']);
});

test('pg_upgrade takes everything along', async () => {
  // Its own kind of dump, with OIDs kept and nothing run from the extension's script; from this version to itself.
  for (const database of ['beside', 'copy']) origin.psql('postgres', `DROP DATABASE IF EXISTS ${database}`);
  const whole = journalOf(origin);
  const heads = ask(origin, 'SELECT topic, head, floor FROM runtime.sync_topics ORDER BY topic');
  const target = await Cluster.create({ start: false });
  cleanups.push(() => target.destroy());
  await origin.stop();
  try {
    execFileSync(`${pgBinDir}/pg_upgrade`, ['-b', pgBinDir, '-B', pgBinDir, '-d', origin.dataDir, '-D', target.dataDir,
      '-U', origin.superuser, '-s', target.dir], { ...origin.account, cwd: target.dir, stdio: 'pipe', env: { ...process.env, HOME: target.dir, LC_ALL: 'C' } });
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout: Buffer, stderr: Buffer}} */ (error);
    assert.fail(`pg_upgrade failed:\n${stdout}\n${stderr}`);
  }
  await target.start();
  await waitFor(() => ask(target, `SELECT recovered AND runtime.sync_current_epoch() > ${epoch} FROM runtime.sync_stats`) === 't',
    { what: 'the worker has begun' });
  assert.deepEqual(journalOf(target), whole);
  assert.equal(ask(target, 'SELECT topic, head, floor FROM runtime.sync_topics ORDER BY topic'), heads);
  const head = Number(ask(target, `SELECT head FROM runtime.sync_topics WHERE topic = 'docs'`));
  target.psql('test', `INSERT INTO app.docs VALUES (4000, 1, 'upgraded')`);
  assert.equal(ask(target, `SELECT doc_key FROM runtime.sync_replay('docs', ${head})`), 'd:4000');
  // Nothing was lost, so no cursor is.
  assert.deepEqual([head, head + 1].map((watermark) => verdict(target, 'docs', watermark)), ['fine', 'epoch_diverged']);
  target.assertNoCrash();
});
