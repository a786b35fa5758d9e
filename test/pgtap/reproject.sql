-- sync_reproject: a read model made anew from its authority, in batches, again and again.
\ir include/setup.sql
SELECT plan(36);
CREATE TABLE app.run_events (run_id text, seq int, kind text NOT NULL, PRIMARY KEY (run_id, seq));
-- Rows that were there before the projection.
INSERT INTO app.run_events SELECT 'r' || n % 20, n, 'k' FROM generate_series(1, 500) n;
CREATE FUNCTION app.summarize(e app.run_events) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object('count', count(*)) FROM app.run_events x WHERE x.run_id = e.run_id $$;
SELECT runtime.sync_project('app.run_events', 'runtime.sync_run_summaries', 'run_1%:{run_id}', 'app.summarize(*)') AS id \gset
ANALYZE app.run_events;
SELECT is((SELECT count(*) FROM runtime.sync_run_summaries), 0::bigint, 'rows from before are no documents');
CALL runtime.sync_reproject(:id, 7);
SELECT is((SELECT format('%s %s', count(*), sum((payload->>'count')::int)) FROM runtime.sync_run_summaries), '20 500', 'until they are reprojected');
SELECT is((SELECT max(doc_version) FROM runtime.sync_run_summaries), 1::bigint, 'each document is written once');
SELECT is((SELECT format('%s %s %s %s %s %s', phase, rows_total, rows_done, documents_written, documents_deleted, pid) FROM runtime.sync_progress_reproject), 'finished 500 500 20 0 ', 'the progress says so');
SELECT is((SELECT head FROM runtime.sync_topic_heads('{runtime.run_summaries}')), 20::bigint, '20 events');
CALL runtime.sync_reproject(:id, 100, true);
SELECT is((SELECT format('%s %s', rows_done, documents_written) FROM runtime.sync_progress_reproject), '500 0', 'again: nothing is different');
SELECT is((SELECT head FROM runtime.sync_topic_heads('{runtime.run_summaries}')), 20::bigint, 'and there are no events');

-- The read model was damaged
ALTER TABLE runtime.sync_run_summaries DISABLE TRIGGER USER;
UPDATE runtime.sync_run_summaries SET payload = '"wrong"', payload_hash = '\x00' WHERE doc_key = 'run_1%:r3';
ALTER TABLE runtime.sync_run_summaries ENABLE TRIGGER USER;
DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'run_1%:r4';
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('run_1%:orphan', 1, '1'), ('run_1%:orphan2', 1, '1'), ('run_1x:other', 1, '1'), ('runx1%:other', 1, '1'), ('else', 1, '1');
CALL runtime.sync_reproject(:id);
SELECT is((SELECT array_agg(format('%s %s', doc_key, payload) ORDER BY doc_key) FROM runtime.sync_run_summaries WHERE doc_key ~ 'r[34]$'), ARRAY['run_1%:r3 {"count":25}', 'run_1%:r4 {"count":25}'], 'documents are mended');
SELECT is((SELECT documents_written FROM runtime.sync_progress_reproject), 2::bigint, 'only those');
SELECT is((SELECT count(*) FROM runtime.sync_run_summaries), 25::bigint, 'orphans stay');
CALL runtime.sync_reproject(:id, 1, prune => true);
SELECT is((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_run_summaries WHERE doc_key !~ ':r\d+$'), ARRAY['else', 'run_1x:other', 'runx1%:other'], 'unless they are pruned: those that fit the template, and no others');
SELECT is((SELECT format('%s %s', documents_written, documents_deleted) FROM runtime.sync_progress_reproject), '0 2', 'which is counted');

-- Documents of another projection of the same read model are not orphans.
CREATE TABLE app.runs (run_id text PRIMARY KEY); INSERT INTO app.runs VALUES ('empty');
SELECT runtime.sync_project('app.runs', 'runtime.sync_run_summaries', 'run_1%:{run_id}', '*') AS runs \gset
CALL runtime.sync_reproject(:runs);
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('run_1%:orphan', 1, '1');
CALL runtime.sync_reproject(:id, prune => true);
SELECT is((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_run_summaries WHERE doc_key ~ '^run_1%:[a-q]'), ARRAY['run_1%:empty'], 'what another projection produces is kept');
SELECT is(runtime.sync_unproject(:runs), true, 'it ends');
SELECT is((SELECT array_agg(projection_id) FROM runtime.sync_progress_reproject), ARRAY[:id], 'with its progress');

-- A function that changed
CREATE OR REPLACE FUNCTION app.summarize(e app.run_events) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN e.run_id = 'r5' THEN NULL ELSE json_build_object('n', count(*)) END FROM app.run_events x WHERE x.run_id = e.run_id $$;
CALL runtime.sync_reproject(:id, 50);
SELECT is((SELECT format('%s %s', documents_written, documents_deleted) FROM runtime.sync_progress_reproject), '19 1', 'null deletes');
SELECT is((SELECT count(*) FROM runtime.sync_run_summaries WHERE payload::text = '{"n":25}' AND doc_version > 1), 19::bigint, 'the others are newer');

-- Interrupted, taken up
CREATE OR REPLACE FUNCTION app.summarize(e app.run_events) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF e.run_id = 'r7' AND current_setting('app.fail', true) = 'yes' THEN RAISE EXCEPTION 'stop' USING ERRCODE = 'P0099'; END IF;
  RETURN (SELECT json_build_object('m', count(*)) FROM app.run_events x WHERE x.run_id = e.run_id);
END $$;
SELECT is(t.failure(format('SET app.fail = ''yes''; CALL runtime.sync_reproject(%s, 10)', :id)), '2D000', 'inside a transaction (a query of several statements is one) it is refused');
SELECT dblink_connect('run', t.conn()) \g /dev/null
SELECT dblink_exec('run', 'SET app.fail = ''yes''') \g /dev/null
SELECT throws_ok(format($$SELECT dblink_exec('run', 'CALL runtime.sync_reproject(%s, 10)')$$, :id), 'P0099', NULL, 'an error stops it');
SELECT is((SELECT format('%s %s %s', phase, rows_done > 0 AND rows_done < 500, documents_written > 0) FROM runtime.sync_progress_reproject), 'projecting t t', 'what was committed stays');
SELECT rows_done AS done FROM runtime.sync_progress_reproject \gset
SELECT dblink_disconnect('run') \g /dev/null
SELECT t.wait_for('SELECT pid IS NULL FROM runtime.sync_progress_reproject') \g /dev/null
SELECT is((SELECT pid FROM runtime.sync_progress_reproject), NULL, 'nobody works on it');
CALL runtime.sync_reproject(:id, 10);
SELECT is((SELECT format('%s %s %s', phase, rows_done, resumed) FROM runtime.sync_progress_reproject), 'finished 500 1', 'the next call goes on from there');
SELECT is((SELECT count(*) FROM runtime.sync_run_summaries WHERE payload::text = '{"m":25}'), 20::bigint, 'and every document is right');

-- A document that a writer has is waited for in a transaction of its own.
SELECT dblink_connect('w', t.conn()) \g /dev/null
SELECT dblink_exec('w', 'BEGIN; INSERT INTO app.run_events VALUES (''r3'', 1000, ''k''), (''new'', 1, ''k'')') \g /dev/null
SELECT dblink_connect('run', t.conn()) \g /dev/null
INSERT INTO app.run_events VALUES ('r9', 1001, 'k');
SELECT dblink_send_query('run', format('CALL runtime.sync_reproject(%s, 100000)', :id)) \g /dev/null
SELECT ok(t.wait_for('SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = ''Lock'' AND query LIKE ''CALL%'''), 'the rebuild waits for a writer');
SELECT ok((SELECT pid IS NOT NULL FROM runtime.sync_progress_reproject), 'its progress is to be seen');
SELECT lives_ok($$SET lock_timeout = '30s'; INSERT INTO app.run_events VALUES ('r4', 1002, 'k')$$, 'and holds nobody up meanwhile');
RESET lock_timeout;
SELECT throws_ok(format('CALL runtime.sync_reproject(%s)', :id), '55006', NULL, 'one rebuild at a time');
SELECT dblink_exec('w', 'COMMIT') \g /dev/null
SELECT is((SELECT min(r) FROM dblink_get_result('run') AS d(r text)), 'CALL', 'then it ends');
SELECT is((SELECT format('%s %s', count(*), sum((payload->>'m')::int)) FROM runtime.sync_run_summaries WHERE doc_key LIKE 'run\_1\%%'), '22 504', 'every row is counted');
SELECT dblink_disconnect('w'), dblink_disconnect('run') \g /dev/null

-- Keys of several types; refusals
CREATE TABLE app.odd (a timestamptz, "b, s.c" text, d numeric, v int, PRIMARY KEY (a, "b, s.c", d));
INSERT INTO app.odd SELECT '2026-01-01'::timestamptz + n / 10 * interval '1.000001 s', 'x''"' || n % 3, n / 7.0, n FROM generate_series(1, 100) n;
CREATE TABLE app.cards (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard('app.cards') \g /dev/null
SELECT runtime.sync_project('app.odd', 'app.cards', '{v}', '*', 'v') AS odd \gset
SET timezone = 'Asia/Tokyo'; SET datestyle = 'German';
CALL runtime.sync_reproject(:odd, 3);
RESET timezone; RESET datestyle;
SELECT is((SELECT count(*) FROM app.cards), 100::bigint, 'a primary key of several types');
SET default_transaction_isolation = 'serializable';
CALL runtime.sync_reproject(:odd, 30, prune => true);
RESET default_transaction_isolation;
SELECT is((SELECT format('%s %s %s', rows_done, documents_written, documents_deleted) FROM runtime.sync_progress_reproject WHERE projection_id = :odd), '100 0 0', 'from a session of another isolation');
SELECT throws_ok('CALL runtime.sync_reproject(99)', '42704', NULL, 'no projection');
SELECT throws_ok(format('CALL runtime.sync_reproject(%s, 0)', :odd), '22023', NULL, 'no batch');
ALTER TABLE app.odd DROP CONSTRAINT odd_pkey;
SELECT throws_ok(format('CALL runtime.sync_reproject(%s)', :odd), '55000', NULL, 'no primary key');

-- What a batch and a prune cost does not grow with the square of their rows, nor with documents times rows.
CREATE TABLE app.many (id int PRIMARY KEY); INSERT INTO app.many SELECT n FROM generate_series(1, 30000) n;
CREATE TABLE app.crowd (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard('app.crowd') \g /dev/null
SELECT runtime.sync_project('app.many', 'app.crowd', 'm:{id}', '*') AS many \gset
INSERT INTO app.crowd (doc_key, doc_version, payload) SELECT 'm:x' || n, 1, '{}' FROM generate_series(1, 1500) n;
SET statement_timeout = '30s';
CALL runtime.sync_reproject(:many, 30000, prune => true);
RESET statement_timeout;
SELECT is((SELECT format('%s %s %s', phase, documents_written, documents_deleted) FROM runtime.sync_progress_reproject WHERE projection_id = :many), 'finished 30000 1500', 'many documents and rows in a batch, and a prune');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
