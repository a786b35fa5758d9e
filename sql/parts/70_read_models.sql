-- Read models: documents as they are now. The payload is json, not jsonb: json keeps the text of numbers (1.50, 1e400), so
-- what is stored is byte for byte what is hashed and what the journal and the wire carry.

CREATE TABLE @extschema@.sync_run_summaries (
  doc_key text COLLATE "C" PRIMARY KEY,
  doc_version bigint NOT NULL CHECK (doc_version >= 0),
  payload json NOT NULL,
  payload_hash bytea NOT NULL,
  inserted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.sync_run_summaries IS
  'Read model: a summary of each run. Write doc_key, doc_version and payload, by INSERT ... ON CONFLICT, MERGE, sync_upsert_document() or a projection; the rest is computed. Its rows are the documents of the topic runtime.run_summaries.';
COMMENT ON COLUMN @extschema@.sync_run_summaries.doc_key IS 'Names the document, for example runtime/run_summary:42';
COMMENT ON COLUMN @extschema@.sync_run_summaries.doc_version IS 'Orders the states of the document: a write with an older one is left out';
COMMENT ON COLUMN @extschema@.sync_run_summaries.payload IS 'The document, as canonical JSON';
COMMENT ON COLUMN @extschema@.sync_run_summaries.payload_hash IS 'sha256 of the canonical JSON in UTF-8, always computed here; the same as of its event';
COMMENT ON COLUMN @extschema@.sync_run_summaries.inserted_at IS 'When the document first came';
COMMENT ON COLUMN @extschema@.sync_run_summaries.updated_at IS 'When it was last changed';

CREATE TABLE @extschema@.sync_codex_worker_summaries (
  doc_key text COLLATE "C" PRIMARY KEY,
  doc_version bigint NOT NULL CHECK (doc_version >= 0),
  payload json NOT NULL,
  payload_hash bytea NOT NULL,
  inserted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.sync_codex_worker_summaries IS
  'Read model: a summary of each codex worker. Write doc_key, doc_version and payload, by INSERT ... ON CONFLICT, MERGE, sync_upsert_document() or a projection; the rest is computed. Its rows are the documents of the topic runtime.codex_worker_summaries.';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.doc_key IS 'Names the document, for example runtime/codex_worker_summary:7';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.doc_version IS 'Orders the states of the document: a write with an older one is left out';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.payload IS 'The document, as canonical JSON';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.payload_hash IS 'sha256 of the canonical JSON in UTF-8, always computed here; the same as of its event';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.inserted_at IS 'When the document first came';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.updated_at IS 'When it was last changed';

CREATE FUNCTION @extschema@.oa_sync_guard_document() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_guard_document';
COMMENT ON FUNCTION @extschema@.oa_sync_guard_document() IS
  'BEFORE INSERT OR UPDATE row trigger of read models, made by sync_guard(): computes payload_hash, leaves out what is stale or unchanged.';

CREATE FUNCTION @extschema@.oa_sync_count_document() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_count_document';
COMMENT ON FUNCTION @extschema@.oa_sync_count_document() IS 'AFTER INSERT row trigger of read models, made by sync_guard(): counts new documents.';

CREATE FUNCTION @extschema@.oa_sync_check_read_model(relation regclass) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'oa_sync_check_read_model';
COMMENT ON FUNCTION @extschema@.oa_sync_check_read_model(regclass) IS
  'ERROR 42809 when a table does not have the columns of a read model. Called by sync_guard().';

CREATE FUNCTION @extschema@.sync_guard(relation regclass) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  kind "char";
BEGIN
  IF relation IS NULL THEN
    RAISE EXCEPTION 'relation must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = relation;
  IF kind IS NULL THEN
    RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = 'undefined_table';
  ELSIF kind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not a table', relation USING ERRCODE = 'wrong_object_type';
  END IF;
  PERFORM @extschema@.oa_sync_check_read_model(relation);
  IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                 WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indnkeyatts = 1
                   AND i.indpred IS NULL AND a.attname = 'doc_key') THEN
    RAISE EXCEPTION 'table % is not a read model', relation
      USING ERRCODE = 'wrong_object_type', DETAIL = 'Its column "doc_key" is not unique.',
            HINT = 'Make doc_key its primary key.';
  END IF;
  -- ~ comes after the names of the user's own triggers: what they change is what is judged.
  EXECUTE format('DROP TRIGGER IF EXISTS "~oa_sync_guard" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "~oa_sync_count" ON %s', relation);
  EXECUTE format('CREATE TRIGGER "~oa_sync_guard" BEFORE INSERT OR UPDATE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_guard_document()', relation);
  EXECUTE format('CREATE TRIGGER "~oa_sync_count" AFTER INSERT ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_count_document()', relation);
  -- Also what logical replication applies.
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~oa_sync_guard"', relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~oa_sync_count"', relation);
END
$$;
COMMENT ON FUNCTION @extschema@.sync_guard(regclass) IS
  'Makes a table a read model: an older doc_version never overwrites a newer one, whichever way it is written; payload_hash and updated_at are kept. '
  'The table has doc_key text (unique), doc_version bigint, payload json or jsonb, payload_hash bytea, inserted_at and updated_at timestamptz, and what columns of its own it likes. '
  'ERROR 42809 when it has not, 42P01 when there is no such table. '
  'Example: CREATE TABLE app.cards (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard(''app.cards'');';

CREATE FUNCTION @extschema@.sync_upsert_document(
  read_model regclass, doc_key text, doc_version bigint, payload json
) RETURNS text
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_upsert_document';
COMMENT ON FUNCTION @extschema@.sync_upsert_document(regclass, text, bigint, json) IS
  'Writes a document into a read model and says what came of it: inserted, updated (a newer version), drift (the same version with another content: written, and counted), unchanged (the same version and content: nothing is written), stale (an older version: nothing is written). '
  'With the rights of the caller on the table. ERROR 22004 for a null, 22003 for a negative version, 42809 for a table that is not guarded, 42501 without INSERT and UPDATE on it. '
  'Example: SELECT runtime.sync_upsert_document(''runtime.sync_run_summaries'', ''runtime/run_summary:42'', 7, ''{"status":"done"}'');';

SELECT @extschema@.sync_guard('@extschema@.sync_run_summaries');
SELECT @extschema@.sync_guard('@extschema@.sync_codex_worker_summaries');

-- Published from the beginning, to topics that clients know whatever the schema is. Their publications belong to the
-- extension: ids below 1, which no publication of a user ever has (nor had in 0.1.0), and not in dumps, because CREATE
-- EXTENSION makes them in the cluster that a dump is restored into. The same triggers as sync_publish() makes.
INSERT INTO @extschema@.sync_publications (publication_id, relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
  VALUES (-1, '@extschema@.sync_run_summaries', 'runtime.run_summaries', '{doc_key}', 'doc_version', '{payload}', false, false),
         (-2, '@extschema@.sync_codex_worker_summaries', 'runtime.codex_worker_summaries', '{doc_key}', 'doc_version', '{payload}', false, false);
CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON @extschema@.sync_run_summaries
  FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row('-1');
CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON @extschema@.sync_run_summaries
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate('-1');
CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON @extschema@.sync_codex_worker_summaries
  FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row('-2');
CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON @extschema@.sync_codex_worker_summaries
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate('-2');
COMMENT ON TRIGGER "!oa_sync_row" ON @extschema@.sync_run_summaries IS 'Makes every write of a row an event';
COMMENT ON TRIGGER "!oa_sync_truncate" ON @extschema@.sync_run_summaries IS 'Makes a TRUNCATE an event';
COMMENT ON TRIGGER "~oa_sync_guard" ON @extschema@.sync_run_summaries IS 'Leaves out what is older than the document, or the same';
COMMENT ON TRIGGER "~oa_sync_count" ON @extschema@.sync_run_summaries IS 'Counts new documents';
COMMENT ON TRIGGER "!oa_sync_row" ON @extschema@.sync_codex_worker_summaries IS 'Makes every write of a row an event';
COMMENT ON TRIGGER "!oa_sync_truncate" ON @extschema@.sync_codex_worker_summaries IS 'Makes a TRUNCATE an event';
COMMENT ON TRIGGER "~oa_sync_guard" ON @extschema@.sync_codex_worker_summaries IS 'Leaves out what is older than the document, or the same';
COMMENT ON TRIGGER "~oa_sync_count" ON @extschema@.sync_codex_worker_summaries IS 'Counts new documents';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_run_summaries', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_codex_worker_summaries', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_publications',
  'WHERE relation NOT IN (''@extschema@.sync_run_summaries''::pg_catalog.regclass, ''@extschema@.sync_codex_worker_summaries''::pg_catalog.regclass)');

REVOKE ALL ON FUNCTION
  @extschema@.oa_sync_guard_document(), @extschema@.oa_sync_count_document(), @extschema@.oa_sync_check_read_model(regclass),
  @extschema@.sync_guard(regclass), @extschema@.sync_upsert_document(regclass, text, bigint, json)
  FROM PUBLIC;
