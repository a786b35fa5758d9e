
-- Parity: what OA Sync has of the documents of a sample, to be compared.
-- The settings keep the planner to the journal's index, newest first; JIT would be taken for what they make a plan cost.
CREATE FUNCTION @extschema@.oa_sync_parity_tail(
  topic text, doc_keys text[], versions bigint[], max_searched integer,
  OUT searched bigint, OUT oldest_at timestamptz, OUT newest jsonb, OUT truncates jsonb, OUT at_versions jsonb
) RETURNS record
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  wanted_topic CONSTANT text COLLATE "C" := topic;
  wanted_keys CONSTANT text[] COLLATE "C" := doc_keys;
BEGIN
  WITH tail AS MATERIALIZED (
    SELECT j.watermark, j.doc_key, j.op, j.doc_version, j.payload_hash, j.inserted_at FROM @extschema@.sync_stream_events j
      WHERE j.topic = wanted_topic ORDER BY j.watermark DESC LIMIT max_searched)
  SELECT (SELECT count(*) FROM tail), (SELECT min(t.inserted_at) FROM tail t),
         (SELECT coalesce(jsonb_object_agg(n.doc_key, n.newest), '{}') FROM (
            SELECT t.doc_key, max(t.watermark) AS newest FROM tail t
              WHERE t.op IN ('upsert', 'delete') AND t.doc_key = ANY (wanted_keys) GROUP BY t.doc_key) n),
         (SELECT coalesce(jsonb_object_agg(n.doc_key, n.newest), '{}') FROM (
            SELECT t.doc_key, max(t.watermark) AS newest FROM tail t WHERE t.op = 'truncate' GROUP BY t.doc_key) n),
         (SELECT coalesce(jsonb_object_agg(n.doc_key, encode(n.payload_hash, 'hex')), '{}') FROM (
            SELECT DISTINCT ON (t.doc_key) t.doc_key, t.payload_hash
              FROM unnest(wanted_keys, versions) AS v(key, version) JOIN tail t ON t.doc_key = v.key AND t.doc_version = v.version
              WHERE t.op = 'upsert' ORDER BY t.doc_key, t.watermark DESC) n)
    INTO searched, oldest_at, newest, truncates, at_versions;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_tail(text, text[], bigint[], integer) IS
  'What the newest max_searched events of a topic say of documents: how many events there were and since when, the newest watermark of each key and of each truncate, and the hashes at versions. Called by sync_parity_documents().';

-- Everything in it is read with the one snapshot of the calling query: a document and its newest event belong together.
CREATE FUNCTION @extschema@.sync_parity_documents(
  topic text, doc_keys text[], versions bigint[] DEFAULT NULL, max_searched integer DEFAULT 20000,
  OUT doc_key text, OUT is_there boolean, OUT doc_version bigint, OUT payload_hash text, OUT stored_hash text,
  OUT journal text, OUT watermark bigint, OUT epoch bigint, OUT op text, OUT event_version bigint, OUT event_hash text,
  OUT changed_s double precision, OUT hash_at_version text
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  wanted_topic CONSTANT text COLLATE "C" := topic;
  wanted_keys CONSTANT text[] COLLATE "C" := doc_keys;
  found record;
  floor_of bigint;
  is_versioned boolean;
  model record;
  part jsonb;
  stored jsonb := '{}';
  document record;
  place bigint;
BEGIN
  IF topic IS NULL OR doc_keys IS NULL OR max_searched IS NULL OR array_position(doc_keys, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'topic, doc_keys, its elements and max_searched must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF cardinality(doc_keys) > 10000 OR max_searched NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'a limit is out of range' USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'At most 10000 doc_keys; max_searched may be from 1 to 1000000.';
  END IF;
  SELECT * INTO found FROM @extschema@.oa_sync_parity_tail(topic, doc_keys, versions, max_searched);
  SELECT coalesce(max(s.floor), 0) INTO floor_of FROM @extschema@.sync_topic_sequences s WHERE s.topic = wanted_topic;
  is_versioned := NOT EXISTS (SELECT FROM @extschema@.sync_publications p
                                WHERE p.doc_version IS NULL AND topic LIKE @extschema@.oa_sync_parity_pattern(p.topic));
  -- Read models keep hashes, and when a document was last written.
  FOR model IN SELECT p.relation, p.published_at FROM @extschema@.sync_publications p
      WHERE p.topic = wanted_topic AND p.doc_key = '{doc_key}' AND p.payload = '{payload}'
        AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = p.relation AND t.tgfoid = '@extschema@.oa_sync_guard_document()'::regprocedure) LOOP
    EXECUTE format('SELECT jsonb_object_agg(d.doc_key, jsonb_build_object(''hash'', encode(d.payload_hash, ''hex''), ''written'', d.updated_at > $2)) '
                   'FROM %s d WHERE d.doc_key = ANY ($1)', model.relation)
      INTO part USING wanted_keys, greatest(model.published_at, CASE WHEN floor_of > 0 THEN coalesce(found.oldest_at, 'infinity') END);
    stored := stored || coalesce(part, '{}');
  END LOOP;
  FOREACH doc_key IN ARRAY wanted_keys LOOP
    place := (found.newest->>doc_key)::bigint;
    SELECT greatest(place, max(t.value::bigint)) INTO place FROM jsonb_each_text(found.truncates) t WHERE starts_with(doc_key, t.key);
    watermark := place;
    epoch := NULL;
    op := NULL;
    event_version := NULL;
    event_hash := NULL;
    changed_s := NULL;
    IF place IS NOT NULL THEN
      SELECT j.epoch, j.op, j.doc_version, encode(j.payload_hash, 'hex'), extract(epoch FROM clock_timestamp() - j.inserted_at)
        INTO epoch, op, event_version, event_hash, changed_s
        FROM @extschema@.sync_stream_events j WHERE j.topic = wanted_topic AND j.watermark = place;
    END IF;
    SELECT d.doc_version, encode(d.payload_hash, 'hex') AS hash INTO document FROM @extschema@.sync_document(topic, doc_key) d;
    is_there := document.hash IS NOT NULL;
    doc_version := CASE WHEN is_versioned THEN document.doc_version END;
    payload_hash := document.hash;
    stored_hash := stored->doc_key->>'hash';
    journal := CASE WHEN place IS NOT NULL THEN 'found'
                    WHEN found.searched >= max_searched THEN 'not_searched'
                    WHEN (stored->doc_key->>'written')::boolean THEN 'lost'
                    WHEN floor_of > 0 THEN 'not_retained'
                    ELSE 'none' END;
    hash_at_version := found.at_versions->>doc_key;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_documents(text, text[], bigint[], integer) IS
  'For each document key of a topic, of one snapshot: whether there is a document now, its version (null where the publication has no column for it) and the sha256 of its canonical payload in hexadecimal, what hash a read model keeps with it, and its newest event: journal is found (then watermark to changed_s, the event''s age in seconds, are of it), not_searched (not among the newest max_searched events of the topic), lost (a read model''s document that was written since its publication and has no event that is retained), not_retained, or none (the whole journal is there, and none in it). '
  'hash_at_version is the hash that the document had at the version given in versions, as far as its event was found. No payloads. ERROR 22023, 22004 for arguments, and those of sync_document(). For the auditor. '
  'Example: SELECT * FROM runtime.sync_parity_documents(''runtime.run_summaries'', ARRAY[''runtime/run_summary:42'']);';

CREATE FUNCTION @extschema@.sync_parity_projections(
  topic text, seed bigint, wanted integer,
  OUT doc_key text, OUT projection_id integer, OUT source_version bigint, OUT source_hash text, OUT model_version bigint, OUT model_hash text
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  projection record;
  relations oid[];
  places tid[];
  made record;
  seen text[];
BEGIN
  IF topic IS NULL OR seed IS NULL OR wanted IS NULL THEN
    RAISE EXCEPTION 'topic, seed and wanted must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF wanted NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'wanted is %', wanted USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It may be from 1 to 10000.';
  END IF;
  FOR projection IN SELECT j.projection_id, j.source, j.read_model, c.relkind
      FROM @extschema@.sync_projections j JOIN @extschema@.sync_publications p ON p.relation = j.read_model JOIN pg_class c ON c.oid = j.source
      WHERE topic LIKE @extschema@.oa_sync_parity_pattern(p.topic) ORDER BY j.projection_id LOOP
    projection_id := projection.projection_id;
    seen := '{}';
    EXECUTE format('SELECT array_agg(q.relation), array_agg(q.place) FROM ('
                   '  SELECT s.tableoid AS relation, s.ctid AS place FROM %s %s AS s TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) '
                   '  ORDER BY hashtextextended(s.tableoid::text || s.ctid::text, $1) LIMIT $2) q',
                   CASE projection.relkind WHEN 'r' THEN 'ONLY' END, projection.source,
                   @extschema@.oa_sync_parity_sample_of(projection.source, wanted), seed % 1000000007)
      INTO relations, places USING seed, wanted;
    FOR i IN 1 .. coalesce(cardinality(places), 0) LOOP
      made := @extschema@.oa_sync_projected_document(projection.projection_id, relations[i], places[i]);
      CONTINUE WHEN made.doc_key IS NULL OR made.doc_key = ANY (seen);
      seen := seen || made.doc_key;
      EXECUTE format('SELECT d.doc_version, encode(d.payload_hash, ''hex'') FROM %s d WHERE d.doc_key = $1', projection.read_model)
        INTO model_version, model_hash USING made.doc_key;
      -- Of several rows that are one document, the newest says what it is.
      CONTINUE WHEN made.doc_version < model_version;
      doc_key := made.doc_key;
      source_version := made.doc_version;
      source_hash := encode(made.payload_hash, 'hex');
      RETURN NEXT;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_projections(text, bigint, integer) IS
  'For random source rows of the projections into read models that are published to a topic, of one snapshot: the version and hash of the document that the row makes now, and those of the read model. source_version is null where the projection counts versions itself, source_hash where the row makes no document, model_hash where there is none. The projections'' functions run as the sources'' owners. '
  'ERROR 22023, 22004 for arguments. For the auditor. Example: SELECT * FROM runtime.sync_parity_projections(''runtime.run_summaries'', 42, 100);';
