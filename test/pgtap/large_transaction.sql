-- A large transaction spills its events to disk, savepoints across the spill are right, and the order stays.
\ir include/setup.sql
SELECT plan(17);
CREATE TABLE app.docs (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.docs', topic => 'large', doc_key => '{id}') \g /dev/null
SET work_mem = '64kB';
SELECT spilled_bytes AS spilled, events, transactions FROM runtime.sync_stats \gset
BEGIN;
INSERT INTO app.docs SELECT i, md5(i::text) FROM generate_series(1, 1000) i;
SAVEPOINT a;
INSERT INTO app.docs SELECT i, md5(i::text) FROM generate_series(1001, 50000) i;
SAVEPOINT b;
INSERT INTO app.docs SELECT i, md5(i::text) FROM generate_series(50001, 60000) i;
ROLLBACK TO a;
INSERT INTO app.docs SELECT i, md5(i::text) FROM generate_series(60001, 159000) i;
SAVEPOINT c;
INSERT INTO app.docs VALUES (200000, repeat('large', 100000));
SAVEPOINT d;
INSERT INTO app.docs VALUES (200001, 'gone');
ROLLBACK TO d;
INSERT INTO app.docs VALUES (200002, 'last');
COMMIT;
SELECT is((SELECT (count(*), min(watermark), max(watermark))::text FROM runtime.sync_stream_events WHERE topic = 'large'), '(100002,1,100002)', '100 002 events');
SELECT is((SELECT count(*) FROM runtime.sync_stream_events e FULL JOIN app.docs d ON e.doc_key = d.id::text
           WHERE e.payload->>'body' IS DISTINCT FROM d.body OR e.topic <> 'large'), 0::bigint, 'each row has its event, each event its row');
SELECT is((SELECT count(*) FROM (SELECT doc_key::int - lag(doc_key::int) OVER (ORDER BY watermark) AS step FROM runtime.sync_stream_events WHERE topic = 'large') s WHERE step <= 0),
          0::bigint, 'in order');
SELECT is((SELECT count(DISTINCT (txid, epoch)) FROM runtime.sync_stream_events WHERE topic = 'large'), 1::bigint, 'of one transaction');
SELECT cmp_ok((SELECT spilled_bytes FROM runtime.sync_stats) - :spilled, '>', 10000000::bigint, 'that went to disk');
SELECT is((SELECT events FROM runtime.sync_stats) - :events, 100002::bigint, 'and were counted');
SELECT is((SELECT transactions FROM runtime.sync_stats) - :transactions, 1::bigint, 'once');
SELECT is((SELECT octet_length(payload::text) FROM runtime.sync_replay('large', 100000, 1)), 500023, 'the large row is whole');

BEGIN; UPDATE app.docs SET body = 'x' WHERE id <= 20000; ROLLBACK;
SELECT is((SELECT head FROM runtime.sync_topic_heads('{large}')), 100002::bigint, 'rolled back after the spill');
DO $$ BEGIN
  UPDATE app.docs SET body = 'first' WHERE id = 1;
  BEGIN UPDATE app.docs SET body = 'y' WHERE id BETWEEN 2 AND 1000; RAISE 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END;
  UPDATE app.docs SET body = 'z' WHERE id = 1;
END $$;
SELECT is(t.events('large', 100002), ARRAY['100003 upsert 1 100003 {"body":"first","id":1}', '100004 upsert 1 100004 {"body":"z","id":1}'], 'a spilled block that fails in a transaction that goes on');

-- Several topics, spilled.
SELECT runtime.sync_publish('app.docs', topic => 'many:{id}', doc_key => '{id}', payload => 'id') \g /dev/null
UPDATE app.docs SET body = 'many' WHERE id > 154000;
SELECT is((SELECT (count(*), count(DISTINCT topic), max(watermark))::text FROM runtime.sync_stream_events WHERE topic LIKE 'many:%'), '(5002,5002,1)', 'five thousand topics in one transaction');
-- Of this session: workers of other databases, which persist the heads of many topics, sort in files too.
SELECT is((SELECT count(*) FROM pg_ls_tmpdir() WHERE name LIKE 'pgsql\_tmp' || pg_backend_pid() || '.%'), 0::bigint, 'no temporary file stays');
-- More topics than shared memory has places for.
SELECT is(t.failure('DELETE FROM app.docs'), '53400', 'more topics in one transaction than there are places is an error');
SELECT is((SELECT count(*) FROM app.docs), 100002::bigint, 'that takes the rows back');
SELECT is((SELECT count(*) FROM runtime.sync_stream_events WHERE op IN ('delete', 'void')), 0::bigint, 'and leaves no event and no void');
SELECT runtime.sync_publish('app.docs', topic => 'large', doc_key => '{id}', payload => 'id') \g /dev/null
DELETE FROM app.docs;
SELECT is((SELECT count(*) FROM runtime.sync_stream_events WHERE op = 'delete'), 100002::bigint, 'a DELETE of everything');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
