-- NaN and infinities, dates before Christ and at the ends of time, numbers at the limits, text with every control character.
\ir include/setup.sql
SELECT plan(36);
CREATE TABLE t.cases (n serial, type text, input text, json text);
INSERT INTO t.cases (type, input, json) VALUES
  ('float4', 'NaN', '"NaN"'), ('float4', '-Infinity', '"-Infinity"'), ('float4', '1e-45', '1e-45'), ('float4', '3.4028235e38', '3.4028235e+38'), ('float4', '16777216', '1.6777216e+07'),
  ('float8', 'NaN', '"NaN"'), ('float8', 'Infinity', '"Infinity"'), ('float8', '-0', '-0'), ('float8', '5e-324', '5e-324'), ('float8', '1.7976931348623157e308', '1.7976931348623157e+308'), ('float8', '0.30000000000000004', '0.30000000000000004'), ('float8', '1e21', '1e+21'),
  ('numeric', 'NaN', '"NaN"'), ('numeric', 'Infinity', '"Infinity"'), ('numeric', '-Infinity', '"-Infinity"'), ('numeric', '-0.00', '0.00'), ('numeric(10,4)', '1.5', '1.5000'), ('numeric', '1e30', '1000000000000000000000000000000'), ('numeric', '-.5', '-0.5'),
  ('date', '0001-01-01 BC', '"0001-01-01 BC"'), ('date', 'infinity', '"infinity"'), ('date', '-infinity', '"-infinity"'), ('date', '5874897-12-31', '"5874897-12-31"'),
  ('timestamp', '0044-03-15 12:00:00 BC', '"0044-03-15T12:00:00 BC"'), ('timestamp', 'infinity', '"infinity"'), ('timestamp', '294276-12-31 23:59:59.999999', '"294276-12-31T23:59:59.999999"'),
  ('timestamptz', '0044-03-15 12:00:00+00 BC', '"0044-03-15T12:00:00+00:00 BC"'), ('timestamptz', '-infinity', '"-infinity"'), ('timestamptz', '4714-11-24 00:00:00+00 BC', '"4714-11-24T00:00:00+00:00 BC"'),
  ('time', '24:00:00', '"24:00:00"'), ('char(5)', 'ab', '"ab   "'), ('text', '', '""');
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT * FROM t.cases ORDER BY n LOOP
    EXECUTE format('CREATE TABLE app.case_%s (k int PRIMARY KEY, v %s)', c.n, c.type);
    PERFORM runtime.sync_publish(format('app.case_%s', c.n)::regclass, topic => 'case:' || c.n, doc_key => '{k}', payload => 'v');
    EXECUTE format('INSERT INTO app.case_%s VALUES (1, %L)', c.n, c.input);
  END LOOP;
END $$;
SELECT is(t.events('case:' || n), ARRAY[format('1 upsert 1 1 {"v":%s}', json)], type || ' ' || input) FROM t.cases ORDER BY n;

-- Every character from 1 to 255, both planes' ends, and what JSON parsers stumble over.
CREATE TABLE app.chars (code int PRIMARY KEY, v text);
SELECT runtime.sync_publish('app.chars', topic => 'chars', doc_key => '{code}', payload => 'v') \g /dev/null
INSERT INTO app.chars SELECT i, 'a' || chr(i) || 'b' FROM generate_series(1, 255) i;
INSERT INTO app.chars SELECT i, chr(i) FROM unnest('{768,8232,8233,55295,57344,65279,65533,65535,65536,1114111}'::int[]) i;
CREATE FUNCTION t.expected(code int) RETURNS text LANGUAGE sql AS $$
  SELECT CASE code WHEN 8 THEN '\b' WHEN 9 THEN '\t' WHEN 10 THEN '\n' WHEN 12 THEN '\f' WHEN 13 THEN '\r' WHEN 34 THEN '\"' WHEN 92 THEN '\\'
    ELSE CASE WHEN code < 32 THEN '\u00' || lpad(to_hex(code), 2, '0') ELSE chr(code) END END $$;
SELECT is((SELECT array_agg(c.code) FROM app.chars c JOIN runtime.sync_replay('chars', 0, 1000) e ON e.doc_key = c.code::text
           WHERE e.payload::text <> format(CASE WHEN c.code < 256 THEN '{"v":"a%sb"}' ELSE '{"v":"%s"}' END, t.expected(c.code))), NULL,
          'every character has the escape it needs, and no other');
SELECT is((SELECT array_agg(c.code) FROM app.chars c JOIN runtime.sync_replay('chars', 0, 1000) e ON e.doc_key = c.code::text
           WHERE e.payload->>'v' <> c.v), NULL, 'and comes back as it was');
SELECT is((SELECT count(*) FROM runtime.sync_replay('chars', 0, 1000)), 265::bigint, 'all of them');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
