-- An application role writes published tables without any grant on the extension; PUBLIC can call and read nothing.
\ir include/setup.sql
SELECT plan(34);
DROP ROLE IF EXISTS oa_pgtap_app; DROP ROLE IF EXISTS oa_pgtap_reader;
CREATE ROLE oa_pgtap_app LOGIN; CREATE ROLE oa_pgtap_reader LOGIN;
CREATE TABLE app.docs (id int PRIMARY KEY, secret text);
ALTER TABLE app.docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON app.docs USING (id > 0);
CREATE FUNCTION app.doc(d app.docs) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('id', d.id, 'who', current_user) $$;
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'id') \g /dev/null
GRANT USAGE ON SCHEMA app TO oa_pgtap_app;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON app.docs TO oa_pgtap_app;

SELECT is(t.run('INSERT INTO app.docs VALUES (1), (2)', role => 'oa_pgtap_app'), 'INSERT 0 2', 'the application inserts');
SELECT is(t.run('UPDATE app.docs SET id = 3 WHERE id = 2', role => 'oa_pgtap_app'), 'UPDATE 1', 'updates');
SELECT is(t.run('DELETE FROM app.docs WHERE id = 3', role => 'oa_pgtap_app'), 'DELETE 1', 'deletes');
SELECT is(t.run('TRUNCATE app.docs', role => 'oa_pgtap_app'), 'TRUNCATE TABLE', 'truncates');
SELECT is(t.events('docs'), ARRAY['1 upsert 1 1 {"id":1}', '2 upsert 2 2 {"id":2}', '3 delete 2 3 -', '4 upsert 3 4 {"id":3}', '5 delete 3 5 -', '6 truncate  6 -'], 'and every write is an event');
SELECT is(t.failure('BEGIN READ ONLY; INSERT INTO app.docs VALUES (9); COMMIT', role => 'oa_pgtap_app'), '25006', 'not in a read-only transaction');

-- With USAGE on the schema there is still nothing.
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_app;
SELECT is(t.failure(format('DO $x$ BEGIN PERFORM %s; END $x$', call), role => 'oa_pgtap_app'), '42501', 'PUBLIC: ' || call)
  FROM unnest(ARRAY['runtime.sync_emit(''docs'', ''k'', 1, ''1'')', 'runtime.sync_publish(''app.docs'')', 'runtime.sync_unpublish(''app.docs'')',
    'runtime.sync_replay(''docs'', 0)', 'runtime.sync_replay_updates(''docs'', 0)', 'runtime.sync_topic_heads(''{docs}'')', 'runtime.sync_current_epoch()',
    'runtime.sync_topic_states()', 'runtime.sync_statistics()', 'runtime.sync_maintain_partitions()', 'runtime.oa_sync_check_publication(''app.docs'', 1)']) call;
SELECT is(t.failure(format('DO $x$ BEGIN PERFORM FROM runtime.%s; END $x$', rel), role => 'oa_pgtap_app'), '42501', 'PUBLIC: ' || rel)
  FROM unnest('{sync_stream_events,sync_stream_events_default,sync_topic_sequences,sync_publications,sync_epochs,sync_topics,sync_stats,sync_journal_partitions}'::text[]) rel;
SELECT is((SELECT array_agg(p.proname::text) FROM pg_proc p WHERE p.pronamespace = 'runtime'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')), NULL, 'no function for PUBLIC');
SELECT is(t.failure('INSERT INTO runtime.sync_stream_events SELECT ''docs'', 99, 1, ''k'', 1, ''upsert'', ''1'', ''x'', pg_current_xact_id(), now()', role => 'oa_pgtap_app'), '42501', 'nobody writes the journal by hand');
SELECT is(t.failure('ALTER TABLE app.docs DISABLE TRIGGER ALL', role => 'oa_pgtap_app'), '42501', 'nor turns the triggers off');
SELECT is(t.failure('CREATE TABLE public.mine (id int); CREATE TRIGGER x AFTER INSERT ON public.mine FOR EACH ROW EXECUTE FUNCTION runtime.oa_sync_capture_row(''1'')', role => 'oa_pgtap_app'),
          '42501', 'nor uses our trigger function for a table of its own');

SELECT is(t.failure('SET oa_sync.max_payload = ''1GB''', role => 'oa_pgtap_app'), '42501', 'nor raises a limit');

-- A payload function runs as whoever writes.
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'app.doc(*)') \g /dev/null
SELECT t.run('INSERT INTO app.docs VALUES (7)', role => 'oa_pgtap_app') \g /dev/null
SELECT is(t.events('docs', 6), ARRAY['7 upsert 7 7 {"id":7,"who":"oa_pgtap_app"}'], 'a payload function runs with the writer''s rights');

-- A reader, as a fan-out needs it.
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_reader;
GRANT EXECUTE ON FUNCTION runtime.sync_replay_updates(text, bigint, int, bigint), runtime.sync_topic_heads(text[]) TO oa_pgtap_reader;
SELECT is(t.ask('SELECT count(*) FROM runtime.sync_replay_updates(''docs'', 0)', role => 'oa_pgtap_reader'), '7', 'a reader needs EXECUTE only');
SELECT is(t.ask('SELECT head FROM runtime.sync_topic_heads(''{docs}'')', role => 'oa_pgtap_reader'), '7', 'for heads too');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
DROP OWNED BY oa_pgtap_app, oa_pgtap_reader;
DROP ROLE oa_pgtap_app; DROP ROLE oa_pgtap_reader;
SELECT * FROM finish();
