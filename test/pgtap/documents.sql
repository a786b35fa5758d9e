-- sync_document: one document by its key, from every kind of source.
\ir include/setup.sql
SELECT plan(40);
CREATE FUNCTION t.document(topic text, doc_key text) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce((SELECT format('%s %s %s%s', d.doc_key, d.doc_version, d.payload, CASE WHEN d.payload_hash <> sha256(convert_to(d.payload::text, 'UTF8')) THEN ' wrong hash' END)
                   FROM runtime.sync_document($1, $2) d), 'none') $$;

CREATE TABLE app.events (run_id bigint, seq int, at timestamptz NOT NULL DEFAULT '2026-11-22 20:00:00Z', body text, PRIMARY KEY (run_id, seq));
SELECT runtime.sync_publish('app.events', topic => 'run:{run_id}', doc_key => 'run:{run_id}:{seq}', doc_version => 'at', payload => 'body, seq') \g /dev/null
INSERT INTO app.events SELECT r, s, '2026-11-22 20:00:00Z', 'b' || r || '.' || s FROM generate_series(1, 1000) r, generate_series(1, 100) s;
ANALYZE app.events;
SELECT is(t.document('run:7', 'run:7:9'), 'run:7:9 1795377600000000 {"body":"b7.9","seq":9}', 'a document');
SELECT is(t.document('run:7', 'run:7:101'), 'none', 'none: no such row');
SELECT is(t.document('run:7', 'run:8:9'), 'none', 'none: of another topic');
SELECT is(t.document('run:7', 'run:7:x'), 'none', 'none: no such value');
SELECT is(t.document('run:7', 'run:7:09'), 'none', 'none: another text of the value');
SELECT is(t.document('run:7', 'run:7:99999999999999999999999'), 'none', 'none: a value that is too large');
SELECT is(t.document('run:x', 'run:x:9'), 'none', 'none: no such topic');
SELECT is(t.document('none:7', 'run:7:9'), 'none', 'none: no such publication');
SELECT is(t.document('run:7', E'run:7:\\x00'), 'none', 'none: strange text');
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT seq_scan AS seq_scan_before, idx_tup_fetch AS fetched_before FROM pg_stat_user_tables WHERE relname = 'events' \gset
SELECT count(*) FROM runtime.sync_document('run:500', 'run:500:50') \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT ok(t.wait_for(format('SELECT idx_tup_fetch > %s FROM pg_stat_user_tables WHERE relname = ''events''', :fetched_before)), 'the index was used');
SELECT is((SELECT (seq_scan, idx_tup_fetch)::text FROM pg_stat_user_tables WHERE relname = 'events'), format('(%s,%s)', :seq_scan_before, :fetched_before + 1), 'one row was read out of 100 000');
SELECT is((SELECT (payload_hash, epoch, watermark)::text FROM runtime.sync_document('run:7', 'run:7:9')), (SELECT (payload_hash, epoch, 100::bigint)::text FROM runtime.sync_replay('run:7', 8, 1)), 'the hash is the event''s; epoch and head of the topic');
UPDATE app.events SET body = NULL, at = '2026-11-22 20:00:01Z' WHERE run_id = 7 AND seq = 9;
SELECT is(t.document('run:7', 'run:7:9'), 'run:7:9 1795377601000000 {"body":null,"seq":9}', 'after an update');
DELETE FROM app.events WHERE run_id = 7 AND seq = 9;
SELECT is(t.document('run:7', 'run:7:9'), 'none', 'after its delete');
SELECT is(convert_from(runtime.sync_document_json('run:7', 'run:7:8'), 'UTF8')::jsonb - 'epoch', jsonb_build_object('document', jsonb_build_object('doc_key', 'run:7:8', 'doc_version', 1795377600000000,
  'payload', '{"body":"b7.8","seq":8}'::jsonb, 'payload_hash', encode(sha256('{"body":"b7.8","seq":8}'), 'base64')), 'topic', 'run:7', 'watermark', 102), 'sync_document_json');
SELECT is(convert_from(runtime.sync_document_json('run:7', 'run:7:9'), 'UTF8')::jsonb->'document', 'null', 'its document is null when there is none');

-- A pointer event is hydrated: same hash, and a version that is not older.
CREATE TABLE app.large (id int PRIMARY KEY, body text);
SELECT runtime.sync_publish('app.large', topic => 'large', doc_key => '{id}') \g /dev/null
INSERT INTO app.large VALUES (1, repeat('x', 100000));
SELECT ok((SELECT d.payload_hash = e.payload_hash AND d.doc_version >= e.doc_version AND length(d.payload::text) > 100000 FROM runtime.sync_replay('large', 0) e, runtime.sync_document('large', e.doc_key) d), 'what an event is of');
SELECT t.run('UPDATE app.large SET body = ''new''') \g /dev/null
SELECT is((SELECT (e.watermark, d.payload_hash = e.payload_hash, d.doc_version)::text FROM runtime.sync_replay('large', 0, 1) e, runtime.sync_document('large', e.doc_key) d), '(1,f,2)', 'an older event: a newer version, another hash');

-- Several publications; partitions; text in which everything may stand.
CREATE TABLE app.x (k text PRIMARY KEY);
CREATE TABLE app.y (k text PRIMARY KEY) PARTITION BY LIST (k);
CREATE TABLE app.y1 PARTITION OF app.y DEFAULT;
SET client_min_messages = error;
SELECT runtime.sync_publish('app.x', topic => 'both', doc_key => 'x:{k}'), runtime.sync_publish('app.y', topic => 'both', doc_key => '{k}') \g /dev/null
SET client_min_messages = warning;
INSERT INTO app.x VALUES ('a:b'), (E'quote '' and \\ and "'), ('{k}'), ('größe'), (''), ('%s $1');
INSERT INTO app.y VALUES ('y:1'), ('x:y');
SELECT is((SELECT count(*) FROM app.x, runtime.sync_document('both', 'x:' || k) d WHERE d.payload->>'k' = k), 6::bigint, 'keys of any text');
SELECT is(t.document('both', 'y:1'), 'y:1 8 {"k":"y:1"}', 'of the second table, partitioned');
SELECT is(t.document('both', 'x:y'), 'x:y 8 {"k":"x:y"}', 'a key that the first table could have');

-- Without an index, and with a type that has no look-up.
CREATE TYPE app.pair AS (a int, b text);
CREATE TABLE app.odd (p app.pair, j jsonb, body int);
SELECT runtime.sync_publish('app.odd', topic => 'odd', doc_key => '{p}{j}', payload => 'body') \g /dev/null
INSERT INTO app.odd SELECT (i, 'x')::app.pair, to_jsonb(i), i FROM generate_series(1, 50) i;
SELECT is(t.document('odd', '{"a":3,"b":"x"}3'), '{"a":3,"b":"x"}3 50 {"body":3}', 'composite and jsonb keys');

-- The journal.
SELECT runtime.sync_emit('emitted', 'a', 5, '{"x": 1}'), runtime.sync_emit('emitted', 'b', 6, '2'), runtime.sync_emit('emitted', 'b', 7, NULL) \g /dev/null
SELECT is(t.document('emitted', 'a'), 'a 5 {"x":1}', 'of the journal');
SELECT is(t.document('emitted', 'b'), 'none', 'deleted in the journal');
SELECT is(t.document('emitted', 'c'), 'none', 'never in the journal');

-- A database that is not UTF-8: the same bytes.
SET client_encoding = 'UTF8';
DROP DATABASE IF EXISTS oa_pgtap_documents;
CREATE DATABASE oa_pgtap_documents TEMPLATE template0 ENCODING 'latin1' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE FUNCTION t.fill() RETURNS text LANGUAGE sql AS $$ SELECT $x$
  SET client_encoding = 'UTF8'; CREATE EXTENSION IF NOT EXISTS oa_sync; CREATE SCHEMA IF NOT EXISTS app;
  CREATE TABLE app.letters (id text PRIMARY KEY, "bä" json);
  DO $y$ BEGIN PERFORM runtime.sync_publish('app.letters', topic => 'letters', doc_key => 'kä/{id}'); PERFORM runtime.sync_emit('told', 'ö', 1, '{"ü":"\u00df\u20ac"}'); END $y$;
  INSERT INTO app.letters VALUES ('a', '1'), ('ä', '{"z":1,"ä":"\u20ac \ud83d\ude00 \u00e4"}'), ('ö', '3') $x$ $$;
SELECT t.run(t.fill()), t.run(t.fill(), 'oa_pgtap_documents') \g /dev/null
CREATE FUNCTION t.body(query text, database text DEFAULT current_database()) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(convert_from(decode(t.ask('SET client_encoding = ''UTF8''; SELECT encode(' || $1 || ', ''hex'')', $2), 'hex'), 'UTF8'), '"epoch":\d+', '') $$;
SELECT is(t.body('runtime.sync_snapshot_json(''letters'')', 'oa_pgtap_documents'), t.body('runtime.sync_snapshot_json(''letters'')'), 'LATIN1: a snapshot');
SELECT matches(t.body('runtime.sync_snapshot_json(''letters'')'), '"doc_key":"kä/ä".*"payload":\{"bä":\{"z":1,"ä":"€ 😀 ä"\},"id":"ä"\}', 'it has something to tell');
SELECT is(t.body('runtime.sync_snapshot_json(''letters'', 1, (SELECT next_page_token FROM runtime.sync_snapshot(''letters'', 2) LIMIT 1))', 'oa_pgtap_documents'), t.body('runtime.sync_snapshot_json(''letters'', 1, (SELECT next_page_token FROM runtime.sync_snapshot(''letters'', 2) LIMIT 1))'), 'LATIN1: a later page');
SELECT is(t.body('runtime.sync_document_json(''letters'', ''kä/ä'')', 'oa_pgtap_documents'), t.body('runtime.sync_document_json(''letters'', ''kä/ä'')'), 'LATIN1: a document');
SELECT is(t.body('runtime.sync_snapshot_json(''told'')', 'oa_pgtap_documents'), t.body('runtime.sync_snapshot_json(''told'')'), 'LATIN1: out of the journal');
SELECT is(t.ask('SELECT count(*)::text FROM runtime.sync_snapshot(''letters'') s JOIN runtime.sync_replay(''letters'', 0) e USING (doc_key, payload_hash) WHERE s.payload::text = e.payload::text', 'oa_pgtap_documents'), '3', 'LATIN1: rows and hashes are those of the events');
DROP DATABASE oa_pgtap_documents;

-- A page in the middle of a large table reads a page's rows.
CREATE TABLE app.big (id bigint PRIMARY KEY, body text);
INSERT INTO app.big SELECT i, 'x' FROM generate_series(1, 100000) i;
ANALYZE app.big;
SELECT runtime.sync_publish('app.big', topic => 'big', doc_key => 'big:{id}') \g /dev/null
SELECT next_page_token AS token FROM runtime.sync_snapshot('big', 30000) LIMIT 1 \gset
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT coalesce(seq_scan, 0) AS seq_scan_before, coalesce(idx_tup_fetch, 0) AS fetched_before FROM pg_stat_user_tables WHERE relname = 'big' \gset
SELECT min(doc_key) AS first_key FROM runtime.sync_snapshot('big', 200, :'token') \gset
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT t.wait_for(format('SELECT idx_tup_fetch > %s FROM pg_stat_user_tables WHERE relname = ''big''', :fetched_before)) \g /dev/null
SELECT is((SELECT (:'first_key', seq_scan, idx_tup_fetch - :fetched_before BETWEEN 200 AND 300)::text FROM pg_stat_user_tables WHERE relname = 'big'), format('(big:30001,%s,t)', :seq_scan_before), 'page 2 of a large table');

-- Errors
SELECT throws_ok($$SELECT * FROM runtime.sync_document('no topic', 'x')$$, '22023', 'invalid topic "no topic"', 'invalid topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_document('x', '')$$, '22023', NULL, 'empty key');
SELECT throws_ok($$SELECT * FROM runtime.sync_document('x', repeat('x', 1025))$$, '22023', NULL, 'long key');
SELECT throws_ok($$SELECT * FROM runtime.sync_document(NULL, 'x')$$, '22004', 'topic must not be null', 'null topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_document_json('x', NULL)$$, '22004', 'doc_key must not be null', 'null key');
BEGIN;
INSERT INTO app.large VALUES (2, 'x');
SELECT throws_ok($$SELECT * FROM runtime.sync_document('large', '2')$$, '25001', NULL, 'a transaction that has written');
ROLLBACK;
INSERT INTO app.large VALUES (3, 'x');
SELECT is(t.document('large', '3'), '3 3 {"body":"x","id":3}', 'and after that');
ALTER TABLE app.large RENAME body TO text;
UPDATE app.large SET text = 'y' WHERE id = 3;
SELECT is(t.document('large', '3'), '3 4 {"id":3,"text":"y"}', 'after a column was renamed');
SELECT * FROM finish();
