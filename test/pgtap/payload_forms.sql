-- Payload forms: one column as the document, the row without some columns; what renaming and dropping do to them.
\ir include/setup.sql
SELECT plan(30);
CREATE TABLE app.people (id int PRIMARY KEY, name text, ssn text, "Odd ""col" int, doc json, docb jsonb, at timestamptz);

-- One column
SELECT runtime.sync_publish('app.people', topic => 'one', doc_key => '{id}', payload => '{doc}') \g /dev/null
INSERT INTO app.people (id, doc) VALUES (1, '{"b": 1.50, "a":  [1e400, 9007199254740993] }');
SELECT is(t.events('one'), ARRAY['1 upsert 1 1 {"a":[1e400,9007199254740993],"b":1.50}'], 'json: embedded, canonical, numbers keep their text');
INSERT INTO app.people (id, doc) VALUES (2, 'null'), (3, '"text"');
SELECT is(t.events('one', 1), ARRAY['2 upsert 2 2 null', '3 upsert 3 3 "text"'], 'json null and a string are documents');
SELECT throws_ok($$INSERT INTO app.people (id) VALUES (4)$$, '22004', 'payload column "doc" of published table "people" is null', 'SQL null is not');
SELECT is((SELECT count(*) FROM app.people), 3::bigint, 'and nothing is written then');
SELECT runtime.sync_publish('app.people', topic => 'oneb', doc_key => '{id}', payload => ' {docb} ') \g /dev/null
INSERT INTO app.people (id, docb) VALUES (5, '{"b": 1.50, "a": 2}');
SELECT is(t.events('oneb'), ARRAY['1 upsert 5 1 {"a":2,"b":1.50}'], 'jsonb too');
SELECT runtime.sync_publish('app.people', topic => 'onet', doc_key => '{id}', payload => '{at}') \g /dev/null
INSERT INTO app.people (id, at) VALUES (6, '2026-01-02 03:04:05+02');
SELECT is(t.events('onet'), ARRAY['1 upsert 6 1 "2026-01-02T01:04:05+00:00"'], 'any other type is its JSON value');
SELECT runtime.sync_publish('app.people', topic => 'oneq', doc_key => '{id}', payload => '{Odd "col}', skip_unchanged => true) \g /dev/null
INSERT INTO app.people (id, "Odd ""col") VALUES (7, 1);
UPDATE app.people SET name = 'x' WHERE id = 7;
UPDATE app.people SET "Odd ""col" = 2 WHERE id = 7;
SELECT is(t.events('oneq'), ARRAY['1 upsert 7 1 1', '2 upsert 7 2 2'], 'the name is taken as it is; skip_unchanged looks at the column only');
SELECT throws_ok($$SELECT runtime.sync_publish('app.people', payload => '{nope}')$$, '42703', 'column "nope" of table "people" does not exist', 'an unknown column');
SELECT throws_ok($$SELECT runtime.sync_publish('app.people', payload => '{DOC}')$$, '42703', NULL, 'a name is not folded in braces');
SELECT throws_ok($$SELECT runtime.sync_publish('app.people', payload => '{}')$$, '22023', 'invalid payload "{}"', 'no column');
SELECT throws_ok($$SELECT runtime.sync_publish('app.people', payload => '{doc}, {docb}')$$, '42703', NULL, 'it is one column');

-- The row without some
SELECT runtime.sync_publish('app.people', topic => 'except', doc_key => '{id}', payload => '* EXCEPT (ssn, "Odd ""col", doc, DOCB)') \g /dev/null
INSERT INTO app.people VALUES (10, 'ann', '123', 4, '1', '2', NULL);
SELECT is(t.events('except'), ARRAY['1 upsert 10 1 {"at":null,"id":10,"name":"ann"}'], 'the row without some columns');
SELECT runtime.sync_publish('app.people', topic => 'except2', doc_key => '{id}', payload => E'  *except(ssn,\n doc, docb, at, "Odd ""col") ') \g /dev/null
UPDATE app.people SET name = 'bob' WHERE id = 10;
SELECT is(t.events('except2'), ARRAY['1 upsert 10 1 {"id":10,"name":"bob"}'], 'white space and case do not matter');
ALTER TABLE app.people ADD COLUMN mail text DEFAULT 'm';
UPDATE app.people SET name = 'cy' WHERE id = 10;
SELECT is(t.events('except2', 1), ARRAY['2 upsert 10 2 {"id":10,"mail":"m","name":"cy"}'], 'a column that is added appears');
SELECT ok(bool_and(payload::text !~ '123'), 'the secret is in no event') FROM runtime.sync_stream_events WHERE topic LIKE 'except%';

-- A secret that gets another name is not published under that.
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'UPDATE app.people SET name = ''d'' WHERE id = 10') \g /dev/null
ALTER TABLE app.people RENAME COLUMN ssn TO ssn2;
SELECT throws_ok($$UPDATE app.people SET name = 'e' WHERE id = 10$$, '42703', 'column "ssn" of table "people" does not exist', 'an excluded column that is renamed: writes fail');
SELECT throws_ok($$SELECT dblink_exec('other', 'INSERT INTO app.people (id) VALUES (11)')$$, '42703', NULL, 'in every session');
SELECT ok(bool_and(payload::text !~ '123'), 'nothing is published under the new name') FROM runtime.sync_stream_events WHERE topic LIKE 'except%';
ALTER TABLE app.people RENAME COLUMN ssn2 TO ssn;
SELECT lives_ok($$UPDATE app.people SET name = 'e' WHERE id = 10$$, 'with its name again, they go on');
ALTER TABLE app.people DROP COLUMN ssn;
SELECT throws_ok($$UPDATE app.people SET name = 'f' WHERE id = 10$$, '42703', 'column "ssn" of table "people" does not exist', 'one that is dropped: writes fail as well');
SELECT runtime.sync_publish('app.people', topic => 'except3', doc_key => '{id}', payload => '* EXCEPT (doc)') \g /dev/null
SELECT lives_ok($$UPDATE app.people SET name = 'f' WHERE id = 10$$, 'until the table is published anew');
SELECT dblink_disconnect('other') \g /dev/null
SELECT throws_ok($$SELECT runtime.sync_publish('app.people', payload => '* EXCEPT (nope)')$$, '42703', 'column "nope" of table "people" does not exist', 'an unknown column');
SELECT throws_ok(format('SELECT runtime.sync_publish(''app.people'', payload => %L)', payload), '22023', format('invalid payload "%s"', payload), 'no form: ' || payload)
  FROM unnest(ARRAY['* EXCEPT', '* EXCEPT ()', '* EXCEPT (id', '* EXCLUDE (id)', '*, id']) payload;

-- Partitions have their columns where they like.
CREATE TABLE app.parts (id int PRIMARY KEY, secret text, body text) PARTITION BY RANGE (id);
CREATE TABLE app.part1 (body text, gone int, secret text, id int NOT NULL PRIMARY KEY);
ALTER TABLE app.part1 DROP COLUMN gone;
ALTER TABLE app.parts ATTACH PARTITION app.part1 FOR VALUES FROM (0) TO (100);
SELECT runtime.sync_publish('app.parts', topic => 'parts', doc_key => '{id}', payload => '* EXCEPT (secret)') \g /dev/null
INSERT INTO app.parts VALUES (1, 's', 'b');
SELECT is(t.events('parts'), ARRAY['1 upsert 1 1 {"body":"b","id":1}'], 'a partition with its columns in another order');
SELECT runtime.sync_publish('app.parts', topic => 'parts', doc_key => '{id}', payload => '{body}') \g /dev/null
UPDATE app.parts SET body = 'c';
SELECT is(t.events('parts', 1), ARRAY['2 upsert 1 2 "c"'], 'one column of it');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
