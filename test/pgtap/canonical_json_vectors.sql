-- The shared vectors of canonical JSON (test/vectors/canonical_json.json), through sync_emit. Run from the project's root.
\ir include/setup.sql
SELECT plan(6);
\set vectors `cat test/vectors/canonical_json.json`
CREATE TABLE t.vectors AS SELECT row_number() OVER () AS n, kind, v->>'name' AS name, v->>'input' AS input, v->>'canonical' AS canonical, v->>'sha256' AS sha256
  FROM (SELECT k AS kind, json_array_elements(:'vectors'::json -> k) AS v FROM unnest('{vectors,invalid,too_deep}'::text[]) k) x;
SELECT cmp_ok((SELECT count(*) FROM t.vectors WHERE kind = 'vectors'), '>=', 50::bigint, 'there are vectors');
SELECT runtime.sync_emit('vector:' || n, 'k', 1, input::json) FROM t.vectors WHERE kind = 'vectors' \g /dev/null
SELECT is((SELECT array_agg(name || ': ' || (SELECT payload::text FROM runtime.sync_replay('vector:' || n, 0))) FROM t.vectors
           WHERE kind = 'vectors' AND canonical IS DISTINCT FROM (SELECT payload::text FROM runtime.sync_replay('vector:' || n, 0))), NULL, 'canonical texts');
SELECT is((SELECT array_agg(name) FROM t.vectors
           WHERE kind = 'vectors' AND sha256 IS DISTINCT FROM (SELECT encode(payload_hash, 'hex') FROM runtime.sync_replay('vector:' || n, 0))), NULL, 'hashes');
CREATE FUNCTION t.refused(input text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM runtime.sync_emit('refused', 'k', 1, input::json);
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT is((SELECT array_agg(name || ' ' || t.refused(input)) FROM t.vectors WHERE kind = 'invalid' AND t.refused(input) <> '22P02'), NULL, 'invalid ones are refused');
SELECT is((SELECT array_agg(t.refused(input)) FROM t.vectors WHERE kind = 'too_deep'), ARRAY['54000', '54000'], 'those that are nested too deep too');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
