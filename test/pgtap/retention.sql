-- Retention: partitions go whole, floors rise, heads stay, and a cursor whose events are gone is told so.
\ir include/setup.sql
SELECT plan(64);
ALTER SYSTEM SET oa_sync.retention_interval = 0;  -- only when it is asked for
SELECT pg_reload_conf() \g /dev/null
SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL AND recovered FROM runtime.sync_stats'), 'the worker runs');

-- A partition of the past, [from, to) ago.
CREATE FUNCTION t.partition(name text, "from" interval, "to" interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE runtime.%I (LIKE runtime.sync_stream_events INCLUDING ALL)', name);
  EXECUTE format('CREATE UNIQUE INDEX ON runtime.%I (topic, watermark)', name);
  EXECUTE format('ALTER TABLE runtime.sync_stream_events ATTACH PARTITION runtime.%I FOR VALUES FROM (%L) TO (%L)',
                 name, now() - "from", now() - "to");
END $$;
-- The partition of the present began just now, so that the past is free, and outlives this file: an hour or a day that ends
-- meanwhile would leave one that is empty, and retention one more to drop.
SELECT t.partition('present', '1 minute', '-2 days') \g /dev/null
-- Appends events; those that are written first are made as old as it says.
CREATE FUNCTION t.emit(topic text, events int) RETURNS void LANGUAGE sql AS $$
  SELECT t.run(format('DO $x$ BEGIN PERFORM runtime.sync_emit(%L, ''k'', i, ''1'') FROM generate_series(1, %s) i; END $x$', topic, events)) $$;
CREATE FUNCTION t.age(topic text, through bigint, age interval) RETURNS void LANGUAGE sql AS $$
  UPDATE runtime.sync_stream_events e SET inserted_at = now() - age WHERE e.topic = $1 AND e.watermark <= $2 AND e.inserted_at > now() - age $$;
CREATE FUNCTION t.state(topic text) RETURNS text LANGUAGE sql AS $$
  SELECT format('%s %s %s', head, floor, coalesce(oldest::text, '-')) FROM runtime.sync_topics s WHERE s.topic = $1 $$;
-- What a cycle in a session of its own did: dropped, floors raised, skipped.
CREATE FUNCTION t.retain() RETURNS text LANGUAGE sql AS $$
  SELECT t.ask('SELECT format(''%s %s %s'', partitions_dropped, floors_raised, skipped) FROM runtime.sync_retain()') $$;
CREATE FUNCTION t.partitions() RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(relname::text ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
  WHERE inhparent = 'runtime.sync_stream_events'::regclass AND relname LIKE 'past%' $$;

SELECT is(t.retain(), '0 0 0', 'an empty journal: nothing to do');

-- One partition, topics of different horizons in it.
SELECT runtime.sync_set_policy('short:*', horizon => '1 hour'), runtime.sync_set_policy('long:*', horizon => '30 days') \g /dev/null
SELECT runtime.sync_set_policy('ever:*', horizon => '0') \g /dev/null
SELECT t.partition('past3', '4 days', '3 days'), t.partition('past2', '3 days', '2 days'), t.partition('past1', '2 days', '1 hour 30 minutes') \g /dev/null
SELECT t.emit(topic, 10) FROM unnest('{short:a,plain,long:a}'::text[]) topic \g /dev/null
SELECT t.age(topic, 10, '60 hours'), t.age(topic, 6, '80 hours') FROM unnest('{short:a,plain,long:a}'::text[]) topic \g /dev/null
SELECT is(t.partitions(), '{past1,past2,past3}', 'before: three partitions of the past');
SELECT is(t.retain(), '1 2 0', 'the empty partition goes, the others hold what one topic still wants; two floors rise');
SELECT is(t.partitions(), '{past2,past3}', 'the one that was empty is gone');
SELECT is(t.state('short:a'), '10 10 1', 'the floor of the shorter horizon is its head');
SELECT is(t.state('plain'), '10 10 1', 'that of the default one too: its events are there and count as gone');
SELECT is(t.state('long:a'), '10 0 1', 'the longest keeps everything');
SELECT is(t.retain(), '0 0 0', 'a second cycle: nothing to do');
SELECT runtime.sync_set_policy('long:*', horizon => '66 hours') \g /dev/null
SELECT is(t.retain(), '1 1 0', 'a shorter horizon is heard at once: the older partition goes');
SELECT is(t.partitions(), '{past2}', 'that one');
SELECT is(t.state('long:a'), '10 6 7', 'a part of the topic is retained');
SELECT is(t.state('plain'), '10 10 7', 'the floor of another one stays at its head');
SELECT is((SELECT floor_epoch > 0 AND floor_epoch = (SELECT max(epoch) FROM runtime.sync_epochs) FROM runtime.sync_topic_sequences WHERE topic = 'long:a'), true, 'the floor has its epoch');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('long:a', 5)$$, '55000', 'cursor 5 of topic "long:a" is stale: its floor is 6', 'a cursor whose next event is gone');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay_updates('long:a', 0)$$, '55000', 'cursor 0 of topic "long:a" is stale: its floor is 6', 'the same for the fan-out');
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('long:a', 6)), '{7,8,9,10}'::bigint[], 'a cursor at the floor goes on');
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('short:a', 6)), '{7,8,9,10}'::bigint[], 'rows that are there still are served below the floor, for a reader under way');
SELECT is((SELECT count(*) FROM runtime.sync_replay('short:a', 10)), 0::bigint, 'at the head there is nothing, and no error');
SELECT is((SELECT count(*) FROM runtime.sync_replay('none', 0)), 0::bigint, 'nor for a topic that is not there');

-- All of it goes. Heads, floors and cursors of topics without events.
SELECT runtime.sync_drop_policy('long:*') \g /dev/null
SELECT is(t.retain(), '1 1 0', 'the last partition of the past goes');
SELECT is(ARRAY[t.state('short:a'), t.state('plain'), t.state('long:a')], '{10 10 -,10 10 -,10 10 -}', 'fully purged topics report their heads');
SELECT is((SELECT array_agg(h::text) FROM (SELECT topic, head, floor, allocated FROM runtime.sync_topic_heads('{plain,short:a}')) h), '{"(plain,10,10,10)","(short:a,10,10,10)"}', 'also to the fan-out');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('plain', 9)$$, '55000', 'cursor 9 of topic "plain" is stale: its floor is 10', 'an old cursor is stale, not current');
SELECT t.emit('plain', 2) \g /dev/null
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('plain', 10)), '{11,12}'::bigint[], 'it goes on behind its head');
SELECT is(t.state('plain'), '12 10 11', 'dense');

-- Logical: the horizon ends inside a partition.
SELECT t.emit('short:b', 1000), t.emit('ever:a', 5) \g /dev/null
SELECT t.partition('past_day', '20 hours', '61 minutes') \g /dev/null
UPDATE runtime.sync_stream_events SET inserted_at = now() - interval '19 hours 30 seconds' + watermark * interval '1 minute' WHERE topic = 'short:b';
SELECT runtime.sync_set_policy('short:*', horizon => '5 hours') \g /dev/null
SELECT t.age('ever:a', 5, '65 minutes') \g /dev/null
SELECT is(t.retain(), '0 1 0', 'one floor rises, the partition stays');
SELECT is((SELECT floor FROM runtime.sync_topic_sequences WHERE topic = 'short:b'),
          (SELECT max(watermark) FROM runtime.sync_stream_events WHERE topic = 'short:b' AND inserted_at < now() - interval '5 hours 10 seconds'), 'to the last event that is older than the horizon');
SELECT is((SELECT count(*) FROM runtime.sync_stream_events WHERE topic = 'short:b'), 1000::bigint, 'though its events are there');
SELECT is((SELECT (horizon, oldest_at < now() - interval '18 hours')::text FROM runtime.sync_topics WHERE topic = 'short:b'), '(05:00:00,t)', 'sync_topics tells horizon and age');
SELECT is((SELECT (horizon IS NULL, floor)::text FROM runtime.sync_topics WHERE topic = 'ever:a'), '(t,0)', 'for ever is for ever');
SELECT runtime.sync_set_policy('short:*', horizon => '10 hours') \g /dev/null
SELECT floor AS before FROM runtime.sync_topic_sequences WHERE topic = 'short:b' \gset
SELECT is(t.retain(), '0 0 0', 'a longer horizon: nothing to do');
SELECT is((SELECT floor FROM runtime.sync_topic_sequences WHERE topic = 'short:b'), :before::bigint, 'floors never go down');
SELECT runtime.sync_set_policy('short:*', horizon => '1 second') \g /dev/null
SELECT is(t.retain(), '0 1 0', 'shorter than the age of all of it');
SELECT is(t.state('short:b'), '1000 1000 1', 'the floor is the head, never above it');

-- Watermarks near a boundary may be in either partition.
SELECT runtime.sync_drop_policy('ever:*') \g /dev/null
SELECT runtime.sync_set_policy('edge', horizon => '5 hours') \g /dev/null
DELETE FROM runtime.sync_stream_events WHERE topic IN ('short:b', 'ever:a');
SELECT t.retain() \g /dev/null
DROP TABLE IF EXISTS runtime.past_day;
SELECT t.partition('past_a', '9 hours', '6 hours'), t.partition('past_b', '6 hours', '2 hours') \g /dev/null
SELECT t.emit('edge', 8) \g /dev/null
UPDATE runtime.sync_stream_events SET inserted_at = now() - CASE WHEN watermark IN (1, 2, 4) THEN interval '7 hours' ELSE interval '4 hours' END WHERE topic = 'edge';
SELECT runtime.sync_set_policy('*', horizon => '5 hours') \g /dev/null
SELECT is(t.retain(), '1 1 0', 'the older partition goes');
SELECT is(t.state('edge'), '8 4 3', 'the floor is above its last event, also where a younger partition has one before that');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('edge', 1)$$, '55000', NULL, 'before the boundary: stale');
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('edge', 2)), '{3}'::bigint[], 'a reader under way gets what is there');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('edge', 3)$$, '55000', NULL, 'and is told where it ends');

-- A partition that somebody uses is left for later; nobody waits.
SELECT runtime.sync_set_policy('*', horizon => '1 hour'), runtime.sync_drop_policy('edge') \g /dev/null
SELECT dblink_connect('reader', t.conn()) \g /dev/null
SELECT dblink_exec('reader', 'BEGIN; LOCK TABLE runtime.past_b IN ACCESS SHARE MODE') \g /dev/null
SELECT is(t.retain(), '0 1 1', 'skipped while it is read');
SELECT is(ARRAY[t.state('edge'), (SELECT count(*)::text FROM runtime.sync_replay('edge', 4))], '{8 8 3,4}', 'its floor is true all the same');
SELECT dblink_exec('reader', 'COMMIT') \g /dev/null
SELECT dblink_exec('reader', 'BEGIN; LOCK TABLE runtime.sync_stream_events IN ACCESS SHARE MODE') \g /dev/null
SELECT is(t.retain(), '0 0 1', 'skipped while somebody reads the journal as a table');
SELECT dblink_disconnect('reader') \g /dev/null
SELECT is(t.retain(), '1 0 0', 'and dropped when nobody does');
SELECT is((SELECT partitions_dropped >= 5 AND floors_raised >= 6 AND partitions_skipped = 2 AND retention_cycles > 10 AND bytes_dropped > 0 AND retained_at > now() - interval '1 minute' AND retention_ms > 0 FROM runtime.sync_stats), true, 'sync_stats counts');

-- A partition that was dropped by hand.
SELECT runtime.sync_set_policy('hand', horizon => '10 days'), t.partition('past_hand', '90 minutes', '70 minutes') \g /dev/null
SELECT t.emit('hand', 30) \g /dev/null
SELECT t.age('hand', 20, '80 minutes') \g /dev/null
SELECT t.retain() \g /dev/null
DROP TABLE runtime.past_hand;
SELECT is(t.retain(), '0 1 0', 'the next cycle sees what is missing');
SELECT is(t.state('hand'), '30 20 21', 'and raises the floor to it');

-- A topic that left shared memory before its head was persisted.
SELECT t.partition('past_cold', '3 hours', '2 hours') \g /dev/null
SELECT t.emit('cold', 3), t.age('cold', 3, '150 minutes') \g /dev/null
DELETE FROM runtime.sync_topic_sequences WHERE topic = 'cold';
SELECT heads_evicted AS evicted FROM runtime.sync_stats \gset
DO $$ BEGIN FOR i IN 1..(current_setting('oa_sync.max_hot_topics')::int * 2 / 1000 + 1) LOOP
  PERFORM runtime.sync_emit('filler:' || i || ':' || j, 'k', 1, NULL) FROM generate_series(1, 1000) j; COMMIT; END LOOP; END $$;
SELECT cmp_ok((SELECT heads_evicted FROM runtime.sync_stats), '>', :evicted::bigint, 'topics are evicted');
SELECT is(t.retain(), '1 1 0', 'its partition goes');
SELECT is((SELECT (head, floor)::text FROM runtime.sync_topic_heads('{cold}')), '(3,3)', 'its head does not');
SELECT t.emit('cold', 1) \g /dev/null
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_stream_events WHERE topic = 'cold'), '{4}'::bigint[], 'and no watermark is given twice');

-- The default partition: emptied when all of it is too old.
CREATE FUNCTION t.in_default() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM runtime.sync_stream_events_default $$;
SELECT runtime.sync_set_policy('keep:*', horizon => '20 hours') \g /dev/null
SELECT t.emit(topic, 5) FROM unnest('{def,keep:1}'::text[]) topic \g /dev/null
SELECT t.age('def', 4, '30 hours'), t.age('keep:1', 5, '18 hours') \g /dev/null
SELECT is(t.in_default(), 9::bigint, 'events in the default partition');
SELECT is(t.retain(), '0 1 0', 'it stays for one that is young enough');
SELECT is(ARRAY[t.state('def'), t.state('keep:1'), t.in_default()::text], '{5 4 1,5 0 1,9}', 'the others count as gone');
SELECT runtime.sync_set_policy('keep:*', horizon => '17 hours') \g /dev/null
SELECT is(t.retain(), '1 1 0', 'then it is emptied');
SELECT is(ARRAY[t.state('def'), t.state('keep:1'), t.in_default()::text], '{5 4 5,5 5 -,0}', 'heads and floors stay');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('keep:1', 4)$$, '55000', NULL, 'old cursors are stale');
SELECT is((SELECT count(*) FROM runtime.sync_replay('keep:1', 5)), 0::bigint, 'new ones are not');
SELECT is(t.retain(), '0 0 0', 'an empty one is left alone');
-- While it is the partition of the present it is not touched.
CALL t.keep_only_default();
SELECT t.emit('present', 3), t.age('present', 3, '30 hours') \g /dev/null
SELECT is(t.retain(), '0 10000 0', 'not while it may be that of the present; of very many topics whose partitions are gone, a cycle looks at some');
CREATE FUNCTION t.cycles() RETURNS int LANGUAGE plpgsql AS $$
DECLARE cycles int := 0;
BEGIN
  LOOP
    cycles := cycles + 1;
    EXIT WHEN t.retain() = '0 0 0' OR cycles > 100;
  END LOOP;
  RETURN cycles;
END $$;
SELECT cmp_ok(t.cycles(), '<', 30, 'the next ones go on');
SELECT is(ARRAY[t.state('present'), t.in_default()::text, (SELECT count(*)::text FROM runtime.sync_topic_sequences WHERE topic LIKE 'filler:%' AND floor <> 1)], '{3 3 1,3,0}', 'until every floor is true');

-- A payload that is stored out of line does not need its partition once it was read.
SELECT dblink_disconnect('keeper'), t.make_partitions() \g /dev/null
SELECT t.run($x$DO $y$ BEGIN PERFORM runtime.sync_emit('toast', 'k', 1, to_json((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 3000) i))); END $y$ $x$) \g /dev/null
CREATE TABLE t.kept AS SELECT length(payload::text) FROM runtime.sync_replay('toast', 0);
SELECT is((SELECT length FROM t.kept), 96002, 'a large payload is served whole');
SELECT is(has_function_privilege('public', 'runtime.sync_retain()', 'EXECUTE'), false, 'sync_retain is not for everybody');
ALTER SYSTEM RESET oa_sync.retention_interval;
SELECT pg_reload_conf() \g /dev/null
SELECT * FROM finish();
