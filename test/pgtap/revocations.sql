-- sync_revoke: what it keeps, the events by which fan-outs hear of it, and who may.
\ir include/setup.sql
SELECT plan(37);
DROP ROLE IF EXISTS oa_pgtap_fanout; DROP ROLE IF EXISTS oa_pgtap_admin; DROP ROLE IF EXISTS oa_pgtap_nobody;
CREATE ROLE oa_pgtap_fanout LOGIN REPLICATION; CREATE ROLE oa_pgtap_admin LOGIN; CREATE ROLE oa_pgtap_nobody LOGIN;
CREATE FUNCTION t.revoked() RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(format('%s %s %s', kind, value, reason) ORDER BY kind, value), '{}') FROM runtime.sync_active_revocations() $$;
SELECT head AS before FROM runtime.sync_topic_heads('{oa_sync.revocations}') \gset

SELECT is(t.revoked(), '{}', 'nothing is revoked at first');
SELECT is(runtime.sync_revoke('session', '{s1,s2,s1}', 'user_requested'), 2, 'it counts the different values');
SELECT is(runtime.sync_revoke('device', '{d1}', 'device_replaced', 'infinity'), 1, 'for ever');
SELECT is(runtime.sync_revoke('jti', '{j1}'), 1, 'with the default reason and end');
SELECT is(runtime.sync_revoke('jti', '{}'), 0, 'nothing at all');
SELECT is(t.revoked(), '{device d1 device_replaced,jti j1 admin_revoked,session s1 user_requested,session s2 user_requested}', 'all of it is active');
SELECT ok(expires_at BETWEEN now() + '29 days' AND now() + '31 days', 'thirty days by default') FROM runtime.sync_active_revocations() WHERE kind = 'jti';
SELECT is(t.events('oa_sync.revocations', :before), ARRAY[
  format('%s upsert session:s1 %1$s {"expires_at":%s,"kind":"session","reason":"user_requested","value":"s1"}', :before + 1, (SELECT ceil(extract(epoch FROM expires_at))::bigint FROM runtime.sync_active_revocations() WHERE value = 's1')),
  format('%s upsert session:s2 %1$s {"expires_at":%s,"kind":"session","reason":"user_requested","value":"s2"}', :before + 2, (SELECT ceil(extract(epoch FROM expires_at))::bigint FROM runtime.sync_active_revocations() WHERE value = 's2')),
  format('%s upsert device:d1 %1$s {"expires_at":0,"kind":"device","reason":"device_replaced","value":"d1"}', :before + 3),
  format('%s upsert jti:j1 %1$s {"expires_at":%s,"kind":"jti","reason":"admin_revoked","value":"j1"}', :before + 4, (SELECT ceil(extract(epoch FROM expires_at))::bigint FROM runtime.sync_active_revocations() WHERE value = 'j1'))],
  'an event for each value');

-- Again, shorter and longer.
SELECT expires_at AS until FROM runtime.sync_active_revocations() WHERE value = 's1' \gset
SELECT runtime.sync_revoke('session', '{s1}', 'token_replay', now() + '1 minute') \g /dev/null
SELECT is(expires_at, :'until', 'a shorter time does not end it earlier') FROM runtime.sync_active_revocations() WHERE value = 's1';
SELECT is(reason, 'token_replay', 'the reason is the newest') FROM runtime.sync_active_revocations() WHERE value = 's1';
SELECT runtime.sync_revoke('session', '{s1}', 'token_replay', now() + '60 days') \g /dev/null
SELECT ok(expires_at > :'until', 'a longer one does') FROM runtime.sync_active_revocations() WHERE value = 's1';
SELECT is(cardinality(t.events('oa_sync.revocations', :before)), 6, 'both are told');
-- Together with the application's rows, or not at all.
BEGIN; SELECT runtime.sync_revoke('jti', '{rolled-back}') \g /dev/null
ROLLBACK;
SELECT is(cardinality(t.revoked()), 4, 'what is rolled back is not revoked');
SELECT is(cardinality(t.events('oa_sync.revocations', :before)), 6, 'nor told');
-- Expired ones.
SELECT runtime.sync_revoke('jti', '{old}', expires_at => now() - interval '1 second') \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_active_revocations() WHERE value = 'old'), 0::bigint, 'what has expired is not active');
SELECT runtime.sync_revoke('jti', '{new}') \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_revocations WHERE value = 'old'), 0::bigint, 'and is gone with a later call');

SELECT throws_ok($$SELECT runtime.sync_revoke('user', '{a}')$$, '22023', 'invalid kind "user"', 'an unknown kind');
SELECT throws_ok($$SELECT runtime.sync_revoke('jti', '{a}', 'because')$$, '22023', 'invalid reason "because"', 'an unknown reason');
SELECT throws_ok($$SELECT runtime.sync_revoke('jti', '{a,""}')$$, '22023', 'a value must have 1 to 256 bytes', 'an empty value');
SELECT throws_ok($$SELECT runtime.sync_revoke('jti', ARRAY[repeat('x', 257)])$$, '22023', NULL, 'one that is too long');
SELECT lives_ok($$SELECT runtime.sync_revoke('jti', ARRAY[repeat('x', 256)])$$, 'the longest');
SELECT throws_ok(format('SELECT runtime.sync_revoke(%s)', arguments), '22004', NULL, arguments) FROM unnest(ARRAY[
  'NULL, ''{a}''', '''jti'', NULL', '''jti'', ''{a,NULL}''', '''jti'', ''{a}'', NULL', '''jti'', ''{a}'', ''admin_revoked'', NULL']) arguments;

-- Who may.
SELECT runtime.sync_grant_reader('oa_pgtap_fanout') \g /dev/null
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_admin, oa_pgtap_nobody;
GRANT EXECUTE ON FUNCTION runtime.sync_revoke(text, text[], text, timestamptz) TO oa_pgtap_admin;
SELECT is(t.ask('SELECT count(*) > 0 FROM runtime.sync_active_revocations()', role => 'oa_pgtap_fanout'), 't', 'a fan-out''s role reads them');
SELECT is(t.failure('DO $x$ BEGIN PERFORM runtime.sync_revoke(''jti'', ''{a}''); END $x$', role => 'oa_pgtap_fanout'), '42501', 'and revokes nothing');
SELECT is(t.ask('SELECT runtime.sync_revoke(''jti'', ''{by-admin}'')', role => 'oa_pgtap_admin'), '1', 'who was granted the function does');
SELECT is((SELECT count(*) FROM runtime.sync_active_revocations() WHERE value = 'by-admin'), 1::bigint, 'with effect');
SELECT is(t.failure(format('DO $x$ BEGIN PERFORM %s; END $x$', what), role => role), '42501', role || ' may not: ' || what)
  FROM (VALUES ('oa_pgtap_admin', 'FROM runtime.sync_revocations'), ('oa_pgtap_admin', 'FROM runtime.sync_active_revocations()'),
               ('oa_pgtap_admin', 'runtime.sync_emit(''oa_sync.revocations'', ''k'', 1, ''1'')'),
               ('oa_pgtap_fanout', 'FROM runtime.sync_revocations'), ('oa_pgtap_nobody', 'FROM runtime.sync_active_revocations()'),
               ('oa_pgtap_nobody', 'runtime.sync_revoke(''jti'', ''{a}'')')) v(role, what);
SELECT runtime.sync_revoke_reader('oa_pgtap_fanout') \g /dev/null
DROP OWNED BY oa_pgtap_fanout, oa_pgtap_admin, oa_pgtap_nobody;
DROP ROLE oa_pgtap_fanout; DROP ROLE oa_pgtap_admin; DROP ROLE oa_pgtap_nobody;
SELECT is(cardinality(t.problems), 0, 'the journal is in order') FROM (SELECT ARRAY(SELECT t.journal_problems()) AS problems) t;
SELECT * FROM finish();
