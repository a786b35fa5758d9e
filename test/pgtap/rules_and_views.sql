-- Rules, views and commands that rewrite what is written: events are of the rows that are written in the end.
\ir include/setup.sql
SELECT plan(29);
CREATE TABLE app.docs (id int PRIMARY KEY, body text);
CREATE TABLE app.log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'doc:{id}'), runtime.sync_publish('app.log', topic => 'log', doc_key => 'log:{id}') \g /dev/null

-- RULEs.
CREATE RULE also AS ON INSERT TO app.docs DO ALSO INSERT INTO app.log (what) VALUES ('insert ' || NEW.id);
INSERT INTO app.docs VALUES (1, 'a');
SELECT is(t.events('docs') || t.events('log'), ARRAY['1 upsert doc:1 1 {"body":"a","id":1}', '1 upsert log:1 1 {"id":1,"what":"insert 1"}'], 'DO ALSO: both tables'' rows');
CREATE RULE instead AS ON DELETE TO app.docs DO INSTEAD UPDATE app.docs SET body = NULL WHERE id = OLD.id;
DELETE FROM app.docs;
SELECT is(t.events('docs', 1), ARRAY['2 upsert doc:1 2 {"body":null,"id":1}'], 'DO INSTEAD: what is done instead');
CREATE RULE nothing AS ON UPDATE TO app.docs WHERE NEW.body = 'no' DO INSTEAD NOTHING;
UPDATE app.docs SET body = 'no';
SELECT is(t.events('docs', 2), '{}', 'DO INSTEAD NOTHING: nothing');
UPDATE app.docs SET body = 'yes';
SELECT is(t.events('docs', 2), ARRAY['3 upsert doc:1 3 {"body":"yes","id":1}'], 'where the rule does not apply: the row');
COPY app.docs FROM stdin;
2	copied
\.
SELECT is(t.events('docs', 3) || t.events('log', 1), ARRAY['4 upsert doc:2 4 {"body":"copied","id":2}'], 'COPY goes past rules, as ever');
DROP RULE also ON app.docs; DROP RULE instead ON app.docs; DROP RULE nothing ON app.docs;

-- Views.
CREATE VIEW app.some AS SELECT id, body FROM app.docs WHERE id < 100 WITH CHECK OPTION;
INSERT INTO app.some VALUES (3, 'v');
UPDATE app.some SET body = 'w' WHERE id = 3;
DELETE FROM app.some WHERE id = 3;
SELECT is(t.events('docs', 4), ARRAY['5 upsert doc:3 5 {"body":"v","id":3}', '6 upsert doc:3 6 {"body":"w","id":3}', '7 delete doc:3 7 -'], 'an updatable view');
SELECT throws_ok($$INSERT INTO app.some VALUES (100, 'x')$$, '44000', NULL, 'a row that its CHECK OPTION refuses');
SELECT is(t.events('docs', 7), '{}', 'is no event');
CREATE VIEW app.upper AS SELECT id, upper(body) AS shout FROM app.docs;
CREATE FUNCTION app.instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN DELETE FROM app.docs WHERE id = OLD.id; RETURN OLD; END IF;
  INSERT INTO app.docs VALUES (NEW.id, lower(NEW.shout)) ON CONFLICT (id) DO UPDATE SET body = excluded.body; RETURN NEW;
END $$;
CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE OR DELETE ON app.upper FOR EACH ROW EXECUTE FUNCTION app.instead();
INSERT INTO app.upper VALUES (4, 'LOUD');
UPDATE app.upper SET shout = 'LOUDER' WHERE id = 4;
DELETE FROM app.upper WHERE id = 4;
SELECT is(t.events('docs', 7), ARRAY['8 upsert doc:4 8 {"body":"loud","id":4}', '9 upsert doc:4 9 {"body":"louder","id":4}', '10 delete doc:4 10 -'], 'INSTEAD OF triggers of a view: what they write');
SELECT throws_ok($$SELECT runtime.sync_publish('app.upper', topic => 'x', doc_key => '{id}')$$, '42809', NULL, 'the view itself can not be published');

-- TRUNCATE with what it can do.
CREATE TABLE app.child (id int PRIMARY KEY REFERENCES app.docs);
SELECT runtime.sync_publish('app.child', topic => 'docs', doc_key => 'child:{id}') \g /dev/null
TRUNCATE app.log RESTART IDENTITY;
INSERT INTO app.log (what) VALUES ('again');
SELECT is(t.events('log', 1), ARRAY['2 truncate log: 2 -', '3 upsert log:1 3 {"id":1,"what":"again"}'], 'RESTART IDENTITY: the same key again, after the truncate');
TRUNCATE app.docs CASCADE;
SELECT is(t.changes('docs', 10), ARRAY['truncate child: -', 'truncate doc: -'], 'CASCADE: each published table');
BEGIN;
TRUNCATE app.log;
COPY app.log (what) FROM stdin WITH (FREEZE);
frozen
\.
COMMIT;
SELECT is(t.events('log', 3), ARRAY['4 truncate log: 4 -', '5 upsert log:2 5 {"id":2,"what":"frozen"}'], 'COPY FREEZE');

-- New tables are not published by what fills them.
CREATE TABLE app.made AS SELECT * FROM app.log;
SELECT * INTO app.into FROM app.log;
CREATE TABLE app.alike (LIKE app.log INCLUDING ALL);
CREATE MATERIALIZED VIEW app.seen AS SELECT * FROM app.log;
REFRESH MATERIALIZED VIEW app.seen;
SELECT is((SELECT array_agg(format('%s: %s', tgrelid::regclass, tgname)) FROM pg_trigger WHERE tgrelid = ANY ('{app.made,app.into,app.alike}'::regclass[])), NULL, 'CREATE TABLE AS, SELECT INTO, LIKE: no trigger');
SELECT is(t.events('log', 5), '{}', 'and no event');
BEGIN;
CREATE TABLE app.fresh AS SELECT 1 AS id;
ALTER TABLE app.fresh ADD PRIMARY KEY (id);
SELECT runtime.sync_publish('app.fresh', topic => 'fresh', doc_key => '{id}') \g /dev/null
INSERT INTO app.fresh VALUES (2);
COMMIT;
SELECT is(t.events('fresh'), ARRAY['1 upsert 2 1 {"id":2}'], 'a table that is made, filled and published in one transaction: what comes after');

-- What rewrites or moves a table.
DROP VIEW app.some, app.upper;
INSERT INTO app.docs VALUES (1, 'a'), (2, 'b');
SELECT head FROM runtime.sync_topic_heads('{docs}') \gset
VACUUM FULL app.docs; VACUUM (FREEZE, ANALYZE) app.docs; CLUSTER app.docs USING docs_pkey; REINDEX TABLE app.docs; ANALYZE app.docs;
ALTER TABLE app.docs SET (fillfactor = 50), ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE app.docs ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp(), ALTER COLUMN body TYPE varchar(10) USING body || '!';
ALTER TABLE app.docs ADD CONSTRAINT short CHECK (length(body) < 9) NOT VALID; ALTER TABLE app.docs VALIDATE CONSTRAINT short;
SELECT is(t.events('docs', :head), '{}', 'VACUUM, CLUSTER, REINDEX, rewrites by ALTER TABLE: no event');
ALTER TABLE app.docs DROP COLUMN at;
UPDATE app.docs SET id = id WHERE id = 1;
SELECT is(t.events('docs', :head), ARRAY[format('%s upsert doc:1 %s {"body":"a!","id":1}', :head + 1, :head + 1)], 'what a rewrite changed is seen with the next write of the row');

-- Renames, moves, owners.
ALTER TABLE app.docs RENAME COLUMN body TO text;
ALTER SCHEMA app RENAME TO apps;
ALTER TABLE apps.docs RENAME TO papers;
CREATE SCHEMA other;
ALTER TABLE apps.papers SET SCHEMA other;
DROP ROLE IF EXISTS oa_pgtap_owner; CREATE ROLE oa_pgtap_owner LOGIN;
GRANT USAGE ON SCHEMA other TO oa_pgtap_owner; GRANT USAGE ON SCHEMA apps TO oa_pgtap_owner;
ALTER TABLE other.papers OWNER TO oa_pgtap_owner;
SELECT is(t.run('UPDATE other.papers SET text = ''c'' WHERE id = 2', role => 'oa_pgtap_owner'), 'UPDATE 1', 'a table that was renamed, in a schema that was renamed, moved to another, of another owner');
SELECT is(t.events('docs', :head + 1), ARRAY[format('%s upsert doc:2 %s {"id":2,"text":"c"}', :head + 2, :head + 2)], 'is published as before');
SELECT is((SELECT problem FROM runtime.sync_publications_status WHERE relation = 'other.papers'::regclass), NULL, 'without a problem');
ALTER TABLE other.papers RENAME COLUMN id TO number;
SELECT throws_ok($$UPDATE other.papers SET text = 'd'$$, '42703', 'column "id" of table "papers" does not exist', 'a column of the key that is renamed: the write fails');
SELECT throws_ok('TRUNCATE other.papers CASCADE', '42703', NULL, 'TRUNCATE too');
SELECT lives_ok('DROP TABLE apps.child, other.papers', 'DROP TABLE does not');
SELECT is((SELECT array_agg(relation::text ORDER BY relation::text) FROM (SELECT relation FROM runtime.sync_publications WHERE relation::text LIKE 'app%' OR relation::text LIKE 'other%') p), '{apps.fresh,apps.log}', 'and the others stay');
DROP OWNED BY oa_pgtap_owner; DROP ROLE oa_pgtap_owner;

-- A key whose column takes another type.
ALTER TABLE apps.fresh ALTER COLUMN id TYPE text USING 'n' || id;
INSERT INTO apps.fresh VALUES ('n3');
SELECT is(t.events('fresh', 1), ARRAY['2 upsert n3 2 {"id":"n3"}'], 'a column of the key that is retyped: keys are of the new type');
UPDATE apps.fresh SET id = 'n4' WHERE id = 'n2';
SELECT is(t.events('fresh', 2), ARRAY['3 delete n2 3 -', '4 upsert n4 4 {"id":"n4"}'], 'and an old row goes by the name it has now');
SELECT is((SELECT count(*) FROM runtime.sync_publications_status WHERE relation::text LIKE 'apps.%' AND problem IS NOT NULL), 0::bigint, 'no problem is left');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
