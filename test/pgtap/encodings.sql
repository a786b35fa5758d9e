-- Databases in other encodings: payload and hash are those of canonical JSON in UTF-8, as in a UTF-8 database.
\ir include/setup.sql
SELECT plan(23);
SET client_encoding = 'UTF8';
SELECT format('DROP DATABASE IF EXISTS oa_pgtap_%s', e) FROM unnest('{latin1,euc_jp,sql_ascii,win1251}'::text[]) e \gexec
SELECT format('CREATE DATABASE oa_pgtap_%s TEMPLATE template0 ENCODING %L LC_COLLATE ''C'' LC_CTYPE ''C''', e, e) FROM unnest('{latin1,euc_jp,sql_ascii,win1251}'::text[]) e \gexec
-- The same table here and there, and its name and a column's are not ASCII where the encoding has such letters.
CREATE FUNCTION t.make(letter text) RETURNS text LANGUAGE sql AS $$ SELECT format($x$
  SET client_encoding = 'UTF8'; CREATE EXTENSION IF NOT EXISTS oa_sync; CREATE SCHEMA IF NOT EXISTS app;
  CREATE TABLE app.docs (id text PRIMARY KEY, body text, "b%1$s" json);
  DO $y$ BEGIN PERFORM runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'k%1$s/{id}'); END $y$ $x$, letter) $$;
CREATE FUNCTION t.fill(letter text) RETURNS text LANGUAGE sql AS $$ SELECT format($x$
  SET client_encoding = 'UTF8';
  INSERT INTO app.docs VALUES ('%1$s', 'text %1$s', '{"z":1,"%1$s":"%1$s","a":"\u20ac \ud83d\ude00 \u00e4 \u0416 \u65e5 \\u0041"}');
  UPDATE app.docs SET body = 'x';
  DELETE FROM app.docs $x$, letter) $$;
-- What a reader gets: watermark, op and hash, and the serialized update without epoch and time (fields 1 to 8).
CREATE FUNCTION t.seen(database text) RETURNS text[] LANGUAGE sql AS $$
  SELECT string_to_array(t.ask('SELECT string_agg(r.watermark || '' '' || r.op || '' '' || encode(r.payload_hash, ''hex'') || '' '' || encode(substr(u.update, 1, octet_length(u.update) - 18), ''hex''), '','' ORDER BY r.watermark)
    FROM runtime.sync_replay(''docs'', 0) r JOIN runtime.sync_replay_updates(''docs'', 0) u USING (watermark)', $1), ',') $$;
SELECT t.run(t.make('ä')) \g /dev/null
SELECT t.run(t.fill('ä')) \g /dev/null
SELECT is((SELECT payload::text FROM runtime.sync_replay('docs', 0, 1)), '{"body":"text ä","bä":{"a":"€ 😀 ä Ж 日 \\u0041","z":1,"ä":"ä"},"id":"ä"}', 'UTF8: the payload');
SELECT is((SELECT doc_key FROM runtime.sync_replay('docs', 0, 1)), 'kä/ä', 'UTF8: the key');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'UTF8: the journal is sound');

SELECT t.run(t.make('ä'), 'oa_pgtap_latin1') \g /dev/null
SELECT t.run(t.fill('ä'), 'oa_pgtap_latin1') \g /dev/null
SELECT is(t.ask('SHOW server_encoding', 'oa_pgtap_latin1'), 'LATIN1', 'LATIN1');
SELECT is(t.seen('oa_pgtap_latin1'), t.seen(current_database()), 'the same updates, byte by byte, and hashes');
SELECT is(t.ask('SELECT payload FROM runtime.sync_stream_events WHERE watermark = 1', 'oa_pgtap_latin1'),
          '{"body":"text ä","bä":{"a":"\u20ac \ud83d\ude00 ä \u0416 \u65e5 \\u0041","z":1,"ä":"ä"},"id":"ä"}', 'what LATIN1 lacks is stored as an escape');
SELECT is(t.ask('SELECT doc_key FROM runtime.sync_stream_events WHERE watermark = 1', 'oa_pgtap_latin1'), 'kä/ä', 'the key is in the database''s encoding');
SELECT t.ask('SELECT pg_create_logical_replication_slot(''oa_pgtap_latin1'', ''oa_sync'')', 'oa_pgtap_latin1') \g /dev/null
SELECT is(t.ask('SELECT runtime.sync_emit(''emit'', ''ä'', 1, ''{"ü":"\u00df\u20ac","b":"\u0000"}'')', 'oa_pgtap_latin1'), '', 'sync_emit');
SELECT is(t.ask('SELECT encode(payload_hash, ''hex'') FROM runtime.sync_replay(''emit'', 0)', 'oa_pgtap_latin1'), encode(sha256(convert_to('{"b":"\u0000","ü":"ß€"}', 'UTF8')), 'hex'), 'its hash');
SELECT is(t.ask('SELECT payload FROM runtime.sync_replay(''emit'', 0)', 'oa_pgtap_latin1'), '{"b":"\u0000","ü":"ß\u20ac"}', 'its payload');
SELECT is(t.ask('SELECT encode(substr(data, 1, octet_length(update)), ''hex'') = encode(update, ''hex'')
  FROM pg_logical_slot_get_binary_changes(''oa_pgtap_latin1'', NULL, NULL), runtime.sync_replay_updates(''emit'', 0)', 'oa_pgtap_latin1'), 't', 'decoding gives the same bytes');
SELECT is(t.ask('SELECT count(*) FROM pg_logical_slot_get_changes(''oa_pgtap_latin1'', NULL, NULL, ''format'', ''text'')', 'oa_pgtap_latin1'), '0', 'once');
SELECT t.ask('SELECT pg_drop_replication_slot(''oa_pgtap_latin1'')', 'oa_pgtap_latin1') \g /dev/null

DROP TABLE app.docs;
DROP EXTENSION oa_sync CASCADE; CREATE EXTENSION oa_sync;
SELECT t.run(t.make('日')) \g /dev/null
SELECT t.run(t.fill('日')) \g /dev/null
SELECT t.run(t.make('日'), 'oa_pgtap_euc_jp') \g /dev/null
SELECT t.run(t.fill('日'), 'oa_pgtap_euc_jp') \g /dev/null
SELECT is(t.ask('SHOW server_encoding', 'oa_pgtap_euc_jp'), 'EUC_JP', 'EUC_JP');
SELECT is(t.seen('oa_pgtap_euc_jp'), t.seen(current_database()), 'the same updates, byte by byte, and hashes');
SELECT is(t.ask('SELECT doc_key || octet_length(doc_key) FROM runtime.sync_stream_events WHERE watermark = 1', 'oa_pgtap_euc_jp'), 'k日/日6', 'the key is in the database''s encoding');
SELECT is(t.ask('SELECT payload FROM runtime.sync_stream_events WHERE watermark = 1', 'oa_pgtap_euc_jp'),
          '{"body":"text 日","b日":{"a":"\u20ac \ud83d\ude00 ä Ж 日 \\u0041","z":1,"日":"日"},"id":"日"}', 'what EUC_JP lacks is stored as an escape');

DROP TABLE app.docs;
DROP EXTENSION oa_sync CASCADE; CREATE EXTENSION oa_sync;
SELECT t.run(t.make('Ж')) \g /dev/null
SELECT t.run(t.fill('Ж')) \g /dev/null
SELECT t.run(t.make('Ж'), 'oa_pgtap_win1251') \g /dev/null
SELECT t.run(t.fill('Ж'), 'oa_pgtap_win1251') \g /dev/null
SELECT is(t.ask('SHOW server_encoding', 'oa_pgtap_win1251'), 'WIN1251', 'WIN1251');
SELECT is(t.seen('oa_pgtap_win1251'), t.seen(current_database()), 'the same updates, byte by byte, and hashes');

-- SQL_ASCII takes any bytes: those that are UTF-8 give the same updates; others are refused with an error, not stored.
CREATE FUNCTION t.ascii(commands text) RETURNS text LANGUAGE sql AS $$ SELECT t.run(replace($1, 'SET client_encoding = ''UTF8'';', ''), 'oa_pgtap_sql_ascii') $$;
SELECT t.ascii(t.make('Ж')) \g /dev/null
SELECT t.ascii(replace(t.fill('Ж'), '\u20ac \ud83d\ude00 \u00e4 \u0416 \u65e5', '€ 😀 ä Ж 日')) \g /dev/null
SELECT is(t.ask('SHOW server_encoding', 'oa_pgtap_sql_ascii'), 'SQL_ASCII', 'SQL_ASCII');
SELECT is(t.seen('oa_pgtap_sql_ascii'), t.seen(current_database()), 'the same updates, byte by byte, and hashes');
SELECT is(t.failure('INSERT INTO app.docs (id) VALUES (E''\xff'')', 'oa_pgtap_sql_ascii'), '22021', 'bytes that are not UTF-8 are refused: they have no JSON');
SELECT is(t.failure('INSERT INTO app.docs (id, body) VALUES (''a'', E''\xe4'')', 'oa_pgtap_sql_ascii'), '22021', 'in a value too');
SELECT is(t.ask('SELECT count(*) FROM runtime.sync_replay_updates(''docs'', 0)', 'oa_pgtap_sql_ascii'), '3', 'and leave nothing behind');
SELECT format('DROP DATABASE oa_pgtap_%s', e) FROM unnest('{latin1,euc_jp,sql_ascii,win1251}'::text[]) e \gexec
SELECT * FROM finish();
