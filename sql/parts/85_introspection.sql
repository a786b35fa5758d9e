
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
