-- Every base, range and multirange type that PostgreSQL has: a value of it in a published column.
\ir include/setup.sql
SELECT plan(81);
CREATE TABLE app.samples (n serial, type regtype PRIMARY KEY, input text, json text);
INSERT INTO app.samples (type, input, json) VALUES
  ('boolean', 't', 'true'), ('bytea', '\x00ff5c22', '"\\x00ff5c22"'), ('"char"', 'x', '"x"'), ('name', 'na"me', '"na\"me"'),
  ('bigint', '-9223372036854775808', '-9223372036854775808'), ('smallint', '-32768', '-32768'), ('int2vector', '1 2', '[1,2]'),
  ('integer', '2147483647', '2147483647'), ('regproc', 'pg_catalog.now', '"now"'), ('text', E'a\n"ä"', '"a\n\"ä\""'),
  ('oid', '4294967295', '4294967295'), ('tid', '(1,2)', '"(1,2)"'), ('xid', '7', '"7"'), ('cid', '8', '"8"'), ('oidvector', '1 2', '[1,2]'),
  ('json', '{ "b":1, "a":[ 1.0 ] }', '{"a":[1.0],"b":1}'), ('xml', '<a b="c">d</a>', '"<a b=\"c\">d</a>"'),
  ('point', '(1.5,2)', '"(1.5,2)"'), ('lseg', '[(1,2),(3,4)]', '"[(1,2),(3,4)]"'), ('path', '((1,2),(3,4))', '"((1,2),(3,4))"'),
  ('box', '(3,4),(1,2)', '"(3,4),(1,2)"'), ('polygon', '((0,0),(1,1))', '"((0,0),(1,1))"'), ('line', '{1,2,3}', '"{1,2,3}"'),
  ('real', '1.1', '1.1'), ('double precision', '0.1', '0.1'), ('circle', '<(1,2),3>', '"<(1,2),3>"'), ('money', '-1234.5', '"-$1,234.50"'),
  ('macaddr', '08:00:2b:01:02:03', '"08:00:2b:01:02:03"'), ('inet', '192.168.0.1/24', '"192.168.0.1/24"'), ('cidr', '10.0.0.0/8', '"10.0.0.0/8"'),
  ('macaddr8', '08:00:2b:01:02:03:04:05', '"08:00:2b:01:02:03:04:05"'), ('aclitem', 'postgres=r/postgres', '"postgres=r/postgres"'),
  ('character', 'c', '"c"'), ('character varying', 'varying', '"varying"'), ('date', '2026-01-02', '"2026-01-02"'), ('time', '03:04:05.6', '"03:04:05.6"'),
  ('timestamp', '2026-01-02 03:04:05.678901', '"2026-01-02T03:04:05.678901"'), ('timestamptz', '2026-01-02 03:04:05+02', '"2026-01-02T01:04:05+00:00"'),
  ('interval', '1 year 2 mons -3 days 04:05:06.7', '"1 year 2 mons -3 days +04:05:06.7"'), ('timetz', '03:04:05+02', '"03:04:05+02"'),
  ('bit', '1', '"1"'), ('bit varying', '1011', '"1011"'), ('numeric', '12345678901234567890.10', '12345678901234567890.10'),
  ('refcursor', 'cur', '"cur"'), ('regprocedure', 'pg_catalog.now()', '"now()"'), ('regoper', 'pg_catalog.||/', '"||/"'), ('regoperator', '+(integer,integer)', '"+(integer,integer)"'),
  ('regclass', 'app.samples', '"app.samples"'), ('regcollation', 'pg_catalog."C"', '"\"C\""'), ('regtype', 'integer', '"integer"'), ('regrole', 'postgres', '"postgres"'), ('regnamespace', 'app', '"app"'),
  ('regconfig', 'pg_catalog.english', '"english"'), ('regdictionary', 'pg_catalog.simple', '"simple"'), ('uuid', '11111111-2222-3333-4444-555555555555', '"11111111-2222-3333-4444-555555555555"'),
  ('pg_lsn', '16/B374D848', '"16/B374D848"'), ('tsvector', 'a b:2', '"''a'' ''b'':2"'), ('tsquery', 'a & b', '"''a'' & ''b''"'),
  ('jsonb', '{"b":1,"aa":[1.00]}', '{"aa":[1.00],"b":1}'), ('jsonpath', '$.a[*]', '"$.\"a\"[*]"'),
  ('txid_snapshot', '10:20:10,14', '"10:20:10,14"'), ('pg_snapshot', '10:20:10,14', '"10:20:10,14"'), ('xid8', '18446744073709551615', '"18446744073709551615"'),
  ('int4range', '[1,5]', '"[1,6)"'), ('int8range', '(,5)', '"(,5)"'), ('numrange', '[1.5,2.5]', '"[1.5,2.5]"'), ('daterange', '[2026-01-01,2026-01-02]', '"[2026-01-01,2026-01-03)"'),
  ('tsrange', '[2026-01-01 00:00,)', '"[\"2026-01-01 00:00:00\",)"'), ('tstzrange', '[2026-01-01 00:00+02,)', '"[\"2025-12-31 22:00:00+00\",)"'),
  ('int4multirange', '{[1,2),[5,6)}', '"{[1,2),[5,6)}"'), ('int8multirange', '{}', '"{}"'), ('nummultirange', '{[1,2]}', '"{[1,2]}"'),
  ('datemultirange', '{[2026-01-01,2026-01-02)}', '"{[2026-01-01,2026-01-02)}"'), ('tsmultirange', '{}', '"{}"'),
  ('tstzmultirange', '{[2026-01-01 00:00+02,)}', '"{[\"2025-12-31 22:00:00+00\",)}"');

-- Types whose values are not made by users: their input functions refuse everything.
SELECT is((SELECT array_agg(t.typname::text ORDER BY t.typname) FROM pg_type t
           WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typcategory <> 'A'
             AND t.typelem = 0 AND NOT EXISTS (SELECT FROM app.samples s WHERE s.type = t.oid)),
          ARRAY['gtsvector', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary', 'pg_dependencies', 'pg_mcv_list', 'pg_ndistinct', 'pg_node_tree'],
          'there is a sample of every built-in type');

DO $$
DECLARE s record;
BEGIN
  FOR s IN SELECT * FROM app.samples ORDER BY n LOOP
    EXECUTE format('CREATE TABLE app.type_%s (k int PRIMARY KEY, v %s, a %s[])', s.n, s.type, CASE WHEN s.type IN ('int2vector'::regtype, 'oidvector'::regtype) THEN 'int'::regtype ELSE s.type END);
    PERFORM runtime.sync_publish(format('app.type_%s', s.n)::regclass, topic => 'type:' || s.n, doc_key => '{k}', payload => 'v');
    EXECUTE format('INSERT INTO app.type_%s (k, v) VALUES (1, %L)', s.n, s.input);
  END LOOP;
END $$;
SELECT is(t.events('type:' || s.n), ARRAY[format('1 upsert 1 1 {"v":%s}', s.json)], s.type::text) FROM app.samples s ORDER BY n;

-- In arrays, in a composite and as a key.
SELECT is((SELECT array_agg(type::text) FROM app.samples s WHERE NOT EXISTS (SELECT FROM pg_type t WHERE t.oid = s.type AND t.typarray <> 0)), NULL, 'every type has an array type');
DO $$
DECLARE s record;
BEGIN
  FOR s IN SELECT * FROM app.samples WHERE type NOT IN ('int2vector'::regtype, 'oidvector'::regtype) ORDER BY n LOOP
    PERFORM runtime.sync_publish(format('app.type_%s', s.n)::regclass, topic => 'array:' || s.n, doc_key => '{k}', payload => 'a');
    EXECUTE format('UPDATE app.type_%s SET a = ARRAY[v, NULL, v]', s.n);
    EXECUTE format('CREATE TYPE app.with_%s AS (f %s)', s.n, s.type);
    EXECUTE format('CREATE TABLE app.composite_%s (k int PRIMARY KEY, v app.with_%s)', s.n, s.n);
    PERFORM runtime.sync_publish(format('app.composite_%s', s.n)::regclass, topic => 'composite:' || s.n, doc_key => '{k}', payload => 'v');
    EXECUTE format('INSERT INTO app.composite_%s SELECT 1, ROW(v)::app.with_%s FROM app.type_%s', s.n, s.n, s.n);
    PERFORM runtime.sync_publish(format('app.type_%s', s.n)::regclass, topic => 'key:' || s.n, doc_key => '{v}', payload => 'k');
    EXECUTE format('UPDATE app.type_%s SET k = 2', s.n);
  END LOOP;
END $$;
SELECT is((SELECT array_agg(s.type || ': ' || array_to_string(t.events('array:' || s.n), ' ')) FROM app.samples s
           WHERE type NOT IN ('int2vector'::regtype, 'oidvector'::regtype)
             AND t.events('array:' || s.n) <> ARRAY[format('1 upsert 1 1 {"a":[%s,null,%s]}', s.json, s.json)]), NULL, 'in an array');
SELECT is((SELECT array_agg(s.type || ': ' || array_to_string(t.events('composite:' || s.n), ' ')) FROM app.samples s
           WHERE type NOT IN ('int2vector'::regtype, 'oidvector'::regtype)
             AND t.events('composite:' || s.n) <> ARRAY[format('1 upsert 1 1 {"v":{"f":%s}}', s.json)]), NULL, 'in a composite');
SELECT is((SELECT array_agg(s.type || ': ' || array_to_string(t.events('key:' || s.n), ' ')) FROM app.samples s
           WHERE type NOT IN ('int2vector'::regtype, 'oidvector'::regtype)
             AND (SELECT doc_key FROM runtime.sync_replay('key:' || s.n, 0)) <>
                 CASE WHEN s.json LIKE '"%' THEN (s.json::json #>> '{}') ELSE s.json END), NULL, 'as a key: its plain text');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
