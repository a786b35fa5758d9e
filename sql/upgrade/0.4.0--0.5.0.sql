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
