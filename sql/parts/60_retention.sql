-- Retention.

CREATE FUNCTION @extschema@.sync_retain(
  OUT partitions_dropped integer, OUT bytes_dropped bigint, OUT floors_raised bigint, OUT skipped integer,
  OUT duration_ms double precision
) RETURNS record
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_retain';
COMMENT ON FUNCTION @extschema@.sync_retain() IS
  'Has the worker do a cycle of retention now, whatever oa_sync.retention_interval says, and waits for it: partitions of the journal dropped, their bytes, floors raised, partitions skipped because somebody uses them or a topic in them has watermarks that are still open, and how long it took in milliseconds. The worker sees what is committed, and skips what the caller''s own transaction holds locked. ERROR 25006 on a standby, 55000 when no worker runs or a step failed. Example: SELECT * FROM runtime.sync_retain();';
REVOKE ALL ON FUNCTION @extschema@.sync_retain() FROM PUBLIC;

COMMENT ON COLUMN @extschema@.sync_topics.oldest_at IS 'When the oldest event in the journal was appended; null when there is none';
COMMENT ON COLUMN @extschema@.sync_topics.horizon IS 'How long events are kept, by the policy of the topic; null: for ever';
COMMENT ON COLUMN @extschema@.sync_stats.retention_cycles IS 'Cycles of retention, also those that found nothing to do';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_dropped IS 'Partitions of the journal that retention dropped, emptied default ones included';
COMMENT ON COLUMN @extschema@.sync_stats.bytes_dropped IS 'Bytes of them, indexes and TOAST included';
COMMENT ON COLUMN @extschema@.sync_stats.floors_raised IS 'Floors that retention raised';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_skipped IS 'Partitions that were to go and were left for a later cycle: somebody used them, or a topic in them was not dense';
COMMENT ON COLUMN @extschema@.sync_stats.retained_at IS 'When the last cycle of retention began; null before the first';
COMMENT ON COLUMN @extschema@.sync_stats.retention_ms IS 'How long the last cycle of retention took, in milliseconds';
