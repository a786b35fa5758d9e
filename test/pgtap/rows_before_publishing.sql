-- Rows that are older than the publication and could never have been events can still be corrected and deleted.
\ir include/setup.sql
SELECT plan(5);
CREATE TABLE app.old (id int PRIMARY KEY, grp text, v bigint);
INSERT INTO app.old VALUES (1, NULL, 1), (2, 'not a topic!', 1), (3, 'g', -1), (4, 'g', NULL), (5, NULL, 1);
SELECT runtime.sync_publish('app.old', topic => 'old:{grp}', doc_key => '{id}', doc_version => 'v') \g /dev/null

SELECT lives_ok($$UPDATE app.old SET grp = 'g', v = 2$$, 'all of them can be made right');
SELECT is(t.events('old:g'), ARRAY['1 upsert 1 2 {"grp":"g","id":1,"v":2}', '2 upsert 2 2 {"grp":"g","id":2,"v":2}',
  '3 upsert 3 2 {"grp":"g","id":3,"v":2}', '4 upsert 4 2 {"grp":"g","id":4,"v":2}', '5 upsert 5 2 {"grp":"g","id":5,"v":2}'],
  'and become events then, without a delete of what never was one');
SELECT throws_ok($$UPDATE app.old SET grp = NULL WHERE id = 1$$, '22004', NULL, 'but nothing can be made wrong');

ALTER TABLE app.old DISABLE TRIGGER "!oa_sync_row";
UPDATE app.old SET grp = NULL WHERE id = 1;
ALTER TABLE app.old ENABLE TRIGGER "!oa_sync_row";
SELECT lives_ok($$DELETE FROM app.old WHERE id = 1$$, 'such a row can be deleted');
SELECT is(array_length(t.events('old:g'), 1), 5, 'which is no event');
SELECT * FROM finish();
