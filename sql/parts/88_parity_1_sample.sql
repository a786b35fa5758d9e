
-- Sampling. A table of any size costs as many blocks as documents are wanted: SYSTEM sampling picks blocks by a hash of their number and
-- the seed, and only rows of these are put into an order (by a hash too).
CREATE FUNCTION @extschema@.oa_sync_parity_sample_of(relation regclass, pages bigint) RETURNS double precision
  LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
  SELECT least(100, 100.0 * pages / greatest(1, coalesce(sum(pg_relation_size(c.oid)), 0) / current_setting('block_size')::integer))::double precision
    FROM pg_class c
    WHERE c.relkind IN ('r', 'm') AND (c.oid = relation OR c.oid IN (SELECT t.relid FROM pg_partition_tree(relation) t))
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_sample_of(regclass, bigint) IS
  'The percentage for TABLESAMPLE SYSTEM by which about so many blocks of a table, with its partitions, are read. Called by the sampling functions.';

CREATE FUNCTION @extschema@.oa_sync_parity_pattern(template text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(string_agg(CASE WHEN m[1] = '{{' THEN '{' WHEN m[1] = '}}' THEN '}' WHEN m[1] LIKE '{%' THEN '%'
                                  ELSE regexp_replace(m[1], '([\\%_])', '\\\1', 'g') END, '' ORDER BY n), '')
    FROM regexp_matches(template, '(\{\{|\}\}|\{[^}]*\}|[^{}]+)', 'g') WITH ORDINALITY AS t(m, n)
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_pattern(text) IS 'The LIKE pattern that everything fits which a template can make.';

CREATE FUNCTION @extschema@.oa_sync_published_key(publication_id integer, relation oid, place tid, OUT topic text, OUT doc_key text)
  LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'oa_sync_published_key';
COMMENT ON FUNCTION @extschema@.oa_sync_published_key(integer, oid, tid) IS
  'Topic and document key of a row of a published table; nulls when it is not there, or names no document. Called by sync_parity_sample().';

CREATE FUNCTION @extschema@.oa_sync_projected_document(
  projection_id integer, relation oid, place tid, OUT doc_key text, OUT doc_version bigint, OUT payload_hash bytea
)
  LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'oa_sync_projected_document';
COMMENT ON FUNCTION @extschema@.oa_sync_projected_document(integer, oid, tid) IS
  'The document that a source row of a projection makes now, without writing it; doc_version is null where the projection counts, payload_hash where there is no document. ERROR 42501 for who does not own the table. Called by sync_parity_projections().';

CREATE FUNCTION @extschema@.oa_sync_parity_topics(pattern text, after text) RETURNS text[]
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  prefix CONSTANT text := left(pattern, -1);
  topics text[];
  more text[];
BEGIN
  IF right(pattern, 1) <> '*' THEN
    RETURN ARRAY[pattern];
  END IF;
  SELECT array_agg(t.topic) INTO topics FROM (
    SELECT p.topic FROM @extschema@.sync_topics_page(prefix, coalesce(after, ''), 32) p WHERE NOT starts_with(p.topic, 'oa_sync.') LIMIT 8) t;
  IF coalesce(cardinality(topics), 0) < 8 AND after <> '' THEN
    SELECT array_agg(t.topic) INTO more FROM (
      SELECT p.topic FROM @extschema@.sync_topics_page(prefix, '', 32) p
        WHERE NOT starts_with(p.topic, 'oa_sync.') AND p.topic <> ALL (coalesce(topics, '{}')) LIMIT 8 - coalesce(cardinality(topics), 0)) t;
  END IF;
  RETURN coalesce(topics, '{}') || coalesce(more, '{}');
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_topics(text, text) IS 'The topics that the next audit of a lane looks at: the one that is named, or the eight that come after the last. Called by sync_parity_sample().';

CREATE FUNCTION @extschema@.oa_sync_parity_row_keys(topic text, seed bigint, wanted integer) RETURNS SETOF text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
  publication record;
  relations oid[];
  places tid[];
  found record;
BEGIN
  FOR publication IN SELECT p.publication_id, p.relation, c.relkind FROM @extschema@.sync_publications p JOIN pg_class c ON c.oid = p.relation
      WHERE topic LIKE @extschema@.oa_sync_parity_pattern(p.topic) ORDER BY p.publication_id LOOP
    EXECUTE format('SELECT array_agg(q.relation), array_agg(q.place) FROM ('
                   '  SELECT s.tableoid AS relation, s.ctid AS place FROM %s %s AS s TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) '
                   '  ORDER BY hashtextextended(s.tableoid::text || s.ctid::text, $1) LIMIT $2) q',
                   CASE publication.relkind WHEN 'r' THEN 'ONLY' END, publication.relation,
                   @extschema@.oa_sync_parity_sample_of(publication.relation, wanted), seed % 1000000007)
      INTO relations, places USING seed, wanted;
    FOR i IN 1 .. coalesce(cardinality(places), 0) LOOP
      found := @extschema@.oa_sync_published_key(publication.publication_id, relations[i], places[i]);
      IF found.topic = topic THEN
        RETURN NEXT found.doc_key;
      END IF;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_row_keys(text, bigint, integer) IS 'Keys of random rows of the tables that are published to a topic. Called by sync_parity_sample().';

CREATE FUNCTION @extschema@.oa_sync_parity_event_keys(topic text, seed bigint, wanted integer, recent boolean) RETURNS SETOF text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  wanted_topic CONSTANT text COLLATE "C" := topic;
  oldest bigint;
  newest bigint;
  place bigint;
  key text;
BEGIN
  IF recent THEN
    RETURN QUERY SELECT e.doc_key FROM (
      SELECT j.doc_key, j.op FROM @extschema@.sync_stream_events j WHERE j.topic = wanted_topic ORDER BY j.watermark DESC LIMIT 4 * wanted) e
      WHERE e.op IN ('upsert', 'delete');
    RETURN;
  END IF;
  SELECT j.watermark INTO oldest FROM @extschema@.sync_stream_events j WHERE j.topic = wanted_topic ORDER BY j.watermark LIMIT 1;
  SELECT j.watermark INTO newest FROM @extschema@.sync_stream_events j WHERE j.topic = wanted_topic ORDER BY j.watermark DESC LIMIT 1;
  FOR i IN 1 .. CASE WHEN oldest IS NULL THEN 0 ELSE wanted END LOOP
    place := oldest + (hashint8extended(i, seed) & 9223372036854775807) % (newest - oldest + 1);
    SELECT j.doc_key INTO key FROM @extschema@.sync_stream_events j
      WHERE j.topic = wanted_topic AND j.watermark >= place AND j.watermark < place + 100 AND j.op IN ('upsert', 'delete') ORDER BY j.watermark LIMIT 1;
    IF FOUND THEN
      RETURN NEXT key;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_parity_event_keys(text, bigint, integer, boolean) IS
  'Keys of a topic''s newest events, or of events at random watermarks of what is retained. Called by sync_parity_sample().';

CREATE FUNCTION @extschema@.sync_parity_sample(lane text, seed bigint, samples integer DEFAULT NULL, OUT topic text, OUT doc_key text) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  config @extschema@.sync_parity_lanes%ROWTYPE;
  topics text[];
  share integer;
  keys text[];
  more text[];
BEGIN
  SELECT * INTO config FROM @extschema@.sync_parity_lanes l WHERE l.name = lane;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no lane "%"', lane USING ERRCODE = 'undefined_object';
  END IF;
  IF samples NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'samples is %', samples USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It may be from 1 to 10000.';
  END IF;
  topics := @extschema@.oa_sync_parity_topics(config.topic,
    -- Behind the last one that came as far as a topic. One that is dated ahead is of a clock that was, and would be the last for long.
    coalesce((SELECT a.last_topic FROM @extschema@.sync_parity_audits a
                WHERE a.lane = sync_parity_sample.lane AND a.last_topic <> '' AND a.finished_at <= clock_timestamp() + config.max_age
                ORDER BY a.finished_at DESC LIMIT 1), ''));
  share := greatest(1, ceil(coalesce(samples, config.samples)::numeric / greatest(1, cardinality(topics))));
  FOREACH topic IN ARRAY topics LOOP
    SELECT coalesce(array_agg(r.k ORDER BY r.n), '{}') INTO keys FROM (
      SELECT e.k, min(e.n) AS n FROM @extschema@.oa_sync_parity_event_keys(topic, seed, greatest(1, share / 2), true) WITH ORDINALITY AS e(k, n)
        GROUP BY e.k ORDER BY min(e.n) LIMIT greatest(1, share / 2)) r;
    SELECT keys || coalesce(array_agg(r.k ORDER BY hashtextextended(r.k, seed)), '{}') INTO keys FROM (
      SELECT DISTINCT k FROM @extschema@.oa_sync_parity_row_keys(topic, seed, share) k WHERE k <> ALL (keys)) r;
    IF cardinality(keys) < share THEN
      SELECT array_agg(DISTINCT k) INTO more FROM @extschema@.oa_sync_parity_event_keys(topic, seed, share, false) k WHERE k <> ALL (keys);
      keys := keys || coalesce(more, '{}');
    END IF;
    FOREACH doc_key IN ARRAY keys[1:share] LOOP
      RETURN NEXT;
    END LOOP;
    -- A topic without documents is still one that the audit has been at.
    IF cardinality(keys) = 0 THEN
      doc_key := NULL;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_sample(text, bigint, integer) IS
  'The documents that an audit of a lane looks at: about as many as its samples (or as `samples` says, from 1 to 10000), half of them those that changed last, the others random rows of the published tables, and events at random places of the journal where these are too few; the same seed picks the same of the same. '
  'Costs about as many blocks and index look-ups as documents, however large tables and journal are. A topic without documents is a row whose doc_key is null. '
  'ERROR 42704 for a lane that does not exist, 22023 for samples out of range. For the auditor, see sync_grant_auditor(). Example: SELECT * FROM runtime.sync_parity_sample(''runs'', 42);';
