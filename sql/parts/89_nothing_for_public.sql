
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
