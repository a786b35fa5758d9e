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

-- The views stay, with what is granted on them and what depends on them: they get their new columns at the end. The functions
-- behind them return more now, so they are others; what was granted on the former is granted on them, see part 51.
ALTER FUNCTION @extschema@.sync_topic_states() RENAME TO oa_sync_former_topic_states;
ALTER FUNCTION @extschema@.sync_statistics() RENAME TO oa_sync_former_statistics;
