-- Arrays, composites, domains, enums, ranges, and user types with a cast to json.
\ir include/setup.sql
SELECT plan(28);
CREATE TYPE app.mood AS ENUM ('sad', 'it''s "ok"', 'happy');
CREATE TYPE app.inner_pair AS (z int, a text);
CREATE TYPE app.pair AS (b app.inner_pair, "A b" numeric, c text[], d timestamptz);
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN app.more_positive AS app.positive CHECK (VALUE > 1);
CREATE DOMAIN app.pair_domain AS app.pair;
CREATE DOMAIN app.int_list AS int[];
CREATE DOMAIN app.json_domain AS jsonb;
CREATE TYPE app.textrange AS RANGE (subtype = text);
CREATE EXTENSION hstore SCHEMA app;
CREATE EXTENSION citext SCHEMA app;
CREATE TABLE app.lines (id int, name text);
-- One column for each case; one published table for each, so that a failure names its case.
CREATE TABLE t.cases (n serial, name text, type text, expression text, json text);
INSERT INTO t.cases (name, type, expression, json) VALUES
  ('array', 'int[]', $$'{1,2,3}'$$, '[1,2,3]'),
  ('empty array', 'int[]', $$'{}'$$, '[]'),
  ('array with NULLs', 'text[]', $$ARRAY[NULL, 'NULL', '', NULL]$$, '[null,"NULL","",null]'),
  ('array of two dimensions', 'int[]', $$'{{1,2},{3,NULL}}'$$, '[[1,2],[3,null]]'),
  ('array of three dimensions', 'int[]', $$'{{{1},{2}},{{3},{4}},{{5},{6}}}'$$, '[[[1],[2]],[[3],[4]],[[5],[6]]]'),
  ('array whose bounds do not start at 1', 'int[]', $$'[5:6]={1,2}'$$, '[1,2]'),
  ('null array', 'int[]', 'NULL', 'null'),
  ('array of arrays in json', 'jsonb[]', $$ARRAY['{"b":1,"a":2}', '[]', NULL]::jsonb[]$$, '[{"a":2,"b":1},[],null]'),
  ('array of timestamps', 'timestamptz[]', $$'{2026-01-01 00:00+02,infinity}'$$, '["2025-12-31T22:00:00+00:00","infinity"]'),
  ('array of booleans and floats', 'float8[]', $$'{1,NaN,-Infinity}'$$, '[1,"NaN","-Infinity"]'),
  ('enum', 'app.mood', $$'it''s "ok"'$$, '"it''s \"ok\""'),
  ('array of enums', 'app.mood[]', $$'{happy,sad}'$$, '["happy","sad"]'),
  ('composite', 'app.pair', $$ROW(ROW(1, 'x'), 1.50, '{a,b}', '2026-01-01 00:00+00')$$, '{"A b":1.50,"b":{"a":"x","z":1},"c":["a","b"],"d":"2026-01-01T00:00:00+00:00"}'),
  ('composite with NULLs', 'app.pair', $$ROW(NULL, NULL, '{}', NULL)$$, '{"A b":null,"b":null,"c":[],"d":null}'),
  ('array of composites', 'app.inner_pair[]', $$ARRAY[ROW(2, 'q'), NULL]::app.inner_pair[]$$, '[{"a":"q","z":2},null]'),
  ('row type of a table', 'app.lines', $$ROW(1, 'x')$$, '{"id":1,"name":"x"}'),
  ('domain', 'app.positive', '5', '5'),
  ('domain over a domain', 'app.more_positive', '5', '5'),
  ('domain over a composite', 'app.pair_domain', $$ROW(NULL, 1, NULL, NULL)::app.pair$$, '{"A b":1,"b":null,"c":null,"d":null}'),
  ('domain over an array', 'app.int_list', $$'{1,2}'$$, '[1,2]'),
  ('array of domains', 'app.positive[]', $$'{1,2}'$$, '[1,2]'),
  ('domain over jsonb', 'app.json_domain', $$'{"b":1,"a":{}}'$$, '{"a":{},"b":1}'),
  ('range of a user''s', 'app.textrange', $$'[a,"b c")'$$, '"[a,\"b c\")"'),
  ('type with a cast to json (hstore)', 'app.hstore', $$'b=>1, a=>NULL'$$, '{"a":null,"b":"1"}'),
  ('type of an extension (citext)', 'app.citext', $$'MiXed'$$, '"MiXed"'),
  ('array of a type with a cast', 'app.hstore[]', $$ARRAY['a=>1'::app.hstore]$$, '[{"a":"1"}]');
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT * FROM t.cases ORDER BY n LOOP
    EXECUTE format('CREATE TABLE app.case_%s (k int PRIMARY KEY, v %s)', c.n, c.type);
    PERFORM runtime.sync_publish(format('app.case_%s', c.n)::regclass, topic => 'case:' || c.n, doc_key => '{k}', payload => 'v');
    EXECUTE format('INSERT INTO app.case_%s VALUES (1, %s)', c.n, c.expression);
  END LOOP;
END $$;
SELECT is(t.events('case:' || n), ARRAY[format('1 upsert 1 1 {"v":%s}', json)], name) FROM t.cases ORDER BY n;
ALTER TABLE app.lines ADD COLUMN added int;
ALTER TABLE app.lines DROP COLUMN name;
SELECT n FROM t.cases WHERE name = 'row type of a table' \gset
UPDATE app.case_:n SET k = 1;
SELECT is(t.events('case:' || :n, 1), ARRAY['2 upsert 1 2 {"v":{"added":null,"id":1}}'], 'a composite whose type has changed');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
