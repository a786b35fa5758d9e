
-- Publishing. The functions are of 0.1.0; here they are replaced, so that one text serves installation and upgrade.

CREATE OR REPLACE FUNCTION @extschema@.sync_unpublish(relation regclass) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
BEGIN
  IF relation IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'relation must not be null';
  END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_row" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_truncate" ON %s', relation);
  DELETE FROM @extschema@.sync_publications p WHERE p.relation = sync_unpublish.relation;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_unpublish(regclass) IS
  'Ends the publication of a table: its writes are no longer events. Events in the journal stay. True when it was published. Example: SELECT runtime.sync_unpublish(''app.runs'');';

CREATE OR REPLACE FUNCTION @extschema@.sync_publish(
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
  former_key text;  -- of the publication that is replaced
  is_default_key boolean := doc_key IS NULL;
  -- What a template begins with before its first column.
  literal CONSTANT text := '^(?:[^{}]|\{\{|\}\})*';
  others text;
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

  -- Tables whose writes would not all be seen, or whose rows are not as lasting as the events about them.
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
        AND e.extname = 'oa_sync' AND class.relname NOT IN ('sync_run_summaries', 'sync_codex_worker_summaries')) THEN
    RAISE EXCEPTION 'table % belongs to the system and can not be published', relation
      USING ERRCODE = 'wrong_object_type';
  END IF;
  IF class.relkind = 'r' THEN
    SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text) INTO others
      FROM pg_inherits i WHERE i.inhparent = class.oid;
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'table % has tables that inherit from it', relation
        USING ERRCODE = 'wrong_object_type',
              DETAIL = format('Rows of %s are seen as its rows, and would not become events.', others),
              HINT = 'Publish the tables that inherit from it, each by itself, or make it a partitioned table.';
    END IF;
  ELSE
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text) INTO others
      FROM pg_partition_tree(relation) t JOIN pg_class c ON c.oid = t.relid
      WHERE c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p';
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'table % has partitions that are unlogged or foreign tables', relation
        USING ERRCODE = 'wrong_object_type',
              DETAIL = format('Not all writes of %s can be seen, or they do not survive a crash.', others),
              HINT = 'ALTER TABLE ... SET LOGGED, or detach them, then publish it.';
    END IF;
    SELECT string_agg(p.relation::text, ', ' ORDER BY p.relation::text) INTO others
      FROM pg_partition_tree(relation) t JOIN @extschema@.sync_publications p ON p.relation = t.relid
      WHERE p.relation <> sync_publish.relation;
    IF others IS NOT NULL THEN
      RAISE EXCEPTION 'partitions of table % are published themselves', relation
        USING ERRCODE = 'duplicate_object',
              DETAIL = format('Rows of %s would belong to two publications.', others),
              HINT = 'End their publications with sync_unpublish() first.';
    END IF;
  END IF;

  SELECT p.publication_id, p.doc_key INTO id, former_key FROM @extschema@.sync_publications p
    WHERE p.relation = sync_publish.relation;
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
    -- One column of any type between columns of these is read back without doubt; two of the others are not.
    WITH RECURSIVE key (attname, type) AS (
      SELECT a.attname, a.atttypid FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
        AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
        WHERE i.indrelid = class.oid AND i.indisprimary
      UNION ALL
      SELECT k.attname, t.typbasetype FROM key k JOIN pg_type t ON t.oid = k.type AND t.typtype = 'd'
    )
    SELECT string_agg(format('{%s}', free.attname), '|') INTO others FROM (
      SELECT k.attname FROM key k GROUP BY k.attname
        HAVING NOT bool_or(k.type = ANY ('{boolean,smallint,integer,bigint,oid,numeric,real,double precision,uuid,date,timestamp,timestamptz}'::regtype[]))
    ) free HAVING count(*) > 1;
    IF others IS NOT NULL AND former_key = doc_key THEN
      RAISE WARNING 'rows of table % can share a document', relation
        USING DETAIL = 'Several columns of its primary key can contain a colon: (''a:b'', ''c'') and (''a'', ''b:c'') have one document key.',
              HINT = 'Publish it with a doc_key whose separator the values never contain. It is published as before.';
    ELSIF others IS NOT NULL THEN
      RAISE EXCEPTION 'the primary key of table % makes no document key by itself', relation
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = 'Several of its columns can contain a colon: (''a:b'', ''c'') and (''a'', ''b:c'') would have one document key.',
              HINT = format('Say doc_key, with a separator that the values never contain: doc_key => %L.',
                            nspname || '/' || class.relname || ':' || others);
    END IF;
  END IF;

  -- Triggers are made anew: they may have been turned off or renamed, and every session sees that something changed.
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_row" ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS "!oa_sync_truncate" ON %s', relation);
  IF id IS NULL THEN
    INSERT INTO @extschema@.sync_publications (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
      VALUES (relation, topic, doc_key, doc_version, payload, skip_unchanged, always)
      RETURNING publication_id INTO id;
  ELSE
    UPDATE @extschema@.sync_publications p
      SET topic = sync_publish.topic, doc_key = sync_publish.doc_key, doc_version = sync_publish.doc_version,
          payload = sync_publish.payload, skip_unchanged = sync_publish.skip_unchanged, always = sync_publish.always,
          published_at = now()
      WHERE p.publication_id = id;
  END IF;
  PERFORM @extschema@.oa_sync_check_publication(relation, id);
  -- Triggers fire in the order of their names: ! puts ours before the user's, whose own changes of the row come after.
  EXECUTE format('CREATE TRIGGER "!oa_sync_row" AFTER INSERT OR UPDATE OR DELETE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION @extschema@.oa_sync_capture_row(%L)', relation, id);
  EXECUTE format('CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.oa_sync_capture_truncate(%L)', relation, id);
  EXECUTE format('COMMENT ON TRIGGER "!oa_sync_row" ON %s IS %L', relation,
                 'Makes rows events, see sync_publications_status. Made by sync_publish(), ended by sync_unpublish().');
  EXECUTE format('COMMENT ON TRIGGER "!oa_sync_truncate" ON %s IS %L', relation,
                 'Makes TRUNCATE an event, see sync_publications_status. Made by sync_publish(), ended by sync_unpublish().');
  IF always THEN
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_row"', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!oa_sync_truncate"', relation);
  END IF;

  -- A TRUNCATE takes away what begins with the literal beginning of its table's keys.
  SELECT string_agg(p.relation::text, ', ' ORDER BY p.relation::text) INTO others
    FROM @extschema@.sync_publications p
    CROSS JOIN LATERAL (SELECT replace(replace(substring(p.doc_key FROM literal), '{{', '{'), '}}', '}'),
                               replace(replace(substring(sync_publish.doc_key FROM literal), '{{', '{'), '}}', '}')) AS b(theirs, ours)
    WHERE p.relation <> sync_publish.relation AND p.topic = sync_publish.topic
      AND (starts_with(b.theirs, b.ours) OR starts_with(b.ours, b.theirs));
  IF others IS NOT NULL THEN
    RAISE WARNING 'documents of table % can not be told from those of %', relation, others
      USING DETAIL = format('They share topic %L, and the beginning of one doc_key is a beginning of the other: TRUNCATE of one table takes away documents of the other for every subscriber.', topic),
            HINT = 'Give the keys different beginnings: doc_key => ''run:{id}'' and ''note:{id}''.';
  END IF;
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean) IS
  'Makes the writes of a table events, from now on; a table that is published already is published anew and keeps its id. Returns the publication''s id. '
  'topic and doc_key are templates over columns ({column}, {{ for a brace); their defaults are schema.table and schema/table: with the primary key, '
  'which is refused (22023) when two of its columns could contain a colon. '
  'doc_version names a column of an integer type or a timestamp (then microseconds since 1970); null is the watermark. '
  'payload is * for the row, a list of columns, or function(*) for a function of the row that returns json. '
  'skip_unchanged leaves out updates that change neither payload nor version. always captures also under session_replication_role = replica. '
  'ERROR 42703 for an unknown column, 42809 for what is not a permanent table with all its rows in it, 42710 for a partitioned table with a published partition, 22023 for a bad template, or a topic that begins with oa_sync. (those are OA Sync''s own). '
  'WARNING when another table of the same topic has keys that begin alike. '
  'Example: SELECT runtime.sync_publish(''app.run_events'', topic => ''run:{run_id}:events'', doc_key => ''event:{run_id}:{seq}'', doc_version => ''seq'');';

REVOKE ALL ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean), @extschema@.sync_unpublish(regclass)
  FROM PUBLIC;
