-- What does not survive a crash: refused when published; a published table that becomes so can not be written.
\ir include/setup.sql
SELECT plan(19);
CREATE TABLE app.docs (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}') \g /dev/null
INSERT INTO app.docs VALUES (1);
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (2)') \g /dev/null
ALTER TABLE app.docs SET UNLOGGED;
SELECT throws_ok('INSERT INTO app.docs VALUES (3)', '42809', 'published table "docs" is unlogged', 'SET UNLOGGED after publishing: INSERT fails');
SELECT throws_ok('UPDATE app.docs SET id = id + 10', '42809', NULL, 'UPDATE');
SELECT throws_ok('DELETE FROM app.docs', '42809', NULL, 'DELETE');
SELECT throws_ok('TRUNCATE app.docs', '42809', NULL, 'TRUNCATE');
SELECT throws_ok($$SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (3)')$$, '42809', NULL, 'in other sessions too');
SELECT is((SELECT count(*) FROM app.docs), 2::bigint, 'nothing is written');
SELECT is((SELECT persistence || ': ' || problem FROM runtime.sync_publications_status WHERE relation::text LIKE 'app.%'), 'unlogged: writes fail: published table "docs" is unlogged', 'the status tells');
SELECT throws_ok($$SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}')$$, '42809', NULL, 'it is not published anew');
ALTER TABLE app.docs SET LOGGED;
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (3)') \g /dev/null
SELECT is(t.events('docs'), ARRAY['1 upsert 1 1 {"id":1}', '2 upsert 2 2 {"id":2}', '3 upsert 3 3 {"id":3}'], 'SET LOGGED: it can be written again; the rewrites are no events');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation::text LIKE 'app.%'), NULL, 'and all is well');
ALTER TABLE app.docs SET UNLOGGED;
SELECT runtime.sync_unpublish('app.docs') \g /dev/null
SELECT lives_ok('INSERT INTO app.docs VALUES (4)', 'or it is unpublished');
SELECT dblink_disconnect('other') \g /dev/null

-- Partitions.
CREATE TABLE app.parted (id int) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (10) TO (20);
SELECT throws_ok($$SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}')$$, '42809', 'table app.parted has partitions that are unlogged or foreign tables', 'an unlogged partition');
ALTER TABLE app.parted DETACH PARTITION app.parted_2;
SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}') \g /dev/null
ALTER TABLE app.parted ATTACH PARTITION app.parted_2 FOR VALUES FROM (10) TO (20);
SELECT throws_ok('INSERT INTO app.parted VALUES (11)', '42809', 'published table "parted_2" is unlogged', 'one that is attached later can not be written');
SELECT lives_ok('INSERT INTO app.parted VALUES (1)', 'the others can');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation::text LIKE 'app.%'), 'partitions that can not be written, being unlogged or foreign: app.parted_2', 'the status tells');
DROP TABLE app.parted_2;
CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE app.parted_3 PARTITION OF app.parted FOR VALUES FROM (20) TO (30) SERVER far;
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation::text LIKE 'app.%'), 'partitions that can not be written, being unlogged or foreign: app.parted_3', 'foreign partitions likewise');
SELECT throws_ok($$SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}')$$, '42809', NULL, 'and they are refused when published');

-- Temporary tables, also those that go at COMMIT.
CREATE TEMP TABLE kept (id int PRIMARY KEY);
SELECT throws_ok($$SELECT runtime.sync_publish('kept')$$, '42809', 'table kept is temporary or unlogged', 'a temporary table');
BEGIN;
CREATE TEMP TABLE brief (id int PRIMARY KEY) ON COMMIT DROP;
SELECT throws_ok($$SELECT runtime.sync_publish('brief')$$, '42809', 'table brief is temporary or unlogged', 'one that goes at COMMIT');
COMMIT;
SELECT * FROM finish();
