-- Published tables that become partitions of others.
\ir include/setup.sql
SELECT plan(13);
CREATE TABLE app.root (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
CREATE TABLE app.published (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.published', topic => 'own', doc_key => 'own/{id}') \g /dev/null
INSERT INTO app.published VALUES (1, 'a');

-- Into a table that is not published: it keeps its own publication.
ALTER TABLE app.root ATTACH PARTITION app.published FOR VALUES FROM (0) TO (100);
INSERT INTO app.root VALUES (2, 'b');
UPDATE app.published SET body = 'c' WHERE id = 1;
SELECT is(t.events('own', 1), ARRAY['2 upsert own/2 2 {"body":"b","id":2}', '3 upsert own/1 3 {"body":"c","id":1}'], 'a published partition of a table that is not');
TRUNCATE app.root;
SELECT is(t.events('own', 3), ARRAY['4 truncate own/ 4 -'], 'TRUNCATE of the root: its own truncate event');
INSERT INTO app.root VALUES (3, 'd');
TRUNCATE app.published;
SELECT is(t.events('own', 5), ARRAY['6 truncate own/ 6 -'], 'TRUNCATE of itself: the same, once');

-- The root can not be published over it: two publications would own its rows.
SELECT throws_ok($$SELECT runtime.sync_publish('app.root', topic => 'root', doc_key => 'root/{id}')$$, '42710', NULL, 'publishing the root above a published partition is refused');
SELECT runtime.sync_unpublish('app.published') \g /dev/null
SELECT lives_ok($$SELECT runtime.sync_publish('app.root', topic => 'root', doc_key => 'root/{id}')$$, 'once that is unpublished it is not');
INSERT INTO app.root VALUES (4, 'e');
SELECT is(t.events('root'), ARRAY['1 upsert root/4 1 {"body":"e","id":4}'], 'and the partition''s rows are the root''s');
CREATE TABLE app.second (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.second', topic => 'second', doc_key => '{id}') \g /dev/null
SELECT throws_ok('ALTER TABLE app.root ATTACH PARTITION app.second FOR VALUES FROM (100) TO (200)', '42710', NULL, 'attaching a published table to a published one is refused');
INSERT INTO app.second VALUES (150, 'f');
SELECT is(t.events('second'), ARRAY['1 upsert 150 1 {"body":"f","id":150}'], 'and it stays as it was');
-- Detached again, a published table goes on by itself; a partition of a published one does not.
CREATE TABLE app.plain (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
ALTER TABLE app.plain ATTACH PARTITION app.second FOR VALUES FROM (100) TO (200);
UPDATE app.plain SET body = 'g';
ALTER TABLE app.plain DETACH PARTITION app.second;
UPDATE app.second SET body = 'h';
TRUNCATE app.second;
SELECT is(t.events('second', 1), ARRAY['2 upsert 150 2 {"body":"g","id":150}', '3 upsert 150 3 {"body":"h","id":150}', '4 truncate  4 -'], 'a published table that is attached and detached goes on');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation = 'app.second'::regclass), NULL, 'without a problem');
SELECT head FROM runtime.sync_topic_heads('{root}') \gset
ALTER TABLE app.root DETACH PARTITION app.published;
UPDATE app.published SET body = 'i';
TRUNCATE app.published;
SELECT is(t.events('root', :head), '{}', 'a detached partition of a published table: its writes are no events, and its documents stay');
ALTER TABLE app.root ATTACH PARTITION app.published FOR VALUES FROM (0) TO (100);
INSERT INTO app.published VALUES (5, 'j');
SELECT is(t.events('root', :head), ARRAY[format('%s upsert root/5 %s {"body":"j","id":5}', :head + 1, :head + 1)], 'attached again they are');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
