-- skip_unchanged leaves out updates that change neither payload nor version.
\ir include/setup.sql
SELECT plan(8);
CREATE TABLE app.docs (id int PRIMARY KEY, body json, other int, version int NOT NULL DEFAULT 0);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'body', skip_unchanged => true) \g /dev/null
INSERT INTO app.docs VALUES (1, '{"b":1,"a":2}', 1), (2, '{}', 1);
UPDATE app.docs SET other = 2;
SELECT is(t.events('docs', 2), '{}', 'an update of what is not published is skipped');
UPDATE app.docs SET body = '{ "a" : 2, "b" : 1 }' WHERE id = 1;
SELECT is(t.events('docs', 2), '{}', 'another text of the same canonical payload is skipped');
UPDATE app.docs SET body = '{"a":3}' WHERE id = 1;
UPDATE app.docs SET body = '{"a":3}' WHERE id = 2;
SELECT is(t.events('docs', 2), ARRAY['3 upsert 1 3 {"body":{"a":3}}', '4 upsert 2 4 {"body":{"a":3}}'], 'a change is an event');
UPDATE app.docs SET id = 11 WHERE id = 1;
UPDATE app.docs SET id = 12 WHERE id = 2;
SELECT is(t.events('docs', 4), ARRAY['5 delete 1 5 -', '6 upsert 11 6 {"body":{"a":3}}', '7 delete 2 7 -', '8 upsert 12 8 {"body":{"a":3}}'],
          'a key that changes is, with the same payload');
DELETE FROM app.docs WHERE id = 12;
SELECT is(t.events('docs', 8), ARRAY['9 delete 12 9 -'], 'a delete is');
INSERT INTO app.docs VALUES (11, '{"a":3}') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
SELECT is(t.events('docs', 9), '{}', 'an upsert of the same is skipped');
SELECT runtime.sync_publish('app.docs', topic => 'versioned', doc_key => '{id}', doc_version => 'version', payload => 'body', skip_unchanged => true) \g /dev/null
UPDATE app.docs SET version = 1;
UPDATE app.docs SET other = 5;
SELECT is(t.events('versioned'), ARRAY['1 upsert 11 1 {"body":{"a":3}}'], 'a version that changes is an event');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
