-- ALTER TABLE of a published table: columns added, dropped, renamed, retyped; tables renamed, moved, rewritten, dropped.
\ir include/setup.sql
SELECT plan(24);
CREATE TABLE app.docs (id int PRIMARY KEY, body text, version int NOT NULL DEFAULT 0, spare int);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', doc_version => 'version') \g /dev/null
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (1, ''a'', 1, 1)') \g /dev/null

ALTER TABLE app.docs ADD COLUMN added int DEFAULT 7;
UPDATE app.docs SET version = 2;
SELECT is(t.events('docs', 1), ARRAY['2 upsert 1 2 {"added":7,"body":"a","id":1,"spare":1,"version":2}'], 'a column that is added is in the payload');
SELECT dblink_exec('other', 'UPDATE app.docs SET version = 3') \g /dev/null
SELECT is(t.events('docs', 2), ARRAY['3 upsert 1 3 {"added":7,"body":"a","id":1,"spare":1,"version":3}'], 'of another session''s writes too');
ALTER TABLE app.docs DROP COLUMN spare;
SELECT dblink_exec('other', 'UPDATE app.docs SET version = 4') \g /dev/null
SELECT is(t.events('docs', 3), ARRAY['4 upsert 1 4 {"added":7,"body":"a","id":1,"version":4}'], 'one that is dropped is not');
ALTER TABLE app.docs RENAME COLUMN body TO text;
SELECT dblink_exec('other', 'UPDATE app.docs SET version = 5') \g /dev/null
SELECT is(t.events('docs', 4), ARRAY['5 upsert 1 5 {"added":7,"id":1,"text":"a","version":5}'], 'a column that is renamed');
ALTER TABLE app.docs ALTER COLUMN added TYPE text USING 'now ' || added;
SELECT is(t.events('docs', 5), '{}', 'a rewrite of the table is no event');
SELECT dblink_exec('other', 'UPDATE app.docs SET version = 6') \g /dev/null
SELECT is(t.events('docs', 5), ARRAY['6 upsert 1 6 {"added":"now 7","id":1,"text":"a","version":6}'], 'a column of another type');
ALTER TABLE app.docs ALTER COLUMN version TYPE timestamptz USING to_timestamp(version), ALTER COLUMN version DROP DEFAULT;
SELECT dblink_exec('other', 'UPDATE app.docs SET version = to_timestamp(7)') \g /dev/null
SELECT is((SELECT doc_version FROM runtime.sync_replay('docs', 6)), 7000000::bigint, 'a version of another type that can be one');
ALTER TABLE app.docs ALTER COLUMN version TYPE text;
SELECT throws_ok($$UPDATE app.docs SET text = 'b'$$, '42804', 'doc_version column "version" is of type text', 'of one that can not: the write fails');
ALTER TABLE app.docs DROP COLUMN version;
SELECT throws_ok($$UPDATE app.docs SET text = 'b'$$, '42703', 'column "version" of table "docs" does not exist', 'the version is dropped: the write fails');
SELECT throws_ok($$SELECT dblink_exec('other', 'DELETE FROM app.docs')$$, '42703', NULL, 'in every session');
SELECT is((SELECT (count(*), min(text))::text FROM app.docs), '(1,a)', 'and nothing is written');
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'id, text') \g /dev/null
SELECT dblink_exec('other', 'UPDATE app.docs SET text = ''b''') \g /dev/null
SELECT is(t.events('docs', 7), ARRAY['8 upsert 1 8 {"id":1,"text":"b"}'], 'published anew it can be written again, by others too');
ALTER TABLE app.docs RENAME COLUMN text TO body;
SELECT throws_ok($$UPDATE app.docs SET body = 'c'$$, '42703', 'column "text" of table "docs" does not exist', 'a listed column that is renamed: the write fails');
ALTER TABLE app.docs RENAME COLUMN body TO text;

ALTER TABLE app.docs RENAME TO notes;
CREATE SCHEMA app2;
ALTER TABLE app.notes SET SCHEMA app2;
SELECT dblink_exec('other', 'UPDATE app2.notes SET text = ''c''') \g /dev/null
SELECT is(t.events('docs', 8), ARRAY['9 upsert 1 9 {"id":1,"text":"c"}'], 'a table that is renamed and moved stays published');
VACUUM FULL app2.notes;
CLUSTER app2.notes USING docs_pkey;
REINDEX TABLE app2.notes;
SELECT is(t.events('docs', 9), '{}', 'VACUUM FULL, CLUSTER and REINDEX are no events');
SELECT dblink_exec('other', 'DELETE FROM app2.notes') \g /dev/null
SELECT is(t.events('docs', 9), ARRAY['10 delete 1 10 -'], 'and do no harm');
ALTER TABLE app2.notes DISABLE TRIGGER "!oa_sync_row";
INSERT INTO app2.notes VALUES (2, 'x');
ALTER TABLE app2.notes ENABLE TRIGGER "!oa_sync_row";
SELECT is(t.events('docs', 10), '{}', 'a trigger that is turned off captures nothing');
DROP TABLE app2.notes;
SELECT is((SELECT count(*) FROM runtime.sync_publications WHERE publication_id > 0), 0::bigint, 'the publication of a table that is dropped goes with it');
CREATE TABLE app2.notes (id int PRIMARY KEY);
INSERT INTO app2.notes VALUES (1);
SELECT is(t.events('docs', 10), '{}', 'a new one of its name is not');

-- A table made and dropped, and published, in one transaction.
BEGIN; CREATE TABLE app.brief (id int PRIMARY KEY); SELECT runtime.sync_publish('app.brief', topic => 'brief', doc_key => '{id}') \g /dev/null
INSERT INTO app.brief VALUES (1); ALTER TABLE app.brief ADD COLUMN b int; INSERT INTO app.brief VALUES (2, 2); TRUNCATE app.brief; INSERT INTO app.brief VALUES (3, 3); COMMIT;
SELECT is(t.events('brief'), ARRAY['1 upsert 1 1 {"id":1}', '2 upsert 2 2 {"b":2,"id":2}', '3 truncate  3 -', '4 upsert 3 4 {"b":3,"id":3}'], 'all in the transaction that made the table');
BEGIN; UPDATE app.brief SET b = 4; DROP TABLE app.brief; COMMIT;
SELECT is(t.events('brief', 4), ARRAY['5 upsert 3 5 {"b":4,"id":3}'], 'written and dropped in one transaction');
BEGIN; SELECT runtime.sync_publish('app2.notes', topic => 'undone', doc_key => '{id}') \g /dev/null
INSERT INTO app2.notes VALUES (2); ROLLBACK;
INSERT INTO app2.notes VALUES (2);
SELECT is(t.events('undone'), '{}', 'a publication that is rolled back');
DELETE FROM runtime.sync_publications WHERE publication_id > 0;
SELECT runtime.sync_publish('app2.notes', topic => 'lost', doc_key => '{id}') \g /dev/null
DELETE FROM runtime.sync_publications WHERE publication_id > 0;
SELECT throws_ok($$SELECT t.run('INSERT INTO app2.notes VALUES (3)')$$, '42704', 'table "notes" has an oa_sync trigger but no publication', 'a publication that was deleted by hand: the write fails, nothing is lost in silence');
SELECT dblink_disconnect('other') \g /dev/null
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
