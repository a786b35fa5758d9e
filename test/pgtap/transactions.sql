-- Transactions that end in other ways: rolled back, timed out, prepared, read-only; contiguous ranges; COMMIT AND CHAIN.
\ir include/setup.sql
SELECT plan(20);
CREATE TABLE app.docs (id int PRIMARY KEY, topic text NOT NULL DEFAULT 'a');
SELECT runtime.sync_publish('app.docs', topic => 'x:{topic}', doc_key => '{id}', payload => 'id') \g /dev/null

BEGIN; INSERT INTO app.docs VALUES (1); ROLLBACK;
SELECT is(t.events('x:a'), '{}', 'ROLLBACK: no event');
INSERT INTO app.docs VALUES (2);
SELECT is(t.events('x:a'), ARRAY['1 upsert 2 1 {"id":2}'], 'and no watermark taken');
SELECT is(t.failure('SET statement_timeout = ''50ms''; BEGIN; INSERT INTO app.docs VALUES (3); SELECT pg_sleep(60); COMMIT'), '57014', 'statement_timeout');
SELECT is(t.failure('BEGIN; INSERT INTO app.docs VALUES (3); SELECT 1/0; COMMIT'), '22012', 'an error after a write');
SELECT is(t.events('x:a', 1), '{}', 'leave nothing');

-- PREPARE TRANSACTION
SELECT throws_ok($$SELECT t.run('BEGIN; INSERT INTO app.docs VALUES (4); PREPARE TRANSACTION ''p1''')$$, '0A000',
                 'cannot PREPARE a transaction that has written to a table published by oa_sync', 'PREPARE TRANSACTION with events is refused');
SELECT throws_ok($$SELECT t.run('BEGIN; SELECT runtime.sync_emit(''x:a'', ''k'', 1, ''1''); PREPARE TRANSACTION ''p1''')$$, '0A000', NULL, 'with emitted ones too');
SELECT is((SELECT count(*) FROM pg_prepared_xacts), 0::bigint, 'and rolled back');
SELECT t.run('BEGIN; SAVEPOINT a; INSERT INTO app.docs VALUES (4); ROLLBACK TO a; CREATE TABLE app.plain (id int); PREPARE TRANSACTION ''p2''') \g /dev/null
SELECT is((SELECT array_agg(gid) FROM pg_prepared_xacts), ARRAY['p2'], 'without events it is not');
COMMIT PREPARED 'p2';
SELECT has_table('app', 'plain', 'and commits');
SELECT is(t.events('x:a', 1), '{}', 'without an event');

-- Read-only
SELECT throws_ok($$SELECT t.run('BEGIN READ ONLY; INSERT INTO app.docs VALUES (5); COMMIT')$$, '25006', NULL, 'a read-only transaction can not write');
SELECT throws_ok($$SELECT t.run('BEGIN READ ONLY; SELECT runtime.sync_emit(''x:a'', ''k'', 1, ''1''); COMMIT')$$, '25006',
                 'cannot execute sync_emit() in a read-only transaction', 'nor emit');
SELECT lives_ok($$SELECT t.ask('SELECT count(*) FROM runtime.sync_replay(''x:a'', 0)'), t.run('BEGIN READ ONLY; DO $x$ BEGIN PERFORM runtime.sync_topic_heads(''{x:a}''), runtime.sync_replay(''x:a'', 0); PERFORM FROM runtime.sync_topics; PERFORM FROM runtime.sync_stats; END $x$; COMMIT')$$, 'but read everything');

-- Events of one transaction are contiguous in each topic, in order, whatever others commit meanwhile.
SELECT dblink_connect('one', t.conn()), dblink_connect('two', t.conn()) \g /dev/null
SELECT dblink_exec('one', 'BEGIN; INSERT INTO app.docs SELECT i, ''c'' || i % 2 FROM generate_series(100, 119) i') \g /dev/null
SELECT dblink_exec('two', 'BEGIN; INSERT INTO app.docs SELECT i, ''c'' || i % 2 FROM generate_series(200, 219) i') \g /dev/null
SELECT dblink_exec('one', 'INSERT INTO app.docs SELECT i, ''c'' || i % 2 FROM generate_series(120, 129) i') \g /dev/null
INSERT INTO app.docs VALUES (300, 'c0');
SELECT dblink_exec('two', 'COMMIT') \g /dev/null
INSERT INTO app.docs VALUES (302, 'c0');
SELECT dblink_exec('one', 'COMMIT') \g /dev/null
SELECT is((SELECT string_agg(doc_key, ' ' ORDER BY watermark) FROM runtime.sync_replay('x:c0', 0)),
          '300 200 202 204 206 208 210 212 214 216 218 302 100 102 104 106 108 110 112 114 116 118 120 122 124 126 128', 'contiguous, in the order of commits');
SELECT is((SELECT string_agg(doc_key, ' ' ORDER BY watermark) FROM runtime.sync_replay('x:c1', 0)),
          '201 203 205 207 209 211 213 215 217 219 101 103 105 107 109 111 113 115 117 119 121 123 125 127 129', 'in the other topic too');

-- An open transaction delays nobody.
SELECT dblink_exec('one', 'BEGIN; INSERT INTO app.docs VALUES (400, ''hot'')') \g /dev/null
INSERT INTO app.docs VALUES (401, 'hot');
SELECT is(t.events('x:hot'), ARRAY['1 upsert 401 1 {"id":401}'], 'an open transaction holds no watermark');
SELECT dblink_exec('one', 'COMMIT') \g /dev/null
SELECT is(t.events('x:hot', 1), ARRAY['2 upsert 400 2 {"id":400}'], 'until it commits');
BEGIN; INSERT INTO app.docs VALUES (501, 'chain'); COMMIT AND CHAIN; INSERT INTO app.docs VALUES (502, 'chain'); ROLLBACK AND CHAIN; INSERT INTO app.docs VALUES (503, 'chain'); COMMIT;
SELECT is(t.events('x:chain'), ARRAY['1 upsert 501 1 {"id":501}', '2 upsert 503 2 {"id":503}'], 'AND CHAIN');
SELECT dblink_disconnect('one'), dblink_disconnect('two') \g /dev/null
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
