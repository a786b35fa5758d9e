\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.4.0. What 0.5.0 adds in parts of its own follows: see extension/Makefile.

-- A fan-out asks how the parity audits are.
CREATE OR REPLACE FUNCTION @extschema@.sync_reader_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_topic_heads,sync_topic_histories,sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot,sync_snapshot_json,sync_document,sync_document_json,sync_active_revocations,sync_canary,sync_overview,sync_topics_page,sync_events_json,sync_parity_overview}'::text[])
    ORDER BY p.proname COLLATE "C";
END;
-- Busy writers do not keep the first partition from being made.
CREATE OR REPLACE FUNCTION @extschema@.sync_maintain_partitions() RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
DECLARE
  step interval := make_interval(hours => current_setting('oa_sync.partition_interval')::integer);
  wanted integer := current_setting('oa_sync.partitions_ahead')::integer;
  present timestamptz := clock_timestamp();
  owner text;
  edge timestamptz;  -- to where the present and what follows it have partitions
  upper timestamptz;
  ahead integer;
  name text;
  made integer := 0;
  attempts integer := 0;  -- to lock the default partition
  patience text := current_setting('lock_timeout');
BEGIN
  -- Tables that were dropped without sync_unpublish(): a new table must not come upon their publication by its number.
  DELETE FROM @extschema@.sync_publications p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation);
  -- One at a time. Appends take no lock on the journal itself; attaching locks the default partition for a moment.
  LOCK TABLE @extschema@.sync_stream_events IN SHARE UPDATE EXCLUSIVE MODE;
  SELECT pg_get_userbyid(c.relowner) INTO owner FROM pg_class c WHERE c.oid = '@extschema@.sync_stream_events'::regclass;
  SELECT b.upper INTO edge FROM @extschema@.sync_journal_partitions b WHERE b.lower <= present AND b.upper > present;
  ahead := 0;
  IF NOT FOUND THEN
    -- Nothing holds the present: one partition more than what is wanted ahead.
    SELECT greatest(max(b.upper), date_bin(step, present, 'epoch')) INTO edge
      FROM @extschema@.sync_journal_partitions b WHERE b.upper <= present;
    ahead := -1;
    IF EXISTS (SELECT FROM @extschema@.sync_stream_events_default d WHERE d.inserted_at >= edge) THEN
      -- The default partition has events of that time already, and keeps what comes in the next seconds.
      edge := date_trunc('second', present) + interval '5 seconds';
    END IF;
  END IF;
  WHILE ahead < wanted LOOP
    -- Partitions that lie further ahead (the clock was ahead for a while, or they were made by hand) are gone up to: they
    -- do not stand for what is missing before them.
    SELECT b.upper INTO upper FROM @extschema@.sync_journal_partitions b WHERE b.lower <= edge AND b.upper > edge;
    IF FOUND THEN
      ahead := ahead + 1;
      edge := upper;
      CONTINUE;
    END IF;
    SELECT least(date_bin(step, edge, 'epoch') + step, min(b.lower)) INTO upper
      FROM @extschema@.sync_journal_partitions b WHERE b.lower > edge;
    -- Attaching locks the default partition exclusively and looks through what is in it. Readers of it are not made to
    -- queue behind a wait for that: when somebody has it open for longer, a later call makes the partition. But as long as
    -- nothing holds the present, writers hold the default partition in turns and it is never free by chance: then, once in
    -- a call, they queue for 100 ms at most.
    BEGIN
      IF attempts < 20 THEN
        LOCK TABLE ONLY @extschema@.sync_stream_events_default IN ACCESS EXCLUSIVE MODE NOWAIT;
      ELSE
        PERFORM set_config('lock_timeout', '100ms', true);
        LOCK TABLE ONLY @extschema@.sync_stream_events_default IN ACCESS EXCLUSIVE MODE;
        PERFORM set_config('lock_timeout', patience, true);
      END IF;
    EXCEPTION WHEN lock_not_available THEN
      attempts := attempts + 1;
      EXIT WHEN attempts > 20 OR (attempts = 20 AND ahead >= 0);
      PERFORM pg_sleep(0.01);
      CONTINUE;
    END;
    name := 'sync_stream_events_' || to_char(edge AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS');
    EXECUTE format('CREATE TABLE @extschema@.%I (LIKE @extschema@.sync_stream_events INCLUDING ALL) USING heap', name);
    EXECUTE format('ALTER TABLE @extschema@.%I OWNER TO %I', name, owner);
    EXECUTE format('CREATE UNIQUE INDEX %I ON @extschema@.%I (topic, watermark)', name || '_place', name);
    EXECUTE format('ALTER TABLE @extschema@.sync_stream_events ATTACH PARTITION @extschema@.%I FOR VALUES FROM (%L) TO (%L)',
                   name, edge, upper);
    made := made + 1;
    ahead := ahead + 1;
    edge := upper;
  END LOOP;
  RETURN made;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_maintain_partitions() IS
  'Makes the partitions of the present and of the time ahead (oa_sync.partition_interval, oa_sync.partitions_ahead). Called by the worker every minute. Waits for nobody who reads the default partition, and 100 ms at most for who writes to it: what it could not attach is left for a later call, by the worker within two seconds when nothing holds the present. Returns how many were made.';
CREATE OR REPLACE FUNCTION @extschema@.sync_canary() RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- One that is dated ahead is of a clock that was: it must not silence the others until its time has come.
  IF EXISTS (SELECT FROM @extschema@.sync_topic_heads(ARRAY['oa_sync.canary']) h
               JOIN @extschema@.sync_stream_events e ON e.topic = h.topic AND e.watermark = h.head
               WHERE e.inserted_at BETWEEN now() - interval '1 second' AND clock_timestamp()) THEN
    RETURN false;
  END IF;
  -- Nobody waits for standbys because of it, and no walwriter for its turn.
  PERFORM set_config('synchronous_commit', 'local', true);
  PERFORM @extschema@.oa_sync_emit_own('oa_sync.canary', 'canary', '{}');
  RETURN true;
END
$$;
-- Rows of before have no traceparent, and rows without one take no room for it: nothing is rewritten.
ALTER TABLE @extschema@.sync_stream_events ADD COLUMN traceparent text COLLATE "C";
COMMENT ON COLUMN @extschema@.sync_stream_events.traceparent IS 'The W3C trace context that the event belongs to: oa_sync.traceparent as it was when the row was written, null for none';

CREATE OR REPLACE FUNCTION @extschema@.sync_events_json(
  topic text, doc_key text DEFAULT NULL, before bigint DEFAULT NULL, max_events integer DEFAULT 100,
  max_bytes bigint DEFAULT 1048576, max_searched integer DEFAULT 10000
) RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
  wanted_topic CONSTANT text COLLATE "C" := topic;
  wanted_key CONSTANT text COLLATE "C" := doc_key;
  e record;
  events json[] := '{}';
  payload text;
  bytes bigint := 0;
  searched integer := 0;
  reached bigint := coalesce(before, 9223372036854775807);
  is_end boolean := true;
BEGIN
  IF topic IS NULL OR max_events IS NULL OR max_bytes IS NULL OR max_searched IS NULL THEN
    RAISE EXCEPTION 'topic, max_events, max_bytes and max_searched must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF topic !~ '^[A-Za-z0-9_.:/-]{1,160}$' THEN
    RAISE EXCEPTION 'invalid topic "%"', left(topic, 160) USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'A topic is 1 to 160 bytes of letters, digits and _ . : / -';
  END IF;
  IF max_events NOT BETWEEN 1 AND 1000 OR max_bytes NOT BETWEEN 1 AND 67108864 OR max_searched NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'a limit is out of range' USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'max_events may be from 1 to 1000, max_bytes to 67108864, max_searched to 1000000.';
  END IF;
  FOR e IN SELECT j.watermark, j.epoch, j.doc_key, j.doc_version, j.op, j.payload, j.payload_hash, j.inserted_at, j.traceparent
      FROM @extschema@.sync_stream_events j
      WHERE j.topic = wanted_topic AND j.watermark < reached ORDER BY j.watermark DESC LOOP
    IF searched >= max_searched OR cardinality(events) >= max_events THEN
      is_end := false;
      EXIT;
    END IF;
    IF e.op <> 'void' AND (wanted_key IS NULL OR e.doc_key = wanted_key
                           -- What a truncate names is the beginning of the keys that are gone.
                           OR (e.op = 'truncate' AND starts_with(wanted_key, e.doc_key))) THEN
      payload := e.payload;
      bytes := bytes + 200 + octet_length(e.doc_key) + coalesce(octet_length(payload), 0);
      IF bytes > max_bytes AND cardinality(events) > 0 THEN
        is_end := false;
        EXIT;
      END IF;
      events := events || json_build_object('watermark', e.watermark, 'epoch', e.epoch::text, 'doc_key', e.doc_key,
        'doc_version', CASE WHEN e.doc_version BETWEEN -9007199254740991 AND 9007199254740991
          THEN to_json(e.doc_version) ELSE to_json(e.doc_version::text) END, 'op', e.op, 'payload', payload::json, 'payload_hash', encode(e.payload_hash, 'base64'),
        'hydration_required', e.op = 'upsert' AND payload IS NULL,
        'inserted_at', floor(extract(epoch FROM e.inserted_at) * 1000)::bigint, 'traceparent', e.traceparent);
    END IF;
    searched := searched + 1;
    reached := e.watermark;
  END LOOP;
  PERFORM @extschema@.oa_sync_flush_visible();
  RETURN json_build_object('topic', topic, 'doc_key', doc_key, 'events', array_to_json(events),
    'next_before', CASE WHEN NOT is_end THEN reached END, 'searched', searched)::text;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_events_json(text, text, bigint, integer, bigint, integer) IS
  'The events of a topic that the journal still has, newest first, as one JSON text: those below the watermark `before` (null: from the head), of one document where doc_key is given (and the truncates that took it). Voids are left out. At most max_events (1 to 1000) and about max_bytes (at least one event if there is one), and no more than max_searched events are looked at, so what it costs does not grow with the topic. '
  'next_before is where to go on, null at the end of what is retained; with doc_key a page may be empty and yet not the last. searched says how many events were looked at. hydration_required: the payload is kept out of the journal (pointer mode). inserted_at is in milliseconds since 1970, payload_hash in base64, epoch a text, as is a doc_version above 2^53; traceparent is null where the writer set none. Only commits that are on disk are shown. '
  'ERROR 22023 for an invalid topic or limit, 22004 for nulls. Example: SELECT runtime.sync_events_json(''runtime.run_summaries'', doc_key => ''run:42'', max_events => 10);';

CREATE FUNCTION @extschema@.oa_sync_write_failures() RETURNS bigint
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oa_sync_write_failures';
COMMENT ON FUNCTION @extschema@.oa_sync_write_failures() IS
  'Transactions that failed while they appended their events, conflicts of SERIALIZABLE ones not counted, since the server started. Behind sync_overview().';

CREATE OR REPLACE FUNCTION @extschema@.sync_overview() RETURNS json
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT json_build_object(
    'server_version', current_setting('server_version'),
    'extension_version', (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'oa_sync'),
    'in_recovery', pg_is_in_recovery(),
    'clock', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    'wal_level', current_setting('wal_level'),
    'plugin_listed', (SELECT 'oa_sync' = ANY (regexp_split_to_array(p.listed, '\s*,\s*'))
                        FROM (SELECT current_setting('output_plugin_libraries', true)) AS p(listed) WHERE p.listed IS NOT NULL),
    'slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots),
    'max_slots', current_setting('max_replication_slots')::integer,
    'role_may_replicate', coalesce((SELECT r.rolreplication OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user), false),
    'oldest_writer_s', (SELECT floor(extract(epoch FROM max(clock_timestamp() - a.xact_start)))::bigint
                          FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL),
    'prepared_transactions', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
    -- Before the worker's first pass events go there too, and that ends with the first partition that was made ahead.
    'default_partition_used', EXISTS (SELECT FROM @extschema@.sync_stream_events_default)
      AND NOT EXISTS (SELECT FROM @extschema@.sync_journal_partitions p WHERE p.lower > clock_timestamp()),
    'journal_bytes', (SELECT sum(p.bytes)::bigint FROM @extschema@.sync_journal_partitions p),
    'write_failures', @extschema@.oa_sync_write_failures(),
    -- Of tables of documents whose topic is one: a read model is written with its row, and readable when its commit is.
    'projection_lag', (SELECT coalesce(max(h.allocated - h.head), 0) FROM @extschema@.sync_topic_heads(ARRAY(
        SELECT DISTINCT p.topic FROM @extschema@.sync_publications p
        WHERE p.topic !~ '[{]' AND (p.publication_id < 0 OR p.relation IN (SELECT j.read_model FROM @extschema@.sync_projections j))
        ORDER BY p.topic LIMIT 100)) h),
    'stats', (SELECT to_json(s) FROM @extschema@.sync_stats s));
END;
COMMENT ON FUNCTION @extschema@.sync_overview() IS
  'What a fan-out shows to operators of the database, as one JSON object: versions, recovery, the clock (milliseconds since 1970), what the creation of a replication slot depends on (wal_level, whether output_plugin_libraries lists oa_sync where the server has that setting, slots, the role''s REPLICATION, the age of the oldest transaction that writes, prepared transactions), whether the journal''s default partition has rows and no partition has been made ahead, the bytes of the journal on disk, how many transactions failed while they appended their events since the server started, conflicts of SERIALIZABLE ones not counted (write_failures), how many events of read models have their place and can not be read yet (projection_lag, the most of any), and the row of sync_stats. Example: SELECT runtime.sync_overview();';
REVOKE ALL ON FUNCTION @extschema@.oa_sync_write_failures() FROM PUBLIC;
