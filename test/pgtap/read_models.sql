-- The read models: published on install, written by ordinary roles, their publications and what of them is dumped.
\ir include/setup.sql
SELECT plan(28);
DROP ROLE IF EXISTS oa_pgtap_writer;
CREATE ROLE oa_pgtap_writer LOGIN;

SELECT is((SELECT array_agg(format('%s %s %s %s %s', publication_id, topic, doc_key, doc_version, payload) ORDER BY publication_id) FROM runtime.sync_publications),
  ARRAY['-2 runtime.codex_worker_summaries {doc_key} doc_version {payload}', '-1 runtime.run_summaries {doc_key} doc_version {payload}'], 'both are published on install');
SELECT is((SELECT count(*) FROM runtime.sync_publications p CROSS JOIN LATERAL runtime.oa_sync_check_publication(p.relation, p.publication_id)), 2::bigint, 'and their publications fit');
SELECT is((SELECT array_agg(format('%s %s', tgname, tgenabled) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'runtime.sync_run_summaries'::regclass),
  ARRAY['!oa_sync_row O', '!oa_sync_truncate O', '~oa_sync_count A', '~oa_sync_guard A'], 'their triggers');
CREATE TABLE app.like_them (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.like_them') \g /dev/null
SELECT is((SELECT array_agg(DISTINCT replace(pg_get_triggerdef(t.oid), t.tgrelid::regclass::text, '') ~ 'oa_sync_(capture_row|capture_truncate)\(''-?\d+''\)$') FROM pg_trigger t WHERE t.tgname LIKE '!%'), '{t}', 'call the same functions as those of sync_publish');
SELECT is((SELECT array_agg(tgtype::text ORDER BY tgtype) FROM pg_trigger WHERE tgrelid = 'runtime.sync_run_summaries'::regclass AND tgname LIKE '!%'),
          (SELECT array_agg(tgtype::text ORDER BY tgtype) FROM pg_trigger WHERE tgrelid = 'app.like_them'::regclass AND tgname LIKE '!%'), 'fire when those do');
SELECT ok((SELECT publication_id > 0 FROM runtime.sync_publications WHERE relation = 'app.like_them'::regclass), 'a user''s publication has a positive id');

-- An application needs grants on the table and on nothing else.
SELECT is(t.failure('INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES (''x'', 1, ''{}'')', role => 'oa_pgtap_writer'), '42501', 'nothing is granted');
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON runtime.sync_run_summaries TO oa_pgtap_writer;
SELECT is(t.run('INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES (''runtime/run_summary:1'', 3, ''{"status": "new", "n": 1.0}'')', role => 'oa_pgtap_writer'), 'INSERT 0 1', 'an ordinary role inserts');
SELECT is(t.run($$INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('runtime/run_summary:1', 4, '{"status": "done"}')
  ON CONFLICT (doc_key) DO UPDATE SET doc_version = EXCLUDED.doc_version, payload = EXCLUDED.payload$$, role => 'oa_pgtap_writer'), 'INSERT 0 1', 'upserts');
SELECT is(t.run('UPDATE runtime.sync_run_summaries SET doc_version = 2', role => 'oa_pgtap_writer'), 'UPDATE 0', 'and overwrites nothing newer');
SELECT is(t.failure('DO $x$ BEGIN PERFORM runtime.sync_upsert_document(''runtime.sync_run_summaries'', ''runtime/run_summary:2'', 1, ''{}''); END $x$', role => 'oa_pgtap_writer'), '42501', 'the function has to be granted');
GRANT EXECUTE ON FUNCTION runtime.sync_upsert_document(regclass, text, bigint, json) TO oa_pgtap_writer;
SELECT is(t.ask('SELECT runtime.sync_upsert_document(''runtime.sync_run_summaries'', ''runtime/run_summary:2'', 1, ''{}'')', role => 'oa_pgtap_writer'), 'inserted', 'then it works');
SELECT is(t.failure('DO $x$ BEGIN PERFORM runtime.sync_upsert_document(''runtime.sync_codex_worker_summaries'', ''w'', 1, ''{}''); END $x$', role => 'oa_pgtap_writer'), '42501', 'with the rights of the caller on the table');
SELECT is(t.run('DELETE FROM runtime.sync_run_summaries WHERE doc_key = ''runtime/run_summary:2''', role => 'oa_pgtap_writer'), 'DELETE 1', 'a document is deleted with its row');
SELECT is(t.events('runtime.run_summaries'), ARRAY['1 upsert runtime/run_summary:1 3 {"n":1.0,"status":"new"}', '2 upsert runtime/run_summary:1 4 {"status":"done"}',
  '3 upsert runtime/run_summary:2 1 {}', '4 delete runtime/run_summary:2 1 -'], 'the events');
INSERT INTO runtime.sync_codex_worker_summaries (doc_key, doc_version, payload) VALUES ('runtime/codex_worker_summary:7', 0, '[]');
SELECT is(t.events('runtime.codex_worker_summaries'), ARRAY['1 upsert runtime/codex_worker_summary:7 0 []'], 'of the other one');
SELECT is((SELECT (payload_hash = sha256('{"status":"done"}')) FROM runtime.sync_run_summaries), true, 'hashes are of the stored bytes');
SELECT throws_ok($$INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('n', -1, '1')$$, '23514', NULL, 'a negative version is refused');

-- Rows that a restore brings are no events, and keep their times. This is what pg_restore and psql send of a dump; the
-- database is being restored as long as its epoch says so, here for one transaction.
BEGIN;
UPDATE runtime.sync_epochs SET reason = 'being restored';
SET check_function_bodies = off; SET row_security = off; SET client_min_messages = warning; SELECT set_config('search_path', '', false) \g /dev/null
INSERT INTO runtime.sync_run_summaries VALUES ('restored', 9, '{"a":1}', '\x00', '2020-01-01 00:00+00', '2020-01-02 00:00+00');
RESET check_function_bodies; RESET row_security; RESET search_path;
UPDATE runtime.sync_epochs SET reason = 'installed';
COMMIT;
SELECT is(t.events('runtime.run_summaries', 4), '{}', 'a restored row is no event');
SELECT is((SELECT format('%s %s %s', payload_hash = sha256('{"a":1}'), inserted_at::date, updated_at::date) FROM runtime.sync_run_summaries WHERE doc_key = 'restored'), 't 2020-01-01 2020-01-02', 'its times are kept, its hash is right');
UPDATE runtime.sync_run_summaries SET doc_version = 10 WHERE doc_key = 'restored';
SELECT is(t.events('runtime.run_summaries', 4), ARRAY['5 upsert restored 10 {"a":1}'], 'it is one when it changes');
SET check_function_bodies = off; SET row_security = off; SET client_min_messages = warning; SELECT set_config('search_path', '', false) \g /dev/null
UPDATE runtime.sync_run_summaries SET doc_version = 11 WHERE doc_key = 'restored';
DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'restored';
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('owner', 1, '{}');
SET ROLE oa_pgtap_writer;
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('writer', 1, '{}');
RESET ROLE;
RESET check_function_bodies; RESET row_security; RESET search_path;
SELECT is(t.events('runtime.run_summaries', 5), ARRAY['6 upsert restored 11 {"a":1}', '7 delete restored 11 -', '8 upsert owner 1 {}', '9 upsert writer 1 {}'], 'in a database that is not being restored every write is an event, whatever its session has set');
SELECT is((SELECT array_agg(c.oid::regclass::text ORDER BY c.oid::regclass::text) FROM pg_extension e, unnest(e.extconfig) c(oid) WHERE e.extname = 'oa_sync' AND c.oid::regclass::text ~ 'summaries|projections'),
  ARRAY['runtime.sync_codex_worker_summaries', 'runtime.sync_projections', 'runtime.sync_projections_projection_id_seq', 'runtime.sync_run_summaries'], 'their rows are dumped');
SELECT is((SELECT count(*) FROM runtime.sync_publications WHERE relation NOT IN ('runtime.sync_run_summaries'::regclass, 'runtime.sync_codex_worker_summaries'::regclass)), 1::bigint, 'of publications those of the user');
SELECT ok((SELECT bool_or(condition ~ 'relation NOT IN') FROM pg_extension e, unnest(e.extcondition) condition WHERE e.extname = 'oa_sync'), 'as the extension says');
TRUNCATE runtime.sync_run_summaries;
SELECT is(t.events('runtime.run_summaries', 9), ARRAY['10 truncate  10 -'], 'TRUNCATE');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
DROP OWNED BY oa_pgtap_writer; DROP ROLE oa_pgtap_writer;

-- In another schema, to the same topics.
SET client_min_messages = error;
DROP EXTENSION oa_sync CASCADE; CREATE SCHEMA "Other one"; CREATE EXTENSION oa_sync SCHEMA "Other one";
INSERT INTO "Other one".sync_run_summaries (doc_key, doc_version, payload) VALUES ('k', 1, '1');
SELECT is((SELECT array_agg(topic || ' ' || doc_key) FROM "Other one".sync_stream_events), ARRAY['runtime.run_summaries k'], 'the topics are the same in every schema');
SELECT * FROM finish();
