-- A large transaction while it captures: its memory stays within work_mem, others see how far it is.
\ir include/setup.sql
SELECT plan(19);
CREATE TABLE app.docs (id int, topic text DEFAULT 'large', body text DEFAULT repeat('x', 100));
SELECT runtime.sync_publish('app.docs', topic => '{topic}', doc_key => '{id}') \g /dev/null
-- This session's row in sync_progress_append, as another session sees it.
CREATE FUNCTION t.progress(columns text) RETURNS text LANGUAGE sql AS $$
  SELECT t.ask(format('SELECT max((%s)::text) FROM runtime.sync_progress_append WHERE pid = %s', $1, pg_backend_pid())) $$;
CREATE FUNCTION t.our_memory() RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts WHERE name LIKE 'oa_sync%' OR parent LIKE 'oa_sync%' $$;

BEGIN;
INSERT INTO app.docs SELECT i FROM generate_series(1, 9999) i;
SELECT is(t.progress('phase'), NULL, 'a transaction of 9999 events does not report');
COMMIT;

SET work_mem = '1MB';
BEGIN;
INSERT INTO app.docs SELECT i FROM generate_series(1, 150000) i;
INSERT INTO app.docs SELECT i, 'second' FROM generate_series(1, 150000) i;
SELECT cmp_ok(t.our_memory(), '<', 3 * 1024 * 1024::bigint, 'memory of 300 000 events with work_mem = 1MB');
SELECT is(t.progress('format(''%s %s %s %s'', phase, topics, events_appended, datname = current_database())'), 'capture 2 0 t', 'others see it');
SELECT cmp_ok(t.progress('events_total')::bigint, '>', 298000::bigint, 'how many events');
SELECT cmp_ok(t.progress('events_total')::bigint, '<=', 300000::bigint, 'as of a moment ago');
SELECT cmp_ok(t.progress('spilled_bytes')::bigint, '>', 300000 * 100::bigint, 'how much is in the temporary file');
SELECT is(t.progress(format('started_at = %L', transaction_timestamp())), 'true', 'since when');
SAVEPOINT a;
INSERT INTO app.docs SELECT i FROM generate_series(1, 30000) i;
SELECT cmp_ok(t.progress('events_total')::bigint, '>', 328000::bigint, 'a savepoint''s events count');
ROLLBACK TO a;
SELECT is(t.progress('events_total'), '300000', 'until it is rolled back');
COMMIT;
SELECT is(t.progress('phase'), NULL, 'nothing is left after COMMIT');
SELECT is((SELECT array_agg(format('%s %s', topic, head) ORDER BY topic) FROM runtime.sync_topics), ARRAY['large 159999', 'second 150000'], 'every event is there');
SELECT cmp_ok(t.our_memory(), '<', 1024 * 1024::bigint, 'and the memory is given back');

BEGIN; INSERT INTO app.docs SELECT i FROM generate_series(1, 20000) i;
SELECT is(t.progress('phase'), 'capture', 'again');
ROLLBACK;
SELECT is(t.progress('phase'), NULL, 'nothing is left after ROLLBACK');

-- A session that ends in the middle.
SELECT dblink_connect('gone', t.conn()) \g /dev/null
SELECT dblink_exec('gone', 'BEGIN; INSERT INTO app.docs SELECT i FROM generate_series(1, 20000) i') \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_progress_append), 1::bigint, 'another session');
SELECT pg_terminate_backend(pid) FROM runtime.sync_progress_append \g /dev/null
SELECT ok(t.wait_for('SELECT count(*) = 0 FROM runtime.sync_progress_append'), 'leaves nothing when it is terminated');
SELECT dblink_disconnect('gone') \g /dev/null

-- Large values: what is toasted goes with its batch, and a payload larger than work_mem is one at a time.
BEGIN; INSERT INTO app.docs SELECT i, 'wide', repeat(md5(i::text), 3000) FROM generate_series(1, 300) i;
SELECT cmp_ok(t.our_memory(), '<', 3 * 1024 * 1024::bigint, 'memory of 300 payloads of 96 kB');
COMMIT;
SELECT is((SELECT head FROM runtime.sync_topics WHERE topic = 'wide'), 300::bigint, 'all there');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
