-- The guard: an older version never overwrites a newer one, by UPDATE, ON CONFLICT, MERGE, sync_upsert_document, logical apply.
\ir include/setup.sql
SELECT plan(51);
CREATE TABLE app.cards (LIKE runtime.sync_run_summaries INCLUDING ALL);
SELECT lives_ok($$SELECT runtime.sync_guard('app.cards')$$, 'a table of one''s own');
SELECT runtime.sync_publish('app.cards', topic => 'cards', doc_key => '{doc_key}', doc_version => 'doc_version', payload => '{payload}') \g /dev/null
CREATE FUNCTION t.counts() RETURNS text LANGUAGE sql AS $$ SELECT format('%s %s %s %s', documents_written, documents_stale, documents_unchanged, documents_drifted) FROM runtime.sync_stats $$;
CREATE FUNCTION t.card(key text DEFAULT 'a') RETURNS text LANGUAGE sql AS $$ SELECT format('%s %s', doc_version, payload) FROM app.cards WHERE doc_key = key $$;
CREATE FUNCTION t.bad_hashes() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM app.cards WHERE payload_hash <> sha256(convert_to(payload::text, 'UTF8')) $$;

-- INSERT
INSERT INTO app.cards (doc_key, doc_version, payload, payload_hash) VALUES ('a', 5, '{"b": 1.50, "a": 1}', '\x00');
SELECT is(t.card(), '5 {"a":1,"b":1.50}', 'the payload is stored in canonical form');
SELECT is((SELECT payload_hash FROM app.cards), sha256('{"a":1,"b":1.50}'), 'its hash is computed, whatever was given');
SELECT is((SELECT payload_hash FROM app.cards), (SELECT payload_hash FROM runtime.sync_replay('cards', 0)), 'and is the event''s');
SELECT is(t.counts(), '1 0 0 0', 'one written');

-- UPDATE
UPDATE app.cards SET doc_version = 4, payload = '{"old":1}';
SELECT is(t.card(), '5 {"a":1,"b":1.50}', 'UPDATE to an older version: left out');
SELECT is(t.counts(), '1 1 0 0', 'and counted');
UPDATE app.cards SET payload = '{"a":1,   "b":1.50}';
SELECT is(t.counts(), '1 1 1 0', 'the same version and content: unchanged');
SELECT is(t.events('cards', 1), '{}', 'neither is an event');
UPDATE app.cards SET payload = '{"a":1,"b":1.5}';
SELECT is(t.card(), '5 {"a":1,"b":1.5}', 'the same version and another content is written');
SELECT is(t.counts(), '2 1 1 1', 'and counted as drift');
SELECT ok(updated_at > inserted_at, 'updated_at is set') FROM app.cards;
UPDATE app.cards SET doc_version = 6;
SELECT is(t.events('cards', 1), ARRAY['2 upsert a 5 {"a":1,"b":1.5}', '3 upsert a 6 {"a":1,"b":1.5}'], 'a newer version of the same content is an event');
UPDATE app.cards SET payload_hash = '\x01', doc_version = 7;
UPDATE app.cards SET payload_hash = '\x01';
SELECT is(t.bad_hashes(), 0::bigint, 'a hash can not be forged');

-- ON CONFLICT
INSERT INTO app.cards (doc_key, doc_version, payload) VALUES ('a', 3, '"late"'), ('b', 1, '"new"')
  ON CONFLICT (doc_key) DO UPDATE SET doc_version = EXCLUDED.doc_version, payload = EXCLUDED.payload;
SELECT is(t.card() || ' ' || t.card('b'), '7 {"a":1,"b":1.5} 1 "new"', 'ON CONFLICT: the older is left out, the new one is in');
INSERT INTO app.cards (doc_key, doc_version, payload) VALUES ('a', 8, '"newer"') ON CONFLICT (doc_key) DO UPDATE SET doc_version = EXCLUDED.doc_version, payload = EXCLUDED.payload;
SELECT is(t.card(), '8 "newer"', 'a newer one is written');
SELECT is(t.counts(), '6 2 2 1', 'each is counted once');

-- MERGE
MERGE INTO app.cards c USING (VALUES ('a', 2, '"old"'::json), ('b', 2, '"two"'), ('c', 1, '"c"')) v(k, n, p) ON c.doc_key = v.k
  WHEN MATCHED THEN UPDATE SET doc_version = v.n, payload = v.p WHEN NOT MATCHED THEN INSERT (doc_key, doc_version, payload) VALUES (v.k, v.n, v.p);
SELECT is(t.card() || t.card('b') || t.card('c'), '8 "newer"2 "two"1 "c"', 'MERGE');
SELECT is(t.counts(), '8 3 2 1', 'is counted');

-- sync_upsert_document
SELECT is(runtime.sync_upsert_document('app.cards', 'd', 1, '{"n":1}'), 'inserted', 'inserted');
SELECT is(runtime.sync_upsert_document('app.cards', 'd', 1, '{ "n":1 }'), 'unchanged', 'unchanged');
SELECT is(runtime.sync_upsert_document('app.cards', 'd', 1, '{"n":2}'), 'drift', 'drift');
SELECT is(runtime.sync_upsert_document('app.cards', 'd', 3, '{"n":3}'), 'updated', 'updated');
SELECT is(runtime.sync_upsert_document('app.cards', 'd', 2, '{"n":2}'), 'stale', 'stale');
SELECT is(t.card('d'), '3 {"n":3}', 'what is left');
SELECT is((SELECT count(*) FROM runtime.sync_replay('cards', 0) WHERE doc_key = 'd'), 3::bigint, 'three events');
SELECT throws_ok($$SELECT runtime.sync_upsert_document('app.cards', 'd', -1, '1')$$, '22003', 'document version -1 is negative', 'a negative version');
SELECT throws_ok($$SELECT runtime.sync_upsert_document('app.cards', 'd', 1, NULL)$$, '22004', 'payload must not be null', 'a null');
SELECT throws_ok($$SELECT runtime.sync_upsert_document('runtime.sync_epochs', 'd', 1, '1')$$, '42809', 'table "sync_epochs" is not a read model', 'another table');
CREATE TABLE app.bare (LIKE app.cards INCLUDING ALL);
SELECT throws_ok($$SELECT runtime.sync_upsert_document('app.bare', 'd', 1, '1')$$, '23502', NULL, 'a table without a guard');
ALTER TABLE app.cards RENAME TO deck;
SELECT is(runtime.sync_upsert_document('app.deck', 'd', 4, '4'), 'updated', 'a table that is renamed');
ALTER TABLE app.deck RENAME TO cards;

-- Another key is another document.
UPDATE app.cards SET doc_key = 'z', doc_version = 1 WHERE doc_key = 'd';
SELECT is(t.card('z'), '1 4', 'a row that gets another key is another document: no version to compare');
SELECT throws_ok($$UPDATE app.cards SET doc_key = 'a' WHERE doc_key = 'z'$$, '23505', NULL, 'one that is there is not overwritten');

-- Logical apply, and a user's triggers
SET session_replication_role = replica;
UPDATE app.cards SET doc_version = 1, payload = '"replicated"' WHERE doc_key = 'a';
RESET session_replication_role;
SELECT is(t.card(), '8 "newer"', 'what logical replication applies is judged too');
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.payload := '"stamped"'; RETURN NEW; END $$;
CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON app.cards FOR EACH ROW EXECUTE FUNCTION app.stamp();
INSERT INTO app.cards (doc_key, doc_version, payload) VALUES ('s', 1, '1');
SELECT is(t.card('s'), '1 "stamped"', 'a trigger of the user comes first');
SELECT is(t.bad_hashes(), 0::bigint, 'and what it made is hashed');
DROP TRIGGER zzz ON app.cards;

-- Columns of one's own, jsonb
ALTER TABLE app.cards ADD COLUMN note text;
UPDATE app.cards SET note = 'n' WHERE doc_key = 'a';
SELECT is((SELECT note FROM app.cards WHERE doc_key = 'a'), 'n', 'a change of another column is a change');
CREATE TABLE app.binary (doc_key text PRIMARY KEY, doc_version bigint NOT NULL, payload jsonb NOT NULL, payload_hash bytea NOT NULL,
  inserted_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
SELECT runtime.sync_guard('app.binary') \g /dev/null
SELECT is(runtime.sync_upsert_document('app.binary', 'd', 1, '{"n":1.50}'), 'inserted', 'a jsonb payload');
SELECT is(runtime.sync_upsert_document('app.binary', 'd', 1, '{"n": 1.50}'), 'unchanged', 'unchanged');
SELECT is((SELECT payload_hash FROM app.binary), sha256('{"n":1.50}'), 'its hash');
SELECT throws_ok($$INSERT INTO app.cards (doc_key, doc_version, payload) VALUES ('n', 1, NULL)$$, '23502', NULL, 'a null payload');

-- Refusals
SELECT throws_ok($$SELECT runtime.sync_guard('app.nope')$$, '42P01', NULL, 'no table');
CREATE TABLE app.other (doc_key text PRIMARY KEY, doc_version int, payload json, payload_hash bytea, inserted_at timestamptz, updated_at timestamptz);
SELECT throws_ok($$SELECT runtime.sync_guard('app.other')$$, '42809', 'table "other" is not a read model', 'a column of another type');
ALTER TABLE app.other ALTER doc_version TYPE bigint, DROP CONSTRAINT other_pkey;
SELECT throws_ok($$SELECT runtime.sync_guard('app.other')$$, '42809', NULL, 'a key that is not unique');
SELECT throws_ok($$SELECT runtime.sync_guard(NULL)$$, '22004', NULL, 'null');

-- Many at once: the newest wins.
SELECT count(dblink_connect('c' || n, t.conn())) FROM generate_series(1, 6) n \g /dev/null
SELECT count(dblink_send_query('c' || n, format($q$DO $x$ BEGIN FOR i IN 1..100 LOOP PERFORM runtime.sync_upsert_document('app.cards', 'hot', i * 6 + %s, to_json(i)); COMMIT; END LOOP; END $x$$q$, n))) FROM generate_series(1, 6) n \g /dev/null
SELECT count((SELECT min(r) FROM dblink_get_result('c' || n) AS d(r text))) FROM generate_series(1, 6) n \g /dev/null
SELECT count(dblink_disconnect('c' || n)) FROM generate_series(1, 6) n \g /dev/null
SELECT is(t.card('hot'), '606 100', 'six writers of one document: the newest version is left');
SELECT is((SELECT count(*) FROM (SELECT doc_version, lag(doc_version) OVER (ORDER BY watermark) AS before FROM runtime.sync_replay('cards', 0, 100000, 100000000) WHERE doc_key = 'hot') v WHERE doc_version <= before),
          0::bigint, 'and its events never go back');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');

-- A trigger of the read model writes to it again, after something made its plans invalid.
CREATE TABLE app.tree (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard('app.tree') \g /dev/null
CREATE FUNCTION app.up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.doc_key NOT LIKE '%/up' THEN
    GRANT SELECT ON app.tree TO CURRENT_USER;
    PERFORM runtime.sync_upsert_document('app.tree', NEW.doc_key || '/up', 1, '{}');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER up AFTER INSERT ON app.tree FOR EACH ROW EXECUTE FUNCTION app.up();
SELECT is((SELECT array_agg(runtime.sync_upsert_document('app.tree', n::text, 1, '{}')) FROM generate_series(1, 3) n), ARRAY['inserted', 'inserted', 'inserted'], 'a read model that writes to itself');
SELECT is((SELECT count(*) FROM app.tree), 6::bigint, 'has all its documents');

-- A partitioned read model
CREATE TABLE app.pieces (LIKE runtime.sync_run_summaries INCLUDING ALL) PARTITION BY HASH (doc_key);
CREATE TABLE app.piece0 PARTITION OF app.pieces FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.piece1 PARTITION OF app.pieces FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT runtime.sync_guard('app.pieces') \g /dev/null
SELECT is((SELECT array_agg(runtime.sync_upsert_document('app.pieces', k, v, '{}')) FROM (VALUES ('a', 2), ('b', 2), ('a', 1), ('b', 2), ('a', 3)) AS d(k, v)),
  ARRAY['inserted', 'inserted', 'stale', 'unchanged', 'updated'], 'the guard of a partition tells what became of a document');
SELECT * FROM finish();
