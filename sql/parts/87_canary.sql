
-- The canary: an event that shows that events come through.

CREATE FUNCTION @extschema@.sync_canary() RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- One that is dated ahead is of a clock that was: it must not silence the others until its time has come.
  IF EXISTS (SELECT FROM @extschema@.sync_topic_heads(ARRAY['oa_sync.canary']) h
               JOIN @extschema@.sync_stream_events e ON e.topic = h.topic AND e.watermark = h.head
               WHERE e.inserted_at BETWEEN now() - interval '1 second' AND clock_timestamp()) THEN
    RETURN false;
  END IF;
  -- Nobody waits for standbys because of it, and no walwriter for its turn.
  PERFORM set_config('synchronous_commit', 'local', true);
  PERFORM @extschema@.oa_sync_emit_own('oa_sync.canary', 'canary', '{}');
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_canary() IS
  'Emits an event on the topic oa_sync.canary, unless somebody did within the last second; true when it did. Fan-outs call it when none came for a while, and know by its arrival that the way of the data is open. '
  'Its events are kept as the policy of the topic says, by default for a day. Sets synchronous_commit = local for the transaction. ERROR 25006 on a standby. Example: SELECT runtime.sync_canary();';
REVOKE ALL ON FUNCTION @extschema@.sync_canary() FROM PUBLIC;
