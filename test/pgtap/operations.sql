-- What operators look at: sync_overview, sync_topics_page, sync_events_json; bounded, and for a fan-out's role.
\ir include/setup.sql
SELECT plan(42);

-- The overview.
SELECT is(runtime.sync_overview()->>'extension_version', (SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'), 'the extension''s version');
SELECT is(runtime.sync_overview()->>'server_version', current_setting('server_version'), 'the server''s version');
SELECT is(runtime.sync_overview()->>'wal_level', current_setting('wal_level'), 'wal_level');
SELECT is(runtime.sync_overview()->>'in_recovery', 'false', 'no standby');
SELECT is(runtime.sync_overview()->>'default_partition_used', 'false', 'the default partition is empty');
SELECT ok(abs((runtime.sync_overview()->>'clock')::bigint - extract(epoch FROM clock_timestamp()) * 1000) < 60000, 'the clock');
SELECT is((SELECT array_agg(k ORDER BY k) FROM json_object_keys(runtime.sync_overview()->'stats') k),
  (SELECT array_agg(attname::text ORDER BY attname::text) FROM pg_attribute WHERE attrelid = 'runtime.sync_stats'::regclass AND attnum > 0), 'every column of sync_stats');

-- Topics, page by page.
SELECT runtime.sync_emit('page:' || lpad(i::text, 2, '0'), 'k', j, to_json(j)) FROM generate_series(1, 12) i, generate_series(1, 3) j \g /dev/null
SELECT runtime.sync_emit(topic, 'k', 1, '1') FROM unnest(ARRAY['page', 'page:03/x', 'page:03.', 'pagf']) topic \g /dev/null
CREATE FUNCTION t.topics(prefix text, after text, max_topics int) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(topic, ' ' ORDER BY n), '-') FROM (SELECT topic, row_number() OVER () AS n FROM runtime.sync_topics_page($1, $2, $3)) p $$;
SELECT is(t.topics('page:', '', 3), 'page:01 page:02 page:03', 'the first page of a prefix');
SELECT is(t.topics('page:', 'page:03', 3), 'page:03. page:03/x page:04', 'what follows a topic, in the order of bytes');
SELECT is(t.topics('page:', 'page:11', 3), 'page:12', 'the last page');
SELECT is(t.topics('page:', 'page:12', 3), '-', 'and nothing behind it');
SELECT is(t.topics('page:0', 'a', 2), 'page:01 page:02', 'a place before the prefix');
SELECT is(t.topics('page:', 'z', 2), '-', 'a place behind the prefix');
SELECT is(t.topics('page', '', 1), 'page', 'the prefix itself is a topic');
SELECT is(t.topics('pagf', '', 9), 'pagf', 'a prefix of one');
SELECT is(t.topics('none', '', 9), '-', 'a prefix of none');
SELECT is((SELECT count(*) FROM runtime.sync_topics_page()), (SELECT count(*) FROM runtime.sync_topics), 'all of them');
SELECT is((SELECT array_agg((p.topic, p.head, p.floor, p.retained, p.in_flight, p.epoch, p.oldest_at)::text ORDER BY p.topic) FROM runtime.sync_topics_page('page:') p),
  (SELECT array_agg((s.topic, s.head, s.floor, s.retained, s.in_flight, s.epoch, s.oldest_at)::text ORDER BY s.topic) FROM runtime.sync_topics s WHERE s.topic LIKE 'page:%'),
  'what sync_topics says of them');
DELETE FROM runtime.sync_stream_events WHERE topic = 'page:12';
INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor) VALUES ('page:12', 4, 3) ON CONFLICT (topic) DO UPDATE SET next_watermark = 4, floor = 3;
SELECT is((SELECT (head, floor, retained, oldest_at)::text FROM runtime.sync_topics_page('page:12')), '(3,3,0,)', 'a topic whose events are all gone');
SELECT throws_ok('SELECT * FROM runtime.sync_topics_page('''', '''', 0)', '22023', NULL, 'no page without topics');
SELECT throws_ok('SELECT * FROM runtime.sync_topics_page('''', '''', 1001)', '22023', NULL, 'nor one that is too large');
SELECT throws_ok('SELECT * FROM runtime.sync_topics_page(NULL)', '22004', NULL, 'no null');

-- Events, newest first.
SELECT runtime.sync_emit('ev', 'doc/' || (i % 3), i, json_build_object('i', i)) FROM generate_series(1, 30) i \g /dev/null
CREATE FUNCTION t.newest(VARIADIC args text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer json;
BEGIN
  EXECUTE format('SELECT runtime.sync_events_json(%s)::json', array_to_string(args, ', ')) INTO answer;
  RETURN coalesce((SELECT string_agg(e->>'watermark', ' ') FROM json_array_elements(answer->'events') e), '-') || ' | ' || coalesce(answer->>'next_before', 'end') || ' | ' || (answer->>'searched');
END $$;
SELECT is(t.newest($$'ev'$$, 'max_events => 3'), '30 29 28 | 28 | 3', 'the newest');
SELECT is(t.newest($$'ev'$$, 'before => 28', 'max_events => 3'), '27 26 25 | 25 | 3', 'those before a watermark');
SELECT is(t.newest($$'ev'$$, 'before => 4', 'max_events => 3'), '3 2 1 | end | 3', 'to the end, which is said');
SELECT is(t.newest($$'ev'$$, 'before => 1'), '- | end | 0', 'and nothing before it');
SELECT is(t.newest($$'ev'$$, $$'doc/1'$$, 'max_events => 3'), '28 25 22 | 22 | 9', 'of one document');
SELECT is(t.newest($$'ev'$$, $$'doc/none'$$, 'max_searched => 10'), '- | 21 | 10', 'no further than asked: an empty page that is not the last');
SELECT is(t.newest($$'ev'$$, $$'doc/1'$$, 'before => 21', 'max_searched => 10'), '19 16 13 | 11 | 10', 'and on from there');
SELECT is(t.newest($$'ev'$$, 'max_bytes => 1'), '30 | 30 | 1', 'at least one event, whatever its size');
SELECT is(t.newest($$'ev'$$, 'max_bytes => 700'), '30 29 28 | 28 | 3', 'as many as fit');
SELECT is(t.newest($$'unknown'$$), '- | end | 0', 'a topic without events');
SELECT is((SELECT (e->>'epoch', e->>'doc_key', e->>'doc_version', e->>'op', e->'payload', decode(e->>'payload_hash', 'base64'), e->>'hydration_required')::text
             FROM json_array_elements(runtime.sync_events_json('ev', max_events => 1)::json->'events') e),
  (SELECT (j.epoch::text, j.doc_key, j.doc_version::text, j.op, j.payload, j.payload_hash, 'false')::text FROM runtime.sync_stream_events j WHERE topic = 'ev' AND watermark = 30), 'all of an event');
SELECT runtime.sync_set_policy('point', payload_mode => 'pointer') \g /dev/null
SELECT runtime.sync_emit('point', 'k', 1, '{"a":1}') \g /dev/null
SELECT is((SELECT (e->>'payload', e->>'hydration_required')::text FROM json_array_elements(runtime.sync_events_json('point')::json->'events') e), '(,true)', 'a payload that is not in the journal');
CREATE TABLE t.docs (id int PRIMARY KEY);
SELECT runtime.sync_publish('t.docs', topic => 'tr', doc_key => 'docs:{id}') \g /dev/null
INSERT INTO t.docs VALUES (1), (2);
TRUNCATE t.docs;
SELECT is(t.newest($$'tr'$$, $$'docs:2'$$), '3 2 | end | 3', 'a truncate belongs to every document that it took');
SELECT throws_ok('SELECT runtime.sync_events_json(''no topic'')', '22023', NULL, 'no topic');
SELECT throws_ok('SELECT runtime.sync_events_json(''ev'', max_events => 0)', '22023', NULL, 'no page without events');

-- For a fan-out's role, and for nobody else.
CREATE ROLE operations_reader LOGIN REPLICATION;
CREATE ROLE operations_nobody;
SELECT runtime.sync_grant_reader('operations_reader') \g /dev/null
SET ROLE operations_reader;
SELECT lives_ok('SELECT runtime.sync_overview(), runtime.sync_events_json(''ev''), (SELECT count(*) FROM runtime.sync_topics_page())', 'a reader may call them');
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'runtime'::regnamespace AND p.proname IN ('sync_overview', 'sync_topics_page', 'sync_events_json', 'oa_sync_flush_visible')
             AND has_function_privilege('operations_nobody', p.oid, 'EXECUTE')), 0::bigint, 'nobody else may');

-- What it costs does not grow with what is there: no sequential scan.
SELECT is((SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'runtime'::regnamespace AND p.proname IN ('sync_topics_page', 'sync_events_json')
             AND 'enable_seqscan=off' = ANY (p.proconfig)), 2::bigint, 'they read by indexes');
-- Events in the default partition are a problem while no partition is there for the time to come. The last test: it drops what others read.
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM runtime.sync_stream_events LIMIT 1;
SELECT format('DROP TABLE %s', partition) FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL \gexec
DELETE FROM runtime.sync_stream_events_default;
INSERT INTO runtime.sync_stream_events_default SELECT * FROM kept;
SELECT is(runtime.sync_overview()->>'default_partition_used', 'true', 'events go to the default partition');
SELECT runtime.sync_maintain_partitions() \g /dev/null
SELECT is(runtime.sync_overview()->>'default_partition_used', 'false', 'partitions are made ahead again');
COMMIT;

SELECT * FROM finish();
DROP OWNED BY operations_reader;
DROP ROLE operations_reader, operations_nobody;
