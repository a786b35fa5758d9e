-- The head of a cold topic is read by one process while others wait for it. What they hold may be what it waits for.
\ir include/setup.sql
SELECT plan(4);
SELECT runtime.sync_emit('warm', 'k', 1, '1') \g /dev/null
SELECT runtime.sync_maintain_partitions() \g /dev/null
SELECT dblink_connect('reader', t.conn()), dblink_connect('holder', t.conn()) \g /dev/null
SELECT pid AS reader FROM dblink('reader', 'SELECT pg_backend_pid()') AS x(pid int) \gset
SELECT format('%s', string_agg(partition::text, ', ')) AS partitions FROM runtime.sync_journal_partitions \gset
SELECT dblink_exec('holder', 'BEGIN; LOCK TABLE ' || :'partitions' || ' IN ACCESS EXCLUSIVE MODE') \g /dev/null
SELECT * FROM dblink('holder', $$SELECT runtime.sync_emit('cold', 'holder', 1, '1')$$) AS x(v text) \g /dev/null
SELECT dblink_send_query('reader', $$SELECT runtime.sync_emit('cold', 'reader', 1, '1')$$) \g /dev/null
SELECT ok(t.wait_for(format('SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = %s)', :reader)), 'one reads the head, and waits for a lock');
SELECT is(dblink_exec('holder', 'COMMIT'), 'COMMIT', 'who holds the lock does not wait for that one');
SELECT is((SELECT count(*) FROM dblink_get_result('reader') AS r(v text)), 1::bigint, 'which then goes on');
SELECT * FROM dblink_get_result('reader') AS r(v text) \g /dev/null
SELECT is(t.events('cold'), ARRAY['1 upsert holder 1 1', '2 upsert reader 1 1'], 'the topic is dense');
SELECT dblink_disconnect('reader'), dblink_disconnect('holder') \g /dev/null
SELECT * FROM finish();
