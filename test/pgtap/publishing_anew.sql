-- Publishing a published table again: one publication, the same id, whatever state its triggers were in.
\ir include/setup.sql
SELECT plan(14);
CREATE TABLE app.docs (id int PRIMARY KEY, body text, version int NOT NULL DEFAULT 1);
SELECT runtime.sync_publish('app.docs', topic => 'one', doc_key => '{id}') AS id \gset
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (1, ''a'')') \g /dev/null
SELECT is(runtime.sync_publish('app.docs', topic => 'two', doc_key => 'k{id}', doc_version => 'version', payload => 'id', skip_unchanged => true, always => true), :id, 'the same id');
SELECT is((SELECT (topic, doc_key, doc_version, payload, skip_unchanged, always)::text FROM runtime.sync_publications WHERE publication_id = :id),
          '(two,k{id},version,id,t,t)', 'with everything that was said now');
SELECT is((SELECT array_agg(tgenabled::text || obj_description(oid, 'pg_trigger') IS NOT NULL) FROM pg_trigger WHERE tgrelid = 'app.docs'::regclass AND tgenabled = 'A'), '{t,t}', 'the triggers too');
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (2, ''b'')') \g /dev/null
SELECT is(t.events('one') || t.events('two'), ARRAY['1 upsert 1 1 {"body":"a","id":1,"version":1}', '1 upsert k2 1 {"id":2}'], 'other sessions see it');
SELECT is(runtime.sync_publish('app.docs', topic => 'one', doc_key => '{id}'), :id, 'and again');
SELECT is((SELECT array_agg(DISTINCT tgenabled::text) FROM pg_trigger WHERE tgrelid = 'app.docs'::regclass), '{O}', 'always is taken back');

-- Without triggers, or with others.
DROP TRIGGER "!oa_sync_row" ON app.docs;
DROP TRIGGER "!oa_sync_truncate" ON app.docs;
INSERT INTO app.docs VALUES (3, 'lost');
SELECT is(runtime.sync_publish('app.docs', topic => 'three', doc_key => '{id}', payload => 'id'), :id, 'after its triggers were dropped');
INSERT INTO app.docs VALUES (4, 'd');
SELECT is(t.events('one', 1) || t.events('three'), ARRAY['1 upsert 4 1 {"id":4}'], 'this session sees it');
DROP TRIGGER "!oa_sync_row" ON app.docs;
SELECT throws_ok($$SELECT runtime.sync_publish('app.docs', topic => 'four', doc_key => '{nope}')$$, '42703', NULL, 'a mistake is found though nothing but the publication changed');
ALTER TABLE app.docs DISABLE TRIGGER ALL;
SELECT runtime.sync_publish('app.docs', topic => 'three', doc_key => '{id}', payload => 'id') \g /dev/null
INSERT INTO app.docs VALUES (5, 'e');
SELECT is(t.events('three', 1), ARRAY['2 upsert 5 2 {"id":5}'], 'disabled triggers are on again');

-- A refusal changes nothing.
SELECT throws_ok($$SELECT runtime.sync_publish('app.docs', topic => 'five', doc_key => '{id}', payload => 'nope')$$, '42703', NULL, 'a refusal');
SELECT dblink_exec('other', 'INSERT INTO app.docs VALUES (6, ''f'')') \g /dev/null
SELECT is(t.events('three', 2), ARRAY['3 upsert 6 3 {"id":6}'], 'leaves the publication as it was');
SELECT runtime.sync_unpublish('app.docs') \g /dev/null
SELECT ok(runtime.sync_publish('app.docs', topic => 'three', doc_key => '{id}') <> :id, 'unpublished and published it is another one');
SELECT dblink_disconnect('other') \g /dev/null
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
