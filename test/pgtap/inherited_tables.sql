-- Classical inheritance: rows of children are seen as the parent's and fire only their own triggers, so a parent is refused.
\ir include/setup.sql
SELECT plan(10);
CREATE TABLE app.base (id int PRIMARY KEY);
CREATE TABLE app.derived (more int, PRIMARY KEY (id)) INHERITS (app.base);
SELECT throws_ok($$SELECT runtime.sync_publish('app.base', topic => 'base', doc_key => '{id}')$$, '42809', 'table app.base has tables that inherit from it', 'a parent is refused');
SELECT lives_ok($$SELECT runtime.sync_publish('app.derived', topic => 'derived', doc_key => '{id}')$$, 'a child is not');
INSERT INTO app.derived VALUES (1, 1);
UPDATE app.base SET id = 2;
DELETE FROM app.base;
SELECT is(t.events('derived'), ARRAY['1 upsert 1 1 {"id":1,"more":1}', '2 delete 1 2 -', '3 upsert 2 3 {"id":2,"more":1}', '4 delete 2 4 -'], 'its writes are events, through the parent too');
INSERT INTO app.derived VALUES (3, 3);
TRUNCATE app.base;
SELECT is(t.events('derived', 4), ARRAY['5 upsert 3 5 {"id":3,"more":3}', '6 truncate  6 -'], 'TRUNCATE of the parent too');
ALTER TABLE app.derived NO INHERIT app.base;
SELECT lives_ok($$SELECT runtime.sync_publish('app.base', topic => 'base', doc_key => '{id}')$$, 'a table without children any more is published');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation = 'app.base'::regclass), NULL, 'and all is well');

-- A child that comes later.
ALTER TABLE app.derived INHERIT app.base;
INSERT INTO app.derived VALUES (4, 4);
UPDATE app.base SET id = 5;
SELECT is(t.events('base'), '{}', 'rows of a child that comes later are no events of the parent');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation = 'app.base'::regclass), 'tables inherit from it whose rows are not captured: app.derived', 'which its status tells');
SELECT throws_ok($$SELECT runtime.sync_publish('app.base', topic => 'base', doc_key => '{id}')$$, '42809', NULL, 'and it is not published anew');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
