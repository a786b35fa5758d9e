-- Capture: triggers of published tables, and publishing.

CREATE FUNCTION @extschema@.oa_sync_capture_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_capture_row';
COMMENT ON FUNCTION @extschema@.oa_sync_capture_row() IS
  'AFTER row trigger of published tables, made by sync_publish().';

CREATE FUNCTION @extschema@.oa_sync_capture_truncate() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_capture_truncate';
COMMENT ON FUNCTION @extschema@.oa_sync_capture_truncate() IS
  'BEFORE TRUNCATE trigger of published tables, made by sync_publish().';

CREATE FUNCTION @extschema@.oa_sync_check_publication(relation regclass, publication_id integer) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'oa_sync_check_publication';
COMMENT ON FUNCTION @extschema@.oa_sync_check_publication(regclass, integer) IS
  'Compiles a publication; ERROR when it does not fit its table. Called by sync_publish().';

CREATE FUNCTION @extschema@.sync_emit(topic text, doc_key text, doc_version bigint, payload json) RETURNS void
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_emit';
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, 22004 when one is null, 54000 for a payload above oa_sync.max_payload. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';

CREATE FUNCTION @extschema@.sync_unpublish(relation regclass) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
BEGIN
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_row" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_truncate" ON %s', relation);
  DELETE FROM @extschema@.sync_publications p WHERE p.relation = sync_unpublish.relation;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_unpublish(regclass) IS
  'Ends the publication of a table: its writes are no longer events. Events in the journal stay. True when it was published. Example: SELECT runtime.sync_unpublish(''app.runs'');';

CREATE FUNCTION @extschema@.sync_publish(
  relation regclass,
  topic text DEFAULT NULL,
  doc_key text DEFAULT NULL,
  doc_version text DEFAULT NULL,
  payload text DEFAULT '*',
  skip_unchanged boolean DEFAULT false,
  always boolean DEFAULT false
) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
  class pg_class%ROWTYPE;
  nspname text;
  id integer;
BEGIN
  IF relation IS NULL OR payload IS NULL OR skip_unchanged IS NULL OR always IS NULL THEN
    RAISE EXCEPTION 'relation, payload, skip_unchanged and always must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
    RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = 'undefined_table';
  END IF;
  -- Nobody writes between the trigger and its publication.
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
  SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
  SELECT n.nspname INTO nspname FROM pg_namespace n WHERE n.oid = class.relnamespace;
  IF class.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not a table', relation
      USING ERRCODE = 'wrong_object_type', HINT = 'Tables and partitioned tables can be published.';
  END IF;
  IF class.relpersistence <> 'p' THEN
    RAISE EXCEPTION 'table % is temporary or unlogged', relation
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Its rows do not survive a crash, and the events about them would.',
            HINT = 'ALTER TABLE ... SET LOGGED, then publish it.';
  END IF;
  IF class.relispartition THEN
    RAISE EXCEPTION '% is a partition', relation
      USING ERRCODE = 'wrong_object_type', HINT = 'Publish the partitioned table: its partitions come with it.';
  END IF;
  IF class.oid < 16384 OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e'
      WHERE d.classid = 'pg_class'::regclass AND d.objid = class.oid AND d.refclassid = 'pg_extension'::regclass
        AND e.extname = 'oa_sync' AND class.relname IN
          ('sync_stream_events', 'sync_stream_events_default', 'sync_topic_sequences', 'sync_publications', 'sync_epochs')) THEN
    RAISE EXCEPTION 'table % belongs to the system and can not be published', relation
      USING ERRCODE = 'wrong_object_type';
  END IF;
  IF topic IS NULL THEN
    topic := nspname || '.' || class.relname;
  END IF;
  IF doc_key IS NULL THEN
    SELECT string_agg(format('{%s}', a.attname), ':' ORDER BY k.n) INTO doc_key
      FROM pg_index i
      CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = class.oid AND i.indisprimary AND k.n <= i.indnkeyatts;
    IF doc_key IS NULL THEN
      RAISE EXCEPTION 'table % has no primary key', relation
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what names a row''s document: doc_key => ''run:{run_id}''.';
    END IF;
    doc_key := nspname || '/' || class.relname || ':' || doc_key;
  END IF;
  PERFORM @extschema@.sync_unpublish(relation);
  INSERT INTO @extschema@.sync_publications (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
    VALUES (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
    RETURNING publication_id INTO id;
  PERFORM @extschema@.oa_sync_check_publication(relation, id);
  -- Triggers fire in the order of their names: ! puts ours before the user's, whose own changes of the row come after.
  EXECUTE format('CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row(%L)', relation, id);
  EXECUTE format('CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate(%L)', relation, id);
  IF always THEN
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_row"', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_truncate"', relation);
  END IF;
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean) IS
  'Makes the writes of a table events, from now on; a table that is published already is published anew. Returns the publication''s id. '
  'topic and doc_key are templates over columns ({column}, {{ for a brace); their defaults are schema.table and schema/table: with the primary key. '
  'doc_version names a column of an integer type or a timestamp (then microseconds since 1970); null is the watermark. '
  'payload is * for the row, a list of columns, or function(*) for a function of the row that returns json. '
  'skip_unchanged leaves out updates that change neither payload nor version. always captures also under session_replication_role = replica. '
  'ERROR 42703 for an unknown column, 42809 for what is not a permanent table, 22023 for a bad template. '
  'Example: SELECT runtime.sync_publish(''app.run_events'', topic => ''run:{run_id}:events'', doc_key => ''event:{run_id}:{seq}'', doc_version => ''seq'');';

