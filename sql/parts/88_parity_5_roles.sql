
-- Parity: the rights of an auditor.
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
