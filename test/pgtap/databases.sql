-- Several databases, each with its own journal and worker; DROP DATABASE and CREATE DATABASE ... TEMPLATE under a worker.
\ir include/setup.sql
SELECT plan(16);
DROP DATABASE IF EXISTS oa_pgtap_b;
DROP DATABASE IF EXISTS oa_pgtap_c;
DROP DATABASE IF EXISTS oa_pgtap_d;
CREATE DATABASE oa_pgtap_b;
SELECT t.run('CREATE EXTENSION oa_sync', 'oa_pgtap_b') \g /dev/null
CREATE FUNCTION t.has_worker(db text) RETURNS text LANGUAGE sql AS $$
  SELECT format('SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = ''oa_sync worker'' AND datname = %L', $1) $$;
SELECT ok(t.wait_for(t.has_worker(current_database())), 'a worker here');
SELECT ok(t.wait_for(t.has_worker('oa_pgtap_b')), 'a worker there');
SELECT runtime.sync_emit('same', 'here', 1, '1') FROM generate_series(1, 3) \g /dev/null
SELECT t.run('DO $x$ BEGIN PERFORM runtime.sync_emit(''same'', ''there'', 1, ''2''); END $x$', 'oa_pgtap_b') \g /dev/null
SELECT is(t.ask('SELECT string_agg(watermark || doc_key, '' '') FROM runtime.sync_replay(''same'', 0)', 'oa_pgtap_b'), '1there', 'the same topic in another database is another topic');
SELECT is((SELECT array_agg(watermark || doc_key) FROM runtime.sync_replay('same', 0)), ARRAY['1here', '2here', '3here'], 'here too');
SELECT is(t.ask('SELECT events FROM runtime.sync_stats', 'oa_pgtap_b'), '1', 'statistics are by database');

-- A copy: the worker makes way, and the copy is a database of its own.
CREATE DATABASE oa_pgtap_c TEMPLATE oa_pgtap_b;
SELECT ok(t.wait_for(t.has_worker('oa_pgtap_b')), 'CREATE DATABASE ... TEMPLATE: the worker comes back');
SELECT ok(t.wait_for(t.has_worker('oa_pgtap_c')), 'the copy gets one');
SELECT t.run('DO $x$ BEGIN PERFORM runtime.sync_emit(''same'', ''copy'', 1, ''3''); END $x$', 'oa_pgtap_c') \g /dev/null
SELECT is(t.ask('SELECT string_agg(watermark || doc_key, '' '' ORDER BY watermark) FROM runtime.sync_replay(''same'', 0)', 'oa_pgtap_c'), '1there 2copy', 'the copy goes on from what it has');
SELECT is(t.ask('SELECT head FROM runtime.sync_topic_heads(''{same}'')', 'oa_pgtap_b'), '1', 'its original does not know');
ALTER DATABASE oa_pgtap_c RENAME TO oa_pgtap_d;
SELECT ok(t.wait_for(t.has_worker('oa_pgtap_d')), 'ALTER DATABASE RENAME: the worker comes back');
DROP DATABASE oa_pgtap_d;
DROP DATABASE oa_pgtap_b WITH (FORCE);
SELECT ok(t.wait_for('SELECT count(*) = 0 FROM pg_stat_activity WHERE datname LIKE ''oa\_pgtap\__'''), 'DROP DATABASE: no worker stays');
CREATE DATABASE oa_pgtap_b;
SELECT t.run('CREATE EXTENSION oa_sync; DO $x$ BEGIN PERFORM runtime.sync_emit(''same'', ''anew'', 1, ''4''); END $x$', 'oa_pgtap_b') \g /dev/null
SELECT is(t.ask('SELECT string_agg(watermark || doc_key, '' '') FROM runtime.sync_replay(''same'', 0)', 'oa_pgtap_b'), '1anew', 'a database of the same name starts at 1');
SELECT ok(t.wait_for(t.has_worker('oa_pgtap_b')), 'with a worker');
DROP DATABASE oa_pgtap_b;
SELECT runtime.sync_emit('same', 'here', 1, '1') \g /dev/null
SELECT is((SELECT head FROM runtime.sync_topic_heads('{same}')), 4::bigint, 'here nothing happened');
SELECT ok(t.wait_for(t.has_worker(current_database())), 'the worker here is still there');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
