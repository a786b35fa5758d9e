-- DROP EXTENSION CASCADE takes everything with it; CREATE EXTENSION begins at 1 again.
\ir include/setup.sql
SELECT plan(15);

CREATE TABLE app.notes (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.notes') \g /dev/null
INSERT INTO app.notes SELECT i FROM generate_series(1, 5) i;
SELECT is((SELECT head FROM runtime.sync_topic_heads('{app.notes}')), 5::bigint, 'before: five events');
SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL FROM runtime.sync_stats'), 'before: a worker');
SELECT worker_pid FROM runtime.sync_stats \gset
-- Another session that has the extension in its caches.
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'INSERT INTO app.notes VALUES (6)') \g /dev/null

DROP EXTENSION oa_sync CASCADE;
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgname LIKE '!oa_sync%'), 0::bigint, 'triggers are gone');
SELECT is((SELECT count(*) FROM pg_class WHERE relname LIKE 'sync\_%'), 0::bigint, 'tables are gone, partitions too');
SELECT lives_ok('INSERT INTO app.notes VALUES (7)', 'the table can be written');
SELECT lives_ok($$SELECT dblink_exec('other', 'INSERT INTO app.notes VALUES (8)')$$, 'by the other session too');
SELECT ok(t.wait_for(format('SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)', :worker_pid)), 'the worker goes away');

CREATE EXTENSION oa_sync;
SELECT is((SELECT array_agg((topic, head, floor, allocated)::text) FROM runtime.sync_topic_heads('{app.notes}')), ARRAY['(app.notes,0,0,0)'],
          'the topic has no events');
SELECT runtime.sync_publish('app.notes') \g /dev/null
INSERT INTO app.notes VALUES (9);
SELECT is(t.events('app.notes'), ARRAY['1 upsert app/notes:9 1 {"body":null,"id":9}'], 'watermarks begin at 1');
SELECT dblink_exec('other', 'INSERT INTO app.notes VALUES (10)') \g /dev/null
SELECT is(t.events('app.notes', 1), ARRAY['2 upsert app/notes:10 2 {"body":null,"id":10}'], 'for the other session too');
SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL AND recovered FROM runtime.sync_stats'), 'a worker starts again');

-- DROP that is rolled back.
BEGIN;
DROP EXTENSION oa_sync CASCADE;
INSERT INTO app.notes VALUES (11);
ROLLBACK;
INSERT INTO app.notes VALUES (12);
SELECT is(t.events('app.notes', 2), ARRAY['3 upsert app/notes:12 3 {"body":null,"id":12}'], 'a DROP that is rolled back changes nothing');
SELECT is((SELECT count(*) FROM t.journal_problems()), 0::bigint, 'the journal is sound');
-- By its schema.
DROP SCHEMA runtime CASCADE;
SELECT is((SELECT count(*) FROM pg_extension WHERE extname = 'oa_sync') + (SELECT count(*) FROM pg_class WHERE relname LIKE 'sync\_%'), 0::bigint, 'DROP SCHEMA CASCADE takes the extension and its partitions');
SELECT lives_ok('INSERT INTO app.notes VALUES (13)', 'the table can be written');
SELECT dblink_disconnect('other') \g /dev/null
SELECT * FROM finish();
