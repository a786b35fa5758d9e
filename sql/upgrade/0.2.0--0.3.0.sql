\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.2.0. What 0.3.0 adds in parts of its own follows: see extension/Makefile.

COMMENT ON COLUMN @extschema@.sync_epochs.reason IS 'Why it was opened. "being restored": by the CREATE EXTENSION of a dump that is not loaded yet';

-- Topics of OA Sync's own are refused by the library.
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, or a topic that begins with oa_sync. (those are OA Sync''s own), 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
COMMENT ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean) IS
  'Makes the writes of a table events, from now on; a table that is published already is published anew and keeps its id. Returns the publication''s id. '
  'topic and doc_key are templates over columns ({column}, {{ for a brace); their defaults are schema.table and schema/table: with the primary key, '
  'which is refused (22023) when two of its columns could contain a colon. '
  'doc_version names a column of an integer type or a timestamp (then microseconds since 1970); null is the watermark. '
  'payload is * for the row, a list of columns, or function(*) for a function of the row that returns json. '
  'skip_unchanged leaves out updates that change neither payload nor version. always captures also under session_replication_role = replica. '
  'ERROR 42703 for an unknown column, 42809 for what is not a permanent table with all its rows in it, 42710 for a partitioned table with a published partition, 22023 for a bad template, or a topic that begins with oa_sync. (those are OA Sync''s own). '
  'WARNING when another table of the same topic has keys that begin alike. '
  'Example: SELECT runtime.sync_publish(''app.run_events'', topic => ''run:{run_id}:events'', doc_key => ''event:{run_id}:{seq}'', doc_version => ''seq'');';

-- What a fan-out calls since.
CREATE OR REPLACE FUNCTION @extschema@.sync_reader_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_topic_heads,sync_topic_histories,sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot,sync_snapshot_json,sync_document,sync_document_json,sync_active_revocations,sync_canary}'::text[])
    ORDER BY p.proname COLLATE "C";
END;
