
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
