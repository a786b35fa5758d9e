-- Publishing while others write: no write of a transaction is captured by half, and nobody deadlocks.
\ir include/setup.sql
SELECT plan(13);
CREATE TABLE app.docs (id int PRIMARY KEY);
SELECT dblink_connect('writer', t.conn()), dblink_connect('dba', t.conn()), dblink_connect('late', t.conn()) \g /dev/null
CREATE FUNCTION t.waits(pid int) RETURNS text LANGUAGE sql AS $$ SELECT format('SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = %s)', $1) $$;
SELECT pid AS dba FROM dblink('dba', 'SELECT pg_backend_pid()') AS x(pid int) \gset
SELECT pid AS late FROM dblink('late', 'SELECT pg_backend_pid()') AS x(pid int) \gset

SELECT dblink_exec('writer', 'BEGIN; INSERT INTO app.docs VALUES (1)') \g /dev/null
SELECT dblink_send_query('dba', 'SELECT runtime.sync_publish(''app.docs'', topic => ''docs'', doc_key => ''{id}'')') \g /dev/null
SELECT ok(t.wait_for(t.waits(:dba)), 'sync_publish waits for a writer');
SELECT dblink_send_query('late', 'INSERT INTO app.docs VALUES (2)') \g /dev/null
SELECT ok(t.wait_for(t.waits(:late)), 'later writers wait for it');
SELECT is(dblink_exec('writer', 'INSERT INTO app.docs VALUES (3)'), 'INSERT 0 1', 'the first one does not');
SELECT is(dblink_exec('writer', 'COMMIT'), 'COMMIT', 'and commits');
SELECT is((SELECT count(*) FROM dblink_get_result('dba') AS r(id int)), 1::bigint, 'the table is published');
SELECT is((SELECT r FROM dblink_get_result('late') AS r(r text)), 'INSERT 0 1', 'the later one has written');
SELECT * FROM dblink_get_result('dba') AS r(id int) \g /dev/null
SELECT * FROM dblink_get_result('late') AS r(r text) \g /dev/null
SELECT is(t.events('docs'), ARRAY['1 upsert 2 1 {"id":2}'], 'what was written before is no event, what came after is');

-- Unpublishing waits likewise, and the writer's events are all there.
SELECT dblink_exec('writer', 'BEGIN; INSERT INTO app.docs VALUES (4)') \g /dev/null
SELECT dblink_send_query('dba', 'SELECT runtime.sync_unpublish(''app.docs'')') \g /dev/null
SELECT ok(t.wait_for(t.waits(:dba)), 'sync_unpublish waits for a writer');
SELECT is(dblink_exec('writer', 'INSERT INTO app.docs VALUES (5)'), 'INSERT 0 1', 'who goes on');
SELECT is(dblink_exec('writer', 'COMMIT'), 'COMMIT', 'and commits');
SELECT is((SELECT r FROM dblink_get_result('dba') AS r(r boolean)), true, 'the table is unpublished');
SELECT is(t.events('docs', 1), ARRAY['2 upsert 4 2 {"id":4}', '3 upsert 5 3 {"id":5}'], 'the writer''s events are all there');
INSERT INTO app.docs VALUES (6);
SELECT is((SELECT head FROM runtime.sync_topic_heads('{docs}')), 3::bigint, 'later ones are not');
SELECT dblink_disconnect('writer'), dblink_disconnect('dba'), dblink_disconnect('late') \g /dev/null
SELECT * FROM finish();
