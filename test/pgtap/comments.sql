-- Everything of the extension has a comment, says what it is, and is in its script's care.
\ir include/setup.sql
SELECT plan(6);
CREATE TEMP VIEW members AS SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
SELECT is((SELECT array_agg(m.objid::regclass::text ORDER BY 1) FROM members m WHERE m.classid = 'pg_class'::regclass AND obj_description(m.objid, 'pg_class') IS NULL), NULL, 'relations');
SELECT is((SELECT array_agg(format('%s.%s', m.objid::regclass, a.attname) ORDER BY 1) FROM members m JOIN pg_class c ON c.oid = m.objid JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE m.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition AND col_description(c.oid, a.attnum) IS NULL), NULL, 'columns');
SELECT is((SELECT array_agg(m.objid::regprocedure::text ORDER BY 1) FROM members m WHERE m.classid = 'pg_proc'::regclass AND obj_description(m.objid, 'pg_proc') IS NULL), NULL, 'functions');
SELECT is((SELECT array_agg(m.objid::regtype::text ORDER BY 1) FROM members m JOIN pg_type t ON t.oid = m.objid LEFT JOIN pg_class c ON c.oid = t.typrelid
           WHERE m.classid = 'pg_type'::regclass AND coalesce(c.relkind, 'c') = 'c' AND t.typelem = 0 AND obj_description(m.objid, 'pg_type') IS NULL), NULL, 'types that are not a table''s rows');
SELECT is((SELECT array_agg(format('%s on %s', tgname, tgrelid::regclass) ORDER BY 1) FROM pg_trigger t JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = t.tgrelid
           WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL), NULL, 'triggers');
SELECT is((SELECT array_agg(DISTINCT m.classid::regclass::text) FROM members m WHERE m.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)), NULL, 'there is nothing else');
SELECT * FROM finish();
