-- The worker trusts what is in the extension's schema: it is not put into one that somebody else owns.
SET client_min_messages = warning;
SELECT plan(3);
DROP EXTENSION IF EXISTS oa_sync CASCADE;
DROP SCHEMA IF EXISTS runtime CASCADE;
DROP ROLE IF EXISTS oa_sync_test_owner;
CREATE ROLE oa_sync_test_owner;
CREATE SCHEMA runtime AUTHORIZATION oa_sync_test_owner;
SELECT throws_ok('CREATE EXTENSION oa_sync', '42501', 'schema "runtime" is owned by "oa_sync_test_owner", who is not a superuser',
                 'refused, with a reason');
SELECT is((SELECT count(*)::int FROM pg_extension WHERE extname = 'oa_sync'), 0, 'nothing stays');
ALTER SCHEMA runtime OWNER TO CURRENT_USER;
SELECT lives_ok('CREATE EXTENSION oa_sync', 'with a superuser as the owner it installs');
DROP EXTENSION oa_sync CASCADE;
DROP SCHEMA runtime;
DROP ROLE oa_sync_test_owner;
SELECT * FROM finish();
