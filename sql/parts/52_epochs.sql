
-- Epochs: what a cursor of an earlier history is worth, and beginning a new one by hand.

CREATE FUNCTION @extschema@.sync_new_epoch(reason text) RETURNS bigint
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'sync_new_epoch';
COMMENT ON FUNCTION @extschema@.sync_new_epoch(text) IS
  'Begins a new epoch and returns its number. PostgreSQL shows a promotion, a recovery and a restore by itself; this is for what it does not show, before the application writes again: a disk image or file-system snapshot that was put back without recovery to a new time line. Example: SELECT runtime.sync_new_epoch(''disk image of Monday put back'');';

CREATE TABLE @extschema@.sync_epoch_forks (
  topic text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  watermark bigint NOT NULL,
  PRIMARY KEY (topic, epoch)
);
COMMENT ON TABLE @extschema@.sync_epoch_forks IS
  'Where an epoch filled a hole that an earlier one had left: from there on the topics of the two may differ. Kept by the worker; empty unless a failover or restore came between two commits.';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.epoch IS 'The epoch that filled the hole';
COMMENT ON COLUMN @extschema@.sync_epoch_forks.watermark IS 'The first watermark that may be another event in the earlier epochs';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_epoch_forks', '');

-- Holes that 0.1.0 filled, which noted nothing. On a fresh installation there is nothing.
INSERT INTO @extschema@.sync_epoch_forks (topic, epoch, watermark)
  SELECT v.topic, v.epoch, min(v.watermark) FROM @extschema@.sync_stream_events v
  WHERE (SELECT count(*) > 1 FROM @extschema@.sync_epochs) AND v.op = 'void' AND EXISTS (
    SELECT FROM @extschema@.sync_stream_events n WHERE n.topic = v.topic AND n.watermark > v.watermark AND n.epoch < v.epoch)
  GROUP BY v.topic, v.epoch;

CREATE FUNCTION @extschema@.oa_sync_topic_histories(
  topics text[], OUT topic text, OUT epoch bigint, OUT through bigint
) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT ROWS 10 AS 'MODULE_PATHNAME', 'oa_sync_topic_histories';
COMMENT ON FUNCTION @extschema@.oa_sync_topic_histories(text[]) IS 'Behind sync_topic_histories().';

CREATE FUNCTION @extschema@.sync_topic_histories(
  topics text[], OUT topic text, OUT epoch bigint, OUT through bigint
) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE STRICT ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  FOR topic, epoch, through IN SELECT h.topic, h.epoch, h.through FROM @extschema@.oa_sync_topic_histories(topics) h LOOP
    -- A statement of its own: with a snapshot taken after the journal was read, or a hole that is filled in between
    -- would be seen filled and its fork not.
    SELECT least(sync_topic_histories.through, min(f.watermark) - 1) INTO through FROM @extschema@.sync_epoch_forks f
      WHERE f.topic = sync_topic_histories.topic AND f.epoch > sync_topic_histories.epoch;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_topic_histories(text[]) IS
  'For each topic and each earlier epoch that this database comes from: the last watermark (through) that it shares with that epoch. A cursor (topic, epoch, watermark) of an earlier epoch goes on without loss if there is a row for it and its watermark is not above through; otherwise it is of a history that went another way (epoch_diverged). Nothing is returned for the present epoch. Example: SELECT * FROM runtime.sync_topic_histories(ARRAY[''runtime.run_summaries'']);';

CREATE FUNCTION @extschema@.sync_check_cursors(
  topics text[], epochs bigint[], watermarks bigint[], OUT topic text, OUT reason text
) RETURNS SETOF record
  LANGUAGE plpgsql STABLE STRICT ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c record;
  state record;
BEGIN
  IF cardinality(topics) <> cardinality(epochs) OR cardinality(topics) <> cardinality(watermarks) THEN
    RAISE EXCEPTION 'topics, epochs and watermarks are of different lengths' USING ERRCODE = 'array_subscript_error';
  END IF;
  FOR c IN SELECT * FROM unnest(topics, epochs, watermarks) WITH ORDINALITY AS u(name, epoch, watermark, n) ORDER BY n LOOP
    SELECT * INTO STRICT state FROM @extschema@.sync_topic_heads(ARRAY[c.name]);
    topic := c.name;
    reason := CASE
      WHEN coalesce(c.epoch, 0) NOT IN (0, state.epoch) AND NOT EXISTS (
        SELECT FROM @extschema@.sync_topic_histories(ARRAY[c.name]) h WHERE h.epoch = c.epoch AND h.through >= c.watermark)
        THEN 'epoch_diverged'
      WHEN c.watermark > greatest(state.head, state.allocated) THEN 'cursor_ahead_of_head'
      WHEN c.watermark < state.floor THEN 'retention_floor_breach'
    END;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_check_cursors(text[], bigint[], bigint[]) IS
  'Whether cursors (topic, epoch, watermark) can be resumed: reason is null, or why not: epoch_diverged, cursor_ahead_of_head, retention_floor_breach. An epoch of 0 or null is not checked. ERROR 2202E when the arrays are of different lengths, 22004 for a null topic. Example: SELECT * FROM runtime.sync_check_cursors(ARRAY[''runtime.run_summaries''], ARRAY[1790000000000000], ARRAY[41]);';

REVOKE ALL ON FUNCTION @extschema@.sync_new_epoch(text), @extschema@.oa_sync_topic_histories(text[]), @extschema@.sync_topic_histories(text[]),
  @extschema@.sync_check_cursors(text[], bigint[], bigint[]) FROM PUBLIC;

-- Who may ask for heads may ask what they are worth: a fan-out's role that was granted its functions in 0.1.0.
DO $$
DECLARE
  grantee oid;
BEGIN
  FOR grantee IN SELECT a.grantee FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
      WHERE p.oid = '@extschema@.sync_topic_heads(text[])'::pg_catalog.regprocedure AND a.grantee NOT IN (0, p.proowner) LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION @extschema@.sync_topic_histories(text[]) TO %s', grantee::pg_catalog.regrole);
  END LOOP;
END
$$;
