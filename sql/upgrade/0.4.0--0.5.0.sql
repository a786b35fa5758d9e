\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.4.0. What 0.5.0 adds in parts of its own follows: see extension/Makefile.

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
