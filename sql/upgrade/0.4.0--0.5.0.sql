\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.4.0. What 0.5.0 adds in parts of its own follows: see extension/Makefile.

CREATE OR REPLACE FUNCTION @extschema@.sync_canary() RETURNS boolean
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
