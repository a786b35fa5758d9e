
-- Parity: what came of an audit, and the rates that a gate asks for.
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
