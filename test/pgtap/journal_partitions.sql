-- The journal's partitions: made ahead, and never without end, whatever the default partition holds.
\ir include/setup.sql
SELECT plan(9);

SELECT runtime.sync_maintain_partitions() \g /dev/null
SELECT is(runtime.sync_maintain_partitions(), 0, 'nothing to do a second time');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower > now()), 3, 'three partitions lie ahead');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower IS NULL), 1, 'there is one default partition');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions a JOIN runtime.sync_journal_partitions b
             ON a.upper = b.lower), (SELECT count(*)::int - 2 FROM runtime.sync_journal_partitions), 'no time is left out between them');

-- The worker was away for long: only the default partition holds the present.
SELECT format('DROP TABLE %s', partition) FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL \gexec
SELECT runtime.sync_emit('t:default', 'k', 1, '1');
SELECT is((SELECT count(*)::int FROM runtime.sync_stream_events_default WHERE topic = 't:default'), 1, 'the default partition takes the event');
SELECT ok(runtime.sync_maintain_partitions() BETWEEN 0 AND 4, 'partitions are made beside it');
SELECT is((SELECT count(*)::int FROM runtime.sync_journal_partitions WHERE lower > now()), 4, 'the first begins in some seconds');
SELECT is(runtime.sync_maintain_partitions(), 0, 'and there is an end to it before those have passed');
SELECT runtime.sync_emit('t:default', 'k', 2, '2');
SELECT is((SELECT array_agg(watermark) FROM runtime.sync_replay('t:default', 0)), ARRAY[1, 2]::bigint[], 'the topic is dense');

SELECT * FROM finish();
