
-- Policies: what of a topic an operator decides.

CREATE TABLE @extschema@.sync_topic_policies (
  pattern text COLLATE "C" PRIMARY KEY,
  horizon interval,
  replay_budget bigint,
  qos_tier text COLLATE "C",
  max_payload integer,
  payload_mode text COLLATE "C",
  max_inline integer,
  publish_rate integer,
  snapshot_source text,
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE @extschema@.sync_topic_policies IS
  'Policies that were set, by pattern of topics. A column that is null is decided by the next less specific pattern that matches, at last by the defaults; sync_policies shows both. Kept by sync_set_policy() and sync_drop_policy().';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_topic_policies', '');
