-- Operations: what an operator looks at by way of a fan-out. Every function here is bounded by its arguments.

CREATE FUNCTION @extschema@.oa_sync_write_failures() RETURNS bigint
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oa_sync_write_failures';
COMMENT ON FUNCTION @extschema@.oa_sync_write_failures() IS
  'Transactions that failed while they appended their events, conflicts of SERIALIZABLE ones not counted, since the server started. Behind sync_overview().';

CREATE FUNCTION @extschema@.sync_overview() RETURNS json
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

-- Reads what is shown to people as sync_replay() reads for delivery: only what no crash can take back.
CREATE FUNCTION @extschema@.oa_sync_flush_visible() RETURNS void
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oa_sync_flush_visible';
COMMENT ON FUNCTION @extschema@.oa_sync_flush_visible() IS
  'Waits until every commit that is visible by now is on disk. Behind sync_events_json().';

-- Topics are found one after the other in the indexes of the journal and of sync_topic_sequences, each by a few look-ups: the settings
-- keep the planner from reading a whole partition instead.
CREATE FUNCTION @extschema@.sync_topics_page(
  prefix text DEFAULT '', after text DEFAULT '', max_topics integer DEFAULT 100,
  OUT topic text, OUT head bigint, OUT floor bigint, OUT retained bigint, OUT in_flight bigint, OUT epoch bigint, OUT oldest_at timestamptz
) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  place text COLLATE "C";
  found_topics text[] := '{}';
  next_topic text COLLATE "C";
  state record;
  oldest bigint;
BEGIN
  IF prefix IS NULL OR after IS NULL OR max_topics IS NULL THEN
    RAISE EXCEPTION 'prefix, after and max_topics must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF max_topics NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'max_topics is %', max_topics USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It may be from 1 to 1000.';
  END IF;
  -- A blank comes before every character of a topic: this is the place behind `after` itself.
  place := CASE WHEN after = '' THEN prefix ELSE greatest(prefix COLLATE "C", (after || ' ') COLLATE "C") END;
  WHILE cardinality(found_topics) < max_topics LOOP
    SELECT min(n.topic) INTO next_topic FROM (
      (SELECT e.topic FROM @extschema@.sync_stream_events e WHERE e.topic >= place ORDER BY e.topic, e.watermark LIMIT 1)
      UNION ALL
      (SELECT s.topic FROM @extschema@.sync_topic_sequences s WHERE s.topic >= place ORDER BY s.topic LIMIT 1)) n;
    EXIT WHEN next_topic IS NULL OR NOT starts_with(next_topic, prefix);
    found_topics := found_topics || next_topic;
    place := next_topic || ' ';
  END LOOP;
  FOR state IN SELECT h.* FROM @extschema@.sync_topic_heads(found_topics) h LOOP
    topic := state.topic;
    head := state.head;
    floor := state.floor;
    epoch := state.epoch;
    in_flight := greatest(state.allocated - state.head, 0);
    oldest := NULL;
    oldest_at := NULL;
    SELECT e.watermark, e.inserted_at INTO oldest, oldest_at FROM @extschema@.sync_stream_events e
      WHERE e.topic = state.topic ORDER BY e.watermark LIMIT 1;
    retained := coalesce(greatest(state.head - oldest + 1, 0), 0);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_topics_page(text, text, integer) IS
  'Topics that begin with prefix and come after `after`, in the order of their bytes, at most max_topics (1 to 1000): head, floor, how many events are retained, how many are allocated but not visible yet (in_flight), epoch, and when the oldest was appended. Costs some index look-ups for each topic of the page and none for others, however many topics there are; a topic without events is there once the worker has noted it. '
  'ERROR 22023 for a limit that is out of range, 22004 for nulls. Example: SELECT topic, head FROM runtime.sync_topics_page(''run:'', after => ''run:41:events'', max_topics => 20);';

CREATE FUNCTION @extschema@.sync_events_json(
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

REVOKE ALL ON FUNCTION @extschema@.sync_overview(), @extschema@.oa_sync_write_failures(), @extschema@.oa_sync_flush_visible(),
  @extschema@.sync_topics_page(text, text, integer), @extschema@.sync_events_json(text, text, bigint, integer, bigint, integer) FROM PUBLIC;
