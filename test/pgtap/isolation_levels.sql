-- REPEATABLE READ and SERIALIZABLE: watermarks go on from what is committed, also when the snapshot can't see it.
\ir include/setup.sql
SELECT plan(9);
CREATE TABLE app.docs (id int PRIMARY KEY, topic text NOT NULL DEFAULT 'a');
CREATE TABLE app.other (id int);
SELECT runtime.sync_publish('app.docs', topic => 'iso:{topic}', doc_key => '{id}', payload => 'id') \g /dev/null
SELECT dblink_connect('old', t.conn()) \g /dev/null

SELECT dblink_exec('old', 'BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO app.other VALUES (1)') \g /dev/null
INSERT INTO app.docs SELECT i, 'warm' FROM generate_series(1, 3) i;
SELECT dblink_exec('old', 'INSERT INTO app.docs VALUES (10, ''warm''); COMMIT') \g /dev/null
SELECT is(t.events('iso:warm', 3), ARRAY['4 upsert 10 4 {"id":10}'], 'REPEATABLE READ, a topic that others began after its snapshot');

-- A cold head: the topic's events are in the journal, and not in shared memory. Restarting the server would make it so;
-- a recreated hash entry comes about as well by filling the table beyond oa_sync.max_hot_topics.
INSERT INTO app.docs SELECT i, 'cold' FROM generate_series(21, 25) i;
SELECT dblink_exec('old', 'BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO app.other VALUES (2)') \g /dev/null
INSERT INTO app.docs SELECT i, 'cold' FROM generate_series(26, 30) i;
SELECT setting AS hot_limit FROM pg_settings WHERE name = 'oa_sync.max_hot_topics' \gset
SELECT (heads_evicted) AS evicted FROM runtime.sync_stats \gset
-- The clock passes each entry once before it takes it: more topics than there are places.
DO $$ BEGIN FOR i IN 1..(current_setting('oa_sync.max_hot_topics')::int * 2 / 1000 + 1) LOOP
  PERFORM runtime.sync_emit('filler:' || i || ':' || j, 'k', 1, NULL) FROM generate_series(1, 1000) j; COMMIT; END LOOP; END $$;
SELECT cmp_ok((SELECT heads_evicted FROM runtime.sync_stats) - :evicted, '>', 0::bigint, 'idle topics make room');
SELECT dblink_exec('old', 'INSERT INTO app.docs VALUES (31, ''cold''); COMMIT') \g /dev/null
SELECT is(t.events('iso:cold', 10), ARRAY['11 upsert 31 11 {"id":31}'], 'REPEATABLE READ, a cold topic: the head is read as it is now');
SELECT dblink_exec('old', 'BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO app.other VALUES (3)') \g /dev/null
INSERT INTO app.docs SELECT i, 'ser' FROM generate_series(41, 43) i;
SELECT dblink_exec('old', 'INSERT INTO app.docs VALUES (44, ''ser''); COMMIT') \g /dev/null
SELECT is(t.events('iso:ser', 3), ARRAY['4 upsert 44 4 {"id":44}'], 'SERIALIZABLE');

-- Two serializable writers of one topic whose rows have nothing in common do not conflict because of the journal.
SELECT dblink_connect('b', t.conn()) \g /dev/null
SELECT dblink_exec('old', 'BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO app.docs VALUES (51, ''both'')') \g /dev/null
SELECT dblink_exec('b', 'BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO app.docs VALUES (52, ''both'')') \g /dev/null
SELECT is(dblink_exec('old', 'COMMIT'), 'COMMIT', 'one serializable writer');
SELECT is(dblink_exec('b', 'COMMIT'), 'COMMIT', 'and the other one');
SELECT is(t.events('iso:both'), ARRAY['1 upsert 51 1 {"id":51}', '2 upsert 52 2 {"id":52}'], 'both events');
-- A reader's snapshot: sync_replay shows what it may see, and nothing that came later.
SELECT dblink_exec('b', 'BEGIN ISOLATION LEVEL REPEATABLE READ') \g /dev/null
SELECT * FROM dblink('b', 'SELECT count(*) FROM runtime.sync_replay(''iso:both'', 0)') AS x(n bigint) \g /dev/null
INSERT INTO app.docs VALUES (53, 'both');
SELECT is((SELECT n FROM dblink('b', 'SELECT count(*) FROM runtime.sync_replay(''iso:both'', 0)') AS x(n bigint)), 2::bigint, 'sync_replay reads its snapshot');
SELECT dblink_disconnect('old'), dblink_disconnect('b') \g /dev/null
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
