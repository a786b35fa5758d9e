-- sync_canary: an event a second at most, for readers without any right on the journal.
\ir include/setup.sql
SELECT plan(10);
SELECT is(runtime.sync_canary(), true, 'the first is emitted');
SELECT is(t.events('oa_sync.canary'), ARRAY['1 upsert canary 1 {}'], 'on its topic');
-- A transaction's time stands still, however slow the machine is.
BEGIN;
UPDATE runtime.sync_stream_events SET inserted_at = now() WHERE topic = 'oa_sync.canary';
SELECT is(runtime.sync_canary(), false, 'the next is not, a moment later');
COMMIT;
SELECT is((SELECT head FROM runtime.sync_topic_heads('{oa_sync.canary}')), 1::bigint, 'and takes no watermark');
SELECT pg_sleep(1.1) \g /dev/null
SELECT is(runtime.sync_canary(), true, 'after a second it is');
UPDATE runtime.sync_stream_events SET inserted_at = now() + interval '2 hours' WHERE topic = 'oa_sync.canary' AND watermark = 2;
SELECT is(runtime.sync_canary(), true, 'one of a clock that was ahead silences nobody');
SET synchronous_commit = on;
BEGIN;
SELECT pg_sleep(1.1), runtime.sync_canary() \g /dev/null
COMMIT;
SELECT is(current_setting('synchronous_commit'), 'on', 'the session''s settings stay');
CREATE ROLE canary_reader;
SELECT runtime.sync_grant_reader('canary_reader') \g /dev/null
SET ROLE canary_reader;
SELECT lives_ok('SELECT runtime.sync_canary()', 'who reads may call it');
SELECT throws_ok($$SELECT runtime.sync_emit('oa_sync.canary', 'k', 1, '1')$$, '42501', NULL, 'and emit nothing else');
RESET ROLE;
SELECT runtime.sync_revoke_reader('canary_reader') \g /dev/null
DROP ROLE canary_reader;
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
