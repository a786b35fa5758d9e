-- Pointer mode: by policy or by size, an upsert is logged without its payload but with the document's hash.
\ir include/setup.sql
SELECT plan(25);
CREATE TABLE app.docs (topic text, id int, body text, PRIMARY KEY (topic, id));
SELECT runtime.sync_publish('app.docs', topic => '{topic}', doc_key => '{id}', payload => 'body', skip_unchanged => true) \g /dev/null
-- The same rows on a topic without a policy: what hashes have to be.
CREATE FUNCTION t.hash(payload text) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256(convert_to($1, 'UTF8')) $$;
CREATE FUNCTION t.hashes(topic text) RETURNS bytea[] LANGUAGE sql AS $$
  SELECT array_agg(e.payload_hash ORDER BY e.watermark) FROM runtime.sync_replay($1, 0) e $$;

-- By mode.
SELECT runtime.sync_set_policy('pointer:*', payload_mode => 'pointer') \g /dev/null
INSERT INTO app.docs VALUES ('pointer:a', 1, 'x'), ('inline', 1, 'x'), ('pointer:a', 2, NULL), ('inline', 2, NULL);
UPDATE app.docs SET body = 'ü' WHERE id = 1;
UPDATE app.docs SET body = body;
DELETE FROM app.docs WHERE id = 2;
SELECT is(t.events('pointer:a'), ARRAY['1 upsert 1 1 -', '2 upsert 2 2 -', '3 upsert 1 3 -', '4 delete 2 4 -'], 'upserts have no payload, unchanged ones are still skipped');
SELECT is(t.hashes('pointer:a'), t.hashes('inline'), 'but the hash of the document');
SELECT is(t.hashes('pointer:a'), ARRAY[t.hash('{"body":"x"}'), t.hash('{"body":null}'), t.hash('{"body":"ü"}'), t.hash('null')], 'which is of its canonical JSON');
UPDATE app.docs SET topic = 'pointer:b' WHERE topic = 'inline';
SELECT is(t.events('inline', 4), ARRAY['5 delete 1 5 -'], 'a row may move there');
SELECT is(t.events('pointer:b'), ARRAY['1 upsert 1 1 -'], 'and arrives without payload');
TRUNCATE app.docs;
SELECT is(t.events('pointer:a', 4), ARRAY['5 truncate  5 -'], 'TRUNCATE as ever');
SELECT lives_ok($$SELECT runtime.sync_emit('pointer:c', 'k', 7, '{"b":1,"a":2}')$$, 'sync_emit too');
SELECT is(t.events('pointer:c'), ARRAY['1 upsert k 7 -'], 'keeps no payload');
SELECT is(t.hashes('pointer:c'), ARRAY[t.hash('{"a":2,"b":1}')], 'but its hash');

-- By size: {"body":"xxx"} has 11 bytes more than the body.
SELECT runtime.sync_set_policy('sized', max_inline => 100) \g /dev/null
INSERT INTO app.docs SELECT 'sized', n, repeat('x', n - 11) FROM unnest(ARRAY[99, 100, 101]) n;
SELECT is((SELECT array_agg(doc_key || ' ' || (payload IS NOT NULL) ORDER BY watermark) FROM runtime.sync_replay('sized', 0)), ARRAY['99 true', '100 true', '101 false'], 'larger ones only');
INSERT INTO app.docs VALUES ('sized', 1, repeat('ü', 45));
SELECT is((SELECT payload IS NULL FROM runtime.sync_replay('sized', 3)), true, 'in bytes of UTF-8');
SELECT is((SELECT payload_hash FROM runtime.sync_replay('sized', 3)), t.hash('{"body":"' || repeat('ü', 45) || '"}'), 'with their hash');
SELECT runtime.sync_set_policy('sized', payload_mode => 'inline', max_inline => 0) \g /dev/null
INSERT INTO app.docs VALUES ('sized', 2, repeat('x', 100000));
SELECT is((SELECT length(payload ->> 'body') FROM runtime.sync_replay('sized', 4)), 100000, 'until the policy is changed');

-- In one transaction: the policy is in force from the next statement on.
BEGIN;
INSERT INTO app.docs VALUES ('turn', 1, 'x');
SELECT runtime.sync_set_policy('turn', payload_mode => 'pointer') \g /dev/null
INSERT INTO app.docs VALUES ('turn', 2, 'x');
SAVEPOINT a;
SELECT runtime.sync_drop_policy('turn') \g /dev/null
INSERT INTO app.docs VALUES ('turn', 3, 'x');
ROLLBACK TO a;
INSERT INTO app.docs VALUES ('turn', 4, 'x');
COMMIT;
SELECT is(t.events('turn'), ARRAY['1 upsert 1 1 {"body":"x"}', '2 upsert 2 2 -', '3 upsert 4 3 -'], 'a policy of the same transaction');

-- A role without any right on the extension writes under policies.
CREATE ROLE oa_pgtap_pointer LOGIN; GRANT USAGE ON SCHEMA app TO oa_pgtap_pointer; GRANT INSERT ON app.docs TO oa_pgtap_pointer;
SELECT is(t.run('INSERT INTO app.docs VALUES (''pointer:d'', 1, ''x'')', role => 'oa_pgtap_pointer'), 'INSERT 0 1', 'writers need no right on policies');
SELECT is(t.events('pointer:d'), ARRAY['1 upsert 1 1 -'], 'and are held by them');
SELECT is(t.run('BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO app.docs VALUES (''pointer:d'', 2, ''x''); COMMIT'), 'COMMIT', 'serializable transactions too');
DROP OWNED BY oa_pgtap_pointer; DROP ROLE oa_pgtap_pointer;

-- Many, over memory: what is spilled and what is not.
SET work_mem = '64kB';
INSERT INTO app.docs SELECT CASE WHEN i % 2 = 0 THEN 'pointer:many' ELSE 'many' END, i, repeat('x', 50) FROM generate_series(1, 4000) i;
RESET work_mem;
SELECT is((SELECT array_agg(DISTINCT format('%s %s %s', op, payload IS NULL, payload_hash = t.hash('{"body":"' || repeat('x', 50) || '"}'))) FROM runtime.sync_replay('pointer:many', 0, 100000, 1000000000)), ARRAY['upsert t t'], 'spilled');
SELECT is((SELECT array_agg(DISTINCT format('%s %s', op, payload ->> 'body' = repeat('x', 50))) FROM runtime.sync_replay('many', 0, 100000, 1000000000)), ARRAY['upsert t'], 'beside others');

-- The wire: field 7 is hydration_required, and there is no field 4.
CREATE FUNCTION t.message(topic text) RETURNS text LANGUAGE sql AS $$
  SELECT encode(update, 'hex') FROM runtime.sync_replay_updates($1, 0, 1) $$;
SELECT is(t.message('pointer:c'),
  '0a09' || encode('pointer:c', 'hex') || '1201' || encode('k', 'hex') || '1807' || '2801' || '3220' || encode(t.hash('{"a":2,"b":1}'), 'hex') || '3801' || '4001'
  || substr(t.message('pointer:c'), length('0a091201180728013220380140010000') + 2 * (9 + 1 + 32) - 3), 'a serialized update says hydration_required');
SELECT ok(t.message('pointer:c') LIKE '%380140014%' OR t.message('pointer:c') LIKE '%3801400148%', 'as field 7');
SELECT ok(t.message('many') NOT LIKE '%38014001%', 'one with payload does not');
SELECT is((SELECT encode(update, 'hex') LIKE '%38014002%' FROM runtime.sync_replay_updates('pointer:a', 3, 1)), false, 'nor a delete');

SELECT is((SELECT array_agg(p) FROM t.journal_problems(pointers => true) p), NULL, 'the journal is sound');
SELECT isnt((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'and the check sees pointers where none should be');
SELECT * FROM finish();
