-- oa_sync.traceparent: what it takes, and which events it goes with.
\ir include/setup.sql
SELECT plan(31);
CREATE FUNCTION t.trace(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT format('00-%s-%s-01', lpad(to_hex(n), 32, '0'), lpad(to_hex(n), 16, '0')) $$;
-- The traces of a topic's events: the number of each, 0 for none.
CREATE FUNCTION t.traces(text) RETURNS int[] LANGUAGE sql AS $$
  SELECT array_agg(coalesce(('x' || substr(traceparent, 28, 8))::bit(32)::int, 0) ORDER BY watermark) FROM runtime.sync_replay($1, 0, 10000, 1000000000) $$;

SELECT is(current_setting('oa_sync.traceparent'), '', 'none at first');
SELECT lives_ok(format('SET oa_sync.traceparent = %L', v), format('takes "%s"', v))
  FROM unnest(ARRAY['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '', 'fe-00000000000000000000000000000001-0000000000000001-ff']) v;
SELECT throws_ok(format('SET oa_sync.traceparent = %L', v), '22023', NULL, 'refuses ' || to_json(v))
  FROM unnest(ARRAY['x', ' ', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0', '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-',
    E'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n']) v;

CREATE TABLE app.docs (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'd:{id}') \g /dev/null

-- A row, rows, none again.
RESET oa_sync.traceparent;
INSERT INTO app.docs VALUES (1, 'a');
SELECT set_config('oa_sync.traceparent', t.trace(7), false) \g /dev/null
INSERT INTO app.docs VALUES (2, 'a');
UPDATE app.docs SET body = 'b' WHERE id < 3;
SET oa_sync.traceparent = '';
DELETE FROM app.docs WHERE id = 1;
SELECT is(t.traces('docs'), '{0,7,7,7,0}', 'the value in force');
SELECT is((SELECT traceparent FROM runtime.sync_stream_events WHERE topic = 'docs' AND watermark = 2), t.trace(7), 'unchanged');
SELECT is((SELECT count(*) FROM runtime.sync_replay_updates('docs', 0) WHERE position(convert_to(t.trace(7), 'UTF8') in update) > 0), 3::bigint, 'also as Updates');

-- Within one transaction, with savepoints that take back what the trace was the same as.
BEGIN;
SELECT set_config('oa_sync.traceparent', t.trace(1), true), runtime.sync_emit('points', 'a', 1, '1') \g /dev/null
SAVEPOINT one;
SELECT set_config('oa_sync.traceparent', t.trace(2), true), runtime.sync_emit('points', 'lost', 1, '1') \g /dev/null
ROLLBACK TO one;
SELECT is(current_setting('oa_sync.traceparent'), t.trace(1), 'the setting goes back too');
SELECT runtime.sync_emit('points', 'b', 1, '1') \g /dev/null
SELECT set_config('oa_sync.traceparent', t.trace(2), true), runtime.sync_emit('points', 'c', 1, '1'), runtime.sync_emit('points', 'd', 1, NULL) \g /dev/null
SAVEPOINT two;
SELECT set_config('oa_sync.traceparent', '', true), runtime.sync_emit('points', 'e', 1, '1'), set_config('oa_sync.traceparent', t.trace(2), true), runtime.sync_emit('points', 'f', 1, '1') \g /dev/null
RELEASE two;
COMMIT;
SELECT is(t.traces('points'), '{1,1,2,2,0,2}', 'savepoints');
SELECT is(current_setting('oa_sync.traceparent'), '', 'SET LOCAL ends with the transaction');

-- A subtransaction that had the only trace.
BEGIN;
SAVEPOINT one;
SELECT set_config('oa_sync.traceparent', t.trace(3), true), runtime.sync_emit('none', 'lost', 1, '1') \g /dev/null
ROLLBACK TO one;
SELECT runtime.sync_emit('none', 'a', 1, '1'), runtime.sync_emit('none', 'b', 1, '1') \g /dev/null
COMMIT;
SELECT is(t.traces('none'), '{0,0}', 'a trace that was rolled back is nobody''s');

-- More than memory holds: events in the file, of one trace and of many, and what follows them.
SET work_mem = '64kB';
BEGIN;
SELECT set_config('oa_sync.traceparent', t.trace(5), true) \g /dev/null
SELECT count(runtime.sync_emit('spilled', 'k' || i, 1, to_json(repeat('x', 300)))) FROM generate_series(1, 1000) i \g /dev/null
SELECT count(runtime.sync_emit('spilled', 'k' || i, 1, to_json(set_config('oa_sync.traceparent', t.trace(i), true)))) FROM generate_series(1, 1500) i \g /dev/null
SELECT set_config('oa_sync.traceparent', '', true), runtime.sync_emit('spilled', 'last', 1, '1') \g /dev/null
COMMIT;
RESET work_mem;
SELECT is((SELECT spilled_bytes > 0 FROM runtime.sync_stats), true, 'it went through the file');
SELECT is((t.traces('spilled'))[:1000], array_fill(5, ARRAY[1000]), 'one trace');
SELECT is((t.traces('spilled'))[1001:2500], (SELECT array_agg(i) FROM generate_series(1, 1500) i), 'a trace each');
SELECT is((t.traces('spilled'))[2501:], '{0}', 'and none');

-- Whatever makes events: functions with a setting of their own, COPY, TRUNCATE, projections, the read models.
CREATE FUNCTION app.traced() RETURNS void LANGUAGE sql SET oa_sync.traceparent = '00-00000000000000000000000000000009-0000000000000009-00' AS $$ SELECT runtime.sync_emit('kinds', 'a', 1, '1') $$;
SELECT app.traced() \g /dev/null
SELECT is(t.traces('kinds'), '{9}', 'a function''s own setting');
SELECT set_config('oa_sync.traceparent', t.trace(11), false) \g /dev/null
COPY app.docs FROM STDIN;
8	x
9	x
\.
TRUNCATE app.docs;
SELECT is((t.traces('docs'))[6:], '{11,11,11}', 'COPY and TRUNCATE');
SELECT runtime.sync_upsert_document('runtime.sync_run_summaries', 'runtime/run_summary:1', 1, '{}') \g /dev/null
SELECT is(t.traces('runtime.run_summaries'), '{11}', 'a read model');
CREATE TABLE app.runs (id int PRIMARY KEY);
CREATE FUNCTION app.run(app.runs) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('id', $1.id) $$;
SELECT runtime.sync_project('app.runs', 'runtime.sync_run_summaries', 'runtime/run_summary:p{id}', 'app.run(*)') \g /dev/null
INSERT INTO app.runs VALUES (1);
SELECT is((t.traces('runtime.run_summaries'))[2:], '{11}', 'a projection');
RESET oa_sync.traceparent;

-- A row without a trace is stored as one of 0.4.0 was: nobody pays for the column.
CREATE EXTENSION pageinspect;
SELECT is((SELECT array_agg(DISTINCT i.t_infomask2 & 2047 ORDER BY i.t_infomask2 & 2047) FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid,
    LATERAL heap_page_items(get_raw_page(c.oid::regclass::text, 0)) i
    WHERE p.inhparent = 'runtime.sync_stream_events'::regclass AND pg_relation_size(c.oid) > 0 AND i.t_data IS NOT NULL),
  '{10,11}', 'columns stored: ten without a trace, eleven with one');

-- An index of somebody's own on the column.
CREATE INDEX ON runtime.sync_stream_events (traceparent);
SELECT runtime.sync_emit('indexed', 'a', 1, '1') \g /dev/null
BEGIN;
SELECT runtime.sync_emit('indexed', 'b', 1, '1'), set_config('oa_sync.traceparent', t.trace(99999), true), runtime.sync_emit('indexed', 'c', 1, '1') \g /dev/null
COMMIT;
SET enable_seqscan = off;
SELECT is((SELECT array_agg(doc_key) FROM runtime.sync_stream_events WHERE traceparent = t.trace(99999)), '{c}', 'an index on the column finds it');
SELECT is(t.traces('indexed'), '{0,0,99999}', 'and rows without one go in too');
SELECT * FROM finish();
