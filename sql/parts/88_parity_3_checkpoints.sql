
-- The earlier lane as a table or view of checkpoints: with the rights of who asks, since what is behind a view is not ours.
CREATE FUNCTION @extschema@.sync_parity_checkpoint_sample(checkpoints regclass, topic text, seed bigint, wanted integer) RETURNS SETOF text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  kind "char";
  of_topic text := '';
BEGIN
  SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = checkpoints;
  IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = checkpoints AND a.attname = 'topic' AND NOT a.attisdropped) THEN
    of_topic := 'WHERE s.topic::text = $1';
  END IF;
  -- Those that changed last, where an index leads to them.
  IF EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = checkpoints AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'updated_at') THEN
    RETURN QUERY EXECUTE format('SELECT s.doc_key::text FROM %s s %s ORDER BY s.updated_at DESC LIMIT $2', checkpoints, of_topic)
      USING topic, greatest(1, wanted / 2);
  END IF;
  IF kind IN ('r', 'm', 'p') THEN
    RETURN QUERY EXECUTE format('SELECT s.doc_key::text FROM %s s TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) %s '
                                'ORDER BY hashtextextended(s.doc_key::text, $3) LIMIT $2',
                                checkpoints, @extschema@.oa_sync_parity_sample_of(checkpoints, wanted), seed % 1000000007, of_topic)
      USING topic, wanted, seed;
  ELSE
    -- Of a view, whatever comes first: an order would be made of all of it.
    RETURN QUERY EXECUTE format('SELECT q.k FROM (SELECT s.doc_key::text AS k FROM %s s %s LIMIT 10 * $2) q ORDER BY hashtextextended(q.k, $3) LIMIT $2',
                                checkpoints, of_topic)
      USING topic, wanted, seed;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_checkpoint_sample(regclass, text, bigint, integer) IS
  'Keys of a table or view of checkpoints: random blocks of a table, those that changed last where an index begins with updated_at; of a view what it gives first. Where it has a column topic, of that topic only. With the rights of the caller, who needs SELECT on it. For the auditor. '
  'Example: SELECT runtime.sync_parity_checkpoint_sample(''app.checkpoints'', ''runtime.run_summaries'', 42, 100);';

CREATE FUNCTION @extschema@.sync_parity_checkpoints(
  checkpoints regclass, topic text, doc_keys text[], versions bigint[] DEFAULT NULL,
  OUT doc_key text, OUT doc_version bigint, OUT payload text, OUT payload_hash text, OUT changed_s double precision
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  columns jsonb;
BEGIN
  SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, NULL)) INTO columns FROM pg_attribute a
    WHERE a.attrelid = checkpoints AND a.attnum > 0 AND NOT a.attisdropped;
  RETURN QUERY EXECUTE format(
    'SELECT DISTINCT ON (s.doc_key) s.doc_key::text, s.doc_version::bigint, %s, %s, %s FROM %s s %s '
    'WHERE s.doc_key = ANY ($2::%s[]) %s %s ORDER BY s.doc_key, s.doc_version DESC NULLS LAST',
    CASE WHEN columns ? 'payload' THEN 's.payload::text' ELSE 'NULL::text' END,
    CASE columns->>'payload_hash' WHEN 'bytea' THEN 'encode(s.payload_hash, ''hex'')' ELSE CASE WHEN columns ? 'payload_hash' THEN 's.payload_hash::text' ELSE 'NULL::text' END END,
    CASE WHEN columns->>'updated_at' LIKE 'timestamp%' THEN 'extract(epoch FROM clock_timestamp() - s.updated_at::timestamptz)::double precision' ELSE 'NULL::double precision' END,
    checkpoints,
    CASE WHEN versions IS NOT NULL THEN 'JOIN unnest($2, $3) AS v(key, version) ON s.doc_key = v.key AND s.doc_version = v.version' END,
    columns->>'doc_key',
    CASE WHEN columns ? 'topic' THEN 'AND s.topic::text = $1' END, '')
    USING topic, doc_keys, versions;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_parity_checkpoints(regclass, text, text[], bigint[]) IS
  'The rows of a table or view of checkpoints for document keys: of each key the one with the highest doc_version, or with the version given. payload is its text, payload_hash hexadecimal or as it stands there, changed_s the seconds since updated_at. What the table does not have is null. With the rights of the caller, who needs SELECT on it. For the auditor. '
  'Example: SELECT * FROM runtime.sync_parity_checkpoints(''app.checkpoints'', ''runtime.run_summaries'', ARRAY[''runtime/run_summary:42'']);';
