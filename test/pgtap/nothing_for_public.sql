-- Who has rights on what the extension makes: its owner, and nobody else, whatever the default privileges are.
\set QUIET on
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS oa_sync CASCADE;
DROP SCHEMA IF EXISTS runtime CASCADE;
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC;
CREATE EXTENSION oa_sync;
ALTER DEFAULT PRIVILEGES REVOKE SELECT, INSERT ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SEQUENCES FROM PUBLIC;
\ir include/helpers.sql
SELECT plan(9);
CREATE TEMP VIEW members AS SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
-- What PUBLIC may, as the catalog has it: no entry means the default of the kind of object.
CREATE TEMP VIEW granted AS
  SELECT 'relation' AS kind, c.oid::regclass::text AS name, a.grantee, a.privilege_type, c.relowner AS owner
    FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid,
    aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
  UNION ALL SELECT 'column', format('%s.%s', c.oid::regclass, t.attname), a.grantee, a.privilege_type, c.relowner
    FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
  UNION ALL SELECT 'function', p.oid::regprocedure::text, a.grantee, a.privilege_type, p.proowner
    FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  UNION ALL SELECT 'schema', n.nspname, a.grantee, a.privilege_type, n.nspowner FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'runtime';
SELECT is((SELECT array_agg(format('%s %s: %s', kind, name, privilege_type)) FROM granted WHERE grantee = 0), NULL, 'PUBLIC has no right on the schema, a table, a view, a sequence, a column or a function');
SELECT is((SELECT array_agg(format('%s %s: %s', kind, name, privilege_type)) FROM granted WHERE grantee <> owner), NULL, 'and nobody else but the owner');
SELECT cmp_ok((SELECT count(*) FROM granted WHERE kind = 'function'), '>=', 15::bigint, 'there are functions that this was asked of');
SELECT is((SELECT array_agg(t.oid::regtype::text) FROM members m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid WHERE t.typtype NOT IN ('c', 'b') OR (t.typtype = 'b' AND t.typelem = 0)), NULL,
          'types are the tables'' row types and arrays of them, which hold nothing');
SELECT is((SELECT array_agg(p.oid::regprocedure::text) FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid WHERE p.prosecdef AND p.proconfig IS NULL), NULL, 'no function runs with its owner''s rights and the caller''s settings');
SELECT is((SELECT array_agg(p.oid::regprocedure::text) FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid JOIN pg_language l ON l.oid = p.prolang
           WHERE p.prokind = 'f' AND l.lanname IN ('sql', 'plpgsql') AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)), NULL, 'every function in SQL or PL/pgSQL has its own search_path (a procedure that commits can not have one, and names everything whole)');
SELECT is((SELECT array_agg(p.oid::regprocedure::text) FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid WHERE p.proparallel = 's' AND p.proname LIKE 'sync\_%' AND p.provolatile = 'v'), NULL, 'nothing that writes is parallel safe');
SELECT is((SELECT array_agg(DISTINCT nspowner::regrole::text) FROM pg_namespace WHERE nspname = 'runtime'), ARRAY[current_user::text], 'the schema is the installer''s');
-- The journal's partitions that are made later, with the first event.
SELECT runtime.sync_emit('t', 'k', 1, '1') \g /dev/null
SELECT t.wait_for($$SELECT count(*) > 1 FROM runtime.sync_journal_partitions$$) \g /dev/null
SELECT is((SELECT array_agg(c.oid::regclass::text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
           WHERE i.inhparent = 'runtime.sync_stream_events'::regclass AND a.grantee <> c.relowner), NULL, 'partitions have none either');
SELECT * FROM finish();
