-- CREATE EXTENSION oa_sync installs into the schema runtime, which it makes when it is missing.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS oa_sync CASCADE;
DROP SCHEMA IF EXISTS runtime CASCADE;
CREATE EXTENSION oa_sync;
\ir include/helpers.sql
SELECT plan(18);

SELECT is((SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'oa_sync'),
          'runtime', 'the extension is in the schema runtime');
-- docs/DB_SCHEMA.md has the whole list, and a test of its own.
SELECT ok((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c
           WHERE c.relnamespace = 'runtime'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition) @>
          ARRAY['sync_epochs', 'sync_journal_partitions', 'sync_publications', 'sync_stats', 'sync_stream_events',
                'sync_topic_sequences', 'sync_topics'],
          'tables and views are there');
SELECT ok((SELECT array_agg(p.proname::text ORDER BY p.proname) FROM pg_proc p
           WHERE p.pronamespace = 'runtime'::regnamespace AND p.proname LIKE 'sync%') @>
          ARRAY['sync_current_epoch', 'sync_emit', 'sync_maintain_partitions', 'sync_publish', 'sync_replay',
                'sync_replay_updates', 'sync_statistics', 'sync_topic_heads', 'sync_topic_states', 'sync_unpublish'],
          'functions are there');
SELECT hasnt_function('runtime', 'oa_sync_install', 'the installer is gone');
SELECT is((SELECT array_agg(format('%s %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                   CASE WHEN a.attnotnull THEN '' ELSE ' null' END) ORDER BY a.attnum)
           FROM pg_attribute a WHERE a.attrelid = 'runtime.sync_stream_events'::regclass AND a.attnum > 0),
          ARRAY['topic text', 'watermark bigint', 'epoch bigint', 'doc_key text', 'doc_version bigint', 'op text',
                'payload json null', 'payload_hash bytea', 'txid xid8', 'inserted_at timestamp with time zone', 'traceparent text null'],
          'the journal has its columns');
SELECT is((SELECT pg_get_partkeydef('runtime.sync_stream_events'::regclass)), 'RANGE (inserted_at)',
          'the journal is partitioned by time');
SELECT is((SELECT array_agg((system_identifier, timeline, reason, database, journal)::text) FROM runtime.sync_epochs),
          ARRAY[format('(%s,%s,installed,%s,%s)', (SELECT system_identifier FROM pg_control_system()),
                       (SELECT timeline_id FROM pg_control_checkpoint()),
                       (SELECT oid FROM pg_database WHERE datname = current_database()),
                       'runtime.sync_stream_events'::regclass::oid)],
          'the first epoch is open, and says which history it is');
SELECT ok(runtime.sync_current_epoch() BETWEEN 1000000 * extract(epoch FROM now() - interval '1 hour') AND 1000000 * extract(epoch FROM now()),
          'its number is the time of its opening');

SELECT ok(t.wait_for('SELECT worker_pid IS NOT NULL AND recovered FROM runtime.sync_stats'), 'the worker starts by itself');
-- A dump's partitions have to find their places free, so there are none until something is published or written.
SELECT is((SELECT count(*) FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL), 0::bigint, 'no partitions yet');
SELECT runtime.sync_emit('first', 'k', 1, '1');
SELECT ok(t.wait_for('SELECT count(*) FILTER (WHERE lower IS NOT NULL) > current_setting(''oa_sync.partitions_ahead'')::int FROM runtime.sync_journal_partitions'),
          'the worker makes partitions ahead');
SELECT is((SELECT count(*) FROM runtime.sync_journal_partitions a JOIN runtime.sync_journal_partitions b
           ON a.partition < b.partition AND a.lower < b.upper AND b.lower < a.upper), 0::bigint, 'partitions do not overlap');
SELECT is(runtime.sync_maintain_partitions(), 0, 'there is nothing left to make');
SELECT is((SELECT count(*) FROM pg_inherits i WHERE i.inhparent = 'runtime.sync_stream_events'::regclass
           AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                           WHERE x.indrelid = i.inhrelid AND x.indisunique
                             AND pg_get_indexdef(x.indexrelid) LIKE '%(topic, watermark)')),
          0::bigint, 'every partition has the unique index of places');
SELECT is((SELECT (backend_type, application_name)::text FROM pg_stat_activity
           WHERE pid = (SELECT worker_pid FROM runtime.sync_stats)), '("oa_sync worker","oa_sync worker")',
          'the worker can be found in pg_stat_activity');
SELECT ok(t.wait_for('SELECT backend_xmin IS NULL AND state = ''idle'' FROM pg_stat_activity WHERE backend_type = ''oa_sync worker'' AND datname = current_database()'),
          'the worker holds no snapshot while it is idle');
SELECT is((SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'oa_sync launcher'), 1::bigint, 'there is one launcher');
SELECT throws_ok('CREATE EXTENSION oa_sync', '42710', 'extension "oa_sync" already exists',
                 'it is in a database once');
SELECT * FROM finish();
