-- sync_grant_reader: what a fan-out's role is given, and what it is told that it lacks.
\ir include/setup.sql
SELECT plan(21);
DROP ROLE IF EXISTS oa_pgtap_granted; DROP ROLE IF EXISTS "oa_pgtap Odd""Name"; DROP ROLE IF EXISTS oa_pgtap_silent;
CREATE ROLE oa_pgtap_granted LOGIN REPLICATION;
CREATE ROLE "oa_pgtap Odd""Name";
CREATE ROLE oa_pgtap_silent LOGIN;
CREATE TABLE app.docs (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}') \g /dev/null
INSERT INTO app.docs VALUES (1);
CREATE FUNCTION t.notices(role text) RETURNS int LANGUAGE sql AS $$
  SELECT count(*)::int FROM regexp_matches(encode(pg_read_binary_file(current_setting('data_directory') || '/../postgres.log'), 'escape'), format('NOTICE:  role "%s" (can not log in|has not the attribute REPLICATION)', $1), 'g') $$;
-- Everything that a role was given here.
CREATE FUNCTION t.given(role name) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(what ORDER BY what), '{}') FROM (
    SELECT p.proname || ' ' || a.privilege_type FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = role)
    UNION ALL SELECT n.nspname || ' ' || a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = role)
    UNION ALL SELECT c.relname || ' ' || a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = role)) g(what) $$;
CREATE FUNCTION t.expected() RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(what ORDER BY what) FROM (SELECT p.proname || ' EXECUTE' FROM runtime.sync_reader_functions() f JOIN pg_proc p ON p.oid = f UNION ALL SELECT 'runtime USAGE') e(what) $$;
SELECT runtime.sync_grant_reader('oa_pgtap_granted') \g /dev/null
SELECT is(t.given('oa_pgtap_granted'), t.expected(), 'it is given USAGE and EXECUTE on what a fan-out calls, and nothing else');
SELECT ok('{sync_topic_heads EXECUTE,sync_replay_updates EXECUTE,sync_current_epoch EXECUTE}' <@ t.expected(), 'which is at least the heads, the events and the epoch');
SELECT is(t.notices('oa_pgtap_granted'), 0, 'a role that has LOGIN and REPLICATION is told nothing');
SELECT is(t.ask('SELECT count(*) FROM runtime.sync_replay_updates(''docs'', 0)', role => 'oa_pgtap_granted'), '1', 'it reads events');
SELECT is(t.ask('SELECT head FROM runtime.sync_topic_heads(''{docs}'')', role => 'oa_pgtap_granted'), '1', 'and heads');
SELECT is(t.failure(format('DO $x$ BEGIN PERFORM %s; END $x$', what), role => 'oa_pgtap_granted'), '42501', 'but not: ' || what)
  FROM unnest(ARRAY['FROM runtime.sync_stream_events', 'FROM app.docs', 'FROM runtime.sync_publications', 'runtime.sync_emit(''docs'', ''k'', 1, ''1'')', 'runtime.sync_publish(''app.docs'')',
    'runtime.sync_unpublish(''app.docs'')', 'runtime.sync_grant_reader(''oa_pgtap_silent'')', 'runtime.sync_maintain_partitions()']) what;
SELECT runtime.sync_grant_reader('oa_pgtap_granted') \g /dev/null
SELECT is(t.given('oa_pgtap_granted'), t.expected(), 'granting again changes nothing');
SET client_min_messages = error;
SELECT runtime.sync_grant_reader('oa_pgtap Odd"Name') \g /dev/null
SET client_min_messages = warning;
SELECT is(t.given('oa_pgtap Odd"Name'), t.expected(), 'a role with an odd name');
SELECT throws_ok($$SELECT runtime.sync_grant_reader('nobody')$$, '42704', 'role "nobody" does not exist', 'one that is not there');
SELECT throws_ok($$SELECT runtime.sync_grant_reader('public')$$, '42704', NULL, 'PUBLIC is no role');
SELECT runtime.sync_revoke_reader('oa_pgtap_granted') \g /dev/null
SELECT is(t.given('oa_pgtap_granted'), '{}', 'sync_revoke_reader takes all of it');
SELECT is(t.failure('DO $x$ BEGIN PERFORM FROM runtime.sync_topic_heads(''{docs}''); END $x$', role => 'oa_pgtap_granted'), '42501', 'and it reads no more');
SELECT throws_ok($$SELECT runtime.sync_revoke_reader('nobody')$$, '42704', NULL, 'of a role that is not there');
-- The notices: seen by the session's client, and in the log when it is told to.
SET log_min_messages = notice;
SELECT runtime.sync_grant_reader('oa_pgtap_silent') \g /dev/null
SELECT is(t.notices('oa_pgtap_silent'), 1, 'a role without REPLICATION is told');
SELECT runtime.sync_revoke_reader('oa_pgtap Odd"Name') \g /dev/null
DROP OWNED BY oa_pgtap_granted, oa_pgtap_silent, "oa_pgtap Odd""Name";
DROP ROLE oa_pgtap_granted; DROP ROLE "oa_pgtap Odd""Name"; DROP ROLE oa_pgtap_silent;
SELECT * FROM finish();
