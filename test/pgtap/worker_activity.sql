-- The processes as pg_stat_activity shows them.
\ir include/setup.sql
SELECT plan(8);
SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL FROM runtime.sync_stats'), 'the worker runs');
SELECT worker_pid FROM runtime.sync_stats \gset
SELECT is((SELECT (datname, backend_type, application_name)::text FROM pg_stat_activity WHERE pid = :worker_pid), format('(%I,"oa_sync worker","oa_sync worker")', current_database()), 'it is sync_stats.worker_pid, in this database, by its name');
SELECT ok(t.wait_for(format($$SELECT state = 'idle' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s$$, :worker_pid)), 'between two looks it is idle, and waits');
SELECT ok(t.wait_for(format($$SELECT state_change > now() FROM pg_stat_activity WHERE pid = %s$$, :worker_pid)), 'it goes on looking');
-- The view reads state and snapshot one after the other: the worker may begin something in between.
SELECT ok(t.wait_for(format($$SELECT state = 'idle' AND xact_start IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE pid = %s$$, :worker_pid)), 'and holds no snapshot meanwhile');
SELECT is((SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'oa_sync launcher' AND datname IS NULL AND application_name = 'oa_sync launcher'), 1::bigint, 'there is one launcher, in no database');
SELECT ok(t.wait_for(format($$SELECT query <> '' FROM pg_stat_activity WHERE pid = %s$$, :worker_pid)), 'query is what it does, or did last');
DROP EXTENSION oa_sync CASCADE;
SELECT ok(t.wait_for(format($$SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)$$, :worker_pid)), 'without the extension it is gone');
SELECT * FROM finish();
