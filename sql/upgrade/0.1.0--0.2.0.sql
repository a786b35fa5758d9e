\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.1.0. What 0.2.0 adds follows: parts 5x to 8x, see extension/Makefile.
-- Columns are added where they are in 0.2.0's own script as far as ALTER TABLE can: at the end.

ALTER TABLE @extschema@.sync_topic_sequences ADD COLUMN floor_epoch bigint NOT NULL DEFAULT 0;

ALTER TABLE @extschema@.sync_epochs
  ADD COLUMN database oid NOT NULL DEFAULT 0,
  ADD COLUMN journal oid NOT NULL DEFAULT 0;
-- The newest epoch is this database's: 0.1.0's worker had opened it, or its own check of cluster and time line will.
UPDATE @extschema@.sync_epochs SET
  database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
  journal = '@extschema@.sync_stream_events'::pg_catalog.regclass
  WHERE epoch = (SELECT max(epoch) FROM @extschema@.sync_epochs);
COMMENT ON TABLE @extschema@.sync_epochs IS
  'Histories of the database. The newest row is the present one; a row is added when a watermark could name a different event than before (promotion, point-in-time recovery, restore from a dump, a copy of the database, sync_new_epoch).';
COMMENT ON COLUMN @extschema@.sync_stream_events.payload IS 'The document as canonical JSON; null unless the op is upsert, and for an upsert whose payload a policy keeps out of the journal (pointer mode)';
COMMENT ON COLUMN @extschema@.sync_stream_events.payload_hash IS 'sha256 of the document''s canonical JSON in UTF-8, also when the payload is not here; of null for other ops';
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
-- Retention.
COMMENT ON FUNCTION @extschema@.sync_replay(text, bigint, integer, bigint) IS
  'The events of a topic that follow a cursor, in order, voids included: the run without gaps, of commits that are on disk, at most max_events and about max_bytes (at least one event if there is one). ERROR 22023 for an invalid topic or limit, 55000 for a cursor below the topic''s floor whose next events are gone. Example: SELECT * FROM runtime.sync_replay(''runtime.run_summaries'', 41);';
DROP VIEW @extschema@.sync_topics;
DROP FUNCTION @extschema@.sync_topic_states();
DROP VIEW @extschema@.sync_stats;
DROP FUNCTION @extschema@.sync_statistics();

-- The views stay, with what is granted on them and what depends on them: they get their new columns at the end. The functions
-- behind them return more now, so they are others; what was granted on the former is granted on them.
ALTER FUNCTION @extschema@.sync_topic_states() RENAME TO oa_sync_former_topic_states;
ALTER FUNCTION @extschema@.sync_statistics() RENAME TO oa_sync_former_statistics;
CREATE FUNCTION @extschema@.sync_topic_states(
  OUT topic text, OUT head bigint, OUT floor bigint, OUT oldest bigint, OUT retained bigint, OUT in_flight bigint,
  OUT epoch bigint, OUT oldest_at timestamptz, OUT horizon interval
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1000 AS 'MODULE_PATHNAME', 'sync_topic_states';
COMMENT ON FUNCTION @extschema@.sync_topic_states() IS 'Behind the view sync_topics.';

CREATE OR REPLACE VIEW @extschema@.sync_topics AS SELECT * FROM @extschema@.sync_topic_states();
COMMENT ON VIEW @extschema@.sync_topics IS
  'Every topic: head (last visible watermark), floor, oldest watermark in the journal, how many are retained, how many are allocated but not visible yet (in_flight), epoch, when the oldest event was appended (oldest_at), and how long events are kept (horizon, null for ever). Costs a few index look-ups for each topic, whatever WHERE says; sync_topic_heads() asks for some.';
CREATE FUNCTION @extschema@.sync_statistics(
  OUT epoch bigint, OUT worker_pid integer, OUT recovered boolean, OUT heads_persisted_at timestamptz,
  OUT partitions integer, OUT hot_topics bigint, OUT heads_loaded bigint, OUT heads_evicted bigint,
  OUT transactions bigint, OUT events bigint, OUT event_bytes bigint, OUT spilled_bytes bigint,
  OUT voids_queued bigint, OUT voids_filled bigint, OUT voids_pending bigint,
  OUT retention_cycles bigint, OUT partitions_dropped bigint, OUT bytes_dropped bigint, OUT floors_raised bigint,
  OUT partitions_skipped bigint, OUT retained_at timestamptz, OUT retention_ms double precision,
  OUT documents_written bigint, OUT documents_stale bigint, OUT documents_unchanged bigint, OUT documents_drifted bigint
) RETURNS record
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_statistics';
COMMENT ON FUNCTION @extschema@.sync_statistics() IS 'Behind the view sync_stats.';

CREATE OR REPLACE VIEW @extschema@.sync_stats AS SELECT * FROM @extschema@.sync_statistics();
COMMENT ON VIEW @extschema@.sync_stats IS
  'One row about this database, counters since the server started. worker_pid is null when no worker runs; recovered says that holes of a crash are filled; heads_evicted is of the whole cluster; voids_pending waits for the worker. Of retention: cycles, partitions dropped and their bytes, floors raised, partitions that were skipped because somebody used them or a topic in them was not dense, when the last cycle began (retained_at) and how long it took (retention_ms). documents_*: what writes to read models came to, also those that were rolled back: written, left out because they were stale or unchanged, drifted (another content of the same version; counted as written too).';
REVOKE ALL ON FUNCTION @extschema@.sync_topic_states(), @extschema@.sync_statistics() FROM PUBLIC;
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN SELECT f.present, a.grantee, a.is_grantable
      FROM (VALUES ('@extschema@.oa_sync_former_topic_states()'::pg_catalog.regprocedure, '@extschema@.sync_topic_states()'::pg_catalog.regprocedure),
                   ('@extschema@.oa_sync_former_statistics()', '@extschema@.sync_statistics()')) AS f(former, present)
      JOIN pg_catalog.pg_proc p ON p.oid = f.former, pg_catalog.aclexplode(p.proacl) a WHERE a.grantee <> p.proowner LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s %s', granted.present,
      CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::pg_catalog.regrole::text END,
      CASE WHEN granted.is_grantable THEN 'WITH GRANT OPTION' END);
  END LOOP;
END
$$;
DROP FUNCTION @extschema@.oa_sync_former_topic_states(), @extschema@.oa_sync_former_statistics();
