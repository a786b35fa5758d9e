-- What sync_publish makes of its arguments: defaults, templates, versions, payloads; publishing anew, unpublishing.
\ir include/setup.sql
SELECT plan(32);

-- Defaults
CREATE TABLE app."Odd Name" (b int, a text, c text, PRIMARY KEY (a, b));
CREATE TABLE app.runs (run_id text PRIMARY KEY, status text, version bigint NOT NULL DEFAULT 1, at timestamptz, local timestamp, small smallint, mid int);
SELECT throws_ok($$SELECT runtime.sync_publish('app."Odd Name"')$$, '22023', 'invalid topic "app.Odd Name"',
                 'a name that is no topic needs a topic');
SELECT isnt(runtime.sync_publish('app."Odd Name"', topic => 'odd'), NULL, 'with one it is published');
INSERT INTO app."Odd Name" VALUES (1, 'x', NULL);
SELECT is(t.events('odd'), ARRAY['1 upsert app/Odd Name:x:1 1 {"a":"x","b":1,"c":null}'],
          'the key has the primary key''s columns in its order; the payload is the row, keys sorted');
SELECT runtime.sync_publish('app.runs') AS id \gset
SELECT is(:id, (SELECT publication_id FROM runtime.sync_publications WHERE relation = 'app.runs'::regclass),
          'it returns the publication''s id');
SELECT is((SELECT (topic, doc_key, doc_version, payload, skip_unchanged, always)::text FROM runtime.sync_publications WHERE relation = 'app.runs'::regclass),
          '(app.runs,app/runs:{run_id},,*,f,f)', 'and the defaults are kept as if they had been given');
SELECT is((SELECT array_agg((tgname, tgtype::int, tgenabled::text)::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'app.runs'::regclass),
          ARRAY['(!oa_sync_row,29,O)', '(!oa_sync_truncate,34,O)'], 'there are two triggers: after row, before truncate');
INSERT INTO app.runs VALUES ('r1', 'new');
SELECT is(t.events('app.runs'), ARRAY['1 upsert app/runs:r1 1 {"at":null,"local":null,"mid":null,"run_id":"r1","small":null,"status":"new","version":1}'],
          'without doc_version the watermark is the version');

-- Templates and anew
SELECT runtime.sync_publish('app.runs', topic => 'run:{run_id}:{{events}}', doc_key => 'run/{run_id}/{status}', doc_version => 'version', payload => ' status ,run_id, STATUS') \g /dev/null
SELECT throws_ok($$UPDATE app.runs SET version = 2$$, '22023', 'invalid topic "run:r1:{events}"', 'doubled braces are literal, and no topic');
SELECT runtime.sync_publish('app.runs', topic => 'run:{run_id}', doc_key => '{{{run_id}}}/{status}', doc_version => 'version', payload => ' status ,run_id, STATUS') \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_publications WHERE relation = 'app.runs'::regclass), 1::bigint, 'publishing anew replaces');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.runs'::regclass), 2::bigint, 'triggers too');
UPDATE app.runs SET version = 7;
SELECT is(t.events('run:r1'), ARRAY['1 upsert {r1}/new 7 {"run_id":"r1","status":"new"}'], 'topic, key, version and columns as said');
SELECT is(t.events('app.runs', 1), '{}', 'the former topic gets nothing more');
UPDATE app.runs SET run_id = 'r 2' WHERE false;
SELECT throws_ok($$INSERT INTO app.runs VALUES ('r 2', 's')$$, '22023', 'invalid topic "run:r 2"', 'a row whose topic is invalid is refused');
SELECT throws_ok($$INSERT INTO app.runs VALUES ('r2', NULL)$$, '22004', 'column "status" of published table "runs" is null', 'a row without a key is refused');
SELECT throws_ok($$INSERT INTO app.runs VALUES ('r2', repeat('x', 1100))$$, '22023', NULL, 'a row whose key is too long is refused');
SELECT throws_ok($$INSERT INTO app.runs VALUES ('r2', 's', -1)$$, '22003', 'document version -1 is negative', 'a negative version is refused');
SELECT is((SELECT count(*) FROM app.runs), 1::bigint, 'what is refused is not written');
SELECT throws_ok($$INSERT INTO app.runs VALUES (repeat('x', 157), 's')$$, '22023', NULL, 'a topic of 161 bytes is refused');
SELECT lives_ok($$INSERT INTO app.runs VALUES (repeat('x', 156), 's')$$, 'a topic of 160 bytes is not');

-- Versions
SELECT runtime.sync_publish('app.runs', topic => 'v.at', doc_version => 'at', payload => 'run_id') \g /dev/null
INSERT INTO app.runs (run_id, at) VALUES ('t1', '2026-01-02 03:04:05.678901+02'), ('t2', '1970-01-01 00:00:00.000001+00');
SELECT is((SELECT array_agg(doc_version) FROM runtime.sync_replay('v.at', 0)), ARRAY[1767315845678901, 1], 'timestamptz: microseconds since 1970');
SELECT throws_ok($$INSERT INTO app.runs (run_id, at) VALUES ('t3', '1969-12-31 23:59:59+00')$$, '22003', NULL, 'before 1970 there is no version');
SELECT throws_ok($$INSERT INTO app.runs (run_id, at) VALUES ('t3', 'infinity')$$, '22008', NULL, 'nor at the end of time');
SELECT throws_ok($$INSERT INTO app.runs (run_id) VALUES ('t3')$$, '22004', NULL, 'a null version is refused');
SELECT runtime.sync_publish('app.runs', topic => 'v.local', doc_version => 'local', payload => 'run_id') \g /dev/null
INSERT INTO app.runs (run_id, local) VALUES ('l1', '1970-01-01 00:00:01');
SELECT runtime.sync_publish('app.runs', topic => 'v.small', doc_version => 'small', payload => 'run_id') \g /dev/null
INSERT INTO app.runs (run_id, small) VALUES ('s1', 32767);
SELECT runtime.sync_publish('app.runs', topic => 'v.mid', doc_version => 'mid', payload => 'run_id') \g /dev/null
INSERT INTO app.runs (run_id, mid) VALUES ('m1', 2147483647);
SELECT runtime.sync_publish('app.runs', topic => 'v.big', doc_version => 'version', payload => 'run_id') \g /dev/null
INSERT INTO app.runs (run_id, version) VALUES ('b1', 9223372036854775807), ('b0', 0);
SELECT is((SELECT array_agg(format('%s %s', topic, doc_version) ORDER BY topic, watermark) FROM runtime.sync_stream_events WHERE topic LIKE 'v.%' AND topic <> 'v.at'),
          ARRAY['v.big 9223372036854775807', 'v.big 0', 'v.local 1000000', 'v.mid 2147483647', 'v.small 32767'], 'every integer type, timestamp');

-- Payload functions
CREATE FUNCTION app.doc(r app.runs) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN r.status = 'null' THEN NULL WHEN r.status = 'none' THEN 'null' ELSE jsonb_build_object('run', r.run_id, 'b', 1.50, 'a', r.status) END $$;
SELECT runtime.sync_publish('app.runs', topic => 'f', doc_key => '{run_id}', payload => 'app.doc(*)') \g /dev/null
INSERT INTO app.runs (run_id, status) VALUES ('f1', 'x'), ('f2', 'none');
SELECT is(t.events('f'), ARRAY['1 upsert f1 1 {"a":"x","b":1.50,"run":"f1"}', '2 upsert f2 2 null'], 'a function of the row');
SELECT throws_ok($$INSERT INTO app.runs (run_id, status) VALUES ('f3', 'null')$$, '22004', NULL, 'that returns null is refused');
CREATE OR REPLACE FUNCTION app.doc(r app.runs) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN jsonb_build_object('new', r.run_id); END $$;
INSERT INTO app.runs (run_id) VALUES ('f4');
SELECT is(t.events('f', 2), ARRAY['3 upsert f4 3 {"new":"f4"}'], 'a function that is replaced');

-- Unpublishing
SELECT is(runtime.sync_unpublish('app.runs'), true, 'unpublish says that it was published');
SELECT is(runtime.sync_unpublish('app.runs'), false, 'and that it was not');
INSERT INTO app.runs (run_id) VALUES ('u1');
SELECT is(t.events('f', 3), '{}', 'its writes are no events');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.runs'::regclass), 0::bigint, 'its triggers are gone');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
