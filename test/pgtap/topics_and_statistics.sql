-- sync_topic_heads, sync_topics, sync_stats: what a reader and a DBA see.
\ir include/setup.sql
SELECT plan(19);
SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL AND recovered FROM runtime.sync_stats'), 'the worker runs');
SELECT * FROM runtime.sync_stats \gset before_
SELECT runtime.sync_emit(topic, 'k', 1, '1') FROM unnest('{b,a,b,c,b}'::text[]) topic \g /dev/null
SELECT is((SELECT array_agg((topic, head, floor, (epoch = runtime.sync_current_epoch())::int, allocated)::text) FROM runtime.sync_topic_heads('{c,b,none,a,b}')), ARRAY['(c,1,0,1,1)', '(b,3,0,1,3)', '(none,0,0,1,0)', '(a,1,0,1,1)', '(b,3,0,1,3)'],
          'heads come in the order asked, also twice, 0 for what is not there');
SELECT is((SELECT array_agg(h::text) FROM runtime.sync_topic_heads('{}') h), NULL, 'none asked, none given');
SELECT is((SELECT count(*) FROM runtime.sync_topic_heads(NULL)), 0::bigint, 'null gives none');
SELECT throws_ok($$SELECT * FROM runtime.sync_topic_heads('{a,NULL}')$$, '22004', 'a topic must not be null', 'a null topic is an error');
SELECT is((SELECT array_agg((topic, head, floor, oldest, retained, in_flight, (epoch = runtime.sync_current_epoch())::int)::text ORDER BY topic) FROM runtime.sync_topics),
          ARRAY['(a,1,0,1,1,0,1)', '(b,3,0,1,3,0,1)', '(c,1,0,1,1,0,1)'], 'sync_topics has every topic');
SELECT is((SELECT (events - :before_events, transactions - :before_transactions)::text FROM runtime.sync_stats), '(5,1)', 'events and transactions are counted');
SELECT cmp_ok((SELECT hot_topics FROM runtime.sync_stats), '>=', 3::bigint, 'topics are hot');
SELECT is((SELECT heads_loaded - :before_heads_loaded FROM runtime.sync_stats), 3::bigint, 'their heads were loaded once');
-- The worker makes them now: not between the two looks of this.
SELECT t.make_partitions() \g /dev/null
SELECT is((SELECT partitions FROM runtime.sync_stats), (SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'runtime.sync_stream_events'::regclass), 'partitions');
SELECT is((SELECT ((epoch = runtime.sync_current_epoch())::int, voids_pending)::text FROM runtime.sync_stats), '(1,0)', 'epoch and voids');

-- Heads are persisted by the worker; a topic whose events are gone does not start at 1 again.
ALTER SYSTEM SET oa_sync.checkpoint_interval = '1s';
SELECT pg_reload_conf() \g /dev/null
SELECT ok(t.wait_for($$SELECT count(*) = 3 FROM runtime.sync_topic_sequences WHERE (topic, next_watermark) IN (('a', 2), ('b', 4), ('c', 2))$$), 'heads are persisted');
SELECT ok(t.wait_for('SELECT heads_persisted_at IS NOT NULL FROM runtime.sync_stats'), 'and when');
ALTER SYSTEM RESET oa_sync.checkpoint_interval;
SELECT pg_reload_conf() \g /dev/null
UPDATE runtime.sync_topic_sequences SET floor = 2 WHERE topic = 'b';
DELETE FROM runtime.sync_stream_events WHERE topic = 'c' OR topic = 'b' AND watermark <= 2;
SELECT is((SELECT array_agg((topic, head, floor, oldest, retained, in_flight, (epoch = runtime.sync_current_epoch())::int)::text ORDER BY topic) FROM runtime.sync_topics),
          ARRAY['(a,1,0,1,1,0,1)', '(b,3,2,3,1,0,1)', '(c,1,0,,0,0,1)'], 'what retention leaves');
SELECT is((SELECT array_agg((topic, head, floor, (epoch = runtime.sync_current_epoch())::int, allocated)::text) FROM runtime.sync_topic_heads('{a,b,c}')), ARRAY['(a,1,0,1,1)', '(b,3,2,1,3)', '(c,1,0,1,1)'], 'heads and floors outlive events');
-- Make topics cold, so that the head comes from what is stored.
SELECT heads_evicted AS evicted FROM runtime.sync_stats \gset
DO $$ BEGIN FOR i IN 1..(current_setting('oa_sync.max_hot_topics')::int * 2 / 1000 + 1) LOOP
  PERFORM runtime.sync_emit('filler:' || i || ':' || j, 'k', 1, NULL) FROM generate_series(1, 1000) j; COMMIT; END LOOP; END $$;
SELECT cmp_ok((SELECT heads_evicted FROM runtime.sync_stats), '>', :evicted::bigint, 'idle topics are evicted');
SELECT runtime.sync_emit('c', 'k', 1, '1') \g /dev/null
SELECT is((SELECT watermark FROM runtime.sync_stream_events WHERE topic = 'c'), 2::bigint, 'a topic without events goes on where it was');
SELECT is((SELECT head FROM runtime.sync_topic_heads('{c}')), 2::bigint, 'its head too');

-- In flight: allocated and not visible.
SELECT dblink_connect('locker', t.conn()), dblink_connect('writer', t.conn()) \g /dev/null
SELECT dblink_exec('writer', 'BEGIN; DO $x$ BEGIN PERFORM runtime.sync_emit(''a'', ''k'', 1, ''1''), runtime.sync_emit(''a'', ''k'', 1, ''1''); END $x$') \g /dev/null
SELECT dblink_exec('locker', 'BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE') \g /dev/null
SELECT pid AS writer FROM dblink('writer', 'SELECT pg_backend_pid()') AS x(pid int) \gset
SELECT dblink_send_query('writer', 'COMMIT') \g /dev/null
SELECT t.wait_for(format($$SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = %s)$$, :writer)) \g /dev/null
SELECT is((SELECT (head, in_flight)::text FROM runtime.sync_topics WHERE topic = 'a'), '(1,2)', 'what is allocated and not yet visible is in flight');
SELECT dblink_disconnect('locker') \g /dev/null
SELECT * FROM dblink_get_result('writer') AS r(x text) \g /dev/null
SELECT dblink_disconnect('writer') \g /dev/null
SELECT * FROM finish();
