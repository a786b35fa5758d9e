-- Row security of a published table: it decides what sessions read and write there, and nothing about topics.
\ir include/setup.sql
SELECT plan(11);
DROP ROLE IF EXISTS oa_pgtap_acme; DROP ROLE IF EXISTS oa_pgtap_watcher;
CREATE ROLE oa_pgtap_acme LOGIN; CREATE ROLE oa_pgtap_watcher LOGIN REPLICATION;
CREATE TABLE app.docs (id int PRIMARY KEY, tenant text NOT NULL, secret text);
ALTER TABLE app.docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.docs USING (tenant = replace(current_user, 'oa_pgtap_', ''));
CREATE POLICY blind ON app.docs FOR INSERT WITH CHECK (true);
GRANT USAGE ON SCHEMA app TO oa_pgtap_acme;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON app.docs TO oa_pgtap_acme;
SELECT runtime.sync_publish('app.docs', topic => 'docs:{tenant}', doc_key => '{id}', payload => 'id, tenant') \g /dev/null
SELECT is(t.run('INSERT INTO app.docs VALUES (1, ''acme'', ''s''), (2, ''evil'', ''s'')', role => 'oa_pgtap_acme'), 'INSERT 0 2', 'a role writes a row that it may not see');
SELECT is(t.ask('SELECT count(*) FROM app.docs', role => 'oa_pgtap_acme'), '1', 'and does not see it');
SELECT is(t.events('docs:acme') || t.events('docs:evil'), ARRAY['1 upsert 1 1 {"id":1,"tenant":"acme"}', '1 upsert 2 1 {"id":2,"tenant":"evil"}'], 'capture sees every row that is written, each on its topic');
SELECT is(t.failure('UPDATE app.docs SET tenant = ''evil''', role => 'oa_pgtap_acme'), '42501', 'what the policy refuses');
SELECT is(t.events('docs:acme', 1), '{}', 'is no event');
SELECT is(t.run('DELETE FROM app.docs', role => 'oa_pgtap_acme'), 'DELETE 1', 'a DELETE of what the role sees');
SELECT is(t.events('docs:acme', 1) || t.events('docs:evil', 1), ARRAY['2 delete 1 2 -'], 'is an event of that row only');
SELECT is(t.run('TRUNCATE app.docs', role => 'oa_pgtap_acme'), 'TRUNCATE TABLE', 'TRUNCATE is not subject to row security');
SELECT is(t.events('docs:evil', 1), ARRAY['2 truncate  2 -'], 'nor is its event: the topic of the row that the role did not see');
SELECT runtime.sync_grant_reader('oa_pgtap_watcher') \g /dev/null
SELECT is(t.ask('SELECT count(*) FROM runtime.sync_replay_updates(''docs:evil'', 0)', role => 'oa_pgtap_watcher'), '2', 'a reader of a topic reads all of it: topics are what rights are given on');
SELECT is((SELECT count(*) FROM runtime.sync_stream_events WHERE payload::text LIKE '%secret%'), 0::bigint, 'a column that is not published is in no event');
DROP OWNED BY oa_pgtap_acme, oa_pgtap_watcher;
DROP ROLE oa_pgtap_acme; DROP ROLE oa_pgtap_watcher;
SELECT * FROM finish();
