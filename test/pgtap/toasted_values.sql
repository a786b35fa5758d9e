-- Values that are stored out of line: also the unchanged ones of an UPDATE, which a trigger gets as references.
\ir include/setup.sql
SELECT plan(8);
CREATE TYPE app.pair AS (a text, b int);
CREATE TABLE app.docs (id text PRIMARY KEY, n int, body text, bin bytea, list text[], doc jsonb, raw json, c app.pair, num numeric, x xml);
ALTER TABLE app.docs ALTER body SET STORAGE EXTERNAL, ALTER bin SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL,
  ALTER raw SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL, ALTER num SET STORAGE EXTERNAL, ALTER x SET STORAGE EXTERNAL;
CREATE FUNCTION app.doc(d app.docs) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('len', length(d.body), 'n', d.n) $$;
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}') \g /dev/null
CREATE FUNCTION t.expected(id text, n int) RETURNS text LANGUAGE sql AS $$
  SELECT format('{"bin":"\\x%s","body":"%s","c":{"a":"%s","b":1},"doc":{"a":"%s"},"id":"%s","list":["%s","x"],"n":%s,"num":%s,"raw":["%s"],"x":"%s"}',
    repeat('ab', 5000), repeat('b', 5000), repeat('c', 5000), repeat('d', 5000), $1, repeat('l', 5000), $2, repeat('7', 5000), repeat('r', 5000), repeat('x', 5000)) $$;
INSERT INTO app.docs VALUES ('k', 1, repeat('b', 5000), decode(repeat('ab', 5000), 'hex'), ARRAY[repeat('l', 5000), 'x'], jsonb_build_object('a', repeat('d', 5000)),
  json_build_array(repeat('r', 5000)), ROW(repeat('c', 5000), 1), repeat('7', 5000)::numeric, xmlparse(content repeat('x', 5000)));
SELECT is((SELECT payload::text FROM runtime.sync_replay('docs', 0)), t.expected('k', 1), 'INSERT');
UPDATE app.docs SET n = 2;
SELECT is((SELECT payload::text FROM runtime.sync_replay('docs', 1)), t.expected('k', 2), 'UPDATE of another column');
UPDATE app.docs SET id = 'kk';
SELECT is((SELECT array_agg(op || ' ' || doc_key || ' ' || coalesce((payload::text = t.expected('kk', 2))::text, '-') ORDER BY watermark) FROM runtime.sync_replay('docs', 2)), ARRAY['delete k -', 'upsert kk true'], 'UPDATE of the key');
SELECT runtime.sync_publish('app.docs', topic => 'skips', doc_key => '{id}', skip_unchanged => true) \g /dev/null
UPDATE app.docs SET n = 2;
UPDATE app.docs SET body = repeat('b', 5000), list = ARRAY[repeat('l', 5000), 'x'];
SELECT is(t.events('skips'), '{}', 'skip_unchanged compares what is referred to');
UPDATE app.docs SET n = 3;
SELECT is((SELECT payload::text FROM runtime.sync_replay('skips', 0)), t.expected('kk', 3), 'and lets changes pass');
SELECT runtime.sync_publish('app.docs', topic => 'function', doc_key => '{id}', payload => 'app.doc(*)') \g /dev/null
UPDATE app.docs SET n = 4;
SELECT is(t.events('function'), ARRAY['1 upsert kk 1 {"len":5000,"n":4}'], 'a payload function gets them whole');
SELECT runtime.sync_publish('app.docs', topic => 'keyed', doc_key => '{n}', payload => 'n') \g /dev/null
DELETE FROM app.docs;
SELECT is(t.events('keyed'), ARRAY['1 delete 4 1 -'], 'DELETE');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
