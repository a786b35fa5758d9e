-- Operations: what an operator looks at by way of a fan-out. Every function here is bounded by its arguments.

CREATE FUNCTION @extschema@.sync_overview() RETURNS json
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT json_build_object(
    'server_version', current_setting('server_version'),
    'extension_version', (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'oa_sync'),
    'in_recovery', pg_is_in_recovery(),
    'clock', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    'wal_level', current_setting('wal_level'),
    'slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots),
    'max_slots', current_setting('max_replication_slots')::integer,
    'role_may_replicate', coalesce((SELECT r.rolreplication OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user), false),
    'oldest_writer_s', (SELECT floor(extract(epoch FROM max(clock_timestamp() - a.xact_start)))::bigint
                          FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL),
    'prepared_transactions', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
    'default_partition_used', EXISTS (SELECT FROM @extschema@.sync_stream_events_default),
    'stats', (SELECT to_json(s) FROM @extschema@.sync_stats s));
END;
COMMENT ON FUNCTION @extschema@.sync_overview() IS
  'What a fan-out shows to operators of the database, as one JSON object: versions, recovery, the clock (milliseconds since 1970), what the creation of a replication slot depends on (wal_level, slots, the role''s REPLICATION, the age of the oldest transaction that writes, prepared transactions), whether the default partition of the journal has rows, and the row of sync_stats. Example: SELECT runtime.sync_overview();';

REVOKE ALL ON FUNCTION @extschema@.sync_overview() FROM PUBLIC;
