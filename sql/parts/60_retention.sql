-- Retention.

CREATE FUNCTION @extschema@.sync_retain(
  OUT partitions_dropped integer, OUT bytes_dropped bigint, OUT floors_raised bigint, OUT skipped integer,
  OUT duration_ms double precision
) RETURNS record
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_retain';
COMMENT ON FUNCTION @extschema@.sync_retain() IS
  'Has the worker do a cycle of retention now, whatever oa_sync.retention_interval says, and waits for it: partitions of the journal dropped, their bytes, floors raised, partitions skipped because somebody uses them or a topic in them has watermarks that are still open, and how long it took in milliseconds. The worker sees what is committed, and skips what the caller''s own transaction holds locked. ERROR 25006 on a standby, 55000 when no worker runs or a step failed. Example: SELECT * FROM runtime.sync_retain();';
REVOKE ALL ON FUNCTION @extschema@.sync_retain() FROM PUBLIC;
