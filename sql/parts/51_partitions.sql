
-- The journal's partitions as one sees them.

-- Bounds are shown and read in the session's DateStyle and time zone, whose abbreviations are ambiguous: here in ISO and UTC.
CREATE FUNCTION @extschema@.oa_sync_partition_bounds(partition oid, OUT lower timestamptz, OUT upper timestamptz)
  LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
  SELECT (regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz, (regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz
  FROM pg_class c CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) AS b(bound) WHERE c.oid = partition
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) IS 'Behind sync_journal_partitions.';
REVOKE ALL ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) FROM PUBLIC;

CREATE OR REPLACE VIEW @extschema@.sync_journal_partitions AS
  SELECT i.inhrelid::pg_catalog.regclass AS partition, b.lower, b.upper, pg_catalog.pg_total_relation_size(i.inhrelid) AS bytes
  FROM pg_catalog.pg_inherits i
  CROSS JOIN LATERAL @extschema@.oa_sync_partition_bounds(i.inhrelid) AS b
  WHERE i.inhparent = '@extschema@.sync_stream_events'::pg_catalog.regclass;
-- Who was granted the view of 0.1.0 still reads it.
DO $$
DECLARE
  grantee oid;
BEGIN
  FOR grantee IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
      WHERE c.oid = '@extschema@.sync_journal_partitions'::pg_catalog.regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner) LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) TO %s', grantee::pg_catalog.regrole);
  END LOOP;
END
$$;
COMMENT ON VIEW @extschema@.sync_journal_partitions IS
  'The journal''s partitions with their bounds (null for the default one) and sizes.';
