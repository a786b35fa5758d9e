
-- Parity: what an auditor (oa-sync parity) compares with an earlier lane, and what came of it. Everything is off until a lane is enabled.

CREATE TABLE @extschema@.sync_parity_lanes (
  name text COLLATE "C" PRIMARY KEY,
  topic text COLLATE "C" NOT NULL,
  adapter text COLLATE "C" NOT NULL,
  address text NOT NULL DEFAULT '',
  authority text COLLATE "C" NOT NULL DEFAULT 'earlier',
  samples integer NOT NULL DEFAULT 100,
  lag_limit interval NOT NULL DEFAULT '10 seconds',
  max_rate double precision NOT NULL DEFAULT 0.01,
  max_age interval NOT NULL DEFAULT '5 minutes',
  keep interval NOT NULL DEFAULT '7 days',
  keep_results integer NOT NULL DEFAULT 10000,
  enabled boolean NOT NULL DEFAULT false,
  enabled_at timestamptz,
  compares_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  changed_by name NOT NULL DEFAULT SESSION_USER,
  CONSTRAINT name_is_valid CHECK (name ~ '^[A-Za-z0-9_.-]{1,63}$'),
  CONSTRAINT topic_is_valid CHECK (topic ~ '^([A-Za-z0-9_.:/-]{1,160}|[A-Za-z0-9_.:/-]{0,159}\*)$'),
  CONSTRAINT adapter_is_valid CHECK (adapter IN ('http', 'table', 'self')),
  CONSTRAINT address_is_valid CHECK (CASE adapter WHEN 'http' THEN address ~ '^https?://[^[:space:][:cntrl:]?#@]+$' AND pg_catalog.octet_length(address) <= 1000
                                     WHEN 'table' THEN address <> '' ELSE address = '' END),
  CONSTRAINT authority_is_valid CHECK (authority IN ('earlier', 'oa_sync')),
  CONSTRAINT samples_is_valid CHECK (samples BETWEEN 1 AND 10000),
  CONSTRAINT lag_limit_is_valid CHECK (lag_limit BETWEEN '0' AND '10 minutes'),
  CONSTRAINT max_rate_is_valid CHECK (max_rate > 0 AND max_rate <= 1),
  CONSTRAINT max_age_is_valid CHECK (max_age BETWEEN '1 second' AND '7 days'),
  CONSTRAINT keep_is_valid CHECK (keep BETWEEN '1 hour' AND '365 days'),
  CONSTRAINT keep_results_is_valid CHECK (keep_results BETWEEN 1 AND 1000000)
);
COMMENT ON TABLE @extschema@.sync_parity_lanes IS
  'What the parity auditor compares OA Sync with: at most 32 lanes, each with its topic, where the earlier lane is reached, and limits. Kept by sync_parity_set_lane() and sync_parity_drop_lane(). Nothing is compared while none is enabled, or no auditor runs.';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.name IS 'Names the lane in commands, metrics and logs: 1 to 63 letters, digits and _ . -';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.topic IS 'The topic, or the beginning of topics and a star: then eight of them in turn in each audit';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.adapter IS 'How the earlier lane is reached: http, table, or self (there is none: source rows, read models and journal are compared)';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.address IS 'Of http the URL, without user, query or fragment (a token comes from a file of the auditor); of table its name; of self nothing';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.authority IS 'Which side is the reference: earlier or oa_sync. What differs is booked to the other';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.samples IS 'About how many documents an audit compares';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.lag_limit IS 'How long one side may be behind the other without that being a mismatch';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.max_rate IS 'Mismatches of an hour, as part of what was compared, from which on the fan-out reports a problem';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.max_age IS 'An audit that is older than this counts as stopped: the fan-out reports a problem, the gate is closed';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.keep IS 'How long audits and mismatches are kept';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.keep_results IS 'How many mismatches are kept at most';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.enabled IS 'Whether it is audited';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.enabled_at IS 'Since when';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.compares_since IS 'Since when it has the topic, adapter and address that it has: audits that began before say nothing of what it compares now, and do not count';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.changed_at IS 'When the lane was last set';
COMMENT ON COLUMN @extschema@.sync_parity_lanes.changed_by IS 'By whom';

CREATE TABLE @extschema@.sync_parity_audits (
  audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane text COLLATE "C" NOT NULL REFERENCES @extschema@.sync_parity_lanes ON DELETE CASCADE,
  seed bigint NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  checked integer NOT NULL,
  mismatched integer NOT NULL,
  reasons jsonb NOT NULL,
  journal_checked integer NOT NULL,
  wire_checked integer NOT NULL,
  unanswered integer NOT NULL,
  error text,
  last_topic text COLLATE "C" NOT NULL
);
CREATE INDEX sync_parity_audits_of_lane ON @extschema@.sync_parity_audits (lane, finished_at);
COMMENT ON TABLE @extschema@.sync_parity_audits IS 'Every audit of a lane, with its counts. Written by sync_parity_record(), which removes what is older than the lane''s keep.';
COMMENT ON SEQUENCE @extschema@.sync_parity_audits_audit_id_seq IS 'Numbers of audits';
COMMENT ON COLUMN @extschema@.sync_parity_audits.audit_id IS 'Number of the audit';
COMMENT ON COLUMN @extschema@.sync_parity_audits.lane IS 'Of which lane';
COMMENT ON COLUMN @extschema@.sync_parity_audits.seed IS 'What the sample was drawn with: oa-sync parity audit --seed draws it again';
COMMENT ON COLUMN @extschema@.sync_parity_audits.started_at IS 'When it began';
COMMENT ON COLUMN @extschema@.sync_parity_audits.finished_at IS 'When it was recorded';
COMMENT ON COLUMN @extschema@.sync_parity_audits.checked IS 'Documents that were compared';
COMMENT ON COLUMN @extschema@.sync_parity_audits.mismatched IS 'Those of them with a reason other than none';
COMMENT ON COLUMN @extschema@.sync_parity_audits.reasons IS 'How many of each reason: none, summary_hash_mismatch, lag_drift, hash_and_lag_drift, missing';
COMMENT ON COLUMN @extschema@.sync_parity_audits.journal_checked IS 'Documents whose newest event was found and compared';
COMMENT ON COLUMN @extschema@.sync_parity_audits.wire_checked IS 'Documents that a probing subscriber got';
COMMENT ON COLUMN @extschema@.sync_parity_audits.unanswered IS 'Documents that the earlier lane was asked for without an answer that can be used; not among those that were compared';
COMMENT ON COLUMN @extschema@.sync_parity_audits.error IS 'Why the audit came to nothing; null when it compared what there was. An audit with an error does not count for the age of the newest one';
COMMENT ON COLUMN @extschema@.sync_parity_audits.last_topic IS 'Behind which topic the next audit of a lane with a star goes on';
COMMENT ON INDEX @extschema@.sync_parity_audits_of_lane IS 'Finds the audits of a window';

CREATE TABLE @extschema@.sync_parity_results (
  result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  audit_id bigint NOT NULL REFERENCES @extschema@.sync_parity_audits ON DELETE CASCADE,
  lane text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  compared text COLLATE "C" NOT NULL,
  booked_to text COLLATE "C" NOT NULL,
  detail text NOT NULL,
  reference_version bigint,
  other_version bigint,
  reference_hash text,
  other_hash text,
  watermark bigint,
  checked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT reason_is_valid CHECK (reason IN ('summary_hash_mismatch', 'lag_drift', 'hash_and_lag_drift', 'missing')),
  CONSTRAINT compared_is_valid CHECK (compared IN ('earlier', 'stored', 'projection', 'journal', 'wire')),
  CONSTRAINT booked_to_is_valid CHECK (booked_to IN ('earlier', 'oa_sync'))
);
CREATE INDEX sync_parity_results_of_lane ON @extschema@.sync_parity_results (lane, result_id);
CREATE INDEX sync_parity_results_of_audit ON @extschema@.sync_parity_results (audit_id);
COMMENT ON TABLE @extschema@.sync_parity_results IS
  'The mismatches that audits have found, a row for each document and audit; documents that fit are only counted, in sync_parity_audits. No payloads. Bounded by the lane''s keep and keep_results.';
COMMENT ON SEQUENCE @extschema@.sync_parity_results_result_id_seq IS 'Numbers of results';
COMMENT ON COLUMN @extschema@.sync_parity_results.result_id IS 'Number of the result; newer ones are higher';
COMMENT ON COLUMN @extschema@.sync_parity_results.audit_id IS 'The audit that found it';
COMMENT ON COLUMN @extschema@.sync_parity_results.lane IS 'The lane';
COMMENT ON COLUMN @extschema@.sync_parity_results.topic IS 'The document''s topic';
COMMENT ON COLUMN @extschema@.sync_parity_results.doc_key IS 'The document';
COMMENT ON COLUMN @extschema@.sync_parity_results.reason IS 'summary_hash_mismatch, lag_drift, hash_and_lag_drift or missing: docs/sync/PARITY.md';
COMMENT ON COLUMN @extschema@.sync_parity_results.compared IS 'With what the document differs: earlier (the earlier lane), stored (its own payload_hash), projection (what its source rows make), journal (its newest event), wire (what a subscriber got)';
COMMENT ON COLUMN @extschema@.sync_parity_results.booked_to IS 'Which side is at fault, by the lane''s authority: earlier or oa_sync';
COMMENT ON COLUMN @extschema@.sync_parity_results.detail IS 'In words';
COMMENT ON COLUMN @extschema@.sync_parity_results.reference_version IS 'The doc_version that the reference has; null: none, or it is not there';
COMMENT ON COLUMN @extschema@.sync_parity_results.other_version IS 'The doc_version of the side that it is booked to';
COMMENT ON COLUMN @extschema@.sync_parity_results.reference_hash IS 'sha256 of the reference''s canonical payload, hexadecimal; null: it is not there';
COMMENT ON COLUMN @extschema@.sync_parity_results.other_hash IS 'That of the side that it is booked to';
COMMENT ON COLUMN @extschema@.sync_parity_results.watermark IS 'Of the document''s newest event, where it was found';
COMMENT ON COLUMN @extschema@.sync_parity_results.checked_at IS 'When it was recorded';
COMMENT ON INDEX @extschema@.sync_parity_results_of_lane IS 'Finds the newest of a lane';
COMMENT ON INDEX @extschema@.sync_parity_results_of_audit IS 'Finds those of an audit';

CREATE TABLE @extschema@.sync_parity_totals (
  lane text COLLATE "C" NOT NULL REFERENCES @extschema@.sync_parity_lanes ON DELETE CASCADE,
  reason text COLLATE "C" NOT NULL,
  checked bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (lane, reason)
);
COMMENT ON TABLE @extschema@.sync_parity_totals IS 'How many documents were compared with which outcome since the lane was made: counters that only grow, and go with the lane. Behind the metric oa_sync_parity_checks_total.';
COMMENT ON COLUMN @extschema@.sync_parity_totals.lane IS 'The lane';
COMMENT ON COLUMN @extschema@.sync_parity_totals.reason IS 'none, summary_hash_mismatch, lag_drift, hash_and_lag_drift or missing';
COMMENT ON COLUMN @extschema@.sync_parity_totals.checked IS 'Documents';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_parity_lanes', '');

CREATE FUNCTION @extschema@.sync_parity_set_lane(
  name text, topic text DEFAULT NULL, adapter text DEFAULT NULL, address text DEFAULT NULL, authority text DEFAULT NULL,
  samples integer DEFAULT NULL, lag_limit interval DEFAULT NULL, max_rate double precision DEFAULT NULL,
  max_age interval DEFAULT NULL, keep interval DEFAULT NULL, keep_results integer DEFAULT NULL, enabled boolean DEFAULT NULL
) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  lane @extschema@.sync_parity_lanes%ROWTYPE;
  relation regclass;
  columns text[];
  failed text;
BEGIN
  IF sync_parity_set_lane.name IS NULL THEN
    RAISE EXCEPTION 'name must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  -- Locked: of two that change different things of one lane, the second must not put back what the first has changed.
  SELECT * INTO lane FROM @extschema@.sync_parity_lanes l WHERE l.name = sync_parity_set_lane.name FOR UPDATE;
  IF NOT FOUND THEN
    IF sync_parity_set_lane.topic IS NULL OR sync_parity_set_lane.adapter IS NULL THEN
      RAISE EXCEPTION 'there is no lane "%"', left(sync_parity_set_lane.name, 63) USING ERRCODE = 'undefined_object', HINT = 'A new lane takes topic and adapter.';
    END IF;
    -- Two that make the last lane at once: one after the other.
    LOCK TABLE @extschema@.sync_parity_lanes IN SHARE ROW EXCLUSIVE MODE;
    IF (SELECT count(*) FROM @extschema@.sync_parity_lanes) >= 32 THEN
      RAISE EXCEPTION 'there are 32 lanes already' USING ERRCODE = 'program_limit_exceeded', HINT = 'Drop one with sync_parity_drop_lane().';
    END IF;
  END IF;
  IF coalesce(sync_parity_set_lane.adapter, lane.adapter) = 'table' AND (sync_parity_set_lane.address IS NOT NULL OR lane.adapter IS DISTINCT FROM 'table') THEN
    relation := to_regclass(coalesce(sync_parity_set_lane.address, ''));
    IF relation IS NULL THEN
      RAISE EXCEPTION 'relation "%" does not exist', coalesce(sync_parity_set_lane.address, '') USING ERRCODE = 'undefined_table',
        HINT = 'Name the table or view of checkpoints with its schema.';
    END IF;
    SELECT array_agg(a.attname::text) INTO columns FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT columns @> '{doc_key,doc_version}' OR NOT columns && '{payload,payload_hash}' THEN
      RAISE EXCEPTION '% is no table of checkpoints', relation USING ERRCODE = 'wrong_object_type',
        DETAIL = 'It has to have the columns doc_key and doc_version, and payload or payload_hash.';
    END IF;
    SELECT format('%I.%I', n.nspname, c.relname) INTO lane.address FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
  ELSIF coalesce(sync_parity_set_lane.adapter, lane.adapter) = 'self' THEN
    lane.address := coalesce(sync_parity_set_lane.address, '');
  ELSE
    lane.address := coalesce(sync_parity_set_lane.address, lane.address, '');
  END IF;
  BEGIN
    INSERT INTO @extschema@.sync_parity_lanes AS l
        (name, topic, adapter, address, authority, samples, lag_limit, max_rate, max_age, keep, keep_results, enabled, enabled_at)
      VALUES (sync_parity_set_lane.name,
              coalesce(sync_parity_set_lane.topic, lane.topic),
              coalesce(sync_parity_set_lane.adapter, lane.adapter),
              lane.address,
              coalesce(sync_parity_set_lane.authority, lane.authority, 'earlier'),
              coalesce(sync_parity_set_lane.samples, lane.samples, 100),
              coalesce(sync_parity_set_lane.lag_limit, lane.lag_limit, '10 seconds'),
              coalesce(sync_parity_set_lane.max_rate, lane.max_rate, 0.01),
              coalesce(sync_parity_set_lane.max_age, lane.max_age, '5 minutes'),
              coalesce(sync_parity_set_lane.keep, lane.keep, '7 days'),
              coalesce(sync_parity_set_lane.keep_results, lane.keep_results, 10000),
              coalesce(sync_parity_set_lane.enabled, lane.enabled, false),
              CASE WHEN coalesce(sync_parity_set_lane.enabled, lane.enabled, false) THEN coalesce(CASE WHEN lane.enabled THEN lane.enabled_at END, now()) END)
      ON CONFLICT ON CONSTRAINT sync_parity_lanes_pkey
      DO UPDATE SET topic = excluded.topic, adapter = excluded.adapter, address = excluded.address, authority = excluded.authority,
        samples = excluded.samples, lag_limit = excluded.lag_limit, max_rate = excluded.max_rate, max_age = excluded.max_age,
        keep = excluded.keep, keep_results = excluded.keep_results, enabled = excluded.enabled, enabled_at = excluded.enabled_at,
        compares_since = CASE WHEN (l.topic, l.adapter, l.address) = (excluded.topic, excluded.adapter, excluded.address) THEN l.compares_since ELSE clock_timestamp() END,
        changed_at = now(), changed_by = SESSION_USER;
  EXCEPTION WHEN check_violation THEN
    GET STACKED DIAGNOSTICS failed = CONSTRAINT_NAME;
    failed := replace(failed, '_is_valid', '');
    RAISE EXCEPTION 'invalid %', failed USING ERRCODE = 'invalid_parameter_value', DETAIL = CASE failed
      WHEN 'name' THEN 'It is 1 to 63 letters, digits and _ . -'
      WHEN 'topic' THEN 'It is a topic, or the beginning of topics and a star.'
      WHEN 'adapter' THEN 'It is http, table or self.'
      WHEN 'address' THEN 'Of http it is an http:// or https:// URL without user, query and fragment; of self nothing.'
      WHEN 'authority' THEN 'It is earlier or oa_sync.'
      WHEN 'samples' THEN 'It is from 1 to 10000.'
      WHEN 'lag_limit' THEN 'It is from 0 to 10 minutes.'
      WHEN 'max_rate' THEN 'It is more than 0 and at most 1.'
      WHEN 'max_age' THEN 'It is from 1 second to 7 days.'
      WHEN 'keep' THEN 'It is from 1 hour to 365 days.'
      ELSE 'It is from 1 to 1000000.' END;
  END;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_set_lane(text, text, text, text, text, integer, interval, double precision, interval, interval, integer, boolean) IS
  'Makes a lane of the parity auditor, or changes one: what is left out, or null, stays as it is, and has a default in a new lane, which needs topic and adapter. A new lane is not enabled unless that is said. With another topic, adapter or address the audits of before do not count any more. '
  'ERROR 42704 for a new lane without topic or adapter, 22023 for a value that is out of range, 42P01 or 42809 for a table of checkpoints that is not there or is none, 54000 for the 33rd lane. '
  'Example: SELECT runtime.sync_parity_set_lane(''runs'', topic => ''runtime.run_summaries'', adapter => ''http'', address => ''https://app.example/parity'', enabled => true); then SELECT runtime.sync_parity_set_lane(''runs'', authority => ''oa_sync'');';

CREATE FUNCTION @extschema@.sync_parity_drop_lane(name text) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  DELETE FROM @extschema@.sync_parity_lanes l WHERE l.name = sync_parity_drop_lane.name;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_drop_lane(text) IS
  'Forgets a lane, with its audits, results and totals; false when there is none of the name. To end its audits only: sync_parity_set_lane(name, enabled => false). Example: SELECT runtime.sync_parity_drop_lane(''runs'');';

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

-- The earlier lane as a table or view of checkpoints: with the rights of who asks, since what is behind a view is not ours.
CREATE FUNCTION @extschema@.sync_parity_checkpoint_sample(checkpoints regclass, topic text, seed bigint, wanted integer) RETURNS SETOF text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  kind "char";
  of_topic text := '';
BEGIN
  SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = checkpoints;
  IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = checkpoints AND a.attname = 'topic' AND NOT a.attisdropped) THEN
    of_topic := 'WHERE s.topic::text = $1';
  END IF;
  -- Those that changed last, where an index leads to them.
  IF EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = checkpoints AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'updated_at') THEN
    RETURN QUERY EXECUTE format('SELECT s.doc_key::text FROM %s s %s ORDER BY s.updated_at DESC LIMIT $2', checkpoints, of_topic)
      USING topic, greatest(1, wanted / 2);
  END IF;
  IF kind IN ('r', 'm', 'p') THEN
    RETURN QUERY EXECUTE format('SELECT s.doc_key::text FROM %s s TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) %s '
                                'ORDER BY hashtextextended(s.doc_key::text, $3) LIMIT $2',
                                checkpoints, @extschema@.oa_sync_parity_sample_of(checkpoints, wanted), seed % 1000000007, of_topic)
      USING topic, wanted, seed;
  ELSE
    -- Of a view, whatever comes first: an order would be made of all of it.
    RETURN QUERY EXECUTE format('SELECT q.k FROM (SELECT s.doc_key::text AS k FROM %s s %s LIMIT 10 * $2) q ORDER BY hashtextextended(q.k, $3) LIMIT $2',
                                checkpoints, of_topic)
      USING topic, wanted, seed;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_checkpoint_sample(regclass, text, bigint, integer) IS
  'Keys of a table or view of checkpoints: random blocks of a table, those that changed last where an index begins with updated_at; of a view what it gives first. Where it has a column topic, of that topic only. With the rights of the caller, who needs SELECT on it. For the auditor. '
  'Example: SELECT runtime.sync_parity_checkpoint_sample(''app.checkpoints'', ''runtime.run_summaries'', 42, 100);';

CREATE FUNCTION @extschema@.sync_parity_checkpoints(
  checkpoints regclass, topic text, doc_keys text[], versions bigint[] DEFAULT NULL,
  OUT doc_key text, OUT doc_version bigint, OUT payload text, OUT payload_hash text, OUT changed_s double precision
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  columns jsonb;
BEGIN
  SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, NULL)) INTO columns FROM pg_attribute a
    WHERE a.attrelid = checkpoints AND a.attnum > 0 AND NOT a.attisdropped;
  RETURN QUERY EXECUTE format(
    'SELECT DISTINCT ON (s.doc_key) s.doc_key::text, s.doc_version::bigint, %s, %s, %s FROM %s s %s '
    'WHERE s.doc_key = ANY ($2::%s[]) %s %s ORDER BY s.doc_key, s.doc_version DESC NULLS LAST',
    CASE WHEN columns ? 'payload' THEN 's.payload::text' ELSE 'NULL::text' END,
    CASE columns->>'payload_hash' WHEN 'bytea' THEN 'encode(s.payload_hash, ''hex'')' ELSE CASE WHEN columns ? 'payload_hash' THEN 's.payload_hash::text' ELSE 'NULL::text' END END,
    CASE WHEN columns->>'updated_at' LIKE 'timestamp%' THEN 'extract(epoch FROM clock_timestamp() - s.updated_at::timestamptz)::double precision' ELSE 'NULL::double precision' END,
    checkpoints,
    CASE WHEN versions IS NOT NULL THEN 'JOIN unnest($2, $3) AS v(key, version) ON s.doc_key = v.key AND s.doc_version = v.version' END,
    columns->>'doc_key',
    CASE WHEN columns ? 'topic' THEN 'AND s.topic::text = $1' END, '')
    USING topic, doc_keys, versions;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_checkpoints(regclass, text, text[], bigint[]) IS
  'The rows of a table or view of checkpoints for document keys: of each key the one with the highest doc_version, or with the version given. payload is its text, payload_hash hexadecimal or as it stands there, changed_s the seconds since updated_at. What the table does not have is null. With the rights of the caller, who needs SELECT on it. For the auditor. '
  'Example: SELECT * FROM runtime.sync_parity_checkpoints(''app.checkpoints'', ''runtime.run_summaries'', ARRAY[''runtime/run_summary:42'']);';

CREATE FUNCTION @extschema@.sync_parity_record(lane text, audit json) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  config @extschema@.sync_parity_lanes%ROWTYPE;
  finished timestamptz;
  id bigint;
BEGIN
  IF lane IS NULL OR audit IS NULL THEN
    RAISE EXCEPTION 'lane and audit must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  -- Locked, so that it is not dropped meanwhile, and that two auditors prune one after the other.
  SELECT * INTO config FROM @extschema@.sync_parity_lanes l WHERE l.name = lane FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no lane "%"', lane USING ERRCODE = 'undefined_object';
  END IF;
  finished := clock_timestamp();
  INSERT INTO @extschema@.sync_parity_audits (lane, seed, started_at, finished_at, checked, mismatched, reasons, journal_checked, wire_checked, unanswered, error, last_topic)
    SELECT lane, a.seed, finished - make_interval(secs => a.seconds), finished, r.checked, r.checked - coalesce((a.reasons->>'none')::integer, 0),
           a.reasons, a.journal_checked, a.wire_checked, a.unanswered, left(a.error, 1000), left(a.last_topic, 160)
      FROM json_to_record(audit) AS a(seed bigint, seconds double precision, reasons jsonb, journal_checked integer, wire_checked integer,
                                      unanswered integer, error text, last_topic text)
      CROSS JOIN LATERAL (SELECT coalesce(sum(e.value::integer), 0)::integer AS checked FROM jsonb_each_text(a.reasons) e) r
    RETURNING audit_id INTO id;
  INSERT INTO @extschema@.sync_parity_results (audit_id, lane, topic, doc_key, reason, compared, booked_to, detail,
                                               reference_version, other_version, reference_hash, other_hash, watermark)
    SELECT id, lane, left(r.topic, 160), left(r.doc_key, 1024), r.reason, r.compared, r.booked_to, left(r.detail, 500),
           r.reference_version, r.other_version, left(r.reference_hash, 64), left(r.other_hash, 64), r.watermark
      FROM json_to_recordset(CASE WHEN json_typeof(audit->'results') = 'array' THEN audit->'results' ELSE '[]' END) AS r(topic text, doc_key text, reason text, compared text, booked_to text, detail text,
        reference_version bigint, other_version bigint, reference_hash text, other_hash text, watermark bigint)
      LIMIT 10000;
  INSERT INTO @extschema@.sync_parity_totals AS t (lane, reason, checked)
    SELECT lane, n.reason, coalesce((audit->'reasons'->>n.reason)::bigint, 0)
      FROM unnest('{none,summary_hash_mismatch,lag_drift,hash_and_lag_drift,missing}'::text[]) AS n(reason)
    ON CONFLICT ON CONSTRAINT sync_parity_totals_pkey DO UPDATE SET checked = t.checked + greatest(excluded.checked, 0);
  DELETE FROM @extschema@.sync_parity_audits a WHERE a.lane = sync_parity_record.lane AND a.finished_at < now() - config.keep AND a.audit_id <> id;
  DELETE FROM @extschema@.sync_parity_results r WHERE r.lane = sync_parity_record.lane AND r.result_id <= (
    SELECT o.result_id FROM @extschema@.sync_parity_results o WHERE o.lane = sync_parity_record.lane ORDER BY o.result_id DESC OFFSET config.keep_results LIMIT 1);
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_record(text, json) IS
  'Notes what an audit came to, and removes what is older than the lane''s keep or more than its keep_results; returns the audit''s number. audit is {"seed","seconds","reasons":{reason:count},"journal_checked","wire_checked","unanswered","error","last_topic","results":[{"topic","doc_key","reason","compared","booked_to","detail","reference_version","other_version","reference_hash","other_hash","watermark"}]}. '
  'ERROR 42704 for a lane that does not exist. For the auditor. Example: SELECT runtime.sync_parity_record(''runs'', ''{"seed":1,"seconds":0.5,"reasons":{"none":100},"journal_checked":100,"wire_checked":0,"unanswered":0,"last_topic":"runtime.run_summaries","results":[]}'');';

CREATE FUNCTION @extschema@.sync_parity_rate(lane text, "window" interval DEFAULT '1 hour') RETURNS double precision
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT sum(a.mismatched)::double precision / nullif(sum(a.checked), 0)
    FROM @extschema@.sync_parity_lanes l JOIN @extschema@.sync_parity_audits a ON a.lane = l.name
    WHERE l.name = $1 AND a.finished_at > clock_timestamp() - $2 AND a.finished_at <= clock_timestamp() + l.max_age AND a.started_at >= l.compares_since;
END;
COMMENT ON FUNCTION @extschema@.sync_parity_rate(text, interval) IS
  'Mismatches of a lane''s audits of the last hour (or another time), as part of the documents that were compared; null when none was. Example: SELECT runtime.sync_parity_rate(''runs'', ''1 hour'');';

CREATE FUNCTION @extschema@.sync_parity_overview("window" interval DEFAULT '1 hour') RETURNS json
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT coalesce(json_agg(json_build_object(
    'lane', l.name, 'topic', l.topic, 'adapter', l.adapter, 'address', l.address, 'authority', l.authority, 'enabled', l.enabled,
    'samples', l.samples, 'lag_limit_s', extract(epoch FROM l.lag_limit)::double precision, 'max_rate', l.max_rate,
    'max_age_s', extract(epoch FROM l.max_age)::double precision,
    'enabled_s', extract(epoch FROM clock_timestamp() - l.enabled_at)::double precision,
    'audit_age_s', CASE WHEN newest.finished_at IS NOT NULL THEN greatest(0, extract(epoch FROM clock_timestamp() - newest.finished_at))::double precision END,
    'last_error', CASE WHEN last.error IS NOT NULL THEN json_build_object('error', last.error, 'age_s', extract(epoch FROM clock_timestamp() - last.finished_at)::double precision) END,
    'audits', w.audits, 'checked', w.checked, 'mismatched', w.mismatched, 'unanswered', w.unanswered, 'journal_checked', w.journal_checked, 'wire_checked', w.wire_checked,
    'rate', w.mismatched::double precision / nullif(w.checked, 0),
    'by_reason', (SELECT json_object_agg(n.reason, coalesce(c.n, 0) ORDER BY n.place)
                    FROM unnest('{none,summary_hash_mismatch,lag_drift,hash_and_lag_drift,missing}'::text[]) WITH ORDINALITY AS n(reason, place)
                    LEFT JOIN (SELECT r.key, sum(r.value::bigint) AS n
                                 FROM @extschema@.sync_parity_audits a CROSS JOIN LATERAL jsonb_each_text(a.reasons) r
                                 WHERE a.lane = l.name AND a.finished_at > clock_timestamp() - $1 AND a.finished_at <= clock_timestamp() + l.max_age AND a.started_at >= l.compares_since GROUP BY r.key) c ON c.key = n.reason),
    'totals', (SELECT json_object_agg(n.reason, coalesce(t.checked, 0) ORDER BY n.place)
                 FROM unnest('{none,summary_hash_mismatch,lag_drift,hash_and_lag_drift,missing}'::text[]) WITH ORDINALITY AS n(reason, place)
                 LEFT JOIN @extschema@.sync_parity_totals t ON t.lane = l.name AND t.reason = n.reason)
    ) ORDER BY l.name), '[]')
  FROM @extschema@.sync_parity_lanes l
  -- Audits that are dated ahead are of a clock that was set back: by more than max_age they are no evidence, or a lane that nobody audits
  -- any more would look fresh until that time has come.
  LEFT JOIN LATERAL (SELECT a.finished_at FROM @extschema@.sync_parity_audits a
                       WHERE a.lane = l.name AND a.error IS NULL AND a.finished_at <= clock_timestamp() + l.max_age AND a.started_at >= l.compares_since ORDER BY a.finished_at DESC LIMIT 1) newest ON true
  LEFT JOIN LATERAL (SELECT a.finished_at, a.error FROM @extschema@.sync_parity_audits a
                       WHERE a.lane = l.name AND a.finished_at <= clock_timestamp() + l.max_age AND a.started_at >= l.compares_since ORDER BY a.finished_at DESC LIMIT 1) last ON true
  CROSS JOIN LATERAL (SELECT count(*) AS audits, coalesce(sum(a.checked), 0) AS checked, coalesce(sum(a.mismatched), 0) AS mismatched, coalesce(sum(a.unanswered), 0) AS unanswered,
                             coalesce(sum(a.journal_checked), 0) AS journal_checked, coalesce(sum(a.wire_checked), 0) AS wire_checked
                        FROM @extschema@.sync_parity_audits a WHERE a.lane = l.name AND a.finished_at > clock_timestamp() - $1 AND a.finished_at <= clock_timestamp() + l.max_age AND a.started_at >= l.compares_since) w;
END;
COMMENT ON FUNCTION @extschema@.sync_parity_overview(interval) IS
  'Every lane as one JSON list: its configuration, the age of its newest audit in seconds (null: none yet), the last error, what the audits of the last hour (or another time) found, and the totals. What `oa-sync parity gate` and `status` and the fan-out look at. Example: SELECT runtime.sync_parity_overview();';

CREATE FUNCTION @extschema@.sync_auditor_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_parity_overview,sync_parity_rate,sync_parity_sample,sync_parity_documents,sync_parity_projections,sync_parity_record,sync_parity_checkpoint_sample,sync_parity_checkpoints,oa_sync_parity_sample_of}'::text[])
    ORDER BY p.proname COLLATE "C";
END;
COMMENT ON FUNCTION @extschema@.sync_auditor_functions() IS
  'The functions that the parity auditor calls: what sync_grant_auditor() grants. Example: SELECT * FROM runtime.sync_auditor_functions();';

CREATE FUNCTION @extschema@.sync_grant_auditor(role name) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  called regprocedure;
  lane record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object', HINT = 'CREATE ROLE ... LOGIN';
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', '@extschema@', role);
  FOR called IN SELECT @extschema@.sync_auditor_functions() LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', called, role);
  END LOOP;
  EXECUTE format('GRANT SELECT ON @extschema@.sync_parity_lanes, @extschema@.sync_parity_audits, @extschema@.sync_parity_results, @extschema@.sync_parity_totals TO %I', role);
  FOR lane IN SELECT l.name, to_regclass(l.address) AS relation FROM @extschema@.sync_parity_lanes l WHERE l.adapter = 'table' LOOP
    IF lane.relation IS NOT NULL AND NOT has_table_privilege(role, lane.relation, 'SELECT') THEN
      RAISE NOTICE 'role "%" may not read %, the checkpoints of lane "%"', role, lane.relation, lane.name
        USING HINT = format('GRANT SELECT ON %s TO %I;', lane.relation, role);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_grant_auditor(name) IS
  'Gives a role what oa-sync parity needs and nothing else: USAGE on the schema, EXECUTE on sync_auditor_functions(), SELECT on the tables of lanes, audits, results and totals. It sees keys, versions and hashes of every topic, no payloads of OA Sync, and can not change lanes. SELECT on a lane''s table of checkpoints is yours to give: a NOTICE names each that lacks it. '
  'ERROR 42704 for a role that does not exist. Example: SELECT runtime.sync_grant_auditor(''parity'');';

CREATE FUNCTION @extschema@.sync_revoke_auditor(role name) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  called regprocedure;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object';
  END IF;
  FOR called IN SELECT @extschema@.sync_auditor_functions() LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM %I', called, role);
  END LOOP;
  EXECUTE format('REVOKE SELECT ON @extschema@.sync_parity_lanes, @extschema@.sync_parity_audits, @extschema@.sync_parity_results, @extschema@.sync_parity_totals FROM %I', role);
  EXECUTE format('REVOKE USAGE ON SCHEMA %s FROM %I', '@extschema@', role);
END
$$;
COMMENT ON FUNCTION @extschema@.sync_revoke_auditor(name) IS
  'Takes back what sync_grant_auditor() gave, also USAGE on the schema. ERROR 42704 for a role that does not exist. Example: SELECT runtime.sync_revoke_auditor(''parity'');';

REVOKE ALL ON TABLE @extschema@.sync_parity_lanes, @extschema@.sync_parity_audits, @extschema@.sync_parity_results, @extschema@.sync_parity_totals FROM PUBLIC;
REVOKE ALL ON SEQUENCE @extschema@.sync_parity_audits_audit_id_seq, @extschema@.sync_parity_results_result_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION
  @extschema@.sync_parity_set_lane(text, text, text, text, text, integer, interval, double precision, interval, interval, integer, boolean),
  @extschema@.sync_parity_drop_lane(text),
  @extschema@.oa_sync_parity_sample_of(regclass, bigint),
  @extschema@.oa_sync_parity_pattern(text),
  @extschema@.oa_sync_published_key(integer, oid, tid),
  @extschema@.oa_sync_projected_document(integer, oid, tid),
  @extschema@.oa_sync_parity_topics(text, text),
  @extschema@.oa_sync_parity_row_keys(text, bigint, integer),
  @extschema@.oa_sync_parity_event_keys(text, bigint, integer, boolean),
  @extschema@.sync_parity_sample(text, bigint, integer),
  @extschema@.oa_sync_parity_tail(text, text[], bigint[], integer),
  @extschema@.sync_parity_documents(text, text[], bigint[], integer),
  @extschema@.sync_parity_projections(text, bigint, integer),
  @extschema@.sync_parity_checkpoint_sample(regclass, text, bigint, integer),
  @extschema@.sync_parity_checkpoints(regclass, text, text[], bigint[]),
  @extschema@.sync_parity_record(text, json),
  @extschema@.sync_parity_rate(text, interval),
  @extschema@.sync_parity_overview(interval),
  @extschema@.sync_auditor_functions(),
  @extschema@.sync_grant_auditor(name),
  @extschema@.sync_revoke_auditor(name)
  FROM PUBLIC;
