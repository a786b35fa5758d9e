// ALTER EXTENSION oa_sync UPDATE, from every released version to the newest: the result has the catalog of a fresh
// installation, nothing of what was there is lost, and the new library serves the old objects until then.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, SyncClient, pgBinDir, root, waitFor } from '../harness/index.mjs';

// Each database with the extension has a worker, and each released version several databases.
const cluster = await Cluster.create({ settings: { max_worker_processes: 60 } });
after(() => cluster.destroy());
const released = readdirSync(`${root}/sql/released`).flatMap((name) => /^oa_sync--([\d.]+)\.sql$/.exec(name)?.[1] ?? []);
const newest = /^VERSION := (.+)$/m.exec(readFileSync(`${root}/Makefile`, 'utf8'))?.[1];

// Of the journal, in every version.
const columns = 'topic, watermark, epoch, doc_key, doc_version, op, payload, payload_hash, txid, inserted_at';
const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** @param {string} database @param {string} sql */
const ask = (database, sql) => cluster.psql(database, sql).trim();

/** Everything that makes up the extension, a line each, without OIDs. @param {string} database */
const catalog = (database) => ask(database, `
  WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'oa_sync'),
  rel AS (SELECT c.* FROM member m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass)
  SELECT line FROM (
    SELECT format('member %s', pg_describe_object(classid, objid, 0)) FROM member
    UNION ALL SELECT format('comment %s: %s', pg_describe_object(m.classid, m.objid, d.objsubid), d.description)
      FROM member m JOIN pg_description d ON d.classoid = m.classid AND d.objoid = m.objid
    UNION ALL SELECT format('relation %s %s %s %s %s', relname, relkind, relpersistence, relowner::regrole, relacl) FROM rel
    UNION ALL SELECT format('column %s.%s %s %s %s %s %s %s', r.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, a.attidentity, co.collname, pg_get_expr(d.adbin, d.adrelid))
      FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 LEFT JOIN pg_collation co ON co.oid = a.attcollation
      LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind <> 'S'
    UNION ALL SELECT format('view %s %s', relname, pg_get_viewdef(oid)) FROM rel WHERE relkind = 'v'
    UNION ALL SELECT format('sequence %s %s %s', relname, s.seqstart, s.seqincrement) FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid
    UNION ALL SELECT format('constraint %s %s %s', r.relname, c.conname, pg_get_constraintdef(c.oid)) FROM rel r JOIN pg_constraint c ON c.conrelid = r.oid
    UNION ALL SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM rel r JOIN pg_index i ON i.indrelid = r.oid
    UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled) FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
    UNION ALL SELECT format('function %s %s %s', pg_get_functiondef(p.oid), p.proowner::regrole, p.proacl)
      FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.classid = 'pg_proc'::regclass
    UNION ALL SELECT format('initial privileges %s %s', pg_describe_object(m.classid, m.objid, i.objsubid), i.initprivs)
      FROM member m JOIN pg_init_privs i ON i.classoid = m.classid AND i.objoid = m.objid
    UNION ALL SELECT format('event trigger %s %s %s %s', evtname, evtevent, evtfoid::regproc, evttags)
      FROM member m JOIN pg_event_trigger t ON t.oid = m.objid WHERE m.classid = 'pg_event_trigger'::regclass
    UNION ALL SELECT format('publication %s', p) FROM runtime.sync_publications p WHERE publication_id < 0
    UNION ALL SELECT format('dumped %s %s', c.oid::regclass, c.condition)
      FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS c(oid, condition) WHERE e.extname = 'oa_sync'
  ) AS lines(line) ORDER BY line COLLATE "C"`)
  // What differs from one installation to the next.
  .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+\d\d/g, 'TIME').split('\n');

cluster.psql('postgres', 'CREATE DATABASE fresh');
cluster.psql('fresh', 'CREATE EXTENSION oa_sync;');

test('there is an upgrade path from every released version', () => {
  assert.ok(released.length > 0);
  for (const version of released) {
    assert.notEqual(ask('fresh', `SELECT path FROM pg_extension_update_paths('oa_sync') WHERE source = '${version}' AND target = '${newest}'`), '', version);
  }
});

for (const version of released) {
  const database = `from_${version.replaceAll('.', '_')}`;

  test(`${version}: the new library serves it, the update keeps everything`, async () => {
    cluster.psql('postgres', `CREATE DATABASE ${database}; DROP ROLE IF EXISTS reader_${database}; CREATE ROLE reader_${database} LOGIN REPLICATION`);
    cluster.psql(database, `
      CREATE EXTENSION oa_sync VERSION '${version}';
      CREATE SCHEMA app;
      CREATE TABLE app.docs (id int PRIMARY KEY, body text);
      CREATE TABLE app.other (id int PRIMARY KEY);
      SELECT runtime.sync_publish('app.other', topic => 'other');
      SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'd:{id}');
      ${version === '0.1.0' ? `GRANT USAGE ON SCHEMA runtime TO reader_${database};
      GRANT EXECUTE ON FUNCTION runtime.sync_topic_heads(text[]), runtime.sync_replay_updates(text, bigint, integer, bigint) TO reader_${database}`
    : `SELECT runtime.sync_grant_reader('reader_${database}')`};
      INSERT INTO app.docs SELECT i, 'before' FROM generate_series(1, 10) i;
      DELETE FROM app.docs WHERE id = 1;`);
    const fanout = await Fanout.start({ database: cluster.conninfo(database).replace('user=postgres', `user=reader_${database}`) });
    const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics: ['docs'] });
    try {
      await client.connect();
      await client.reach('docs', 11);
      const epoch = ask(database, 'SELECT runtime.sync_current_epoch()');
      const before = ask(database, `SELECT ${columns} FROM runtime.sync_stream_events WHERE topic = 'docs' ORDER BY watermark`);
      await waitFor(() => ask(database, `SELECT next_watermark FROM runtime.sync_topic_sequences WHERE topic = 'docs'`) === '12',
        { timeoutMs: 90_000, what: 'the new worker persists heads in the old table' });
      // Somebody who is in the middle of something, with everything cached.
      const writer = await cluster.connect(database);
      await writer.query(`SET oa_sync.traceparent = '${trace}'`);  // the old journal has no place for it
      await writer.query(`INSERT INTO app.docs VALUES (11, 'as the update comes')`);
      cluster.psql(database, 'ALTER EXTENSION oa_sync UPDATE;');
      await writer.query(`INSERT INTO app.docs VALUES (12, 'after')`);
      await writer.end();
      await client.reach('docs', 13);
      assert.deepEqual([client.errors, client.gaps, client.opened], [[], 0, 1]);
      assert.deepEqual(client.state('docs').events.map((update) => update.traceparent).slice(-3), [undefined, undefined, trace]);
      assert.equal(ask(database, `SELECT count(traceparent) FROM runtime.sync_replay('docs', 0)`), '1');
      assert.equal(ask(database, `SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'`), newest);
      assert.equal(ask(database, `SELECT ${columns} FROM runtime.sync_stream_events WHERE topic = 'docs' AND watermark <= 11 ORDER BY watermark`), before);
      assert.equal(ask(database, 'SELECT runtime.sync_current_epoch()'), epoch, 'the epoch is kept');
      await cluster.restart();
      cluster.psql(database, `INSERT INTO app.docs VALUES (13, 'after a restart')`);
      await client.reach('docs', 14);
      assert.equal(ask(database, 'SELECT runtime.sync_current_epoch()'), epoch, 'also by a restart');
      for (const name of ['sync_topic_heads', 'sync_topic_histories']) {
        assert.equal(ask(database, `SELECT has_function_privilege('reader_${database}', 'runtime.${name}(text[])', 'EXECUTE')`), 't');
      }
      await waitFor(() => ask(database, 'SELECT recovered FROM runtime.sync_stats') === 't', { what: 'the worker has recovered' });
    } finally {
      await client.close();
      await fanout.destroy();
    }
  });

  test(`${version}: a hole that it filled after a promotion parts the histories`, async () => {
    const database = 'hole';
    const primary = await Cluster.create();
    after(() => primary.destroy());
    primary.psql('postgres', `CREATE DATABASE ${database}`);
    primary.psql(database, `CREATE EXTENSION oa_sync VERSION '${version}';`);
    const standby = await primary.backup({ standby: true });
    after(() => standby.destroy());
    const emit = (/** @type {number} */ count) => primary.psql(database, `SELECT runtime.sync_emit('t', 'k', 1, '1') FROM generate_series(1, ${count})`);
    emit(5);
    const [blocker, slow] = [await primary.connect(database), await primary.connect(database)];
    await blocker.query('BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE');
    const { rows: [{ pid }] } = await slow.query('SELECT pg_backend_pid() AS pid');
    slow.query(`SELECT runtime.sync_emit('t', 'slow', 1, '1')`).catch(() => {});
    await waitFor(async () => (await blocker.query(`SELECT FROM pg_locks WHERE NOT granted AND pid = ${pid}`)).rowCount, { what: 'it waits' });
    process.kill(pid, 'SIGSTOP');
    await blocker.query('COMMIT');
    emit(3);
    const epoch = primary.psql(database, 'SELECT runtime.sync_current_epoch()').trim();
    const lsn = primary.psql(database, 'SELECT pg_current_wal_flush_lsn()').trim();
    await waitFor(() => standby.psql('postgres', `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`).trim() === 't', { what: 'the standby has it' });
    await primary.kill9();
    await standby.promote();
    await waitFor(() => standby.psql(database, `SELECT count(*) FROM runtime.sync_replay('t', 0)`).trim() === '9', { what: 'the hole is filled' });
    standby.psql(database, 'ALTER EXTENSION oa_sync UPDATE');
    assert.equal(standby.psql(database, `SELECT string_agg(coalesce(reason, 'fine'), ' ' ORDER BY n) FROM generate_series(5, 9) n,
      runtime.sync_check_cursors(ARRAY['t'], ARRAY[${epoch}], ARRAY[n]::bigint[])`).trim(), 'fine epoch_diverged epoch_diverged epoch_diverged epoch_diverged');
    for (const client of [blocker, slow]) client.end().catch(() => {});
  });

  test(`${version}: an updated catalog is a fresh one`, () => {
    cluster.psql('postgres', `CREATE DATABASE ${database}_catalog`);
    cluster.psql(`${database}_catalog`, `CREATE EXTENSION oa_sync VERSION '${version}'; ALTER EXTENSION oa_sync UPDATE;`);
    assert.deepEqual(catalog(`${database}_catalog`), catalog('fresh'));
  });

  test(`${version}: a dump of it is restored into a new installation`, async () => {
    const [old, restored] = [`${database}_dumped`, `${database}_dump_restored`];
    cluster.psql('postgres', `CREATE DATABASE ${old}; CREATE DATABASE ${restored}`);
    cluster.psql(old, `CREATE EXTENSION oa_sync VERSION '${version}'; SELECT runtime.sync_maintain_partitions();
      CREATE TABLE public.docs (id int PRIMARY KEY); SELECT runtime.sync_publish('public.docs', topic => 'docs');`);
    cluster.psql(old, 'INSERT INTO public.docs SELECT generate_series(1, 50)');
    const { host, port, user } = cluster.connectOptions(old);
    const connection = ['-h', host, '-p', String(port), '-U', user];
    const dump = execFileSync(`${pgBinDir}/pg_dump`, [...connection, '-d', old]);
    execFileSync(`${pgBinDir}/psql`, [...connection, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', restored], { input: dump, stdio: ['pipe', 'ignore', 'pipe'] });
    const events = `SELECT ${columns} FROM runtime.sync_stream_events ORDER BY topic, watermark`;
    assert.equal(ask(restored, events), ask(old, events));
    assert.equal(ask(restored, `SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'`), newest);
    await waitFor(() => ask(restored, 'SELECT recovered FROM runtime.sync_stats') === 't', { what: 'the worker has recovered' });
    cluster.psql(restored, `SET oa_sync.traceparent = '${trace}'; INSERT INTO public.docs VALUES (51)`);
    assert.equal(ask(restored, `SELECT watermark, traceparent FROM runtime.sync_replay('docs', 50)`), `51|${trace}`);
  });

  test(`${version}: what was granted, and views of one's own, outlive the update and a dump after it`, () => {
    const updated = `${database}_granted`;
    cluster.psql('postgres', `CREATE DATABASE ${updated}; CREATE DATABASE ${updated}_restored; CREATE ROLE monitor_${updated}`);
    cluster.psql(updated, `CREATE EXTENSION oa_sync VERSION '${version}';
      CREATE TABLE public.docs (id int PRIMARY KEY);
      SELECT runtime.sync_publish('public.docs', topic => 'docs');
      INSERT INTO public.docs VALUES (1);
      GRANT USAGE ON SCHEMA runtime TO monitor_${updated};
      GRANT SELECT ON runtime.sync_stats, runtime.sync_topics, runtime.sync_stream_events, runtime.sync_journal_partitions TO monitor_${updated};
      GRANT EXECUTE ON FUNCTION runtime.sync_statistics(), runtime.sync_topic_states(), runtime.sync_topic_heads(text[]),
        runtime.sync_unpublish(regclass)${version === '0.1.0' ? '' : ', runtime.oa_sync_partition_bounds(oid)'} TO monitor_${updated};
      CREATE VIEW public.heads AS SELECT topic, head FROM runtime.sync_topics;
      CREATE VIEW public.stats AS SELECT * FROM runtime.sync_stats;`);
    cluster.psql(updated, 'ALTER EXTENSION oa_sync UPDATE;');
    const { host, port, user } = cluster.connectOptions(updated);
    const connection = ['-h', host, '-p', String(port), '-U', user];
    const dump = execFileSync(`${pgBinDir}/pg_dump`, [...connection, '-d', updated]);
    execFileSync(`${pgBinDir}/psql`, [...connection, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', `${updated}_restored`], { input: dump, stdio: ['pipe', 'ignore', 'pipe'] });
    for (const name of [updated, `${updated}_restored`]) {
      assert.equal(ask(name, `SET ROLE monitor_${updated}; SELECT head, horizon FROM runtime.sync_topics WHERE topic = 'docs';
        SELECT count(documents_written) FROM runtime.sync_stats; SELECT count(*) FROM runtime.sync_stream_events;
        SELECT count(*) > 0 FROM runtime.sync_journal_partitions; SELECT head FROM runtime.sync_topic_heads(ARRAY['docs'])`), '1|1 day\n1\n1\nt\n1', name);
      assert.equal(ask(name, `SELECT has_function_privilege('monitor_${updated}', 'runtime.sync_unpublish(regclass)', 'EXECUTE')`), 't', name);
      assert.equal(ask(name, 'SELECT head FROM public.heads; SELECT count(*) FROM public.stats'), '1\n1', name);
    }
  });
}
