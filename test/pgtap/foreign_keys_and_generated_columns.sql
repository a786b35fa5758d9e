-- Writes that PostgreSQL makes by itself: foreign key actions, generated and identity columns, defaults; writes through views.
\ir include/setup.sql
SELECT plan(7);
CREATE TABLE app.parent (id int PRIMARY KEY);
CREATE TABLE app.cascading (id int PRIMARY KEY, parent int REFERENCES app.parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE app.nulling (id int PRIMARY KEY, parent int REFERENCES app.parent ON DELETE SET NULL);
CREATE TABLE app.defaulting (id int PRIMARY KEY, parent int DEFAULT 0 REFERENCES app.parent ON DELETE SET DEFAULT);
SELECT runtime.sync_publish(c, topic => 'all', doc_key => replace(c::text, 'app.', '') || ':{id}') FROM unnest('{app.parent,app.cascading,app.nulling,app.defaulting}'::regclass[]) c \g /dev/null
INSERT INTO app.parent VALUES (0), (1);
INSERT INTO app.cascading VALUES (10, 1), (11, 1);
INSERT INTO app.nulling VALUES (20, 1);
INSERT INTO app.defaulting VALUES (30, 1);
UPDATE app.parent SET id = 1 WHERE id = 1;
SELECT is(t.events('all', 6), ARRAY['7 upsert parent:1 7 {"id":1}'], 'before');
DELETE FROM app.parent WHERE id = 1;
SELECT is(t.changes('all', 7),
          ARRAY['delete cascading:10 -', 'delete cascading:11 -', 'delete parent:1 -', 'upsert defaulting:30 {"id":30,"parent":0}', 'upsert nulling:20 {"id":20,"parent":null}'],
          'ON DELETE CASCADE, SET NULL, SET DEFAULT');
SELECT is((t.events('all', 7))[1], '8 delete parent:1 8 -', 'the cause comes before its effects');
INSERT INTO app.parent VALUES (2);
INSERT INTO app.cascading VALUES (12, 2);
UPDATE app.parent SET id = 3 WHERE id = 2;
SELECT is(t.events('all', 14), ARRAY['15 delete parent:2 15 -', '16 upsert parent:3 16 {"id":3}', '17 upsert cascading:12 17 {"id":12,"parent":3}'],
          'ON UPDATE CASCADE');

CREATE TABLE app.generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, said text DEFAULT 'x' || 1);
SELECT runtime.sync_publish('app.generated', topic => 'generated', doc_key => '{id}:{twice}', doc_version => 'twice') \g /dev/null
INSERT INTO app.generated (a) VALUES (4);
UPDATE app.generated SET a = 5;
SELECT is(t.events('generated'), ARRAY['1 upsert 1:8 8 {"a":4,"id":1,"said":"x1","twice":8}', '2 delete 1:8 8 -', '3 upsert 1:10 10 {"a":5,"id":1,"said":"x1","twice":10}'],
          'generated columns have their new values, in payload, key and version');

CREATE TABLE app.base (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.base', topic => 'base', doc_key => '{id}') \g /dev/null
INSERT INTO app.base VALUES (1);
CREATE VIEW app.seen AS SELECT id FROM app.base WHERE id > 0;
INSERT INTO app.seen VALUES (50);
SELECT is(t.events('base', 1), ARRAY['2 upsert 50 2 {"id":50}'], 'writes through a view');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
