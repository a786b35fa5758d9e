-- Documents that could be taken for one another: default keys over several columns, tables that share a topic.
\ir include/setup.sql
SELECT plan(27);
CREATE DOMAIN app.word AS varchar(20);
CREATE DOMAIN app.number AS bigint CHECK (VALUE > 0);
CREATE TYPE app.kind AS ENUM ('a', 'b');
CREATE TABLE app.texts (a text, b text, n int, PRIMARY KEY (a, b));
SELECT throws_ok($$SELECT runtime.sync_publish('app.texts')$$, '22023', 'the primary key of table app.texts makes no document key by itself', 'two text columns: (''a:b'', ''c'') and (''a'', ''b:c'') would be one document');
DO $$ DECLARE hint text; BEGIN PERFORM runtime.sync_publish('app.texts'); EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT; PERFORM set_config('t.hint', hint, false); END $$;
SELECT is(current_setting('t.hint'), 'Say doc_key, with a separator that the values never contain: doc_key => ''app/texts:{a}|{b}''.', 'the hint shows one');
SELECT lives_ok($$SELECT runtime.sync_publish('app.texts', doc_key => 'texts:{a}|{b}')$$, 'which is taken');
SELECT throws_ok($$SELECT runtime.sync_publish('app.texts')$$, '22023', NULL, 'publishing anew with the default is refused');
-- As 0.1.0 published it.
UPDATE runtime.sync_publications SET doc_key = 'app/texts:{a}:{b}' WHERE relation = 'app.texts'::regclass;
SELECT lives_ok($$SELECT runtime.sync_publish('app.texts')$$, 'but not for a table that has it already: it goes on, with a warning');
CREATE FUNCTION t.refused(columns text, key text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  DROP TABLE IF EXISTS app.k;
  EXECUTE format('CREATE TABLE app.k (%s, PRIMARY KEY (%s))', columns, key);
  PERFORM runtime.sync_publish('app.k');
  RETURN 'published';
EXCEPTION WHEN invalid_parameter_value THEN RETURN 'refused';
END $$;
SELECT is(t.refused('a text, b int, c uuid, d timestamptz', 'd, b, a, c'), 'published', 'one text column among others is not ambiguous');
SELECT is(t.refused('a int, b timestamp, c date, d boolean, e numeric', 'a, b, c, d, e'), 'published', 'columns that can be told apart');
SELECT is(t.refused('a app.number, b app.word', 'a, b'), 'published', 'a domain is what it is made of');
SELECT is(t.refused('a app.word, b app.word', 'a, b'), 'refused', 'two domains over text');
SELECT is(t.refused('a text, b int, c varchar(3)', 'a, b, c'), 'refused', 'text and varchar, with a number between them');
SELECT is(t.refused('a text, b app.kind', 'a, b'), 'refused', 'an enum can have any label');
SELECT is(t.refused('a text, b inet', 'a, b'), 'refused', 'an address contains colons');
SELECT is(t.refused('a text, b text', 'a'), 'published', 'columns outside of the key do not count');
SELECT is(t.refused('a text, b text, n int', 'n) INCLUDE (a, b'), 'published', 'nor those that an index only includes');

-- Tables that share a topic.
CREATE TABLE app.runs (id int PRIMARY KEY);
CREATE TABLE app.notes (id int PRIMARY KEY);
-- A WARNING is no exception: it is looked for in the server's log.
CREATE FUNCTION t.warnings() RETURNS int LANGUAGE sql AS $$
  SELECT count(*)::int FROM regexp_matches(encode(pg_read_binary_file(current_setting('data_directory') || '/../postgres.log'), 'escape'), 'WARNING:  documents of table app\.notes can not be told from those of app\.runs', 'g') $$;
CREATE FUNCTION t.warned(runs_key text, notes_key text, notes_topic text DEFAULT 'shared') RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE before int;
BEGIN
  PERFORM runtime.sync_unpublish('app.notes');
  PERFORM runtime.sync_publish('app.runs', topic => 'shared', doc_key => runs_key);
  before := t.warnings();
  PERFORM runtime.sync_publish('app.notes', topic => notes_topic, doc_key => notes_key);
  RETURN t.warnings() > before;
END $$;
SELECT ok(t.warned('{id}', '{id}'), 'the same key');
SELECT ok(t.warned('run:{id}', '{id}'), 'one begins with a column');
SELECT ok(t.warned('{id}', 'note:{id}'), 'the other does');
SELECT ok(t.warned('doc:{id}', 'doc:note:{id}'), 'one beginning is a beginning of the other');
SELECT ok(t.warned('a{{b{id}', 'a{{{id}'), 'braces that are written double');
SELECT ok(NOT t.warned('a{{b{id}', 'a}}{id}'), 'other braces');
SELECT ok(NOT t.warned('run:{id}', 'note:{id}'), 'different beginnings');
SELECT ok(NOT t.warned('{id}', '{id}', 'other'), 'different topics');
-- What the warning is about.
SELECT runtime.sync_publish('app.runs', topic => 'both', doc_key => 'run:{id}'), runtime.sync_publish('app.notes', topic => 'both', doc_key => 'note:{id}') \g /dev/null
INSERT INTO app.runs VALUES (1); INSERT INTO app.notes VALUES (1); TRUNCATE app.runs;
SELECT is(t.events('both'), ARRAY['1 upsert run:1 1 {"id":1}', '2 upsert note:1 2 {"id":1}', '3 truncate run: 3 -'], 'a TRUNCATE names the beginning of its own documents');
SELECT is((SELECT array_agg(doc_key) FROM runtime.sync_replay('both', 0) e WHERE op = 'upsert' AND starts_with(doc_key, 'run:')), '{run:1}', 'which is no other table''s');
SELECT is((SELECT count(*) FROM runtime.sync_publications WHERE relation IN ('app.runs'::regclass, 'app.notes'::regclass)), 2::bigint, 'both are published');
SELECT is((SELECT doc_key FROM runtime.sync_publications WHERE relation = 'app.texts'::regclass), 'app/texts:{a}:{b}', 'the default stays what it was');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
