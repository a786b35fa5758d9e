// Projections under concurrency and crashes: docs/read_models.md as it is printed, writers of one document, a rebuild
// whose backend is killed, a dump and its restore.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const cluster = await Cluster.create({ settings: { restart_after_crash: 'on', deadlock_timeout: '50ms' } });
after(() => cluster.destroy());
await cluster.createDatabase('test');
const page = readFileSync(new URL('../../docs/read_models.md', import.meta.url), 'utf8');
cluster.psql('test', 'CREATE ROLE app_writer LOGIN; CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO app_writer;');

/** @param {string} sql @param {any[]} [values] @returns {Promise<any[]>} */
const query = async (sql, values = []) => {
  const client = await cluster.connect('test');
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end().catch(() => {});
  }
};

/** The summary of a run. @param {string} run */
const summary = async (run) => (await query(
  'SELECT doc_version, payload FROM runtime.sync_run_summaries WHERE doc_key = $1', [`runtime/run_summary:${run}`]))[0];

test('every SQL block of the page runs, and gives the events that it says', async () => {
  const blocks = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => String(match[1]));
  assert.equal(blocks.length, 5);
  for (const block of blocks) cluster.psql('test', block);
  const { doc_version: version, payload } = await summary('42');
  // The first row's summary has both rows in it already: they are of one statement.
  assert.equal(version, 1);
  assert.deepEqual({ ...payload, projected_at: 'then' }, { run_id: '42', status: 'running', steps: 1, events: 2,
    runtime_source: { entity: 'run', run_id: '42', seq: 2 }, projected_at: 'then', projection_version: 1 });
  const events = await query(`SELECT doc_key, op, payload, payload_hash = sha256(convert_to(payload::text, 'UTF8')) AS sound
    FROM runtime.sync_replay('runtime.run_summaries', 0)`);
  assert.deepEqual(events, [{ doc_key: 'runtime/run_summary:42', op: 'upsert', payload, sound: true }]);
});

test('writers of one run, in every isolation, never lose each other in its summary', async () => {
  const writers = 8;
  const each = 40;
  let failed = 0;
  await Promise.all(Array.from({ length: writers }, async (_, writer) => {
    const client = await cluster.connect('test');
    await client.query('SET ROLE app_writer').catch(() => {});
    await client.query('RESET ROLE');
    const isolation = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'][writer % 3];
    for (let n = 0; n < each; n++) {
      const seq = writer * each + n + 1;
      for (;;) {
        try {
          await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
          await client.query('SELECT count(*) FROM app.run_events');
          await client.query(`INSERT INTO app.run_events (run_id, seq, kind) VALUES ('hot', $1, 'step')`, [seq]);
          await client.query('COMMIT');
          break;
        } catch (error) {
          await client.query('ROLLBACK');
          assert.equal(/** @type {any} */ (error).code, '40001');
          failed++;
        }
      }
      const before = await summary('hot');
      assert.ok(before.payload.events > n, 'what is committed is in the summary');
    }
    await client.end();
  }));
  const { payload } = await summary('hot');
  assert.equal(payload.events, writers * each);
  const events = await query(`SELECT doc_version, (payload->>'events')::int AS n FROM runtime.sync_replay('runtime.run_summaries', 0, 100000)
    WHERE doc_key = 'runtime/run_summary:hot' ORDER BY watermark`);
  assert.deepEqual(events.map((e) => e.n), Array.from({ length: writers * each }, (_, i) => i + 1), 'one event for each row, in order');
  assert.deepEqual(events.map((e) => e.doc_version), events.map((e) => e.n), `versions have no holes (${failed} retries)`);
});

test('documents made by many writers in different orders: deadlocks end, nothing is lost', async () => {
  const committed = new Set();
  await Promise.all(Array.from({ length: 6 }, async (_, writer) => {
    const client = await cluster.connect('test');
    for (let n = 0; n < 25; n++) {
      const runs = [`d${n % 4}`, `d${(n + writer) % 4}`, `new${n}`];
      for (;;) {
        try {
          await client.query('BEGIN');
          for (const [at, run] of runs.entries()) {
            await client.query(`INSERT INTO app.run_events (run_id, seq, kind) VALUES ($1, $2, 'step')`, [run, writer * 1000 + n * 3 + at]);
          }
          await client.query('COMMIT');
          for (const [at, run] of runs.entries()) committed.add(`${run}/${writer * 1000 + n * 3 + at}`);
          break;
        } catch (error) {
          await client.query('ROLLBACK');
          assert.equal(/** @type {any} */ (error).code, '40P01');
        }
      }
    }
    await client.end();
  }));
  const wrong = await query(`SELECT e.run_id, count(*), (SELECT payload->>'events' FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:' || e.run_id) AS summary
    FROM app.run_events e GROUP BY 1 HAVING count(*) IS DISTINCT FROM
      (SELECT (payload->>'events')::bigint FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:' || e.run_id)`);
  assert.deepEqual(wrong, []);
  assert.equal((await query(`SELECT count(*)::int AS n FROM app.run_events WHERE run_id ~ '^(d|new)'`))[0].n, committed.size);
});

test('a rebuild whose backend is killed goes on where it stopped, while writers run', async () => {
  cluster.psql('test', `
    CREATE TABLE app.many (id int PRIMARY KEY, body text);
    INSERT INTO app.many SELECT n, 'x' FROM generate_series(1, 3000) n;
    CREATE FUNCTION app.one(m app.many) RETURNS json LANGUAGE plpgsql STABLE AS $$
    BEGIN
      -- Held at a row while the test looks on.
      IF m.id = 2000 THEN PERFORM pg_advisory_lock_shared(77); PERFORM pg_advisory_unlock_shared(77); END IF;
      RETURN json_build_object('id', m.id, 'body', m.body);
    END $$;
    SELECT runtime.sync_project('app.many', 'app.cards', 'many:{id}', 'app.one(*)', on_delete => 'delete');`);
  const [{ id }] = await query(`SELECT projection_id AS id FROM runtime.sync_projections WHERE source = 'app.many'::regclass`);
  const holder = await cluster.connect('test');
  await holder.query('SELECT pg_advisory_lock(77)');
  const runner = await cluster.connect('test');
  const ended = runner.query(`CALL runtime.sync_reproject(${id}, 100)`).then(() => 'finished', () => 'killed');
  const progress = async () => (await query('SELECT * FROM runtime.sync_progress_reproject WHERE projection_id = $1', [id]))[0];
  await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'`)).length === 1,
    { what: 'the rebuild is at row 2000' });
  const before = await progress();
  assert.equal(before.phase, 'projecting');
  assert.equal(before.rows_done, 1900);
  assert.equal(before.documents_written, 1900);
  const { processID: pid } = /** @type {any} */ (runner);
  assert.equal(before.pid, pid);
  process.kill(pid, 'SIGKILL');
  assert.equal(await ended, 'killed');
  await holder.end().catch(() => {});
  // Not the server that has not noticed yet.
  await waitFor(async () => cluster.logTail(2000).includes('all server processes terminated; reinitializing') && (await query('SELECT 1')).length === 1,
    { timeoutMs: 60_000, what: 'the server is back' });
  const crashed = await progress();
  assert.equal(crashed.pid, null);
  assert.equal(crashed.rows_done, 1900);
  let writing = true;
  const writer = (async () => {
    const client = await cluster.connect('test');
    for (let n = 0; writing || n < 50; n++) {
      await client.query(`UPDATE app.many SET body = body || '.' WHERE id = $1`, [1 + (n * 37) % 3000]);
      await client.query('DELETE FROM app.many WHERE id = $1', [2990 - n % 5]);
      await client.query(`INSERT INTO app.many VALUES ($1, 'new') ON CONFLICT DO NOTHING`, [2990 - n % 5]);
    }
    await client.end();
  })();
  await query(`CALL runtime.sync_reproject(${id}, 100)`);
  writing = false;
  await writer;
  const done = await progress();
  assert.equal(done.phase, 'finished');
  assert.equal(done.resumed, 1);
  assert.ok(done.rows_done >= 2900, `${done.rows_done} rows`);
  assert.deepEqual(await query(`SELECT m.id FROM app.many m FULL JOIN app.cards c ON c.doc_key = 'many:' || m.id
    WHERE m.id IS NULL OR c.doc_key IS NULL OR c.payload::text <> format('{"body":"%s","id":%s}', m.body, m.id)`), []);
});

test('a dump is restored: read models, projections, triggers; it goes on', async () => {
  cluster.psql('test', `CREATE TABLE app.plain (id int PRIMARY KEY); SELECT runtime.sync_publish('app.plain'); INSERT INTO app.plain VALUES (1);`);
  const dump = `${cluster.dir}/dump`;
  const connection = (/** @type {string} */ name) => ['-h', cluster.socketDir, '-p', '5432', '-U', cluster.superuser, '-d', name];
  execFileSync('pg_dump', [...connection('test'), '-Fc', '-f', dump]);
  cluster.psql('postgres', 'CREATE DATABASE restored;');
  const listed = execFileSync('pg_restore', ['-l', dump], { encoding: 'utf8' });
  assert.match(listed, /TABLE DATA runtime sync_projections/);
  assert.doesNotMatch(listed, /TABLE DATA runtime sync_reprojections/);
  // The journal's own restore has a test of its own; without it, an event that the restore made would be seen.
  const list = `${cluster.dir}/list`;
  writeFileSync(list, listed.split('\n').filter((line) => !/sync_stream_events|sync_epochs|sync_topic_sequences/.test(line)).join('\n'));
  execFileSync('pg_restore', [...connection('restored'), '--exit-on-error', '-j', '2', '-L', list, dump], { stdio: ['ignore', 'pipe', 'pipe'] });
  assert.equal(cluster.psql('restored', 'SELECT count(*) FROM runtime.sync_stream_events;'), '0\n', 'a restore is no event');
  for (const sql of ['SELECT doc_key, doc_version, payload::text, payload_hash, inserted_at, updated_at FROM runtime.sync_run_summaries ORDER BY 1',
    'SELECT publication_id, relation::text, topic FROM runtime.sync_publications ORDER BY 1',
    'SELECT projection_id, source::text, read_model::text, payload FROM runtime.sync_projections ORDER BY 1']) {
    assert.equal(cluster.psql('restored', `${sql};`), cluster.psql('test', `${sql};`), sql);
  }
  cluster.psql('restored', `INSERT INTO app.run_events VALUES ('42', 3, 'finished'); INSERT INTO app.plain VALUES (2);`);
  assert.match(cluster.psql('restored', `SELECT payload->>'status', doc_version FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:42';`), /^finished\|2$/m);
  cluster.psql('restored', `CREATE TABLE app.more (id int PRIMARY KEY); SELECT runtime.sync_publish('app.more');`);
  assert.equal(cluster.psql('restored', 'SELECT topic || watermark FROM runtime.sync_stream_events ORDER BY 1;'), 'app.plain1\nruntime.run_summaries1\n');
});
