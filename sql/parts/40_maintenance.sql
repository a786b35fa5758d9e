-- Maintenance, called by the worker.

CREATE VIEW @extschema@.sync_journal_partitions AS
  SELECT c.oid::pg_catalog.regclass AS partition,
         (pg_catalog.regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS lower,
         (pg_catalog.regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upper,
         pg_catalog.pg_total_relation_size(c.oid) AS bytes
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid)) AS b(bound)
  WHERE i.inhparent = '@extschema@.sync_stream_events'::pg_catalog.regclass;
COMMENT ON VIEW @extschema@.sync_journal_partitions IS
  'The journal''s partitions with their bounds (null for the default one) and sizes.';

