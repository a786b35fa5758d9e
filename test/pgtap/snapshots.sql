-- sync_snapshot: shapes, pages, tokens, sources, errors, rights.
\ir include/setup.sql
SELECT plan(143);

-- Documents of a snapshot, a line each; pages of n documents are followed to the last one.
CREATE FUNCTION t.documents(topic text, n integer DEFAULT 1000, bytes bigint DEFAULT 4194304) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  lines text[] := '{}';
  page text;
  r record;
  pages integer := 0;
BEGIN
  LOOP
    FOR r IN SELECT * FROM runtime.sync_snapshot(topic, n, page, bytes) LOOP
      IF r.doc_key IS NOT NULL THEN
        lines := lines || format('%s %s %s', r.doc_key, r.doc_version, r.payload);
        IF r.payload_hash <> sha256(convert_to(r.payload::text, 'UTF8')) THEN lines := lines || 'wrong hash'::text; END IF;
      END IF;
    END LOOP;
    page := r.next_page_token;
    pages := pages + 1;
    EXIT WHEN page IS NULL;
  END LOOP;
  PERFORM set_config('t.pages', pages::text, false);
  RETURN lines;
END $$;
CREATE FUNCTION t.cursor(topic text) RETURNS bigint LANGUAGE sql AS $$ SELECT watermark FROM runtime.sync_snapshot($1) LIMIT 1 $$;

-- A table with a fixed topic.
CREATE TABLE app.notes (id int PRIMARY KEY, body text, secret text);
INSERT INTO app.notes VALUES (1, 'before', 'x');
SELECT runtime.sync_publish('app.notes', topic => 'notes', doc_key => 'note:{id}', payload => 'id, body') \g /dev/null
SELECT is(t.documents('notes'), '{"note:1 0 {\"body\":\"before\",\"id\":1}"}', 'rows that were there before sync_publish are documents; no event yet: version 0');
SELECT is((SELECT (topic, watermark, next_page_token)::text FROM runtime.sync_snapshot('notes')), '(notes,0,)', 'the cursor before the first event');
INSERT INTO app.notes SELECT i, 'n' || i, 'x' FROM generate_series(2, 7) i;
SELECT is(t.cursor('notes'), 6::bigint, 'the cursor is the head');
SELECT is(t.documents('notes', 2), ARRAY(SELECT format('note:%s 6 {"body":"%s","id":%s}', id, body, id) FROM app.notes ORDER BY id), 'pages of two');
SELECT is(current_setting('t.pages'), '4', 'seven documents are four pages');
SELECT is(array_length(t.documents('notes', 7), 1) || ' ' || current_setting('t.pages'), '7 1', 'a page that is just full is the last one');
SELECT is(array_length(t.documents('notes', 1000, 1), 1) || ' ' || current_setting('t.pages'), '7 7', 'max_bytes: at least one document');
SELECT is((SELECT count(*) FROM runtime.sync_snapshot('notes') s JOIN runtime.sync_epochs e USING (epoch)), 7::bigint, 'the epoch is the present one');
SELECT is((SELECT array_agg(s.payload::text || encode(s.payload_hash, 'hex') ORDER BY s.doc_key) FROM runtime.sync_snapshot('notes') s WHERE doc_key <> 'note:1'),
          (SELECT array_agg(e.payload::text || encode(e.payload_hash, 'hex') ORDER BY e.doc_key) FROM runtime.sync_replay('notes', 0) e), 'the bytes are those of the events');
SELECT is(convert_from(runtime.sync_snapshot_json('notes', 1), 'UTF8')::jsonb - 'next_page_token' - 'epoch', jsonb_build_object('documents', jsonb_build_array(jsonb_build_object(
    'doc_key', 'note:1', 'doc_version', 6, 'payload', '{"body":"before","id":1}'::jsonb, 'payload_hash', encode(sha256('{"body":"before","id":1}'), 'base64'))), 'topic', 'notes', 'watermark', 6), 'sync_snapshot_json');
SELECT matches(convert_from(runtime.sync_snapshot_json('notes', 1), 'UTF8'), '^\{"documents":\[\{"doc_key":"note:1","doc_version":6,"payload":\{"body":"before","id":1\},"payload_hash":"[A-Za-z0-9+/]{43}="\}\],"epoch":\d+,"next_page_token":"[A-Za-z0-9_-]+","topic":"notes","watermark":6\}$', 'its bytes');
SELECT is(convert_from(runtime.sync_snapshot_json('notes', 10, convert_from(runtime.sync_snapshot_json('notes', 6), 'UTF8')::jsonb->>'next_page_token'), 'UTF8')::jsonb->'documents'->0->>'doc_key', 'note:7', 'its pages');
SELECT is(convert_from(runtime.sync_snapshot_json('nothing', 1), 'UTF8')::jsonb - 'epoch', '{"documents":[],"next_page_token":null,"topic":"nothing","watermark":0}', 'an empty one');
SELECT is((SELECT (count(*), count(doc_key), min(topic), min(watermark), min(next_page_token))::text FROM runtime.sync_snapshot('nothing')), '(1,0,nothing,0,)', 'a topic without anything: one row with the cursor');

-- The cursor of later pages is that of the first.
SELECT next_page_token AS token FROM runtime.sync_snapshot('notes', 3) LIMIT 1 \gset
UPDATE app.notes SET body = 'later' WHERE id IN (2, 6);
SELECT is((SELECT array_agg(format('%s %s %s', doc_key, doc_version, watermark) ORDER BY doc_key) FROM runtime.sync_snapshot('notes', 10, :'token')), '{"note:4 8 6","note:5 8 6","note:6 8 6","note:7 8 6"}', 'a later page: the later head is the version, the first page''s the cursor');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM app.notes \g /dev/null
SELECT t.run('UPDATE app.notes SET body = ''hidden''; INSERT INTO app.notes VALUES (50, ''hidden'')') \g /dev/null
SELECT is(t.cursor('notes'), 8::bigint, 'REPEATABLE READ: the cursor of the snapshot');
SELECT is((SELECT count(*) FROM unnest(t.documents('notes', 2)) d WHERE d LIKE '%hidden%'), 0::bigint, 'and its documents');
SELECT t.ask('SELECT next_page_token FROM runtime.sync_snapshot(''notes'', 3) LIMIT 1') AS newer \gset
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', :'newer'), '55000', 'the page token is newer than this transaction''s snapshot', 'a token that is newer than the snapshot');
ROLLBACK;

-- Templates over columns.
CREATE TABLE app.run_events (run_id int, seq int, v bigint NOT NULL, PRIMARY KEY (run_id, seq));
SELECT runtime.sync_publish('app.run_events', topic => 'run:{run_id}:events', doc_key => 'e:{run_id}:{seq}', doc_version => 'v', payload => 'seq') \g /dev/null
INSERT INTO app.run_events SELECT r, s, r * 100 + s FROM generate_series(1, 2000) r, generate_series(1, 50) s;
ANALYZE app.run_events;
SELECT is(t.documents('run:42:events', 7), ARRAY(SELECT format('e:42:%s %s {"seq":%s}', s, 4200 + s, s) FROM generate_series(1, 50) s), 'one topic of many, with a version column');
SELECT is(t.documents('run:042:events'), '{}', '042 is not 42');
SELECT is(t.documents('run:99999999999999:events'), '{}', 'a value that is too large');
SELECT is(t.documents('run:x:events'), '{}', 'a value that is none');
SELECT is(t.documents('run::events'), '{}', 'an empty value');
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT seq_scan AS seq_scan_before, idx_tup_fetch AS fetched_before FROM pg_stat_user_tables WHERE relname = 'run_events' \gset
SELECT count(*) FROM runtime.sync_snapshot('run:7:events', 10) \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT ok(t.wait_for(format('SELECT idx_tup_fetch > %s FROM pg_stat_user_tables WHERE relname = ''run_events''', :fetched_before)), 'the index was used');
SELECT is((SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'run_events'), :seq_scan_before::bigint, 'and the table not scanned');
SELECT cmp_ok((SELECT idx_tup_fetch - :fetched_before FROM pg_stat_user_tables WHERE relname = 'run_events'), '<=', 64::bigint, 'a page reads a page''s rows');

-- Several tables on one topic, one of them without a key.
CREATE TABLE app.a (id int PRIMARY KEY, topic text NOT NULL);
CREATE TABLE app.b (k text NOT NULL, topic text NOT NULL, body text);
CREATE TABLE app.c (id uuid PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE app.c0 PARTITION OF app.c FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.c1 (x int, id uuid NOT NULL);
ALTER TABLE app.c1 DROP COLUMN x;
ALTER TABLE app.c ATTACH PARTITION app.c1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT runtime.sync_publish('app.a', topic => '{topic}', doc_key => 'a:{id}') \g /dev/null
SELECT runtime.sync_publish('app.b', topic => '{topic}', doc_key => 'b:{k}', payload => 'body') \g /dev/null
SELECT runtime.sync_publish('app.c', topic => 'mixed', doc_key => 'c:{id}') \g /dev/null
INSERT INTO app.a SELECT i, CASE WHEN i % 3 = 0 THEN 'other' ELSE 'mixed' END FROM generate_series(1, 200) i;
INSERT INTO app.b SELECT 'k' || i, CASE WHEN i % 3 = 0 THEN 'other' ELSE 'mixed' END, repeat('x', i) FROM generate_series(200, 1, -1) i;
INSERT INTO app.c SELECT md5(i::text)::uuid FROM generate_series(1, 100) i;
CREATE FUNCTION t.expected(topic text) RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(format('%s %s', doc_key, payload) ORDER BY doc_key COLLATE "C") FROM (SELECT DISTINCT ON (doc_key) * FROM runtime.sync_replay($1, 0, 100000, 100000000) ORDER BY doc_key, watermark DESC) e WHERE op = 'upsert' $$;
CREATE FUNCTION t.read(topic text, n int, bytes bigint DEFAULT 4194304) RETURNS text[] LANGUAGE sql AS $$ SELECT array_agg(regexp_replace(d, '^(\S+) \d+ ', '\1 ') ORDER BY split_part(d, ' ', 1) COLLATE "C") FROM unnest(t.documents($1, n, $3)) d $$;
SELECT is(t.read('mixed', n), t.expected('mixed'), 'three tables, pages of ' || n) FROM unnest('{1,2,3,50,134,135,268,1000}'::int[]) n;
SELECT is(t.read('mixed', 1000, n), t.expected('mixed'), 'three tables, pages of ' || n || ' bytes') FROM unnest('{1,500,2000,10000}'::int[]) n;
SELECT is(t.read('other', 10), t.expected('other'), 'the other topic of two of them');
DELETE FROM app.a WHERE id < 100;
SELECT is(t.read('mixed', 10), t.expected('mixed'), 'after deletes');

-- Keys of many types, ambiguous templates, odd names, dropped columns.
CREATE TYPE app.colour AS ENUM ('red', 'deep:blue');
CREATE DOMAIN app.small AS int CHECK (VALUE < 100);
CREATE TABLE app.typed ("document_row" int, gone int, "Odd ""name""" text, u uuid, t text, ts timestamptz, n numeric, f float8, d date, b bool, e app.colour, s app.small, ch char(5), arr int[], ip inet, v varchar(20), num bigserial UNIQUE NOT NULL, PRIMARY KEY (u, t, ts));
ALTER TABLE app.typed DROP COLUMN gone;
INSERT INTO app.typed ("document_row", "Odd ""name""", u, t, ts, n, f, d, b, e, s, ch, arr, ip, v)
  SELECT i, 'o:' || i, md5(i::text)::uuid, 'a:b:' || i, timestamptz '2026-11-22 20:00:00.5+02' + i * interval '1 day', (i || '.50')::numeric, i / 7.0, date '2026-01-01' + i, i % 2 = 0,
         CASE WHEN i % 2 = 0 THEN 'red' ELSE 'deep:blue' END::app.colour, i, 'c' || i, ARRAY[i, i], '10.0.0.1'::inet + i, 'v' || i FROM generate_series(1, 20) i;
UPDATE app.typed SET ts = '-infinity', d = '0044-03-15 BC', f = 'NaN', n = '-Infinity' WHERE s = 3;
UPDATE app.typed SET ts = '12345-01-01 00:00:00+00', d = '12345-01-02', f = 1e300, n = 1e40 WHERE s = 4;
UPDATE app.typed SET ts = '0044-03-15 00:00:00+00 BC', d = 'infinity', f = -1e-300, n = 1e-40 WHERE s = 5;
CREATE FUNCTION t.lookups(doc_key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE wrong text;
BEGIN
  PERFORM runtime.sync_publish('app.typed', topic => 'typed', doc_key => doc_key);
  WITH s AS MATERIALIZED (SELECT * FROM runtime.sync_snapshot('typed', 100000))
  SELECT string_agg(s.doc_key, ' ') INTO wrong FROM s LEFT JOIN LATERAL runtime.sync_document('typed', s.doc_key) d ON true
    WHERE d.doc_key IS DISTINCT FROM s.doc_key OR d.payload::text IS DISTINCT FROM s.payload::text OR d.payload_hash IS DISTINCT FROM s.payload_hash OR d.doc_version IS DISTINCT FROM s.doc_version;
  RETURN coalesce(wrong, (SELECT 'found ' || count(DISTINCT s.doc_key) FROM runtime.sync_snapshot('typed', 100000) s));
END $$;
SELECT is(t.lookups('x:{' || c || '}'), 'found 20', 'every document is found by its key: ' || c)
  FROM unnest('{document_row,u,t,ts,n,f,d,s,ch,arr,ip,v,num}'::text[] || 'Odd "name"'::text) c;
SELECT is(t.lookups('{t}:{u}'), 'found 20', 'a text with colons, and a uuid');
SELECT is(t.lookups('{t}{v}'), 'found 20', 'nothing between two texts');
SELECT is(t.lookups('{t}:{e}:{t}'), 'found 20', 'a column twice, an enum with a colon');
SELECT is(t.lookups('{t}{ts}{n}{Odd "name"}{v}{arr}'), 'found 20', 'more ways to read it than are tried');
SELECT is(t.lookups('{{{b}}}{num}'), 'found 20', 'braces');
SELECT runtime.sync_publish('app.typed', topic => 'x{s}:{v}', doc_key => '{num}') \g /dev/null
SELECT is((SELECT array_agg(n ORDER BY n) FROM generate_series(1, 20) n WHERE array_length(t.documents('x' || n || ':v' || n), 1) = 1), ARRAY(SELECT generate_series(1, 20)), 'topics of a domain and a varchar');
SELECT is(t.documents('x1:v2'), '{}', 'no row has both');

-- Rows that have no name are no documents.
CREATE TABLE app.nameless (id int PRIMARY KEY, topic text, v int);
INSERT INTO app.nameless VALUES (1, NULL, 1), (2, 'nameless', NULL), (3, 'nameless', -1), (4, 'no topic', 1), (5, 'nameless', 1);
SELECT runtime.sync_publish('app.nameless', topic => '{topic}', doc_key => 'n:{id}', doc_version => 'v', payload => 'id') \g /dev/null
SELECT is(t.documents('nameless'), '{"n:5 1 {\"id\":5}"}', 'rows that can not be named are left out');

-- Payload functions, and rows of inheritance children.
CREATE TABLE app.summaries (id int PRIMARY KEY, body jsonb);
CREATE FUNCTION app.summary(s app.summaries) RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT jsonb_build_object('z', s.id, 'a', s.body, 'user', current_user) $$;
SELECT runtime.sync_publish('app.summaries', topic => 'summaries', payload => 'app.summary(*)') \g /dev/null
CREATE TABLE app.child () INHERITS (app.summaries);
INSERT INTO app.summaries VALUES (1, '{"b": 1}');
INSERT INTO app.child VALUES (2, '{}');
SELECT is(t.documents('summaries'), '{"app/summaries:1 1 {\"a\":{\"b\":1},\"user\":\"postgres\",\"z\":1}"}', 'a payload function; rows of a child table are not the table''s');

-- The journal is the source of topics that only sync_emit writes.
SELECT runtime.sync_emit('emitted.x', 'k' || i % 10, NULL, to_json(i)) FROM generate_series(1, 30) i \g /dev/null
SELECT runtime.sync_emit('emitted.x', 'k3', NULL, NULL) \g /dev/null
SELECT runtime.sync_unpublish('app.a'), runtime.sync_unpublish('app.b'), runtime.sync_unpublish('app.nameless') \g /dev/null
SELECT is(t.documents('emitted.x', 4), '{k0 30 30,k1 21 21,k2 22 22,k4 24 24,k5 25 25,k6 26 26,k7 27 27,k8 28 28,k9 29 29}', 'the last event of each document');
SELECT is(t.cursor('emitted.x'), 31::bigint, 'with its cursor');
SELECT is(t.read('other', 7), t.expected('other'), 'also of tables that are no longer published');
SELECT next_page_token AS token FROM runtime.sync_snapshot('emitted.x', 4) LIMIT 1 \gset
SELECT runtime.sync_emit('emitted.x', 'k9', NULL, '"new"') \g /dev/null
SELECT is((SELECT string_agg(doc_key || '=' || payload::text, ' ' ORDER BY doc_key) FROM runtime.sync_snapshot('emitted.x', 10, :'token')), 'k5=25 k6=26 k7=27 k8=28 k9=29', 'later pages of the journal are of the first page''s moment');
CREATE TABLE app.cut (id int PRIMARY KEY, p text);
SELECT runtime.sync_publish('app.cut', topic => 'cut', doc_key => '{p}:{id}') \g /dev/null
INSERT INTO app.cut VALUES (1, 'a'), (2, 'b');
TRUNCATE app.cut;
INSERT INTO app.cut VALUES (3, 'a');
SELECT runtime.sync_unpublish('app.cut') \g /dev/null
SELECT is(t.documents('cut'), '{"a:3 4 {\"id\":3,\"p\":\"a\"}"}', 'truncates are applied');
INSERT INTO runtime.sync_stream_events SELECT 'prefix', w, 1, k, w, op, CASE WHEN op = 'upsert' THEN '1'::json END, CASE WHEN op = 'upsert' THEN sha256('1') ELSE sha256('null') END, pg_current_xact_id(), now()
  FROM (VALUES (1, 'a:1', 'upsert'), (2, 'b:1', 'upsert'), (3, 'ab:1', 'upsert'), (4, '', 'void'), (5, 'a', 'truncate'), (6, 'a:2', 'upsert')) v(w, k, op);
SELECT is(t.documents('prefix'), '{"a:2 6 1","b:1 2 1"}', 'a truncate takes what begins with its key');
INSERT INTO runtime.sync_stream_events SELECT 'gap', w, 1, 'k' || w, w, 'upsert', '1', sha256('1'), pg_current_xact_id(), now() FROM unnest('{1,2,4}'::int[]) w;
SELECT is(t.documents('gap') || t.cursor('gap')::text, '{"k1 1 1","k2 2 1",2}', 'what is beyond a gap is not of the snapshot');
DELETE FROM runtime.sync_stream_events WHERE topic IN ('prefix', 'gap');
INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor) VALUES ('retired', 11, 10);
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('retired')$$, '55000', 'topic "retired" has no snapshot source', 'a journal that is not complete is no source');
INSERT INTO runtime.sync_stream_events SELECT 'pointed', w, 1, 'k', w, 'upsert', NULL, sha256('1'), pg_current_xact_id(), now() FROM unnest('{1}'::int[]) w;
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('pointed')$$, '55000', 'topic "pointed" has no snapshot source', 'nor one without payloads');
INSERT INTO runtime.sync_stream_events SELECT 'pointed2', w, 1, 'k', w, 'upsert', p::json, sha256('1'), pg_current_xact_id(), now() FROM (VALUES (1, '1'), (2, NULL)) v(w, p);
SELECT is(t.documents('pointed2'), '{"k 2 1"}', 'unless an earlier event had the same content');
DELETE FROM runtime.sync_stream_events WHERE topic LIKE 'pointed%';

-- Read models are published tables; their publications have ids below those of users'.
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) SELECT 'runtime/run_summary:' || i, i, jsonb_build_object('b', i, 'a', i) FROM generate_series(1, 5) i;
SELECT is(t.documents('runtime.run_summaries', 2), ARRAY(SELECT format('runtime/run_summary:%s %s {"a":%s,"b":%s}', i, i, i, i) FROM generate_series(1, 5) i), 'a read model');
SELECT is((SELECT count(*) FROM runtime.sync_snapshot('runtime.run_summaries') s JOIN runtime.sync_replay('runtime.run_summaries', 0) e USING (doc_key, doc_version, payload_hash)), 5::bigint, 'its documents are its events''');
SELECT is((SELECT payload::text FROM runtime.sync_document('runtime.run_summaries', 'runtime/run_summary:4')), '{"a":4,"b":4}', 'one of its documents');

-- A source named by a policy.
CREATE TABLE app.model (topic text, doc_key text, doc_version bigint, payload jsonb, PRIMARY KEY (topic, doc_key));
INSERT INTO app.model SELECT t, 'm' || i, i, jsonb_build_object('b', i, 'a', t) FROM unnest('{model.x,model.y}'::text[]) t, generate_series(1, 9) i;
CREATE VIEW app.model_view AS SELECT 'v' || doc_key AS doc_key, doc_version::int, payload::json FROM app.model WHERE topic = 'model.x';
CREATE FUNCTION app.model_function(topic text) RETURNS TABLE (doc_key text, doc_version bigint, payload json) LANGUAGE sql STABLE AS $$ SELECT topic || i, NULL::bigint, to_json(i) FROM generate_series(1, 3) i $$;
SELECT runtime.sync_set_policy('model.*', snapshot_source => 'app.model'), runtime.sync_set_policy('view.*', snapshot_source => 'app.model_view'),
       runtime.sync_set_policy('function.*', snapshot_source => 'app.model_function(topic)'), runtime.sync_set_policy('notes', snapshot_source => 'journal') \g /dev/null
SELECT is(t.documents('model.y', 4), ARRAY(SELECT format('m%s %s {"a":"model.y","b":%s}', i, i, i) FROM generate_series(1, 9) i), 'a table with a topic column');
SELECT is(t.documents('view.z', 5), ARRAY(SELECT format('vm%s %s {"a":"model.x","b":%s}', i, i, i) FROM generate_series(1, 9) i), 'a view');
SELECT is(t.documents('function.z', 2), '{"function.z1 0 1","function.z2 0 2","function.z3 0 3"}', 'a function of the topic; without a version it is the watermark');
SELECT is((SELECT payload::text FROM runtime.sync_document('model.x', 'm3')), '{"a":"model.x","b":3}', 'one document of it');
SELECT is((SELECT payload::text FROM runtime.sync_document('function.q', 'function.q2')), '2', 'one document of a function');
SELECT is((SELECT count(*) FROM runtime.sync_document('model.x', 'm33')), 0::bigint, 'one that is not there');
SELECT is(array_length(t.documents('notes', 3), 1), 8, 'journal: the events of a published table');
SELECT runtime.sync_set_policy('bad.' || n, snapshot_source => s) FROM (VALUES (1, 'model'), (2, 'app.none'), (3, 'app.none(topic)'), (4, 'app.notes'), (5, 'app.model; DROP TABLE app.model'), (6, 'app.model_function')) v(n, s) \g /dev/null
SELECT throws_ok('SELECT * FROM runtime.sync_snapshot(''bad.' || n || ''')', s, NULL, 'a bad source: ' || n) FROM (VALUES (1, '22023'), (2, '42P01'), (3, '42883'), (4, '42703'), (5, '42602'), (6, '42P01')) v(n, s);
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('notes', 3, (SELECT next_page_token FROM runtime.sync_snapshot('model.x', 3) LIMIT 1))$$, '22023', 'invalid page token', 'a token of another topic');
SELECT next_page_token AS token FROM runtime.sync_snapshot('model.x', 4) LIMIT 1 \gset
SELECT runtime.sync_drop_policy('model.*'), runtime.sync_drop_policy('notes') \g /dev/null
SELECT throws_ok(format($$SELECT * FROM runtime.sync_snapshot('model.x', 3, %L)$$, :'token'), '22023', 'invalid page token', 'a token of another source');

-- Tokens
SELECT next_page_token AS token FROM runtime.sync_snapshot('notes', 3) LIMIT 1 \gset
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', bad), '22023', 'invalid page token', 'a damaged token')
  FROM unnest(ARRAY['', 'x', '''; DROP TABLE app.notes', left(:'token', -1), :'token' || 'A', overlay(:'token' PLACING 'zz' FROM 12), repeat('A', 100000), 'ä']) bad;
SELECT count(*) AS changed FROM (SELECT t.failure(format('DO $x$ BEGIN PERFORM runtime.sync_snapshot(''notes'', 3, %L); END $x$', overlay(:'token' PLACING c FROM i FOR 1))) AS state
  FROM generate_series(1, length(:'token')) i, unnest('{A,B}'::text[]) c WHERE substr(:'token', i, 1) <> c) f WHERE state <> '22023' \gset
SELECT is(:changed, 0, 'a token with any character changed is refused');
-- Tokens made by someone who knows how: what they say is looked at, and never SQL.
CREATE FUNCTION t.forge(body bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE sum bigint := 2166136261;
BEGIN
  FOR i IN 0 .. octet_length(body) - 1 LOOP sum := ((sum # get_byte(body, i)) * 16777619) % 4294967296; END LOOP;
  RETURN rtrim(translate(encode('\x01' || set_byte(set_byte(set_byte(set_byte('\x00000000', 0, (sum & 255)::int), 1, (sum >> 8 & 255)::int), 2, (sum >> 16 & 255)::int), 3, (sum >> 24)::int) || body, 'base64'), E'+/\n', '-_'), '=');
END $$;
-- The body of a real one, with its position (the last value) changed.
CREATE FUNCTION t.forged(token text, position_values text[]) RETURNS text LANGUAGE sql AS $$
  SELECT t.forge(substr(body, 6, octet_length(body) - 5 - 3) || decode(lpad(to_hex(array_length($2, 1)), 2, '0'), 'hex') || string_agg(decode(lpad(to_hex(octet_length(v)), 2, '0'), 'hex') || convert_to(v, 'UTF8'), '' ORDER BY n))
  FROM decode(rpad(translate($1, '-_', '+/'), (length($1) + 3) / 4 * 4, '='), 'base64') AS body, unnest($2) WITH ORDINALITY AS p(v, n) GROUP BY body $$;
SELECT is((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_snapshot('notes', 9, t.forged(:'token', '{3}'))), '{note:4,note:5,note:50,note:6,note:7}'::text[], 'the forger knows his trade');
SELECT is((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_snapshot('notes', 9, t.forged(:'token', '{6}'))), '{note:50,note:7}'::text[], 'another position only shows what another page would');
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', t.forged(:'token', p)), '22023', 'invalid page token', 'a forged position') FROM (VALUES ('{x}'::text[]), ('{99999999999}'), ('{"1; DROP TABLE app.notes"}'), ('{1,2}')) v(p);
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', t.forge('\x056e6f746573' || substr(decode(rpad(translate(:'token', '-_', '+/'), (length(:'token') + 3) / 4 * 4, '='), 'base64'), 12, 5) || '\x7f' || '\x01010000013133')), NULL, NULL, 'a forged cursor');
ALTER TABLE app.notes ADD COLUMN id2 int;
SELECT lives_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', :'token'), 'a token outlives an added column');
SELECT runtime.sync_publish('app.notes', topic => 'notes', doc_key => 'note:{id}', payload => 'id') \g /dev/null
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', :'token'), '22023', 'invalid page token', 'but not a table that is published anew');
SELECT next_page_token AS token FROM runtime.sync_snapshot('notes', 3) LIMIT 1 \gset
UPDATE app.notes SET body = 'events';
INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor) SELECT topic, head + 1, head FROM runtime.sync_topic_heads('{notes}') ON CONFLICT (topic) DO UPDATE SET next_watermark = EXCLUDED.next_watermark, floor = EXCLUDED.floor;
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''notes'', 3, %L)', :'token'), '55000', 'the snapshot''s cursor is no longer retained', 'a cursor below the floor');
SELECT is((SELECT watermark FROM runtime.sync_snapshot('notes') LIMIT 1), (SELECT head FROM runtime.sync_topic_heads('{notes}')), 'a fully retired topic: the cursor is its head');
BEGIN;
INSERT INTO runtime.sync_epochs (epoch, system_identifier, timeline, reason) SELECT max(epoch) + 1, 0, 0, 'test' FROM runtime.sync_epochs;
SELECT next_page_token AS token FROM runtime.sync_snapshot('summaries', 1) LIMIT 1 \gset
ROLLBACK;
INSERT INTO app.summaries VALUES (3, '{}'), (4, '{}');
SELECT next_page_token AS token FROM runtime.sync_snapshot('summaries', 1) LIMIT 1 \gset
BEGIN;
INSERT INTO runtime.sync_epochs (epoch, system_identifier, timeline, reason) SELECT max(epoch) + 1, 0, 0, 'test' FROM runtime.sync_epochs;
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''summaries'', 3, %L)', :'token'), '55000', 'the page token is of another history of the database', 'an epoch that is gone');
ROLLBACK;

-- What a snapshot no longer shows.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM app.a \g /dev/null
SELECT t.run('TRUNCATE app.summaries') \g /dev/null
SELECT throws_ok('SELECT * FROM runtime.sync_snapshot(''summaries'')', '40001', NULL, 'a table that was truncated after the snapshot');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM app.a \g /dev/null
SELECT t.run('SET client_min_messages = error; ALTER TABLE app.run_events ADD COLUMN r float8 DEFAULT random()') \g /dev/null
SELECT throws_ok('SELECT * FROM runtime.sync_snapshot(''run:1:events'')', '40001', NULL, 'a table that was rewritten after the snapshot');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM app.a \g /dev/null
SELECT t.run('DO $x$ BEGIN PERFORM runtime.sync_publish(''app.notes'', topic => ''notes'', doc_key => ''n:{id}''); END $x$') \g /dev/null
SELECT throws_ok('SELECT * FROM runtime.sync_snapshot(''notes'')', '40001', NULL, 'a table that was published anew after the snapshot');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM app.a \g /dev/null
SELECT t.run('CREATE TABLE app.fresh (id int PRIMARY KEY); INSERT INTO app.fresh VALUES (1); DO $x$ BEGIN PERFORM runtime.sync_publish(''app.fresh'', topic => ''fresh''); END $x$; INSERT INTO app.fresh VALUES (2)') \g /dev/null
SELECT is((SELECT (count(doc_key), min(watermark))::text FROM runtime.sync_snapshot('fresh')), '(0,0)', 'a table that was published after the snapshot is none of its sources');
ROLLBACK;
BEGIN;
INSERT INTO app.summaries VALUES (1, '{}');
SELECT throws_ok('SELECT * FROM runtime.sync_snapshot(''summaries'')', '25001', NULL, 'a transaction that has written');
ROLLBACK;

-- Arguments
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('not a topic')$$, '22023', 'invalid topic "not a topic"', 'invalid topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot(NULL)$$, '22004', 'topic must not be null', 'null topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('x', NULL)$$, '22004', 'max_documents must not be null', 'null limit');
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('x', 1, NULL, NULL)$$, '22004', 'max_bytes must not be null', 'null bytes');
SELECT throws_ok(format('SELECT * FROM runtime.sync_snapshot(''x'', %s, NULL, %s)', n, b), '22023', 'limits of a page out of range', 'limits') FROM (VALUES (0, 1), (-1, 1), (100001, 1), (1, 0), (1, 268435457)) v(n, b);

-- Rights: the table's owner reads, whoever may call.
CREATE ROLE snapshot_owner; CREATE ROLE snapshot_reader LOGIN;
GRANT USAGE ON SCHEMA runtime, app TO snapshot_reader; GRANT USAGE, CREATE ON SCHEMA app TO snapshot_owner;
CREATE TABLE app.guarded (id int PRIMARY KEY, body text);
CREATE FUNCTION app.guarded_payload(g app.guarded) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RETURN json_build_object('user', current_user, 'path', current_setting('search_path')); END $$;
ALTER TABLE app.guarded OWNER TO snapshot_owner;
SELECT runtime.sync_publish('app.guarded', topic => 'guarded', payload => 'app.guarded_payload(*)') \g /dev/null
INSERT INTO app.guarded VALUES (1, 'x');
SELECT is((SELECT count(*) FROM pg_proc p WHERE proname IN ('sync_snapshot', 'sync_snapshot_json', 'sync_document', 'sync_document_json') AND has_function_privilege('snapshot_reader', p.oid, 'EXECUTE')), 0::bigint, 'no EXECUTE for PUBLIC');
GRANT EXECUTE ON FUNCTION runtime.sync_snapshot(text, integer, text, bigint) TO snapshot_reader;
SELECT is(t.ask('SELECT payload FROM runtime.sync_snapshot(''guarded'')', role => 'snapshot_reader'), '{"path":"pg_catalog, pg_temp","user":"snapshot_owner"}', 'the payload function runs as the owner, with a fixed search_path');
SELECT is(t.ask('SELECT current_user::text FROM runtime.sync_snapshot(''guarded'') LIMIT 1', role => 'snapshot_reader'), 'snapshot_reader', 'and the caller is himself again');
ALTER TABLE app.guarded ENABLE ROW LEVEL SECURITY;
SELECT is(t.ask('SELECT count(doc_key)::text FROM runtime.sync_snapshot(''guarded'')', role => 'snapshot_reader'), '1', 'row security does not apply to the owner');
ALTER TABLE app.guarded FORCE ROW LEVEL SECURITY;
SELECT is(t.failure('DO $$BEGIN PERFORM runtime.sync_snapshot(''guarded''); END$$', role => 'snapshot_reader'), '42501', 'unless it is forced: an error, not an empty snapshot');
ALTER TABLE app.guarded NO FORCE ROW LEVEL SECURITY;
REVOKE SELECT ON app.guarded FROM snapshot_owner;
SELECT is(t.failure('DO $$BEGIN PERFORM runtime.sync_snapshot(''guarded''); END$$', role => 'snapshot_reader'), '42501', 'an owner without SELECT');
GRANT SELECT ON app.guarded TO snapshot_owner;
CREATE OR REPLACE FUNCTION app.guarded_payload(g app.guarded) RETURNS json LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE leak (x int); RETURN '1'; END $$;
SELECT is(t.failure('DO $$BEGIN PERFORM runtime.sync_snapshot(''guarded''); END$$', role => 'snapshot_reader'), '42501', 'a payload function can not do what outlives it');
DROP TABLE app.guarded CASCADE;
DROP OWNED BY snapshot_owner, snapshot_reader; DROP ROLE snapshot_owner, snapshot_reader;

-- Named sources: keys that are no text, and what no event could have.
CREATE TABLE app.by_number (doc_key bigint PRIMARY KEY, doc_version bigint, payload jsonb);
INSERT INTO app.by_number SELECT n, 1, '{}' FROM generate_series(1, 12) n;
SELECT runtime.sync_set_policy('named:number', snapshot_source => 'app.by_number') \g /dev/null
SELECT next_page_token AS token FROM runtime.sync_snapshot('named:number', 8) LIMIT 1 \gset
SELECT is((SELECT array_agg(doc_key) FROM (SELECT doc_key FROM runtime.sync_snapshot('named:number', 8) UNION ALL SELECT doc_key FROM runtime.sync_snapshot('named:number', 8, :'token')) d),
  ARRAY['1', '10', '11', '12', '2', '3', '4', '5', '6', '7', '8', '9'], 'pages of a source whose keys are numbers');
SELECT is((SELECT doc_version FROM runtime.sync_document('named:number', '12')), 1::bigint, 'and one of its documents');
UPDATE app.by_number SET doc_version = -1 WHERE doc_key = 12;
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('named:number')$$, '22003', NULL, 'a version below 0');
CREATE VIEW app.long_keys AS SELECT repeat('x', 1025) AS doc_key, 1 AS doc_version, '{}'::json AS payload;
SELECT runtime.sync_set_policy('named:number', snapshot_source => 'app.long_keys') \g /dev/null
SELECT throws_ok($$SELECT * FROM runtime.sync_snapshot('named:number')$$, '22023', NULL, 'a key that is too long');

-- An update that changes nothing of the document but its place in the order of pages is an event.
CREATE TABLE app.moved (id int PRIMARY KEY, slug text UNIQUE NOT NULL, note text);
INSERT INTO app.moved SELECT n, 's' || n FROM generate_series(1, 10) n;
SELECT runtime.sync_publish('app.moved', topic => 'moved', doc_key => '{slug}', payload => 'slug', skip_unchanged => true) \g /dev/null
SELECT next_page_token AS token, watermark AS cursor FROM runtime.sync_snapshot('moved', 5) LIMIT 1 \gset
UPDATE app.moved SET id = 0 WHERE id = 9;
UPDATE app.moved SET note = 'x' WHERE id = 8;
SELECT is((SELECT array_agg(doc_key) FROM runtime.sync_snapshot('moved', 50, :'token')), ARRAY['s6', 's7', 's8', 's10'], 'a row that moves before a page is in none');
SELECT is((SELECT array_agg(doc_key) FROM runtime.sync_replay('moved', :cursor)), ARRAY['s9'], 'and comes with the events');

-- What the code of a table's owner sets stays behind: it would be the search_path of whoever reads.
CREATE TABLE app.setter (id int PRIMARY KEY); INSERT INTO app.setter VALUES (1);
CREATE FUNCTION app.set_path(r app.setter) RETURNS json LANGUAGE plpgsql STABLE AS $$ BEGIN
  PERFORM set_config('search_path', 'hostile', false), set_config('row_security', 'off', true), set_config('app.mark', 'x', false);
  RETURN '1'; END $$;
SELECT runtime.sync_publish('app.setter', topic => 'setter', doc_key => '{id}', payload => 'app.set_path(*)') \g /dev/null
SELECT current_setting('search_path') AS path \gset
SELECT is((SELECT payload::text FROM runtime.sync_snapshot('setter')), '1', 'a payload function that sets things');
SELECT is(format('%s %s %s', current_setting('search_path'), current_setting('row_security'), current_setting('app.mark', true)), format('%s on ', :'path'), 'sets nothing in the session that reads');
CREATE FUNCTION app.documents_that_set(topic text) RETURNS TABLE (doc_key text, doc_version bigint, payload json) LANGUAGE plpgsql AS $$ BEGIN
  PERFORM set_config('search_path', 'hostile', false); RETURN QUERY SELECT 'k'::text, 1::bigint, '1'::json; END $$;
SELECT runtime.sync_set_policy('setter', snapshot_source => 'app.documents_that_set(topic)') \g /dev/null
SELECT is((SELECT doc_key FROM runtime.sync_document('setter', 'k')), 'k', 'a source that does');
SELECT is(current_setting('search_path'), :'path', 'neither');
SELECT * FROM finish();
