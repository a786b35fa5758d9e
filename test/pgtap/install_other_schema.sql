-- CREATE EXTENSION oa_sync SCHEMA x: nothing depends on which one it is.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS oa_sync CASCADE;
DROP SCHEMA IF EXISTS runtime, "Other schema" CASCADE;
CREATE SCHEMA "Other schema";
CREATE EXTENSION oa_sync SCHEMA "Other schema";
DROP SCHEMA IF EXISTS app CASCADE;
CREATE SCHEMA app;
SELECT plan(12);

SELECT is((SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'oa_sync'), '"Other schema"',
          'the extension is where it was put');
SELECT hasnt_schema('runtime', 'the default schema was not made');
SELECT throws_ok('ALTER SCHEMA "Other schema" RENAME TO another', '0A000', 'schema "Other schema" can not be renamed while extension "oa_sync" is in it',
                 'its schema keeps its name, which its functions use');
SELECT lives_ok('ALTER SCHEMA app RENAME TO apps; ALTER SCHEMA apps RENAME TO app', 'others may be renamed');
CREATE TABLE app.notes (id int PRIMARY KEY, body text);
SELECT is("Other schema".sync_publish('app.notes'), 1, 'a table is published');
INSERT INTO app.notes VALUES (1, 'one');
UPDATE app.notes SET body = 'two';
DELETE FROM app.notes;
INSERT INTO app.notes VALUES (2, 'x');
TRUNCATE app.notes;
SELECT "Other schema".sync_emit('by.hand', 'k', 7, '{"a":1}');
SELECT is((SELECT array_agg(format('%s %s %s %s %s', watermark, op, doc_key, doc_version, coalesce(payload::text, '-')) ORDER BY watermark)
           FROM "Other schema".sync_replay('app.notes', 0)),
          ARRAY['1 upsert app/notes:1 1 {"body":"one","id":1}', '2 upsert app/notes:1 2 {"body":"two","id":1}',
                '3 delete app/notes:1 3 -', '4 upsert app/notes:2 4 {"body":"x","id":2}', '5 truncate app/notes: 5 -'],
          'writes are captured');
SELECT is((SELECT array_agg((topic, head, floor)::text) FROM "Other schema".sync_topic_heads(ARRAY['by.hand', 'app.notes'])),
          ARRAY['(by.hand,1,0)', '(app.notes,5,0)'], 'heads are served');
SELECT is((SELECT array_agg((topic, head)::text ORDER BY topic) FROM "Other schema".sync_topics),
          ARRAY['(app.notes,5)', '(by.hand,1)'], 'topics are listed');
SELECT is((SELECT count(*) FROM "Other schema".sync_replay_updates('app.notes', 0)), 5::bigint, 'updates are served');
SELECT is((SELECT epoch FROM "Other schema".sync_stats), "Other schema".sync_current_epoch(), 'statistics are served');
SELECT is("Other schema".sync_unpublish('app.notes'), true, 'the table is unpublished');
ALTER EXTENSION oa_sync UPDATE;
SELECT throws_like('ALTER EXTENSION oa_sync SET SCHEMA public', '%SET SCHEMA%', 'it is not moved: functions know their schema');
SELECT * FROM finish();
