
-- Roles: who reads the streams.

CREATE FUNCTION @extschema@.sync_reader_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_topic_heads,sync_topic_histories,sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot,sync_snapshot_json,sync_document,sync_document_json,sync_active_revocations,sync_canary,sync_overview,sync_topics_page,sync_events_json,sync_parity_overview}'::text[])
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
