-- The journal's partitions: made ahead, and never without end, whatever the default partition holds.
\ir include/setup.sql
SELECT plan(15);

SELECT t.make_partitions() \g /dev/null
SELECT is(runtime.sync_maintain_partitions(), 0, 'nothing to do a second time');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower > now()), 3, 'three partitions lie ahead');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower IS NULL), 1, 'there is one default partition');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions a JOIN runtime.sync_journal_partitions b
             ON a.upper = b.lower), (SELECT count(*)::int - 2 FROM runtime.sync_journal_partitions), 'no time is left out between them');

-- The worker was away for long: only the default partition holds the present.
CALL t.keep_only_default();
SELECT runtime.sync_emit('t:default', 'k', 1, '1');
SELECT is((SELECT count(*)::int FROM runtime.sync_stream_events_default WHERE topic = 't:default'), 1, 'the default partition takes the event');
SELECT dblink_disconnect('keeper') \g /dev/null
SELECT ok(t.make_partitions(), 'partitions are made beside it');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower > (SELECT max(inserted_at) FROM runtime.sync_stream_events_default)), 4, 'the first begins after it');
SELECT is(runtime.sync_maintain_partitions(), 0, 'and there is an end to it');
SELECT runtime.sync_emit('t:default', 'k', 2, '2');
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('t:default', 0)), ARRAY[1, 2]::bigint[], 'the topic is dense');

-- Partitions far ahead, which a clock that was wrong has left or somebody has made, do not stand for the present's.
BEGIN;  -- the worker is not to be first
SELECT format('DROP TABLE %s', partition) FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL \gexec
DELETE FROM runtime.sync_stream_events_default;
CREATE FUNCTION t.partition_at(name text, lower timestamptz, upper timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE runtime.%I (LIKE runtime.sync_stream_events INCLUDING ALL)', name);
  EXECUTE format('CREATE UNIQUE INDEX ON runtime.%I (topic, watermark)', name);
  EXECUTE format('ALTER TABLE runtime.sync_stream_events ATTACH PARTITION runtime.%I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
END $$;
SELECT t.partition_at('far_1', '2090-01-01', '2090-01-02'), t.partition_at('far_2', '2090-01-02', '2090-01-09'),
       t.partition_at('far_3', '2091-01-01', '2092-01-01') \g /dev/null
-- And one that begins in the middle of a day.
SELECT t.partition_at('near', date_bin('1 day', now(), 'epoch') + interval '60 hours', date_bin('1 day', now(), 'epoch') + interval '61 hours') \g /dev/null
SELECT is(runtime.sync_maintain_partitions(), 3, 'what lacks for the present and what follows is made');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower <= now() AND upper > now()), 1, 'the present has its partition');
SELECT is((SELECT max(upper) FROM runtime.sync_journal_partitions WHERE lower < '2089-01-01'), date_bin('1 day', now(), 'epoch') + interval '61 hours',
          'up to the one that was there');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions a JOIN runtime.sync_journal_partitions b ON a.upper = b.lower
            WHERE b.upper < '2089-01-01'), 3, 'no time is left out');
SELECT is(runtime.sync_maintain_partitions(), 0, 'nothing more');
COMMIT;

-- The session's way to write times is nothing to the bounds.
SELECT array_agg(p ORDER BY partition::text) AS bounds FROM (SELECT partition, extract(epoch FROM lower), extract(epoch FROM upper) FROM runtime.sync_journal_partitions) p \gset
SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata';
SELECT is((SELECT array_agg(p ORDER BY partition::text)::text FROM (SELECT partition, extract(epoch FROM lower), extract(epoch FROM upper) FROM runtime.sync_journal_partitions) p), :'bounds', 'bounds are the same in every session');
RESET datestyle; RESET timezone;
SELECT * FROM finish();
