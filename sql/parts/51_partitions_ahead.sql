
-- The journal's partitions are made ahead, by the worker. Only replaced and commented on here: upgrades have this part too.
CREATE OR REPLACE FUNCTION @extschema@.sync_maintain_partitions() RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
DECLARE
  step interval := make_interval(hours => current_setting('oa_sync.partition_interval')::integer);
  wanted integer := current_setting('oa_sync.partitions_ahead')::integer;
  present timestamptz := clock_timestamp();
  owner text;
  edge timestamptz;  -- to where the present and what follows it have partitions
  upper timestamptz;
  ahead integer;
  name text;
  made integer := 0;
  attempts integer := 0;  -- to lock the default partition
  patience text := current_setting('lock_timeout');
BEGIN
  -- Tables that were dropped without sync_unpublish(): a new table must not come upon their publication by its number.
  DELETE FROM @extschema@.sync_publications p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation);
  -- One at a time. Appends take no lock on the journal itself; attaching locks the default partition for a moment.
  LOCK TABLE @extschema@.sync_stream_events IN SHARE UPDATE EXCLUSIVE MODE;
  SELECT pg_get_userbyid(c.relowner) INTO owner FROM pg_class c WHERE c.oid = '@extschema@.sync_stream_events'::regclass;
  SELECT b.upper INTO edge FROM @extschema@.sync_journal_partitions b WHERE b.lower <= present AND b.upper > present;
  ahead := 0;
  IF NOT FOUND THEN
    -- Nothing holds the present: one partition more than what is wanted ahead.
    SELECT greatest(max(b.upper), date_bin(step, present, 'epoch')) INTO edge
      FROM @extschema@.sync_journal_partitions b WHERE b.upper <= present;
    ahead := -1;
    IF EXISTS (SELECT FROM @extschema@.sync_stream_events_default d WHERE d.inserted_at >= edge) THEN
      -- The default partition has events of that time already, and keeps what comes in the next seconds.
      edge := date_trunc('second', present) + interval '5 seconds';
    END IF;
  END IF;
  WHILE ahead < wanted LOOP
    -- Partitions that lie further ahead (the clock was ahead for a while, or they were made by hand) are gone up to: they
    -- do not stand for what is missing before them.
    SELECT b.upper INTO upper FROM @extschema@.sync_journal_partitions b WHERE b.lower <= edge AND b.upper > edge;
    IF FOUND THEN
      ahead := ahead + 1;
      edge := upper;
      CONTINUE;
    END IF;
    SELECT least(date_bin(step, edge, 'epoch') + step, min(b.lower)) INTO upper
      FROM @extschema@.sync_journal_partitions b WHERE b.lower > edge;
    -- Attaching locks the default partition exclusively and looks through what is in it. Readers of it are not made to
    -- queue behind a wait for that: when somebody has it open for longer, a later call makes the partition. But as long as
    -- nothing holds the present, writers hold the default partition in turns and it is never free by chance: then, once in
    -- a call, they queue for 100 ms at most.
    BEGIN
      IF attempts < 20 THEN
        LOCK TABLE ONLY @extschema@.sync_stream_events_default IN ACCESS EXCLUSIVE MODE NOWAIT;
      ELSE
        PERFORM set_config('lock_timeout', '100ms', true);
        LOCK TABLE ONLY @extschema@.sync_stream_events_default IN ACCESS EXCLUSIVE MODE;
        PERFORM set_config('lock_timeout', patience, true);
      END IF;
    EXCEPTION WHEN lock_not_available THEN
      attempts := attempts + 1;
      EXIT WHEN attempts > 20 OR (attempts = 20 AND ahead >= 0);
      PERFORM pg_sleep(0.01);
      CONTINUE;
    END;
    name := 'sync_stream_events_' || to_char(edge AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS');
    EXECUTE format('CREATE TABLE @extschema@.%I (LIKE @extschema@.sync_stream_events INCLUDING ALL) USING heap', name);
    EXECUTE format('ALTER TABLE @extschema@.%I OWNER TO %I', name, owner);
    EXECUTE format('CREATE UNIQUE INDEX %I ON @extschema@.%I (topic, watermark)', name || '_place', name);
    EXECUTE format('ALTER TABLE @extschema@.sync_stream_events ATTACH PARTITION @extschema@.%I FOR VALUES FROM (%L) TO (%L)',
                   name, edge, upper);
    made := made + 1;
    ahead := ahead + 1;
    edge := upper;
  END LOOP;
  RETURN made;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_maintain_partitions() IS
  'Makes the partitions of the present and of the time ahead (oa_sync.partition_interval, oa_sync.partitions_ahead). Called by the worker every minute. Waits for nobody who reads the default partition, and 100 ms at most for who writes to it: what it could not attach is left for a later call, by the worker within two seconds when nothing holds the present. Returns how many were made.';
