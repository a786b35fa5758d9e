
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
