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
COMMENT ON COLUMN @extschema@.sync_epochs.epoch IS 'The number: microseconds since 1970 when it was opened; a little more than the newest one''s where the clock is behind that';
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
-- Retention.
CREATE OR REPLACE FUNCTION @extschema@.sync_maintain_partitions() RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
DECLARE
  step interval := make_interval(hours => current_setting('oa_sync.partition_interval')::integer);
  wanted integer := current_setting('oa_sync.partitions_ahead')::integer;
  present timestamptz := clock_timestamp();
  owner text;
  lower timestamptz;  -- of the next partition to make
  upper timestamptz;
  ahead integer;
  name text;
  made integer := 0;
  attempts integer := 0;  -- to lock the default partition
BEGIN
  -- Tables that were dropped without sync_unpublish(): a new table must not come upon their publication by its number.
  DELETE FROM @extschema@.sync_publications p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation);
  -- One at a time. Appends take no lock on the journal itself; attaching locks the default partition for a moment.
  LOCK TABLE @extschema@.sync_stream_events IN SHARE UPDATE EXCLUSIVE MODE;
  SELECT pg_get_userbyid(c.relowner) INTO owner FROM pg_class c WHERE c.oid = '@extschema@.sync_stream_events'::regclass;
  SELECT max(b.upper), count(*) FILTER (WHERE b.lower > present) INTO lower, ahead FROM @extschema@.sync_journal_partitions b;
  IF lower IS NULL OR lower <= present THEN
    -- Nothing holds the present: one partition more than what is wanted ahead.
    lower := greatest(lower, date_bin(step, present, 'epoch'));
    ahead := -1;
    IF EXISTS (SELECT FROM @extschema@.sync_stream_events_default d WHERE d.inserted_at >= lower) THEN
      -- The default partition has events of that time already, and keeps what comes in the next seconds.
      lower := date_trunc('second', present) + interval '5 seconds';
    END IF;
  END IF;
  WHILE ahead < wanted LOOP
    upper := date_bin(step, lower, 'epoch') + step;
    -- Attaching locks the default partition exclusively and looks through what is in it. Readers and writers of it are
    -- not made to queue behind a wait for that: when somebody has it open for longer, the next call makes the partition.
    BEGIN
      LOCK TABLE ONLY @extschema@.sync_stream_events_default IN ACCESS EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
      attempts := attempts + 1;
      EXIT WHEN attempts >= 20;
      PERFORM pg_sleep(0.01);
      CONTINUE;
    END;
    name := 'sync_stream_events_' || to_char(lower AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS');
    EXECUTE format('CREATE TABLE @extschema@.%I (LIKE @extschema@.sync_stream_events INCLUDING ALL) USING heap', name);
    EXECUTE format('ALTER TABLE @extschema@.%I OWNER TO %I', name, owner);
    EXECUTE format('CREATE UNIQUE INDEX %I ON @extschema@.%I (topic, watermark)', name || '_place', name);
    EXECUTE format('ALTER TABLE @extschema@.sync_stream_events ATTACH PARTITION @extschema@.%I FOR VALUES FROM (%L) TO (%L)',
                   name, lower, upper);
    made := made + 1;
    ahead := ahead + 1;
    lower := upper;
  END LOOP;
  RETURN made;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_maintain_partitions() IS
  'Makes the partitions of the present and of the time ahead (oa_sync.partition_interval, oa_sync.partitions_ahead). Called by the worker every minute. Waits for nobody who reads the default partition: what it could not attach is left for a later call. Returns how many were made.';
COMMENT ON FUNCTION @extschema@.sync_replay(text, bigint, integer, bigint) IS
  'The events of a topic that follow a cursor, in order, voids included: the run without gaps, of commits that are on disk, at most max_events and about max_bytes (at least one event if there is one). ERROR 22023 for an invalid topic or limit, 55000 for a cursor below the topic''s floor whose next events are gone. Example: SELECT * FROM runtime.sync_replay(''runtime.run_summaries'', 41);';
DROP VIEW @extschema@.sync_topics;
DROP FUNCTION @extschema@.sync_topic_states();
DROP VIEW @extschema@.sync_stats;
DROP FUNCTION @extschema@.sync_statistics();
CREATE FUNCTION @extschema@.sync_topic_states(
  OUT topic text, OUT head bigint, OUT floor bigint, OUT oldest bigint, OUT retained bigint, OUT in_flight bigint,
  OUT epoch bigint, OUT oldest_at timestamptz, OUT horizon interval
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1000 AS 'MODULE_PATHNAME', 'sync_topic_states';
COMMENT ON FUNCTION @extschema@.sync_topic_states() IS 'Behind the view sync_topics.';

CREATE VIEW @extschema@.sync_topics AS SELECT * FROM @extschema@.sync_topic_states();
COMMENT ON VIEW @extschema@.sync_topics IS
  'Every topic: head (last visible watermark), floor, oldest watermark in the journal, how many are retained, how many are allocated but not visible yet (in_flight), epoch, when the oldest event was appended (oldest_at), and how long events are kept (horizon, null for ever). Costs a few index look-ups for each topic.';
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

CREATE VIEW @extschema@.sync_stats AS SELECT * FROM @extschema@.sync_statistics();
COMMENT ON VIEW @extschema@.sync_stats IS
  'One row about this database, counters since the server started. worker_pid is null when no worker runs; recovered says that holes of a crash are filled; heads_evicted is of the whole cluster; voids_pending waits for the worker. Of retention: cycles, partitions dropped and their bytes, floors raised, partitions that were skipped because somebody used them or a topic in them was not dense, when the last cycle began (retained_at) and how long it took (retention_ms). documents_*: what writes to read models came to, also those that were rolled back: written, left out because they were stale or unchanged, drifted (another content of the same version; counted as written too).';
REVOKE ALL ON FUNCTION @extschema@.sync_topic_states(), @extschema@.sync_statistics() FROM PUBLIC;
