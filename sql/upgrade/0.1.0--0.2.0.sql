\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.1.0. What 0.2.0 adds follows: parts 5x to 8x, see extension/Makefile.
-- Columns are added where they are in 0.2.0's own script as far as ALTER TABLE can: at the end.

ALTER TABLE @extschema@.sync_topic_sequences ADD COLUMN floor_epoch bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN @extschema@.sync_topic_sequences.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.floor_epoch IS 'The epoch of the event at the floor: a cursor there is of this history if its epoch is not older. 0 while the floor is 0';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.updated_at IS 'When the worker last wrote the row';

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
COMMENT ON COLUMN @extschema@.sync_epochs.epoch IS 'The number: seconds since 1970 when it was opened, or one more than the newest one''s';
COMMENT ON COLUMN @extschema@.sync_epochs.system_identifier IS 'The cluster, as in pg_control_system()';
COMMENT ON COLUMN @extschema@.sync_epochs.timeline IS 'The WAL time line';
COMMENT ON COLUMN @extschema@.sync_epochs.reason IS 'Why it was opened';
COMMENT ON COLUMN @extschema@.sync_epochs.started_at IS 'When it was opened';
COMMENT ON COLUMN @extschema@.sync_epochs.database IS 'The database''s OID: a copy has another one';
COMMENT ON COLUMN @extschema@.sync_epochs.journal IS 'The OID of sync_stream_events: a restored journal has another one';
COMMENT ON COLUMN @extschema@.sync_stream_events.payload IS 'The document as canonical JSON; null unless the op is upsert, and for an upsert whose payload a policy keeps out of the journal (pointer mode)';
COMMENT ON COLUMN @extschema@.sync_stream_events.payload_hash IS 'sha256 of the document''s canonical JSON in UTF-8, also when the payload is not here; of null for other ops';
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
