-- TRUNCATE is one typed event for each topic; its doc_key is the prefix of the keys that are gone.
\ir include/setup.sql
SELECT plan(15);
CREATE TABLE app.a (id int PRIMARY KEY, run text NOT NULL DEFAULT 'x');
CREATE TABLE app.b (id int PRIMARY KEY REFERENCES app.a);
CREATE TABLE app.c (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.a', topic => 'fixed', doc_key => 'a/{{x}}/{id}/end') \g /dev/null
SELECT runtime.sync_publish('app.b', topic => 'fixed', doc_key => '{id}') \g /dev/null
INSERT INTO app.a VALUES (1), (2);
INSERT INTO app.b VALUES (1);
TRUNCATE app.b;
SELECT is(t.events('fixed', 3), ARRAY['4 truncate  4 -'], 'a key that begins with a column: the empty prefix');
SELECT throws_ok('TRUNCATE app.a', '0A000', NULL, 'a TRUNCATE that PostgreSQL refuses');
SELECT is(t.events('fixed', 4), '{}', 'is no event');
TRUNCATE app.a CASCADE;
SELECT is(t.changes('fixed', 4), ARRAY['truncate  -', 'truncate a/{x}/ -'], 'TRUNCATE CASCADE: each table that is published');
SELECT is((SELECT encode(payload_hash, 'hex') FROM runtime.sync_replay('fixed', 4, 1)),
          '74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b', 'the hash is that of null');
TRUNCATE app.b;
SELECT is(t.events('fixed', 6), ARRAY['7 truncate  7 -'], 'an empty table of a fixed topic: an event all the same');

SELECT runtime.sync_publish('app.a', topic => 'run:{run}', doc_key => 'a:{id}') \g /dev/null
INSERT INTO app.a VALUES (1, 'x'), (2, 'y'), (3, 'x');
DELETE FROM app.a WHERE run = 'y';
TRUNCATE app.a CASCADE;
SELECT is(t.events('run:x') || t.events('run:y'), ARRAY['1 upsert a:1 1 {"id":1,"run":"x"}', '2 upsert a:3 2 {"id":3,"run":"x"}', '3 truncate a: 3 -',
  '1 upsert a:2 1 {"id":2,"run":"y"}', '2 delete a:2 2 -'], 'topics over columns: an event for each that has rows');
TRUNCATE app.a CASCADE;
SELECT is(t.events('run:x', 3), '{}', 'none for an empty table');
BEGIN; INSERT INTO app.a VALUES (1, 'x'); TRUNCATE app.a CASCADE; INSERT INTO app.a VALUES (2, 'x'); COMMIT;
SELECT is(t.events('run:x', 3), ARRAY['4 upsert a:1 4 {"id":1,"run":"x"}', '5 truncate a: 5 -', '6 upsert a:2 6 {"id":2,"run":"x"}'], 'between other writes, in order');
BEGIN; TRUNCATE app.a CASCADE; ROLLBACK;
SELECT is(t.events('run:x', 6), '{}', 'one that is rolled back is none');
TRUNCATE app.c;
SELECT is((SELECT count(*) FROM runtime.sync_topics), 3::bigint, 'of a table that is not published neither');
BEGIN; SAVEPOINT s; TRUNCATE app.a CASCADE; ROLLBACK TO s; UPDATE app.a SET id = 3; COMMIT;
SELECT is(t.events('run:x', 6), ARRAY['7 delete a:2 7 -', '8 upsert a:3 8 {"id":3,"run":"x"}'], 'nor one that a savepoint takes back');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');

-- A row that is older than the publication and can not be named does not keep its table from being truncated.
CREATE TABLE app.unnamed (id int PRIMARY KEY, run text); INSERT INTO app.unnamed VALUES (1, NULL), (2, 'a'), (3, 'not a topic');
SELECT runtime.sync_publish('app.unnamed', topic => 'unnamed:{run}', doc_key => '{id}') \g /dev/null
SELECT lives_ok('TRUNCATE app.unnamed', 'rows without a topic are truncated');
SELECT is((SELECT array_agg(topic || ' ' || op ORDER BY topic) FROM runtime.sync_stream_events WHERE topic LIKE 'unnamed:%'), ARRAY['unnamed:a truncate'], 'the topics of the others hear of it');
SELECT * FROM finish();
