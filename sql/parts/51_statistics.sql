
-- What a DBA looks at: topics, and one row of statistics.

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

-- An update from 0.1.0 has renamed the former functions.
DO $$
DECLARE
  former regprocedure;
  present regprocedure;
  granted record;
BEGIN
  FOR former, present IN SELECT pg_catalog.to_regprocedure(f.former), f.present::regprocedure
      FROM (VALUES ('@extschema@.oa_sync_former_topic_states()', '@extschema@.sync_topic_states()'),
                   ('@extschema@.oa_sync_former_statistics()', '@extschema@.sync_statistics()')) AS f(former, present) LOOP
    CONTINUE WHEN former IS NULL;
    FOR granted IN SELECT a.grantee, a.is_grantable FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
        WHERE p.oid = former AND a.grantee <> p.proowner LOOP
      EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s %s', present,
        CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::pg_catalog.regrole::text END,
        CASE WHEN granted.is_grantable THEN 'WITH GRANT OPTION' END);
    END LOOP;
    EXECUTE pg_catalog.format('DROP FUNCTION %s', former);
  END LOOP;
END
$$;
