\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.1.0. What 0.2.0 adds follows: parts 5x to 8x, see extension/Makefile.
-- Columns are added where they are in 0.2.0's own script as far as ALTER TABLE can: at the end.

ALTER TABLE @extschema@.sync_topic_sequences ADD COLUMN floor_epoch bigint NOT NULL DEFAULT 0;

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
COMMENT ON COLUMN @extschema@.sync_stream_events.payload IS 'The document as canonical JSON; null unless the op is upsert, and for an upsert whose payload a policy keeps out of the journal (pointer mode)';
COMMENT ON COLUMN @extschema@.sync_stream_events.payload_hash IS 'sha256 of the document''s canonical JSON in UTF-8, also when the payload is not here; of null for other ops';
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
-- Retention.
COMMENT ON FUNCTION @extschema@.sync_replay(text, bigint, integer, bigint) IS
  'The events of a topic that follow a cursor, in order, voids included: the run without gaps, of commits that are on disk, at most max_events and about max_bytes (at least one event if there is one). ERROR 22023 for an invalid topic or limit, 55000 for a cursor below the topic''s floor whose next events are gone. Example: SELECT * FROM runtime.sync_replay(''runtime.run_summaries'', 41);';

-- The views stay, with what is granted on them and what depends on them: they get their new columns at the end. The functions
-- behind them return more now, so they are others; what was granted on the former is granted on them, see part 51.
ALTER FUNCTION @extschema@.sync_topic_states() RENAME TO oa_sync_former_topic_states;
ALTER FUNCTION @extschema@.sync_statistics() RENAME TO oa_sync_former_statistics;

-- Policies: what of a topic an operator decides. The defaults are in the library (policy_sql.cpp); this table has only
-- what was set.

CREATE TABLE @extschema@.sync_topic_policies (
  pattern text COLLATE "C" PRIMARY KEY,
  horizon interval,
  replay_budget bigint,
  qos_tier text COLLATE "C",
  max_payload bigint,
  payload_mode text COLLATE "C",
  max_inline bigint,
  publish_rate integer,
  snapshot_source text COLLATE "C",
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT pattern_is_valid CHECK (pattern ~ '^[A-Za-z0-9_.:/*-]{1,160}$' AND pattern !~ '[*][*]'),
  CONSTRAINT horizon_is_valid CHECK (horizon = interval '0' OR horizon BETWEEN interval '1 second' AND interval '1000 years'),
  CONSTRAINT replay_budget_is_valid CHECK (replay_budget >= 0),
  CONSTRAINT qos_tier_is_valid CHECK (qos_tier IN ('hot', 'warm', 'cold')),
  CONSTRAINT max_payload_is_valid CHECK (max_payload >= 0),
  CONSTRAINT payload_mode_is_valid CHECK (payload_mode IN ('inline', 'pointer')),
  CONSTRAINT max_inline_is_valid CHECK (max_inline >= 0),
  CONSTRAINT publish_rate_is_valid CHECK (publish_rate >= 0),
  CONSTRAINT snapshot_source_is_valid CHECK (snapshot_source <> '')
);
COMMENT ON TABLE @extschema@.sync_topic_policies IS
  'Policies that were set, by pattern of topics. A column that is null is decided by the next pattern that matches and states it, at last by the defaults; the view sync_policies shows both. 0 is no limit, or for ever. Kept by sync_set_policy(), sync_reset_policy() and sync_drop_policy(); writes by hand are heard as well.';
COMMENT ON COLUMN @extschema@.sync_topic_policies.pattern IS 'Which topics: a topic in which * stands for any run of characters. Of the patterns that match, the one with the most other characters decides, then the one with fewer stars, then the lower in byte order';
COMMENT ON COLUMN @extschema@.sync_topic_policies.horizon IS 'Events older than it may go; 0 keeps them for ever. From 1 second to 1000 years, a month counts 30 days';
COMMENT ON COLUMN @extschema@.sync_topic_policies.replay_budget IS 'Events that one resume may replay. 0: no limit';
COMMENT ON COLUMN @extschema@.sync_topic_policies.qos_tier IS 'hot, warm or cold';
COMMENT ON COLUMN @extschema@.sync_topic_policies.max_payload IS 'Bytes of the largest payload; a larger one fails its statement. 0: no limit but oa_sync.max_payload, which always holds';
COMMENT ON COLUMN @extschema@.sync_topic_policies.payload_mode IS 'inline: payloads are in the journal. pointer: they are not, and clients fetch the document';
COMMENT ON COLUMN @extschema@.sync_topic_policies.max_inline IS 'Bytes; a larger payload is not in the journal, as if payload_mode were pointer. 0: no limit';
COMMENT ON COLUMN @extschema@.sync_topic_policies.publish_rate IS 'Events a second on one topic, of all sessions together; more fail their statement. 0: no limit';
COMMENT ON COLUMN @extschema@.sync_topic_policies.snapshot_source IS 'Where snapshots of the topic come from; null: from the published tables themselves';
COMMENT ON COLUMN @extschema@.sync_topic_policies.updated_at IS 'When the row was last set';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_topic_policies', '');

CREATE FUNCTION @extschema@.oa_sync_policies_changed() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_policies_changed';
COMMENT ON FUNCTION @extschema@.oa_sync_policies_changed() IS
  'Trigger of sync_topic_policies: has every session read the policies afresh once the change commits.';
CREATE TRIGGER oa_sync_policies_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.sync_topic_policies
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_policies_changed();
ALTER TABLE @extschema@.sync_topic_policies ENABLE ALWAYS TRIGGER oa_sync_policies_changed;
COMMENT ON TRIGGER oa_sync_policies_changed ON @extschema@.sync_topic_policies IS 'Tells every session that policies changed';

CREATE FUNCTION @extschema@.sync_default_policies(
  OUT pattern text, OUT horizon interval, OUT replay_budget bigint, OUT qos_tier text, OUT max_payload bigint,
  OUT payload_mode text, OUT max_inline bigint, OUT publish_rate integer, OUT snapshot_source text
) RETURNS SETOF record
  LANGUAGE c IMMUTABLE ROWS 5 AS 'MODULE_PATHNAME', 'sync_default_policies';
COMMENT ON FUNCTION @extschema@.sync_default_policies() IS
  'The policies that hold where nothing was set, in the shape of sync_topic_policies. Example: SELECT pattern, horizon FROM runtime.sync_default_policies();';

CREATE FUNCTION @extschema@.sync_policy_of(
  topic text, OUT horizon interval, OUT replay_budget bigint, OUT qos_tier text, OUT max_payload bigint,
  OUT payload_mode text, OUT max_inline bigint, OUT publish_rate integer, OUT snapshot_source text, OUT sources jsonb
) RETURNS record
  LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'sync_policy_of';
COMMENT ON FUNCTION @extschema@.sync_policy_of(text) IS
  'What holds for a topic: each setting as in sync_topic_policies (0 is no limit, or for ever), and in sources the pattern that each comes from, or "default". ERROR 22023 for an invalid topic. Example: SELECT horizon, sources->>''horizon'' FROM runtime.sync_policy_of(''runtime.run_summaries'');';

CREATE VIEW @extschema@.sync_policies AS
  SELECT p.pattern, p.horizon, p.replay_budget, p.qos_tier, p.max_payload, p.payload_mode, p.max_inline, p.publish_rate,
         p.snapshot_source, 'set' COLLATE "C" AS source, p.updated_at
  FROM @extschema@.sync_topic_policies p
  UNION ALL
  SELECT d.pattern COLLATE "C", d.horizon, d.replay_budget, d.qos_tier COLLATE "C", d.max_payload,
         d.payload_mode COLLATE "C", d.max_inline, d.publish_rate, d.snapshot_source COLLATE "C", 'default' COLLATE "C", NULL
  FROM @extschema@.sync_default_policies() d;
COMMENT ON VIEW @extschema@.sync_policies IS
  'Every policy, those that were set (source = set) and the built-in ones (source = default). What was set decides before a default, however specific the default is; sync_policy_of() tells what holds for one topic.';
COMMENT ON COLUMN @extschema@.sync_policies.pattern IS 'Which topics: * stands for any run of characters';
COMMENT ON COLUMN @extschema@.sync_policies.horizon IS 'Events older than it may go; 0: for ever; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.replay_budget IS 'Events that one resume may replay; 0: no limit; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.qos_tier IS 'hot, warm or cold; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.max_payload IS 'Bytes of the largest payload; 0: no limit but oa_sync.max_payload; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.payload_mode IS 'inline or pointer; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.max_inline IS 'Bytes; a larger payload is not in the journal; 0: no limit; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.publish_rate IS 'Events a second on one topic; 0: no limit; null: not stated here';
COMMENT ON COLUMN @extschema@.sync_policies.snapshot_source IS 'Where snapshots of the topic come from; null: not stated here, at last the published tables themselves';
COMMENT ON COLUMN @extschema@.sync_policies.source IS 'set or default';
COMMENT ON COLUMN @extschema@.sync_policies.updated_at IS 'When it was last set; null for a default';

-- Errors name what was given; the table's checks are for writes by hand.
CREATE FUNCTION @extschema@.sync_set_policy(
  pattern text,
  horizon interval DEFAULT NULL,
  replay_budget bigint DEFAULT NULL,
  qos_tier text DEFAULT NULL,
  max_payload bigint DEFAULT NULL,
  payload_mode text DEFAULT NULL,
  max_inline bigint DEFAULT NULL,
  publish_rate integer DEFAULT NULL,
  snapshot_source text DEFAULT NULL
) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  wrong text;
BEGIN
  IF pattern IS NULL THEN
    RAISE EXCEPTION 'pattern must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF pattern !~ '^[A-Za-z0-9_.:/*-]{1,160}$' OR pattern ~ '[*][*]' THEN
    RAISE EXCEPTION 'invalid pattern "%"', pattern USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'A pattern is 1 to 160 letters, digits and _ . : / - * with no two * side by side.',
      HINT = 'Write it like ''run:*:events''.';
  END IF;
  IF num_nonnulls(horizon, replay_budget, qos_tier, max_payload, payload_mode, max_inline, publish_rate, snapshot_source) = 0 THEN
    RAISE EXCEPTION 'nothing to set for pattern "%"', pattern USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Name a setting: horizon => ''7 days''. sync_reset_policy() takes settings back.';
  END IF;
  wrong := CASE
    WHEN horizon <> '0' AND horizon NOT BETWEEN '1 second' AND '1000 years'
      THEN 'horizon has to be from 1 second to 1000 years, or 0 to keep events for ever'
    WHEN replay_budget < 0 THEN 'replay_budget has to be positive, or 0 for no limit'
    WHEN qos_tier NOT IN ('hot', 'warm', 'cold') THEN 'qos_tier has to be hot, warm or cold'
    WHEN max_payload < 0 THEN 'max_payload has to be positive, or 0 for no limit'
    WHEN payload_mode NOT IN ('inline', 'pointer') THEN 'payload_mode has to be inline or pointer'
    WHEN max_inline < 0 THEN 'max_inline has to be positive, or 0 for no limit'
    WHEN publish_rate < 0 THEN 'publish_rate has to be positive, or 0 for no limit'
    WHEN snapshot_source = '' THEN 'snapshot_source has to name something'
  END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO @extschema@.sync_topic_policies AS p
      (pattern, horizon, replay_budget, qos_tier, max_payload, payload_mode, max_inline, publish_rate, snapshot_source)
    VALUES (pattern, horizon, replay_budget, qos_tier, max_payload, payload_mode, max_inline, publish_rate, snapshot_source)
    ON CONFLICT ON CONSTRAINT sync_topic_policies_pkey DO UPDATE SET
      horizon = coalesce(excluded.horizon, p.horizon),
      replay_budget = coalesce(excluded.replay_budget, p.replay_budget),
      qos_tier = coalesce(excluded.qos_tier, p.qos_tier),
      max_payload = coalesce(excluded.max_payload, p.max_payload),
      payload_mode = coalesce(excluded.payload_mode, p.payload_mode),
      max_inline = coalesce(excluded.max_inline, p.max_inline),
      publish_rate = coalesce(excluded.publish_rate, p.publish_rate),
      snapshot_source = coalesce(excluded.snapshot_source, p.snapshot_source),
      updated_at = now();
END
$$;
COMMENT ON FUNCTION @extschema@.sync_set_policy(text, interval, bigint, text, bigint, text, bigint, integer, text) IS
  'Sets what is given for the topics of a pattern and leaves the rest of its policy as it is; in force for every session once this commits. '
  'horizon: how long events are kept (0: for ever). replay_budget: events that one resume may replay. qos_tier: hot, warm or cold. '
  'max_payload: bytes; a larger payload fails its statement. payload_mode: inline or pointer. max_inline: bytes; a larger payload is not in the journal. '
  'publish_rate: events a second on one topic. snapshot_source: where snapshots come from. 0 is no limit for every number. '
  'ERROR 22004 without a pattern, 22023 for an invalid pattern or value, and when nothing is given. '
  'Example: SELECT runtime.sync_set_policy(''run:*:events'', horizon => ''2 days'', max_inline => 65536);';

CREATE FUNCTION @extschema@.sync_reset_policy(pattern text, VARIADIC settings text[]) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unknown text;
  changed boolean;
BEGIN
  IF pattern IS NULL OR settings IS NULL OR array_position(settings, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'pattern and settings must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  SELECT s INTO unknown FROM unnest(settings) s
    WHERE s <> ALL ('{horizon,replay_budget,qos_tier,max_payload,payload_mode,max_inline,publish_rate,snapshot_source}')
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'unknown setting "%"', unknown USING ERRCODE = 'invalid_parameter_value',
      HINT = 'The settings are horizon, replay_budget, qos_tier, max_payload, payload_mode, max_inline, publish_rate and snapshot_source.';
  END IF;
  UPDATE @extschema@.sync_topic_policies p SET
      horizon = CASE WHEN 'horizon' <> ALL (settings) THEN p.horizon END,
      replay_budget = CASE WHEN 'replay_budget' <> ALL (settings) THEN p.replay_budget END,
      qos_tier = CASE WHEN 'qos_tier' <> ALL (settings) THEN p.qos_tier END,
      max_payload = CASE WHEN 'max_payload' <> ALL (settings) THEN p.max_payload END,
      payload_mode = CASE WHEN 'payload_mode' <> ALL (settings) THEN p.payload_mode END,
      max_inline = CASE WHEN 'max_inline' <> ALL (settings) THEN p.max_inline END,
      publish_rate = CASE WHEN 'publish_rate' <> ALL (settings) THEN p.publish_rate END,
      snapshot_source = CASE WHEN 'snapshot_source' <> ALL (settings) THEN p.snapshot_source END,
      updated_at = now()
    WHERE p.pattern = sync_reset_policy.pattern
      AND (('horizon' = ANY (settings) AND p.horizon IS NOT NULL)
        OR ('replay_budget' = ANY (settings) AND p.replay_budget IS NOT NULL)
        OR ('qos_tier' = ANY (settings) AND p.qos_tier IS NOT NULL)
        OR ('max_payload' = ANY (settings) AND p.max_payload IS NOT NULL)
        OR ('payload_mode' = ANY (settings) AND p.payload_mode IS NOT NULL)
        OR ('max_inline' = ANY (settings) AND p.max_inline IS NOT NULL)
        OR ('publish_rate' = ANY (settings) AND p.publish_rate IS NOT NULL)
        OR ('snapshot_source' = ANY (settings) AND p.snapshot_source IS NOT NULL));
  changed := FOUND;
  DELETE FROM @extschema@.sync_topic_policies p
    WHERE p.pattern = sync_reset_policy.pattern
      AND num_nonnulls(p.horizon, p.replay_budget, p.qos_tier, p.max_payload, p.payload_mode, p.max_inline, p.publish_rate,
                       p.snapshot_source) = 0;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_reset_policy(text, text[]) IS
  'Takes settings of a pattern back, so that the next pattern that matches decides, at last the defaults; when nothing is left, its policy is gone. True when one of them was set. ERROR 22023 for an unknown setting, 22004 for nulls. '
  'Example: SELECT runtime.sync_reset_policy(''run:*:events'', ''max_inline'', ''publish_rate'');';

CREATE FUNCTION @extschema@.sync_drop_policy(pattern text) RETURNS boolean
  LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  DELETE FROM @extschema@.sync_topic_policies p WHERE p.pattern = sync_drop_policy.pattern;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_drop_policy(text) IS
  'Takes everything back that was set for a pattern. True when there was something. Example: SELECT runtime.sync_drop_policy(''run:*:events'');';

REVOKE ALL ON FUNCTION
  @extschema@.oa_sync_policies_changed(), @extschema@.sync_default_policies(), @extschema@.sync_policy_of(text),
  @extschema@.sync_set_policy(text, interval, bigint, text, bigint, text, bigint, integer, text),
  @extschema@.sync_reset_policy(text, text[]), @extschema@.sync_drop_policy(text)
  FROM PUBLIC;

-- The journal's partitions are made ahead, by the worker.

-- Bounds are shown and read in the session's DateStyle and time zone, whose abbreviations are ambiguous: here in ISO and UTC.
CREATE FUNCTION @extschema@.oa_sync_partition_bounds(partition oid, OUT lower timestamptz, OUT upper timestamptz)
  LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
  SELECT (regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz, (regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz
  FROM pg_class c CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) AS b(bound) WHERE c.oid = partition
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) IS 'Behind sync_journal_partitions.';
REVOKE ALL ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) FROM PUBLIC;

CREATE OR REPLACE VIEW @extschema@.sync_journal_partitions AS
  SELECT i.inhrelid::pg_catalog.regclass AS partition, b.lower, b.upper, pg_catalog.pg_total_relation_size(i.inhrelid) AS bytes
  FROM pg_catalog.pg_inherits i
  CROSS JOIN LATERAL @extschema@.oa_sync_partition_bounds(i.inhrelid) AS b
  WHERE i.inhparent = '@extschema@.sync_stream_events'::pg_catalog.regclass;
-- Who was granted the view of 0.1.0 still reads it.
DO $$
DECLARE
  grantee oid;
BEGIN
  FOR grantee IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
      WHERE c.oid = '@extschema@.sync_journal_partitions'::pg_catalog.regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner) LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION @extschema@.oa_sync_partition_bounds(oid) TO %s', grantee::pg_catalog.regrole);
  END LOOP;
END
$$;
COMMENT ON VIEW @extschema@.sync_journal_partitions IS
  'The journal''s partitions with their bounds (null for the default one) and sizes.';

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
  'Makes the partitions of the present and of the time ahead (oa_sync.partition_interval, oa_sync.partitions_ahead). Called by the worker every minute. Waits for nobody who reads the default partition: what it could not attach is left for a later call. Returns how many were made.';

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

-- Epochs: what a cursor of an earlier history is worth, and beginning a new one by hand.

CREATE FUNCTION @extschema@.sync_new_epoch(reason text) RETURNS bigint
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'sync_new_epoch';
COMMENT ON FUNCTION @extschema@.sync_new_epoch(text) IS
  'Begins a new epoch and returns its number. PostgreSQL shows a promotion, a recovery and a restore by itself; this is for what it does not show, before the application writes again: a disk image or file-system snapshot that was put back without recovery to a new time line. Example: SELECT runtime.sync_new_epoch(''disk image of Monday put back'');';

CREATE TABLE @extschema@.sync_epoch_forks (
  topic text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  watermark bigint NOT NULL,
  PRIMARY KEY (topic, epoch)
);
COMMENT ON TABLE @extschema@.sync_epoch_forks IS
  'Where an epoch filled a hole that an earlier one had left: from there on the topics of the two may differ. Kept by the worker; empty unless a failover or restore came between two commits.';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.epoch IS 'The epoch that filled the hole';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.watermark IS 'The first watermark that may be another event in the earlier epochs';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_epoch_forks', '');

-- Holes that 0.1.0 filled, which noted nothing. On a fresh installation there is nothing.
INSERT INTO @extschema@.sync_epoch_forks (topic, epoch, watermark)
  SELECT v.topic, v.epoch, min(v.watermark) FROM @extschema@.sync_stream_events v
  WHERE (SELECT count(*) > 1 FROM @extschema@.sync_epochs) AND v.op = 'void' AND EXISTS (
    SELECT FROM @extschema@.sync_stream_events n WHERE n.topic = v.topic AND n.watermark > v.watermark AND n.epoch < v.epoch)
  GROUP BY v.topic, v.epoch;

CREATE FUNCTION @extschema@.oa_sync_topic_histories(
  topics text[], OUT topic text, OUT epoch bigint, OUT through bigint
) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT ROWS 10 AS 'MODULE_PATHNAME', 'oa_sync_topic_histories';
COMMENT ON FUNCTION @extschema@.oa_sync_topic_histories(text[]) IS 'Behind sync_topic_histories().';

CREATE FUNCTION @extschema@.sync_topic_histories(
  topics text[], OUT topic text, OUT epoch bigint, OUT through bigint
) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE STRICT ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  FOR topic, epoch, through IN SELECT h.topic, h.epoch, h.through FROM @extschema@.oa_sync_topic_histories(topics) h LOOP
    -- A statement of its own: with a snapshot taken after the journal was read, or a hole that is filled in between
    -- would be seen filled and its fork not.
    SELECT least(sync_topic_histories.through, min(f.watermark) - 1) INTO through FROM @extschema@.sync_epoch_forks f
      WHERE f.topic = sync_topic_histories.topic AND f.epoch > sync_topic_histories.epoch;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_topic_histories(text[]) IS
  'For each topic and each earlier epoch that this database comes from: the last watermark (through) that it shares with that epoch. A cursor (topic, epoch, watermark) of an earlier epoch goes on without loss if there is a row for it and its watermark is not above through; otherwise it is of a history that went another way (epoch_diverged). Nothing is returned for the present epoch. Example: SELECT * FROM runtime.sync_topic_histories(ARRAY[''runtime.run_summaries'']);';

CREATE FUNCTION @extschema@.sync_check_cursors(
  topics text[], epochs bigint[], watermarks bigint[], OUT topic text, OUT reason text
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE STRICT ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c record;
  state record;
BEGIN
  IF cardinality(topics) <> cardinality(epochs) OR cardinality(topics) <> cardinality(watermarks) THEN
    RAISE EXCEPTION 'topics, epochs and watermarks are of different lengths' USING ERRCODE = 'array_subscript_error';
  END IF;
  FOR c IN SELECT * FROM unnest(topics, epochs, watermarks) WITH ORDINALITY AS u(name, epoch, watermark, n) ORDER BY n LOOP
    SELECT * INTO STRICT state FROM @extschema@.sync_topic_heads(ARRAY[c.name]);
    topic := c.name;
    reason := CASE
      WHEN coalesce(c.epoch, 0) NOT IN (0, state.epoch) AND NOT EXISTS (
        SELECT FROM @extschema@.sync_topic_histories(ARRAY[c.name]) h WHERE h.epoch = c.epoch AND h.through >= c.watermark)
        THEN 'epoch_diverged'
      WHEN c.watermark > greatest(state.head, state.allocated) THEN 'cursor_ahead_of_head'
      WHEN c.watermark < state.floor THEN 'retention_floor_breach'
    END;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_check_cursors(text[], bigint[], bigint[]) IS
  'Whether cursors (topic, epoch, watermark) can be resumed: reason is null, or why not: epoch_diverged, cursor_ahead_of_head, retention_floor_breach. An epoch of 0 or null is not checked. ERROR 2202E when the arrays are of different lengths, 22004 for a null topic. Example: SELECT * FROM runtime.sync_check_cursors(ARRAY[''runtime.run_summaries''], ARRAY[1790000000000000], ARRAY[41]);';

REVOKE ALL ON FUNCTION @extschema@.sync_new_epoch(text), @extschema@.oa_sync_topic_histories(text[]), @extschema@.sync_topic_histories(text[]),
  @extschema@.sync_check_cursors(text[], bigint[], bigint[]) FROM PUBLIC;

-- Who may ask for heads may ask what they are worth: a fan-out's role that was granted its functions in 0.1.0.
DO $$
DECLARE
  grantee oid;
BEGIN
  FOR grantee IN SELECT a.grantee FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
      WHERE p.oid = '@extschema@.sync_topic_heads(text[])'::pg_catalog.regprocedure AND a.grantee NOT IN (0, p.proowner) LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION @extschema@.sync_topic_histories(text[]) TO %s', grantee::pg_catalog.regrole);
  END LOOP;
END
$$;

-- Publishing. The functions are of 0.1.0; here they are replaced, so that one text serves installation and upgrade.

CREATE OR REPLACE FUNCTION @extschema@.sync_unpublish(relation regclass) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
BEGIN
  IF relation IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'relation must not be null';
  END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_row" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_truncate" ON %s', relation);
  DELETE FROM @extschema@.sync_publications p WHERE p.relation = sync_unpublish.relation;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_unpublish(regclass) IS
  'Ends the publication of a table: its writes are no longer events. Events in the journal stay. True when it was published. Example: SELECT runtime.sync_unpublish(''app.runs'');';

CREATE OR REPLACE FUNCTION @extschema@.sync_publish(
  relation regclass,
  topic text DEFAULT NULL,
  doc_key text DEFAULT NULL,
  doc_version text DEFAULT NULL,
  payload text DEFAULT '*',
  skip_unchanged boolean DEFAULT false,
  always boolean DEFAULT false
) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  class pg_class%ROWTYPE;
  nspname text;
  id integer;
  former_key text;  -- of the publication that is replaced
  is_default_key boolean := doc_key IS NULL;
  -- What a template begins with before its first column.
  literal CONSTANT text := '^(?:[^{}]|\{\{|\}\})*';
  others text;
BEGIN
  IF relation IS NULL OR payload IS NULL OR skip_unchanged IS NULL OR always IS NULL THEN
    RAISE EXCEPTION 'relation, payload, skip_unchanged and always must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
    RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = 'undefined_table';
  END IF;
  -- Nobody writes between the trigger and its publication.
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
  SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
  SELECT n.nspname INTO nspname FROM pg_namespace n WHERE n.oid = class.relnamespace;

  -- Tables whose writes would not all be seen, or whose rows are not as lasting as the events about them.
  IF class.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not a table', relation
      USING ERRCODE = 'wrong_object_type', HINT = 'Tables and partitioned tables can be published.';
  END IF;
  IF class.relpersistence <> 'p' THEN
    RAISE EXCEPTION 'table % is temporary or unlogged', relation
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Its rows do not survive a crash, and the events about them would.',
            HINT = 'ALTER TABLE ... SET LOGGED, then publish it.';
  END IF;
  IF class.relispartition THEN
    RAISE EXCEPTION '% is a partition', relation
      USING ERRCODE = 'wrong_object_type', HINT = 'Publish the partitioned table: its partitions come with it.';
  END IF;
  IF class.oid < 16384 OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e'
      WHERE d.classid = 'pg_class'::regclass AND d.objid = class.oid AND d.refclassid = 'pg_extension'::regclass
        AND e.extname = 'oa_sync' AND class.relname NOT IN ('sync_run_summaries', 'sync_codex_worker_summaries')) THEN
    RAISE EXCEPTION 'table % belongs to the system and can not be published', relation
      USING ERRCODE = 'wrong_object_type';
  END IF;
  IF class.relkind = 'r' THEN
    SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text) INTO others
      FROM pg_inherits i WHERE i.inhparent = class.oid;
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'table % has tables that inherit from it', relation
        USING ERRCODE = 'wrong_object_type',
              DETAIL = format('Rows of %s are seen as its rows, and would not become events.', others),
              HINT = 'Publish the tables that inherit from it, each by itself, or make it a partitioned table.';
    END IF;
  ELSE
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text) INTO others
      FROM pg_partition_tree(relation) t JOIN pg_class c ON c.oid = t.relid
      WHERE c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p';
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'table % has partitions that are unlogged or foreign tables', relation
        USING ERRCODE = 'wrong_object_type',
              DETAIL = format('Not all writes of %s can be seen, or they do not survive a crash.', others),
              HINT = 'ALTER TABLE ... SET LOGGED, or detach them, then publish it.';
    END IF;
    SELECT string_agg(p.relation::text, ', ' ORDER BY p.relation::text) INTO others
      FROM pg_partition_tree(relation) t JOIN @extschema@.sync_publications p ON p.relation = t.relid
      WHERE p.relation <> sync_publish.relation;
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'partitions of table % are published themselves', relation
        USING ERRCODE = 'duplicate_object',
              DETAIL = format('Rows of %s would belong to two publications.', others),
              HINT = 'End their publications with sync_unpublish() first.';
    END IF;
  END IF;

  SELECT p.publication_id, p.doc_key INTO id, former_key FROM @extschema@.sync_publications p
    WHERE p.relation = sync_publish.relation;
  IF topic IS NULL THEN
    topic := nspname || '.' || class.relname;
  END IF;
  IF doc_key IS NULL THEN
    SELECT string_agg(format('{%s}', a.attname), ':' ORDER BY k.n) INTO doc_key
      FROM pg_index i
      CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = class.oid AND i.indisprimary AND k.n <= i.indnkeyatts;
    IF doc_key IS NULL THEN
      RAISE EXCEPTION 'table % has no primary key', relation
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what names a row''s document: doc_key => ''run:{run_id}''.';
    END IF;
    doc_key := nspname || '/' || class.relname || ':' || doc_key;
    -- One column of any type between columns of these is read back without doubt; two of the others are not.
    WITH RECURSIVE key (attname, type) AS (
      SELECT a.attname, a.atttypid FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
        AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
        WHERE i.indrelid = class.oid AND i.indisprimary
      UNION ALL
      SELECT k.attname, t.typbasetype FROM key k JOIN pg_type t ON t.oid = k.type AND t.typtype = 'd'
    )
    SELECT string_agg(format('{%s}', free.attname), '|') INTO others FROM (
      SELECT k.attname FROM key k GROUP BY k.attname
        HAVING NOT bool_or(k.type = ANY ('{boolean,smallint,integer,bigint,oid,numeric,real,double precision,uuid,date,timestamp,timestamptz}'::regtype[]))
    ) free HAVING count(*) > 1;
    IF others IS NOT NULL AND former_key = doc_key THEN
      RAISE WARNING 'rows of table % can share a document', relation
        USING DETAIL = 'Several columns of its primary key can contain a colon: (''a:b'', ''c'') and (''a'', ''b:c'') have one document key.',
              HINT = 'Publish it with a doc_key whose separator the values never contain. It is published as before.';
    ELSIF others IS NOT NULL THEN
      RAISE EXCEPTION 'the primary key of table % makes no document key by itself', relation
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = 'Several of its columns can contain a colon: (''a:b'', ''c'') and (''a'', ''b:c'') would have one document key.',
              HINT = format('Say doc_key, with a separator that the values never contain: doc_key => %L.',
                            nspname || '/' || class.relname || ':' || others);
    END IF;
  END IF;

  -- Triggers are made anew: they may have been turned off or renamed, and every session sees that something changed.
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_row" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_truncate" ON %s', relation);
  IF id IS NULL THEN
    INSERT INTO @extschema@.sync_publications (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
      VALUES (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
      RETURNING publication_id INTO id;
  ELSE
    UPDATE @extschema@.sync_publications p
      SET topic = sync_publish.topic, doc_key = sync_publish.doc_key, doc_version = sync_publish.doc_version,
          payload = sync_publish.payload, skip_unchanged = sync_publish.skip_unchanged, always = sync_publish.always,
          published_at = now()
      WHERE p.publication_id = id;
  END IF;
  PERFORM @extschema@.oa_sync_check_publication(relation, id);
  -- Triggers fire in the order of their names: ! puts ours before the user's, whose own changes of the row come after.
  EXECUTE format('CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row(%L)', relation, id);
  EXECUTE format('CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate(%L)', relation, id);
  EXECUTE format('COMMENT ON TRIGGER "!oa_sync_row" ON %s IS %L', relation,
                 'Makes rows events, see sync_publications_status. Made by sync_publish(), ended by sync_unpublish().');
  EXECUTE format('COMMENT ON TRIGGER "!oa_sync_truncate" ON %s IS %L', relation,
                 'Makes TRUNCATE an event, see sync_publications_status. Made by sync_publish(), ended by sync_unpublish().');
  IF always THEN
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_row"', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_truncate"', relation);
  END IF;

  -- A TRUNCATE takes away what begins with the literal beginning of its table's keys.
  SELECT string_agg(p.relation::text, ', ' ORDER BY p.relation::text) INTO others
    FROM @extschema@.sync_publications p
    CROSS JOIN LATERAL (SELECT replace(replace(substring(p.doc_key FROM literal), '{{', '{'), '}}', '}'),
                               replace(replace(substring(sync_publish.doc_key FROM literal), '{{', '{'), '}}', '}')) AS b(theirs, ours)
    WHERE p.relation <> sync_publish.relation AND p.topic = sync_publish.topic
      AND (starts_with(b.theirs, b.ours) OR starts_with(b.ours, b.theirs));
  IF others IS NOT NULL THEN
    RAISE WARNING 'documents of table % can not be told from those of %', relation, others
      USING DETAIL = format('They share topic %L, and the beginning of one doc_key is a beginning of the other: TRUNCATE of one table takes away documents of the other for every subscriber.', topic),
            HINT = 'Give the keys different beginnings: doc_key => ''run:{id}'' and ''note:{id}''.';
  END IF;
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean) IS
  'Makes the writes of a table events, from now on; a table that is published already is published anew and keeps its id. Returns the publication''s id. '
  'topic and doc_key are templates over columns ({column}, {{ for a brace); their defaults are schema.table and schema/table: with the primary key, '
  'which is refused (22023) when two of its columns could contain a colon. '
  'doc_version names a column of an integer type or a timestamp (then microseconds since 1970); null is the watermark. '
  'payload is * for the row, a list of columns, or function(*) for a function of the row that returns json. '
  'skip_unchanged leaves out updates that change neither payload nor version. always captures also under session_replication_role = replica. '
  'ERROR 42703 for an unknown column, 42809 for what is not a permanent table with all its rows in it, 42710 for a partitioned table with a published partition, 22023 for a bad template. '
  'WARNING when another table of the same topic has keys that begin alike. '
  'Example: SELECT runtime.sync_publish(''app.run_events'', topic => ''run:{run_id}:events'', doc_key => ''event:{run_id}:{seq}'', doc_version => ''seq'');';

REVOKE ALL ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean), @extschema@.sync_unpublish(regclass)
  FROM PUBLIC;

-- Progress of large transactions.

CREATE FUNCTION @extschema@.sync_append_progress(
  OUT pid integer, OUT datid oid, OUT phase text, OUT topics integer, OUT events_total bigint, OUT events_appended bigint,
  OUT spilled_bytes bigint, OUT started_at timestamptz
) RETURNS SETOF record
  LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'sync_append_progress';
COMMENT ON FUNCTION @extschema@.sync_append_progress() IS 'Behind the view sync_progress_append.';

CREATE VIEW @extschema@.sync_progress_append AS
  SELECT p.pid, p.datid, d.datname, p.phase, p.topics, p.events_total, p.events_appended, p.spilled_bytes, p.started_at
  FROM @extschema@.sync_append_progress() p LEFT JOIN pg_catalog.pg_database d ON d.oid = p.datid;
COMMENT ON VIEW @extschema@.sync_progress_append IS
  'A row for each transaction of the cluster with 10000 events or more. Example: SELECT pid, phase, events_appended, events_total FROM runtime.sync_progress_append;';
COMMENT ON COLUMN @extschema@.sync_progress_append.pid IS 'The process, as in pg_stat_activity';
COMMENT ON COLUMN @extschema@.sync_progress_append.datid IS 'Its database''s OID';
COMMENT ON COLUMN @extschema@.sync_progress_append.datname IS 'Its database';
COMMENT ON COLUMN @extschema@.sync_progress_append.phase IS 'capture: rows are being written. append: COMMIT writes the events to the journal; other events of the same topics wait for it from now on. commit: they are written, PostgreSQL commits';
COMMENT ON COLUMN @extschema@.sync_progress_append.topics IS 'How many topics it has written to';
COMMENT ON COLUMN @extschema@.sync_progress_append.events_total IS 'Events captured so far, all of them once the phase is append';
COMMENT ON COLUMN @extschema@.sync_progress_append.events_appended IS 'Events that are in the journal; grows in the phase append';
COMMENT ON COLUMN @extschema@.sync_progress_append.spilled_bytes IS 'Bytes of events that went to a temporary file, because they did not fit into work_mem';
COMMENT ON COLUMN @extschema@.sync_progress_append.started_at IS 'When the transaction began';

REVOKE ALL ON FUNCTION @extschema@.sync_append_progress() FROM PUBLIC;
-- Retention.

CREATE FUNCTION @extschema@.sync_retain(
  OUT partitions_dropped integer, OUT bytes_dropped bigint, OUT floors_raised bigint, OUT skipped integer,
  OUT duration_ms double precision
) RETURNS record
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_retain';
COMMENT ON FUNCTION @extschema@.sync_retain() IS
  'Has the worker do a cycle of retention now, whatever oa_sync.retention_interval says, and waits for it: partitions of the journal dropped, their bytes, floors raised, partitions skipped because somebody uses them or a topic in them has watermarks that are still open, and how long it took in milliseconds. The worker sees what is committed, and skips what the caller''s own transaction holds locked. ERROR 25006 on a standby, 55000 when no worker runs or a step failed. Example: SELECT * FROM runtime.sync_retain();';
REVOKE ALL ON FUNCTION @extschema@.sync_retain() FROM PUBLIC;

COMMENT ON COLUMN @extschema@.sync_topics.oldest_at IS 'When the oldest event in the journal was appended; null when there is none';
COMMENT ON COLUMN @extschema@.sync_topics.horizon IS 'How long events are kept, by the policy of the topic; null: for ever';
COMMENT ON COLUMN @extschema@.sync_stats.retention_cycles IS 'Cycles of retention, also those that found nothing to do';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_dropped IS 'Partitions of the journal that retention dropped, emptied default ones included';
COMMENT ON COLUMN @extschema@.sync_stats.bytes_dropped IS 'Bytes of them, indexes and TOAST included';
COMMENT ON COLUMN @extschema@.sync_stats.floors_raised IS 'Floors that retention raised';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_skipped IS 'Partitions that were to go and were left for a later cycle: somebody used them, or a topic in them was not dense';
COMMENT ON COLUMN @extschema@.sync_stats.retained_at IS 'When the last cycle of retention began; null before the first';
COMMENT ON COLUMN @extschema@.sync_stats.retention_ms IS 'How long the last cycle of retention took, in milliseconds';
-- Snapshots and documents.

CREATE FUNCTION @extschema@.sync_snapshot(
  topic text, max_documents integer DEFAULT 1000, page_token text DEFAULT NULL, max_bytes bigint DEFAULT 4194304,
  OUT doc_key text, OUT doc_version bigint, OUT payload json, OUT payload_hash bytea,
  OUT topic text, OUT epoch bigint, OUT watermark bigint, OUT next_page_token text
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1000 COST 1000 AS 'MODULE_PATHNAME', 'sync_snapshot';
COMMENT ON FUNCTION @extschema@.sync_snapshot(text, integer, text, bigint) IS
  'A page of a topic''s documents as they are now, and the cursor (topic, epoch, watermark) from which following events make them current: the same on every row and on every page. '
  'At most max_documents (1 to 100000) and about max_bytes (at least one document if there is one); next_page_token, null on the last page, is the page_token of the next call. A page without documents is one row whose doc_key is null. '
  'Documents come from the published tables whose topic can be this one, from what the policy''s snapshot_source names, or else from the journal while it is complete. Pages read in one REPEATABLE READ transaction are one snapshot; what pages of later transactions show of a later moment is repeated by the events behind the cursor. '
  'ERROR 22023 for an invalid topic, limit or token, 22004 when topic or a limit is null, 25001 after this transaction wrote to a published table, 40001 when a table was truncated, rewritten or published anew meanwhile (retry), 42501 when row security hides rows from the table''s owner, '
  '55000 when the token''s cursor is no longer retained or of another epoch, or the topic has no source, 54000 when a key is too long for a token. '
  'Example: SELECT * FROM runtime.sync_snapshot(''runtime.run_summaries'', 100);';

CREATE FUNCTION @extschema@.sync_snapshot_json(
  topic text, max_documents integer DEFAULT 1000, page_token text DEFAULT NULL, max_bytes bigint DEFAULT 4194304
) RETURNS bytea
  LANGUAGE c STABLE COST 1000 AS 'MODULE_PATHNAME', 'sync_snapshot_json';
COMMENT ON FUNCTION @extschema@.sync_snapshot_json(text, integer, text, bigint) IS
  'The same as sync_snapshot, as one JSON text in UTF-8, keys sorted, without white space: {"documents":[{"doc_key","doc_version","payload","payload_hash"}],"epoch","next_page_token","topic","watermark"}; payload_hash is base64, payloads are the bytes that were hashed. What the fan-out serves. '
  'Example: SELECT convert_from(runtime.sync_snapshot_json(''runtime.run_summaries'', 100), ''UTF8'');';

CREATE FUNCTION @extschema@.sync_document(
  topic text, doc_key text,
  OUT doc_key text, OUT doc_version bigint, OUT payload json, OUT payload_hash bytea,
  OUT epoch bigint, OUT watermark bigint
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1 COST 100 AS 'MODULE_PATHNAME', 'sync_document';
COMMENT ON FUNCTION @extschema@.sync_document(text, text) IS
  'One document of a topic as it is now, from the same sources as sync_snapshot; no row when it does not exist. epoch and watermark: every event up to there is in it. '
  'It is as new as an event when watermark is not less than the event''s, or payload_hash is the event''s. '
  'ERROR 22023 for an invalid topic or key, 22004 when one is null, and those of sync_snapshot. '
  'Example: SELECT payload FROM runtime.sync_document(''runtime.run_summaries'', ''runtime/run_summary:42'');';

CREATE FUNCTION @extschema@.sync_document_json(topic text, doc_key text) RETURNS bytea
  LANGUAGE c STABLE COST 100 AS 'MODULE_PATHNAME', 'sync_document_json';
COMMENT ON FUNCTION @extschema@.sync_document_json(text, text) IS
  'The same as sync_document, as one JSON text in UTF-8: {"document":{"doc_key","doc_version","payload","payload_hash"},"epoch","topic","watermark"}; document is null when it does not exist. What the fan-out serves. '
  'Example: SELECT convert_from(runtime.sync_document_json(''runtime.run_summaries'', ''runtime/run_summary:42''), ''UTF8'');';

REVOKE ALL ON FUNCTION
  @extschema@.sync_snapshot(text, integer, text, bigint), @extschema@.sync_snapshot_json(text, integer, text, bigint),
  @extschema@.sync_document(text, text), @extschema@.sync_document_json(text, text)
  FROM PUBLIC;
-- Read models: documents as they are now. The payload is json, not jsonb: json keeps the text of numbers (1.50, 1e400), so
-- what is stored is byte for byte what is hashed and what the journal and the wire carry.

CREATE TABLE @extschema@.sync_run_summaries (
  doc_key text COLLATE "C" PRIMARY KEY,
  doc_version bigint NOT NULL CHECK (doc_version >= 0),
  payload json NOT NULL,
  payload_hash bytea NOT NULL,
  inserted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.sync_run_summaries IS
  'Read model: a summary of each run. Write doc_key, doc_version and payload, by INSERT ... ON CONFLICT, MERGE, sync_upsert_document() or a projection; the rest is computed. Its rows are the documents of the topic runtime.run_summaries.';
COMMENT ON COLUMN @extschema@.sync_run_summaries.doc_key IS 'Names the document, for example runtime/run_summary:42';
COMMENT ON COLUMN @extschema@.sync_run_summaries.doc_version IS 'Orders the states of the document: a write with an older one is left out';
COMMENT ON COLUMN @extschema@.sync_run_summaries.payload IS 'The document, as canonical JSON';
COMMENT ON COLUMN @extschema@.sync_run_summaries.payload_hash IS 'sha256 of the canonical JSON in UTF-8, always computed here; the same as of its event';
COMMENT ON COLUMN @extschema@.sync_run_summaries.inserted_at IS 'When the document first came';
COMMENT ON COLUMN @extschema@.sync_run_summaries.updated_at IS 'When it was last changed';

CREATE TABLE @extschema@.sync_codex_worker_summaries (
  doc_key text COLLATE "C" PRIMARY KEY,
  doc_version bigint NOT NULL CHECK (doc_version >= 0),
  payload json NOT NULL,
  payload_hash bytea NOT NULL,
  inserted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.sync_codex_worker_summaries IS
  'Read model: a summary of each codex worker. Write doc_key, doc_version and payload, by INSERT ... ON CONFLICT, MERGE, sync_upsert_document() or a projection; the rest is computed. Its rows are the documents of the topic runtime.codex_worker_summaries.';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.doc_key IS 'Names the document, for example runtime/codex_worker_summary:7';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.doc_version IS 'Orders the states of the document: a write with an older one is left out';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.payload IS 'The document, as canonical JSON';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.payload_hash IS 'sha256 of the canonical JSON in UTF-8, always computed here; the same as of its event';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.inserted_at IS 'When the document first came';
COMMENT ON COLUMN @extschema@.sync_codex_worker_summaries.updated_at IS 'When it was last changed';

CREATE FUNCTION @extschema@.oa_sync_guard_document() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_guard_document';
COMMENT ON FUNCTION @extschema@.oa_sync_guard_document() IS
  'BEFORE INSERT OR UPDATE row trigger of read models, made by sync_guard(): computes payload_hash, leaves out what is stale or unchanged.';

CREATE FUNCTION @extschema@.oa_sync_count_document() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_count_document';
COMMENT ON FUNCTION @extschema@.oa_sync_count_document() IS 'AFTER INSERT row trigger of read models, made by sync_guard(): counts new documents.';

CREATE FUNCTION @extschema@.oa_sync_check_read_model(relation regclass) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'oa_sync_check_read_model';
COMMENT ON FUNCTION @extschema@.oa_sync_check_read_model(regclass) IS
  'ERROR 42809 when a table does not have the columns of a read model. Called by sync_guard().';

CREATE FUNCTION @extschema@.sync_guard(relation regclass) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  kind "char";
BEGIN
  IF relation IS NULL THEN
    RAISE EXCEPTION 'relation must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = relation;
  IF kind IS NULL THEN
    RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = 'undefined_table';
  ELSIF kind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not a table', relation USING ERRCODE = 'wrong_object_type';
  END IF;
  PERFORM @extschema@.oa_sync_check_read_model(relation);
  IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                 WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indnkeyatts = 1
                   AND i.indpred IS NULL AND a.attname = 'doc_key') THEN
    RAISE EXCEPTION 'table % is not a read model', relation
      USING ERRCODE = 'wrong_object_type', DETAIL = 'Its column "doc_key" is not unique.',
            HINT = 'Make doc_key its primary key.';
  END IF;
  -- ~ comes after the names of the user's own triggers: what they change is what is judged.
  EXECUTE format('DROP TRIGGER IF EXISTS "~oa_sync_guard" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "~oa_sync_count" ON %s', relation);
  EXECUTE format('CREATE TRIGGER "~oa_sync_guard" BEFORE INSERT OR UPDATE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_guard_document()', relation);
  EXECUTE format('CREATE TRIGGER "~oa_sync_count" AFTER INSERT ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_count_document()', relation);
  -- Also what logical replication applies.
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~oa_sync_guard"', relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~oa_sync_count"', relation);
END
$$;
COMMENT ON FUNCTION @extschema@.sync_guard(regclass) IS
  'Makes a table a read model: an older doc_version never overwrites a newer one, whichever way it is written; payload_hash and updated_at are kept. '
  'The table has doc_key text (unique), doc_version bigint, payload json or jsonb, payload_hash bytea, inserted_at and updated_at timestamptz, and what columns of its own it likes. '
  'ERROR 42809 when it has not, 42P01 when there is no such table. '
  'Example: CREATE TABLE app.cards (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard(''app.cards'');';

CREATE FUNCTION @extschema@.sync_upsert_document(
  read_model regclass, doc_key text, doc_version bigint, payload json
) RETURNS text
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_upsert_document';
COMMENT ON FUNCTION @extschema@.sync_upsert_document(regclass, text, bigint, json) IS
  'Writes a document into a read model and says what came of it: inserted, updated (a newer version), drift (the same version with another content: written, and counted), unchanged (the same version and content: nothing is written), stale (an older version: nothing is written). '
  'With the rights of the caller on the table. ERROR 22004 for a null, 22003 for a negative version, 42809 for a table that is not guarded, 42501 without INSERT and UPDATE on it. '
  'Example: SELECT runtime.sync_upsert_document(''runtime.sync_run_summaries'', ''runtime/run_summary:42'', 7, ''{"status":"done"}'');';

SELECT @extschema@.sync_guard('@extschema@.sync_run_summaries');
SELECT @extschema@.sync_guard('@extschema@.sync_codex_worker_summaries');

-- Published from the beginning, to topics that clients know whatever the schema is. Their publications belong to the
-- extension: ids below 1, which no publication of a user ever has (nor had in 0.1.0), and not in dumps, because CREATE
-- EXTENSION makes them in the cluster that a dump is restored into. The same triggers as sync_publish() makes.
INSERT INTO @extschema@.sync_publications (publication_id, relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
  VALUES (-1, '@extschema@.sync_run_summaries', 'runtime.run_summaries', '{doc_key}', 'doc_version', '{payload}', false, false),
         (-2, '@extschema@.sync_codex_worker_summaries', 'runtime.codex_worker_summaries', '{doc_key}', 'doc_version', '{payload}', false, false);
CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON @extschema@.sync_run_summaries
  FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row('-1');
CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON @extschema@.sync_run_summaries
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate('-1');
CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON @extschema@.sync_codex_worker_summaries
  FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row('-2');
CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON @extschema@.sync_codex_worker_summaries
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate('-2');
COMMENT ON TRIGGER "!oa_sync_row" ON @extschema@.sync_run_summaries IS 'Makes every write of a row an event';
COMMENT ON TRIGGER "!oa_sync_truncate" ON @extschema@.sync_run_summaries IS 'Makes a TRUNCATE an event';
COMMENT ON TRIGGER "~oa_sync_guard" ON @extschema@.sync_run_summaries IS 'Leaves out what is older than the document, or the same';
COMMENT ON TRIGGER "~oa_sync_count" ON @extschema@.sync_run_summaries IS 'Counts new documents';
COMMENT ON TRIGGER "!oa_sync_row" ON @extschema@.sync_codex_worker_summaries IS 'Makes every write of a row an event';
COMMENT ON TRIGGER "!oa_sync_truncate" ON @extschema@.sync_codex_worker_summaries IS 'Makes a TRUNCATE an event';
COMMENT ON TRIGGER "~oa_sync_guard" ON @extschema@.sync_codex_worker_summaries IS 'Leaves out what is older than the document, or the same';
COMMENT ON TRIGGER "~oa_sync_count" ON @extschema@.sync_codex_worker_summaries IS 'Counts new documents';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_run_summaries', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_codex_worker_summaries', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_publications',
  'WHERE relation NOT IN (''@extschema@.sync_run_summaries''::pg_catalog.regclass, ''@extschema@.sync_codex_worker_summaries''::pg_catalog.regclass)');

REVOKE ALL ON FUNCTION
  @extschema@.oa_sync_guard_document(), @extschema@.oa_sync_count_document(), @extschema@.oa_sync_check_read_model(regclass),
  @extschema@.sync_guard(regclass), @extschema@.sync_upsert_document(regclass, text, bigint, json)
  FROM PUBLIC;
-- Projections: rows of an authority table become documents of a read model; and their rebuilding.

CREATE TABLE @extschema@.sync_projections (
  projection_id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  source regclass NOT NULL,
  read_model regclass NOT NULL,
  doc_key text NOT NULL,
  payload text NOT NULL,
  doc_version text,
  on_delete text NOT NULL CHECK (on_delete IN ('ignore', 'delete', 'project')),
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  UNIQUE (source, read_model)
);
COMMENT ON TABLE @extschema@.sync_projections IS
  'Which tables become documents of which read models, and how. Kept by sync_project() and sync_unproject().';
COMMENT ON COLUMN @extschema@.sync_projections.projection_id IS 'Names the projection; the argument of its triggers';
COMMENT ON COLUMN @extschema@.sync_projections.source IS 'The authority table';
COMMENT ON COLUMN @extschema@.sync_projections.read_model IS 'The read model, see sync_guard()';
COMMENT ON COLUMN @extschema@.sync_projections.doc_key IS 'Template over the source''s columns: which document a row belongs to';
COMMENT ON COLUMN @extschema@.sync_projections.payload IS 'What a row becomes, in one of the forms that sync_publish() knows';
COMMENT ON COLUMN @extschema@.sync_projections.doc_version IS 'The column that gives the version; null: one more than before';
COMMENT ON COLUMN @extschema@.sync_projections.on_delete IS 'What becomes of the document of a row that goes away: ignore, delete, project';
COMMENT ON COLUMN @extschema@.sync_projections.created_at IS 'When sync_project() made it';

-- How far a rebuild is. Not dumped: where a dump is restored, a rebuild begins anew.
CREATE TABLE @extschema@.sync_reprojections (
  projection_id integer PRIMARY KEY REFERENCES @extschema@.sync_projections ON DELETE CASCADE,
  phase text NOT NULL,
  position text[],
  prune boolean NOT NULL,
  rows_total bigint NOT NULL,
  rows_done bigint NOT NULL DEFAULT 0,
  documents_written bigint NOT NULL DEFAULT 0,
  documents_deleted bigint NOT NULL DEFAULT 0,
  resumed integer NOT NULL DEFAULT 0,
  pid integer,
  backend_start timestamptz,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  last_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE @extschema@.sync_reprojections IS 'The last or present rebuild of each projection, behind sync_progress_reproject. Kept by sync_reproject().';
COMMENT ON COLUMN @extschema@.sync_reprojections.projection_id IS 'The projection, see sync_projections';
COMMENT ON COLUMN @extschema@.sync_reprojections.phase IS 'projecting, pruning, or finished';
COMMENT ON COLUMN @extschema@.sync_reprojections.position IS 'Primary key of the last source row that is done';
COMMENT ON COLUMN @extschema@.sync_reprojections.prune IS 'Documents that no source row produces are deleted at the end';
COMMENT ON COLUMN @extschema@.sync_reprojections.rows_total IS 'Rows of the source when it began, as the planner estimates';
COMMENT ON COLUMN @extschema@.sync_reprojections.rows_done IS 'Source rows that are done';
COMMENT ON COLUMN @extschema@.sync_reprojections.documents_written IS 'Documents that were different and were written';
COMMENT ON COLUMN @extschema@.sync_reprojections.documents_deleted IS 'Documents that were deleted: pruned, or their function returned null';
COMMENT ON COLUMN @extschema@.sync_reprojections.resumed IS 'How often it was taken up again after it had been interrupted';
COMMENT ON COLUMN @extschema@.sync_reprojections.pid IS 'The backend that last worked on it';
COMMENT ON COLUMN @extschema@.sync_reprojections.backend_start IS 'When that backend started: a pid may come again';
COMMENT ON COLUMN @extschema@.sync_reprojections.started_at IS 'When it began';
COMMENT ON COLUMN @extschema@.sync_reprojections.last_at IS 'When its last batch was committed';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_projections', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_projections_projection_id_seq', '');

COMMENT ON SEQUENCE @extschema@.sync_projections_projection_id_seq IS 'Numbers projections';

CREATE VIEW @extschema@.sync_progress_reproject AS
  SELECT r.projection_id, r.phase, r.rows_total, r.rows_done, r.documents_written, r.documents_deleted, r.started_at,
         r.last_at, a.pid, r.resumed
  FROM @extschema@.sync_reprojections r
  LEFT JOIN pg_catalog.pg_stat_activity a ON r.phase <> 'finished' AND a.pid = r.pid AND a.backend_start = r.backend_start;
COMMENT ON VIEW @extschema@.sync_progress_reproject IS
  'The last or present rebuild of each projection: phase (projecting, pruning, finished), the planner''s estimate of all source rows (rows_total), rows_done, documents_written and documents_deleted. pid is null when nobody is working on it: CALL sync_reproject() takes it up where it stopped (resumed counts that).';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.projection_id IS 'The projection, see sync_projections';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.phase IS 'projecting, pruning or finished';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.rows_total IS 'The planner''s estimate of all source rows';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.rows_done IS 'Source rows that were looked at';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.documents_written IS 'Documents that were different and were written';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.documents_deleted IS 'Documents that were deleted: pruned, or their function returned null';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.started_at IS 'When the rebuild began';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.last_at IS 'When it last committed a batch';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.pid IS 'The process that works on it; null when nobody does';
COMMENT ON COLUMN @extschema@.sync_progress_reproject.resumed IS 'How often it was taken up again';

CREATE FUNCTION @extschema@.oa_sync_project_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_project_row';
COMMENT ON FUNCTION @extschema@.oa_sync_project_row() IS 'AFTER row trigger of authority tables, made by sync_project().';

CREATE FUNCTION @extschema@.oa_sync_check_projection(relation regclass, projection_id integer) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'oa_sync_check_projection';
COMMENT ON FUNCTION @extschema@.oa_sync_check_projection(regclass, integer) IS
  'Compiles a projection; ERROR when it does not fit its table. Called by sync_project().';

CREATE FUNCTION @extschema@.oa_sync_projected_key(projection_id integer, relation oid, place tid) RETURNS text
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'oa_sync_projected_key';
COMMENT ON FUNCTION @extschema@.oa_sync_projected_key(integer, oid, tid) IS
  'The document key of a source row, null when it is not there any more. ERROR 42501 for who does not own the table. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_project_again(projection_id integer, relation oid, place tid, wait boolean) RETURNS text
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'oa_sync_project_again';
COMMENT ON FUNCTION @extschema@.oa_sync_project_again(integer, oid, tid, boolean) IS
  'Projects a source row that is there already: written, unchanged, stale, deleted, gone, or (without wait) busy. ERROR 42501 for who does not own the table. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_lock_document(read_model regclass, doc_key text, wait boolean) RETURNS boolean
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'oa_sync_lock_document';
COMMENT ON FUNCTION @extschema@.oa_sync_lock_document(regclass, text, boolean) IS
  'Locks a document as its writers do, until the transaction ends; true when it exists, null (only without wait) when another transaction has it. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_refuse_truncate() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'cannot truncate table %', TG_RELID::regclass
    USING ERRCODE = 'feature_not_supported',
          DETAIL = format('Projection %s takes the documents of its rows with them, one by one.', TG_ARGV[0]),
          HINT = format('DELETE its rows, or SELECT @extschema@.sync_unproject(%s) first.', TG_ARGV[0]);
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_refuse_truncate() IS
  'BEFORE TRUNCATE trigger of authority tables whose projection has an on_delete other than ignore.';

CREATE FUNCTION @extschema@.sync_unproject(projection_id integer) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  source regclass;
BEGIN
  SELECT p.source INTO source FROM @extschema@.sync_projections p WHERE p.projection_id = sync_unproject.projection_id;
  IF NOT FOUND THEN RETURN false; END IF;
  IF EXISTS (SELECT FROM pg_class c WHERE c.oid = source) THEN
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', '~oa_sync_project_' || projection_id, source);
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', '~oa_sync_project_truncate_' || projection_id, source);
  END IF;
  DELETE FROM @extschema@.sync_projections p WHERE p.projection_id = sync_unproject.projection_id;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_unproject(integer) IS
  'Ends a projection; the documents stay. True when there was one. Example: SELECT runtime.sync_unproject(1);';

CREATE FUNCTION @extschema@.sync_project(
  source regclass, read_model regclass, doc_key text, payload text,
  doc_version text DEFAULT NULL, on_delete text DEFAULT 'ignore'
) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  class pg_class%ROWTYPE;
  model pg_class%ROWTYPE;
  id integer;
BEGIN
  IF source IS NULL OR read_model IS NULL OR doc_key IS NULL OR payload IS NULL OR on_delete IS NULL THEN
    RAISE EXCEPTION 'source, read_model, doc_key, payload and on_delete must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF on_delete NOT IN ('ignore', 'delete', 'project') THEN
    RAISE EXCEPTION 'invalid on_delete "%"', on_delete
      USING ERRCODE = 'invalid_parameter_value', HINT = 'It is ignore, delete or project.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = source) OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = read_model) THEN
    RAISE EXCEPTION 'relation % does not exist', CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.oid = source) THEN read_model ELSE source END
      USING ERRCODE = 'undefined_table';
  END IF;
  -- Nobody writes between the trigger and its projection.
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  SELECT * INTO class FROM pg_class c WHERE c.oid = source;
  SELECT * INTO model FROM pg_class c WHERE c.oid = read_model;
  IF class.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not a table', source
      USING ERRCODE = 'wrong_object_type', HINT = 'Tables and partitioned tables can be projected.';
  ELSIF class.relpersistence = 't' OR class.oid < 16384 THEN
    RAISE EXCEPTION 'table % is temporary or belongs to the system', source USING ERRCODE = 'wrong_object_type';
  ELSIF class.relispartition THEN
    RAISE EXCEPTION '% is a partition', source
      USING ERRCODE = 'wrong_object_type', HINT = 'Project the partitioned table: its partitions come with it.';
  ELSIF source = read_model THEN
    RAISE EXCEPTION 'table % can not be projected to itself', source USING ERRCODE = 'wrong_object_type';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = read_model AND t.tgname = '~oa_sync_guard') THEN
    RAISE EXCEPTION 'table % is not a read model', read_model
      USING ERRCODE = 'wrong_object_type', HINT = 'Guard it with sync_guard().';
  END IF;
  -- The projection acts as both owners.
  IF NOT pg_has_role(class.relowner, 'USAGE') OR NOT pg_has_role(model.relowner, 'USAGE') THEN
    RAISE EXCEPTION 'must be owner of table %', CASE WHEN pg_has_role(class.relowner, 'USAGE') THEN read_model ELSE source END
      USING ERRCODE = 'insufficient_privilege', DETAIL = 'A projection computes as the owner of its source and writes as the owner of its read model.';
  END IF;
  -- Tables that were dropped without sync_unproject().
  DELETE FROM @extschema@.sync_projections p
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.source) OR (p.source = sync_project.source AND NOT EXISTS (
      SELECT FROM pg_trigger t WHERE t.tgrelid = p.source AND t.tgname = '~oa_sync_project_' || p.projection_id));
  SELECT p.projection_id INTO id FROM @extschema@.sync_projections p
    WHERE p.source = sync_project.source AND p.read_model = sync_project.read_model;
  IF FOUND THEN
    -- It keeps its id; a rebuild that was interrupted is of the former one.
    DELETE FROM @extschema@.sync_reprojections r WHERE r.projection_id = id;
    UPDATE @extschema@.sync_projections p
      SET doc_key = sync_project.doc_key, payload = sync_project.payload, doc_version = sync_project.doc_version,
          on_delete = sync_project.on_delete, created_at = now()
      WHERE p.projection_id = id;
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', '~oa_sync_project_' || id, source);
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', '~oa_sync_project_truncate_' || id, source);
  ELSE
    INSERT INTO @extschema@.sync_projections (source, read_model, doc_key, payload, doc_version, on_delete)
      VALUES (source, read_model, doc_key, payload, doc_version, on_delete)
      RETURNING projection_id INTO id;
  END IF;
  -- ~ comes after the names of the user's own triggers: what they do is there when the document is computed.
  EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_project_row(%L)', '~oa_sync_project_' || id, source, id);
  PERFORM @extschema@.oa_sync_check_projection(source, id);
  IF on_delete <> 'ignore' THEN
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                   'EXECUTE FUNCTION @extschema@.oa_sync_refuse_truncate(%L)', '~oa_sync_project_truncate_' || id, source, id);
  END IF;
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_project(regclass, regclass, text, text, text, text) IS
  'Makes the rows of a table (source) documents of a read model, from now on, in the transactions that write them; the same pair of tables again replaces the projection. Returns its id. '
  'doc_key is a template over columns of the source. payload is a STABLE function of the row that returns json (''app.summarize_run(*)''; null deletes the document), or another form that sync_publish() knows. '
  'doc_version null: one more than before, and an unchanged payload writes nothing; otherwise a column, by the rules of sync_upsert_document(). '
  'on_delete, for the document of a row that goes away: ignore, delete, or project (compute it with the old row). '
  'The function runs as the owner of the source with search_path pg_catalog, timezone UTC and row_security off; the document is written as the owner of the read model. '
  'ERROR 42809 when the read model is not guarded, 42703 for an unknown column, 42883 for an unknown function (write its schema), 42P17 for a volatile one, 42501 for who does not own both tables. '
  'Example: SELECT runtime.sync_project(''app.run_events'', ''runtime.sync_run_summaries'', ''runtime/run_summary:{run_id}'', ''app.summarize_run(*)'');';

-- Rebuilding.

CREATE FUNCTION @extschema@.oa_sync_reproject_begin(
  projection_id integer, batch_size integer, prune boolean, restart boolean
) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  projection @extschema@.sync_projections%ROWTYPE;
  state @extschema@.sync_reprojections%ROWTYPE;
  me pg_stat_activity%ROWTYPE;
BEGIN
  IF projection_id IS NULL OR prune IS NULL OR restart IS NULL THEN
    RAISE EXCEPTION 'projection_id, prune and restart must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF batch_size IS NULL OR batch_size NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'invalid batch_size %', batch_size
      USING ERRCODE = 'invalid_parameter_value', HINT = 'It is 1 to 100000.';
  END IF;
  SELECT * INTO projection FROM @extschema@.sync_projections p WHERE p.projection_id = oa_sync_reproject_begin.projection_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'projection % does not exist', projection_id
      USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM @extschema@.sync_projections.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = projection.source AND i.indisprimary) THEN
    RAISE EXCEPTION 'table % has no primary key', projection.source
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It is walked through in the order of its primary key.';
  END IF;
  -- Compared with the operators of pg_catalog; another type would be compared by those of a type that it casts to.
  IF EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
             JOIN pg_type t ON t.oid = a.atttypid
             WHERE i.indrelid = projection.source AND i.indisprimary AND t.oid >= 16384 AND t.typtype NOT IN ('d', 'e')) THEN
    RAISE EXCEPTION 'the primary key of table % has a column of a type that is not built in', projection.source
      USING ERRCODE = 'feature_not_supported';
  END IF;
  SELECT * INTO me FROM pg_stat_activity a WHERE a.pid = pg_backend_pid();
  -- Makes the row when it is not there. A session that rebuilds has it locked, or is named in it.
  INSERT INTO @extschema@.sync_reprojections (projection_id, phase, prune, rows_total)
    VALUES (projection_id, 'finished', false, 0) ON CONFLICT DO NOTHING;
  SELECT * INTO state FROM @extschema@.sync_reprojections r WHERE r.projection_id = projection.projection_id
    FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR state.phase <> 'finished' AND state.pid <> me.pid AND EXISTS (
      SELECT FROM pg_stat_activity a WHERE a.pid = state.pid AND a.backend_start = state.backend_start AND a.state IS DISTINCT FROM 'idle') THEN
    RAISE EXCEPTION 'projection % is being rebuilt', projection_id
      USING ERRCODE = 'object_in_use', HINT = 'Its progress is in @extschema@.sync_progress_reproject.';
  END IF;
  IF state.phase = 'finished' OR restart THEN
    UPDATE @extschema@.sync_reprojections r
      SET phase = 'projecting', position = NULL, prune = oa_sync_reproject_begin.prune, rows_done = 0, documents_written = 0,
          documents_deleted = 0, resumed = 0, started_at = clock_timestamp(), last_at = clock_timestamp(),
          pid = me.pid, backend_start = me.backend_start,
          rows_total = (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
                        FROM (SELECT projection.source::oid UNION SELECT t.relid::oid FROM pg_partition_tree(projection.source) t WHERE t.isleaf) s(oid)
                        JOIN pg_class c ON c.oid = s.oid AND c.relkind = 'r')
      WHERE r.projection_id = projection.projection_id;
  ELSE
    UPDATE @extschema@.sync_reprojections r
      SET prune = r.prune OR oa_sync_reproject_begin.prune, resumed = r.resumed + 1, last_at = clock_timestamp(),
          pid = me.pid, backend_start = me.backend_start
      WHERE r.projection_id = projection.projection_id;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_begin(integer, integer, boolean, boolean) IS
  'Begins a rebuild or takes it up again. ERROR 42704 for an unknown projection, 55006 when another session rebuilds it, 55000 without a primary key. Called by sync_reproject().';

-- Where the rows of a projection's source are read from.
CREATE FUNCTION @extschema@.oa_sync_rows_of(source regclass) RETURNS text
  LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('FROM %s %s s', CASE WHEN c.relkind = 'r' THEN 'ONLY' END, source) FROM pg_class c WHERE c.oid = source
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_rows_of(regclass) IS 'The FROM clause of a projection''s source. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_reproject_advance(
  projection_id integer, next_position text[], rows_read integer, written integer, deleted integer
) RETURNS void
  LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE @extschema@.sync_reprojections r
    SET position = coalesce(next_position, r.position), rows_done = r.rows_done + rows_read,
        documents_written = r.documents_written + written, documents_deleted = r.documents_deleted + deleted,
        last_at = clock_timestamp()
    WHERE r.projection_id = oa_sync_reproject_advance.projection_id
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_advance(integer, text[], integer, integer, integer) IS
  'Notes how far a rebuild is. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_reproject_state(projection_id integer) RETURNS @extschema@.sync_reprojections
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  state @extschema@.sync_reprojections%ROWTYPE;
BEGIN
  SELECT * INTO state FROM @extschema@.sync_reprojections r
    WHERE r.projection_id = oa_sync_reproject_state.projection_id FOR UPDATE;
  IF state.pid IS DISTINCT FROM pg_backend_pid() THEN
    RAISE EXCEPTION 'projection % was changed, or is being rebuilt by another session', projection_id
      USING ERRCODE = 'object_in_use';
  END IF;
  RETURN state;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_state(integer) IS
  'Locks and returns the state of this session''s rebuild. ERROR 55006 when it is not this session''s any more. Called by sync_reproject().';

-- A batch: source rows after the position, in the order of the primary key. A document whose lock another transaction
-- has is not waited for, because this one holds others: it is given back, to be done in a transaction of its own.
CREATE FUNCTION @extschema@.oa_sync_reproject_batch(
  projection_id integer, batch_size integer,
  OUT rows_read integer, OUT next_position text[], OUT busy_relations oid[], OUT busy_places tid[]
) RETURNS record
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
  SET extra_float_digits = 3 SET bytea_output = 'hex' SET row_security = off
AS $$
DECLARE
  projection @extschema@.sync_projections%ROWTYPE;
  state @extschema@.sync_reprojections%ROWTYPE := @extschema@.oa_sync_reproject_state(projection_id);
  keys text;
  keys_as_text text;
  bounds text;
  relations oid[];
  places tid[];
  result text;
  written integer := 0;
  deleted integer := 0;
BEGIN
  IF state.phase <> 'projecting' THEN
    rows_read := 0;
    RETURN;
  END IF;
  SELECT * INTO projection FROM @extschema@.sync_projections p WHERE p.projection_id = oa_sync_reproject_batch.projection_id;
  SELECT string_agg(format('s.%I', a.attname), ', ' ORDER BY k.n),
         string_agg(format('s.%I::text', a.attname), ', ' ORDER BY k.n),
         string_agg(format('%L::%s', state.position[k.n], format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.n)
    INTO keys, keys_as_text, bounds
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = projection.source AND i.indisprimary AND k.n <= i.indnkeyatts;
  -- Without a version of its own, the last row of a document in a batch says what it is: the others are left out.
  EXECUTE format(
    'WITH batch AS MATERIALIZED (SELECT row_number() OVER () AS n, q.* FROM ('
    '  SELECT s.tableoid AS relation, s.ctid AS place, ARRAY[%s] AS position, %s AS key %s %s ORDER BY %s LIMIT %s) q) '
    'SELECT (SELECT count(*) FROM batch), (SELECT position FROM batch ORDER BY n DESC LIMIT 1), '
    '  array_agg(b.relation ORDER BY b.n), array_agg(b.place ORDER BY b.n) '
    'FROM (SELECT k.*, max(k.n) OVER (PARTITION BY k.key) AS last FROM batch k) b WHERE b.key IS NULL OR b.n = b.last',
    keys_as_text,
    CASE WHEN projection.doc_version IS NULL
         THEN format('@extschema@.oa_sync_projected_key(%s, s.tableoid, s.ctid)', projection_id) ELSE 'NULL::text' END,
    @extschema@.oa_sync_rows_of(projection.source),
    CASE WHEN state.position IS NOT NULL THEN format('WHERE (%s) > (%s)', keys, bounds) END,
    keys, batch_size)
    INTO rows_read, next_position, relations, places;
  FOR i IN 1 .. coalesce(cardinality(places), 0) LOOP
    result := @extschema@.oa_sync_project_again(projection_id, relations[i], places[i], false);
    IF result = 'written' THEN
      written := written + 1;
    ELSIF result = 'deleted' THEN
      deleted := deleted + 1;
    ELSIF result = 'busy' THEN
      busy_relations := busy_relations || relations[i];
      busy_places := busy_places || places[i];
    END IF;
  END LOOP;
  IF busy_places IS NULL THEN
    PERFORM @extschema@.oa_sync_reproject_advance(projection_id, next_position, rows_read, written, deleted);
  ELSE
    PERFORM @extschema@.oa_sync_reproject_advance(projection_id, NULL, 0, written, deleted);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_batch(integer, integer) IS
  'Projects the next source rows of a rebuild; returns how many there were, the position after them, and the rows whose documents other transactions have. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_reproject_busy(projection_id integer, relation oid, place tid) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
  result text;
BEGIN
  PERFORM @extschema@.oa_sync_reproject_state(projection_id);
  result := @extschema@.oa_sync_project_again(projection_id, relation, place, true);
  PERFORM @extschema@.oa_sync_reproject_advance(projection_id, NULL, 0, (result = 'written')::integer, (result = 'deleted')::integer);
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_busy(integer, oid, tid) IS
  'Projects one source row, waiting for its document. Called by sync_reproject().';

-- Deletes documents that fit the projection's template and that no row of any projection of the read model produces.
-- They are locked first and looked at again then: a writer that just makes one waits, or has committed and is seen.
-- The keys that rows produce are read once for a batch and hashed: a scan for each document would cost documents times rows.
CREATE FUNCTION @extschema@.oa_sync_reproject_prune(projection_id integer, batch_size integer) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET enable_nestloop = off
AS $$
DECLARE
  projection @extschema@.sync_projections%ROWTYPE;
  state @extschema@.sync_reprojections%ROWTYPE := @extschema@.oa_sync_reproject_state(projection_id);
  produced text;
  orphan CONSTANT text := 'NOT EXISTS (SELECT FROM produced k WHERE k.key = d.doc_key)';
  pattern text;
  found_keys text[];
  locked text[] := '{}';
  deleted integer;
BEGIN
  IF NOT state.prune THEN RETURN false; END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'pruning needs READ COMMITTED' USING ERRCODE = 'active_sql_transaction';
  END IF;
  UPDATE @extschema@.sync_reprojections r SET phase = 'pruning', last_at = clock_timestamp()
    WHERE r.projection_id = oa_sync_reproject_prune.projection_id AND r.phase <> 'pruning';
  SELECT * INTO projection FROM @extschema@.sync_projections p WHERE p.projection_id = oa_sync_reproject_prune.projection_id;
  SELECT string_agg(CASE WHEN m[1] = '{{' THEN '{' WHEN m[1] = '}}' THEN '}' WHEN m[1] LIKE '{%' THEN '%'
                         ELSE regexp_replace(m[1], '([\\%_])', '\\\1', 'g') END, '' ORDER BY n)
    INTO pattern
    FROM regexp_matches(projection.doc_key, '(\{\{|\}\}|\{[^}]*\}|[^{}]+)', 'g') WITH ORDINALITY AS t(m, n);
  SELECT format('WITH produced AS MATERIALIZED (%s) ', string_agg(
           format('SELECT @extschema@.oa_sync_projected_key(%s, s.tableoid, s.ctid) AS key %s', p.projection_id,
                  @extschema@.oa_sync_rows_of(p.source)), ' UNION ALL '))
    INTO produced
    FROM @extschema@.sync_projections p
    WHERE p.read_model = projection.read_model AND EXISTS (SELECT FROM pg_class c WHERE c.oid = p.source);
  EXECUTE format('%s SELECT array_agg(q.doc_key) FROM (SELECT d.doc_key FROM %s d WHERE d.doc_key LIKE $1 AND %s LIMIT $2) q',
                 produced, projection.read_model, orphan) INTO found_keys USING pattern, batch_size;
  IF found_keys IS NULL THEN RETURN false; END IF;
  FOR i IN 1 .. cardinality(found_keys) LOOP
    IF @extschema@.oa_sync_lock_document(projection.read_model, found_keys[i], i = 1) THEN
      locked := locked || found_keys[i];
    END IF;
  END LOOP;
  EXECUTE format('%s DELETE FROM %s d WHERE d.doc_key = ANY ($1) AND %s', produced, projection.read_model, orphan) USING locked;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  PERFORM @extschema@.oa_sync_reproject_advance(projection_id, NULL, 0, 0, deleted);
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_prune(integer, integer) IS
  'Deletes some documents that no source row produces any more; false when there are none. Called by sync_reproject().';

CREATE FUNCTION @extschema@.oa_sync_reproject_end(projection_id integer) RETURNS void
  LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE @extschema@.sync_reprojections r SET phase = 'finished', position = NULL, last_at = clock_timestamp()
    WHERE r.projection_id = oa_sync_reproject_end.projection_id
$$;
COMMENT ON FUNCTION @extschema@.oa_sync_reproject_end(integer) IS 'Notes that a rebuild is finished. Called by sync_reproject().';

-- A procedure that commits can not have a SET clause: everything here is named with its schema, and without operators.
CREATE PROCEDURE @extschema@.sync_reproject(
  projection_id integer, batch_size integer DEFAULT 1000, prune boolean DEFAULT false, restart boolean DEFAULT false
)
  LANGUAGE plpgsql
AS $$
DECLARE
  batch record;
  busy record;
  more boolean;
BEGIN
  PERFORM @extschema@.oa_sync_reproject_begin(projection_id, batch_size, prune, restart);
  COMMIT;
  SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  LOOP
    SELECT * INTO batch FROM @extschema@.oa_sync_reproject_batch(projection_id, batch_size);
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF batch.busy_places IS NOT NULL THEN
      FOR busy IN SELECT u.relation, u.place FROM ROWS FROM (pg_catalog.unnest(batch.busy_relations), pg_catalog.unnest(batch.busy_places)) AS u(relation, place) LOOP
        PERFORM @extschema@.oa_sync_reproject_busy(projection_id, busy.relation, busy.place);
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
      END LOOP;
      PERFORM @extschema@.oa_sync_reproject_advance(projection_id, batch.next_position, batch.rows_read, 0, 0);
      COMMIT;
      SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END IF;
    EXIT WHEN pg_catalog.int4eq(batch.rows_read, 0);
  END LOOP;
  LOOP
    more := @extschema@.oa_sync_reproject_prune(projection_id, batch_size);
    EXIT WHEN NOT more;
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  END LOOP;
  PERFORM @extschema@.oa_sync_reproject_end(projection_id);
END
$$;
COMMENT ON PROCEDURE @extschema@.sync_reproject(integer, integer, boolean, boolean) IS
  'Rebuilds the documents of a projection from its source, in the order of the source''s primary key, batch_size (1 to 100000) rows a transaction, while writers go on. Documents that come out as they are write nothing. '
  'Interrupted, it is taken up where it stopped by the next call; restart begins anew (after a change of the function, for example). prune deletes, at the end, documents that fit the doc_key template and that no row of any projection of the read model produces. Progress: sync_progress_reproject. '
  'ERROR 42704 for an unknown projection, 42501 for who does not own the source, 55000 for a source without primary key, 55006 when another session rebuilds it, 2D000 inside a transaction. '
  'Example: CALL runtime.sync_reproject(1, prune => true);';

REVOKE ALL ON PROCEDURE @extschema@.sync_reproject(integer, integer, boolean, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION
  @extschema@.oa_sync_project_row(), @extschema@.oa_sync_check_projection(regclass, integer),
  @extschema@.oa_sync_projected_key(integer, oid, tid), @extschema@.oa_sync_project_again(integer, oid, tid, boolean),
  @extschema@.oa_sync_lock_document(regclass, text, boolean), @extschema@.oa_sync_refuse_truncate(),
  @extschema@.sync_unproject(integer), @extschema@.sync_project(regclass, regclass, text, text, text, text),
  @extschema@.oa_sync_reproject_begin(integer, integer, boolean, boolean), @extschema@.oa_sync_rows_of(regclass),
  @extschema@.oa_sync_reproject_advance(integer, text[], integer, integer, integer),
  @extschema@.oa_sync_reproject_state(integer), @extschema@.oa_sync_reproject_batch(integer, integer),
  @extschema@.oa_sync_reproject_busy(integer, oid, tid), @extschema@.oa_sync_reproject_prune(integer, integer),
  @extschema@.oa_sync_reproject_end(integer)
  FROM PUBLIC;

-- Roles: who reads the streams.

CREATE FUNCTION @extschema@.sync_reader_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_topic_heads,sync_topic_histories,sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot,sync_snapshot_json,sync_document,sync_document_json}'::text[])
    ORDER BY p.proname COLLATE "C";
END;
COMMENT ON FUNCTION @extschema@.sync_reader_functions() IS
  'The functions that a fan-out calls: what sync_grant_reader() grants, and all that it grants. Example: SELECT * FROM runtime.sync_reader_functions();';

CREATE FUNCTION @extschema@.sync_grant_reader(role name) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  granted pg_roles%ROWTYPE;
  called regprocedure;
BEGIN
  SELECT * INTO granted FROM pg_roles r WHERE r.rolname = role;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object', HINT = 'CREATE ROLE ... LOGIN REPLICATION';
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', '@extschema@', role);
  FOR called IN SELECT @extschema@.sync_reader_functions() LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', called, role);
  END LOOP;
  IF NOT granted.rolcanlogin THEN
    RAISE NOTICE 'role "%" can not log in', role
      USING DETAIL = 'A fan-out can use it only by way of a role that is a member of it.', HINT = format('ALTER ROLE %I LOGIN;', role);
  END IF;
  IF NOT granted.rolreplication AND NOT granted.rolsuper THEN
    RAISE NOTICE 'role "%" has not the attribute REPLICATION', role
      USING DETAIL = 'Without it a fan-out has no slot, and asks the journal for live events.', HINT = format('ALTER ROLE %I REPLICATION;', role);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_grant_reader(name) IS
  'Gives a role what a fan-out needs and nothing else: USAGE on the schema and EXECUTE on sync_reader_functions(). It reads every topic: a fan-out decides by its clients'' tokens who sees which. '
  'Call it again after ALTER EXTENSION oa_sync UPDATE, which may bring functions that a newer fan-out calls. '
  'NOTICE when the role lacks LOGIN or REPLICATION. ERROR 42704 for a role that does not exist, 42501 for who may not grant. Example: SELECT runtime.sync_grant_reader(''sync_reader'');';

CREATE FUNCTION @extschema@.sync_revoke_reader(role name) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  called regprocedure;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object';
  END IF;
  FOR called IN SELECT @extschema@.sync_reader_functions() LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM %I', called, role);
  END LOOP;
  EXECUTE format('REVOKE USAGE ON SCHEMA %s FROM %I', '@extschema@', role);
END
$$;
COMMENT ON FUNCTION @extschema@.sync_revoke_reader(name) IS
  'Takes back what sync_grant_reader() gave, also USAGE on the schema. Sessions that are open lose it with their next call; a replication connection has to be ended (pg_terminate_backend) or ALTER ROLE ... NOREPLICATION. ERROR 42704 for a role that does not exist. Example: SELECT runtime.sync_revoke_reader(''sync_reader'');';

REVOKE ALL ON FUNCTION @extschema@.sync_reader_functions(), @extschema@.sync_grant_reader(name), @extschema@.sync_revoke_reader(name)
  FROM PUBLIC;

-- Comments that 0.1.0 did not have; in a part of their own, so that installation and upgrade say the same.

COMMENT ON TABLE @extschema@.sync_stream_events_default IS 'The part of the journal that holds what no dated partition does. What pg_dump takes with it';
COMMENT ON SEQUENCE @extschema@.sync_publications_publication_id_seq IS 'Numbers publications';
COMMENT ON COLUMN @extschema@.sync_publications.publication_id IS 'Number of the publication, the argument of its triggers; it stays when the table is published anew';
COMMENT ON COLUMN @extschema@.sync_publications.relation IS 'The published table';
COMMENT ON COLUMN @extschema@.sync_publications.topic IS 'Template of the topic: {column} is a column''s value, {{ and }} are braces';
COMMENT ON COLUMN @extschema@.sync_publications.doc_key IS 'Template of the document''s key';
COMMENT ON COLUMN @extschema@.sync_publications.doc_version IS 'Column that is the document''s version; null is the watermark';
COMMENT ON COLUMN @extschema@.sync_publications.payload IS 'What of the row is the document, as sync_publish() was told';
COMMENT ON COLUMN @extschema@.sync_publications.skip_unchanged IS 'Whether updates that change neither payload nor version are left out';
COMMENT ON COLUMN @extschema@.sync_publications.always IS 'Whether writes under session_replication_role = replica are captured';
COMMENT ON COLUMN @extschema@.sync_publications.published_at IS 'When the table was published, or published anew';
COMMENT ON COLUMN @extschema@.sync_topics.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_topics.head IS 'The last visible watermark';
COMMENT ON COLUMN @extschema@.sync_topics.floor IS 'Events at or below it may be gone; resuming at the floor is fine, below it is stale';
COMMENT ON COLUMN @extschema@.sync_topics.oldest IS 'The oldest watermark in the journal; null when there is none';
COMMENT ON COLUMN @extschema@.sync_topics.retained IS 'How many events are in the journal';
COMMENT ON COLUMN @extschema@.sync_topics.in_flight IS 'How many watermarks are allocated and not visible yet';
COMMENT ON COLUMN @extschema@.sync_topics.epoch IS 'The present epoch';
COMMENT ON COLUMN @extschema@.sync_stats.epoch IS 'The present epoch';
COMMENT ON COLUMN @extschema@.sync_stats.worker_pid IS 'The worker''s process; null when none runs';
COMMENT ON COLUMN @extschema@.sync_stats.recovered IS 'Whether the holes that a crash left are filled';
COMMENT ON COLUMN @extschema@.sync_stats.heads_persisted_at IS 'When the worker last wrote heads to sync_topic_sequences';
COMMENT ON COLUMN @extschema@.sync_stats.partitions IS 'Partitions of the journal, the default one included';
COMMENT ON COLUMN @extschema@.sync_stats.hot_topics IS 'Topics of this database whose heads are in shared memory';
COMMENT ON COLUMN @extschema@.sync_stats.heads_loaded IS 'Heads that were read from the journal because they were not in shared memory';
COMMENT ON COLUMN @extschema@.sync_stats.heads_evicted IS 'Heads that made room for others, in the whole cluster';
COMMENT ON COLUMN @extschema@.sync_stats.transactions IS 'Transactions that appended events';
COMMENT ON COLUMN @extschema@.sync_stats.events IS 'Events that were appended, voids not counted';
COMMENT ON COLUMN @extschema@.sync_stats.event_bytes IS 'Their bytes, as captured';
COMMENT ON COLUMN @extschema@.sync_stats.spilled_bytes IS 'Bytes of events that went to temporary files until their commit';
COMMENT ON COLUMN @extschema@.sync_stats.voids_queued IS 'Watermarks that failed transactions left';
COMMENT ON COLUMN @extschema@.sync_stats.voids_filled IS 'Void events that the worker wrote';
COMMENT ON COLUMN @extschema@.sync_stats.voids_pending IS 'Watermarks of failed transactions that wait for the worker';
COMMENT ON COLUMN @extschema@.sync_journal_partitions.partition IS 'The partition';
COMMENT ON COLUMN @extschema@.sync_journal_partitions.lower IS 'Events appended from then on, null for the default partition';
COMMENT ON COLUMN @extschema@.sync_journal_partitions.upper IS 'Events appended before then, null for the default partition';
COMMENT ON COLUMN @extschema@.sync_journal_partitions.bytes IS 'Its size on disk with indexes and TOAST';
COMMENT ON COLUMN @extschema@.sync_topics.oldest_at IS 'When the oldest event in the journal was appended; null when there is none';
COMMENT ON COLUMN @extschema@.sync_topics.horizon IS 'How long its policy keeps events; null is for ever';
COMMENT ON COLUMN @extschema@.sync_stats.retention_cycles IS 'Cycles of retention';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_dropped IS 'Partitions of the journal that retention dropped, or emptied when it was the default one';
COMMENT ON COLUMN @extschema@.sync_stats.bytes_dropped IS 'Their bytes on disk';
COMMENT ON COLUMN @extschema@.sync_stats.floors_raised IS 'Floors that retention raised';
COMMENT ON COLUMN @extschema@.sync_stats.partitions_skipped IS 'Partitions that stayed for a later cycle, because somebody used them or a topic in them was not dense';
COMMENT ON COLUMN @extschema@.sync_stats.retained_at IS 'When the last cycle of retention began';
COMMENT ON COLUMN @extschema@.sync_stats.retention_ms IS 'How long it took, in milliseconds';
COMMENT ON COLUMN @extschema@.sync_stats.documents_written IS 'Documents of read models that were written, also by transactions that were rolled back';
COMMENT ON COLUMN @extschema@.sync_stats.documents_stale IS 'Writes of an older version that were left out';
COMMENT ON COLUMN @extschema@.sync_stats.documents_unchanged IS 'Writes of the same version and content that were left out';
COMMENT ON COLUMN @extschema@.sync_stats.documents_drifted IS 'Writes of the same version with another content; written, and counted as written too';
COMMENT ON COLUMN @extschema@.sync_epochs.epoch IS 'The number: microseconds since 1970 when it was opened; a little more than the newest one''s where the clock is behind that';
COMMENT ON COLUMN @extschema@.sync_epochs.system_identifier IS 'The cluster, as in pg_control_system()';
COMMENT ON COLUMN @extschema@.sync_epochs.timeline IS 'The WAL time line';
COMMENT ON COLUMN @extschema@.sync_epochs.reason IS 'Why it was opened';
COMMENT ON COLUMN @extschema@.sync_epochs.started_at IS 'When it was opened';
COMMENT ON COLUMN @extschema@.sync_epochs.database IS 'The database''s OID: a copy has another one';
COMMENT ON COLUMN @extschema@.sync_epochs.journal IS 'The OID of sync_stream_events: a restored journal has another one';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.floor_epoch IS 'The epoch of the event at the floor: a cursor there is of this history if its epoch is not older. 0 while the floor is 0';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.updated_at IS 'When the worker last wrote the row';

-- Introspection: are publications what they should be.

CREATE FUNCTION @extschema@.sync_publication_problem(relation regclass, publication_id integer, always boolean) RETURNS text
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
  problems text[] := '{}';
  class pg_class%ROWTYPE;
  wanted "char" := CASE WHEN always THEN 'A' ELSE 'O' END;
  fires "char";
  kind record;
  others text;
BEGIN
  SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
  IF NOT FOUND THEN
    RETURN 'the table does not exist';
  END IF;
  FOR kind IN SELECT * FROM (VALUES ('row', '@extschema@.oa_sync_capture_row()'::regprocedure),
                                    ('truncate', '@extschema@.oa_sync_capture_truncate()'::regprocedure)) AS k(name, function) LOOP
    SELECT t.tgenabled INTO fires FROM pg_trigger t
      WHERE t.tgrelid = relation AND t.tgfoid = kind.function AND t.tgargs = convert_to(publication_id::text, 'SQL_ASCII') || '\x00'::bytea;
    IF fires IS NULL THEN
      problems := problems || format('the %s trigger is missing: nothing is captured', kind.name);
    ELSIF fires = 'D' THEN
      problems := problems || format('the %s trigger is disabled: nothing is captured', kind.name);
    ELSIF fires <> wanted THEN
      problems := problems || format('the %s trigger fires %s, and the publication is %s', kind.name,
        CASE fires WHEN 'R' THEN 'only under session_replication_role = replica' WHEN 'A' THEN 'also under session_replication_role = replica'
             ELSE 'not under session_replication_role = replica' END,
        CASE WHEN always THEN 'always' ELSE 'not always' END);
    END IF;
  END LOOP;
  IF class.relkind = 'r' THEN
    SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text) INTO others
      FROM pg_inherits i WHERE i.inhparent = relation;
    IF others IS NOT NULL THEN
      problems := problems || format('tables inherit from it whose rows are not captured: %s', others);
    END IF;
  ELSE
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text) INTO others
      FROM pg_partition_tree(relation) t JOIN pg_class c ON c.oid = t.relid
      WHERE c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p';
    IF others IS NOT NULL THEN
      problems := problems || format('partitions that can not be written, being unlogged or foreign: %s', others);
    END IF;
    SELECT string_agg(t.tgrelid::regclass::text, ', ' ORDER BY t.tgrelid::regclass::text) INTO others
      FROM pg_partition_tree(relation) p JOIN pg_trigger t ON t.tgrelid = p.relid
      WHERE p.level > 0 AND t.tgfoid = '@extschema@.oa_sync_capture_row()'::regprocedure AND t.tgenabled <> wanted;
    IF others IS NOT NULL THEN
      problems := problems || format('partitions whose row trigger is disabled or fires otherwise: %s', others);
    END IF;
  END IF;
  BEGIN
    PERFORM @extschema@.oa_sync_check_publication(relation, publication_id);
  EXCEPTION
    WHEN lock_not_available THEN
      problems := problems || 'not looked into further: another session holds a lock on the table'::text;
    WHEN OTHERS THEN
      problems := problems || format('writes fail: %s', SQLERRM);
  END;
  RETURN nullif(array_to_string(problems, '; '), '');
END
$$;
COMMENT ON FUNCTION @extschema@.sync_publication_problem(regclass, integer, boolean) IS
  'Behind the view sync_publications_status: what is wrong with a publication, null when nothing is. Compiles it as a write would, and waits at most half a second for a lock on the table. Example: SELECT runtime.sync_publication_problem(relation, publication_id, always) FROM runtime.sync_publications;';

CREATE VIEW @extschema@.sync_publications_status AS
  SELECT p.relation, p.topic, p.doc_key, p.doc_version, p.payload, p.skip_unchanged, p.always, p.publication_id,
         coalesce((SELECT CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END
           FROM pg_catalog.pg_trigger t
           WHERE t.tgrelid = p.relation AND t.tgfoid = '@extschema@.oa_sync_capture_row()'::pg_catalog.regprocedure LIMIT 1), 'missing') AS row_trigger,
         coalesce((SELECT CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END
           FROM pg_catalog.pg_trigger t
           WHERE t.tgrelid = p.relation AND t.tgfoid = '@extschema@.oa_sync_capture_truncate()'::pg_catalog.regprocedure LIMIT 1), 'missing') AS truncate_trigger,
         CASE c.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
         @extschema@.sync_publication_problem(p.relation, p.publication_id, p.always) AS problem
  FROM @extschema@.sync_publications p
  LEFT JOIN pg_catalog.pg_class c ON c.oid = p.relation;
COMMENT ON VIEW @extschema@.sync_publications_status IS
  'Every publication, and whether its table''s writes become events. Costs a look at each table; a table that is locked is waited for half a second. Example: SELECT relation, problem FROM runtime.sync_publications_status WHERE problem IS NOT NULL;';
COMMENT ON COLUMN @extschema@.sync_publications_status.relation IS 'The published table';
COMMENT ON COLUMN @extschema@.sync_publications_status.topic IS 'Template of the topic';
COMMENT ON COLUMN @extschema@.sync_publications_status.doc_key IS 'Template of the document''s key';
COMMENT ON COLUMN @extschema@.sync_publications_status.doc_version IS 'Column that is the document''s version; null is the watermark';
COMMENT ON COLUMN @extschema@.sync_publications_status.payload IS 'What of the row is the document';
COMMENT ON COLUMN @extschema@.sync_publications_status.skip_unchanged IS 'Whether updates that change neither payload nor version are left out';
COMMENT ON COLUMN @extschema@.sync_publications_status.always IS 'Whether writes under session_replication_role = replica are captured';
COMMENT ON COLUMN @extschema@.sync_publications_status.publication_id IS 'Number of the publication; it stays when the table is published anew';
COMMENT ON COLUMN @extschema@.sync_publications_status.row_trigger IS 'The row trigger: enabled, disabled, replica, always or missing';
COMMENT ON COLUMN @extschema@.sync_publications_status.truncate_trigger IS 'The truncate trigger, likewise';
COMMENT ON COLUMN @extschema@.sync_publications_status.persistence IS 'permanent, unlogged or temporary; null when the table does not exist';
COMMENT ON COLUMN @extschema@.sync_publications_status.problem IS 'What is wrong, in words; null when nothing is';

REVOKE ALL ON FUNCTION @extschema@.sync_publication_problem(regclass, integer, boolean) FROM PUBLIC;

-- Nothing for PUBLIC, also where default privileges of the installing role would give it something.
DO $$
DECLARE
  object record;
BEGIN
  FOR object IN SELECT c.oid::pg_catalog.regclass AS relation, c.relkind FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
      JOIN pg_catalog.pg_class c ON c.oid = d.objid
      WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
        AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', CASE object.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, object.relation);
  END LOOP;
  FOR object IN SELECT p.oid::pg_catalog.regprocedure AS function FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
      JOIN pg_catalog.pg_proc p ON p.oid = d.objid
      WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
        AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', object.function);
  END LOOP;
END
$$;

-- Initial privileges are the owner's and nobody else's. A GRANT or REVOKE in an extension's script makes all that is granted on
-- the object its initial privileges, and pg_dump leaves those out: after an update, a dump would lack every grant of an operator.
DO $$
DECLARE
  setting CONSTANT text := pg_catalog.current_setting('allow_system_table_mods');
BEGIN
  PERFORM pg_catalog.set_config('allow_system_table_mods', 'on', true);
  UPDATE pg_catalog.pg_init_privs i
    SET initprivs = (SELECT pg_catalog.array_agg(item) FROM pg_catalog.unnest(i.initprivs) item
                       WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(ARRAY[item]) a WHERE a.grantee = a.grantor))
    FROM pg_catalog.pg_depend d, pg_catalog.pg_extension e
    WHERE e.extname = 'oa_sync' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
      AND d.deptype = 'e' AND d.classid = i.classoid AND d.objid = i.objoid
      AND EXISTS (SELECT FROM pg_catalog.aclexplode(i.initprivs) a WHERE a.grantee <> a.grantor);
  PERFORM pg_catalog.set_config('allow_system_table_mods', setting, true);
END
$$;
