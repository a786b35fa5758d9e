-- The output plugin oa_sync by SQL: text and binary, options, what is decoded and what is not.
\ir include/setup.sql
SELECT plan(21);
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'oa_pgtap%' AND NOT active \g /dev/null
CREATE TABLE app.docs (id int PRIMARY KEY, body text);
CREATE TABLE app.plain (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'd''{id}', doc_version => 'id') \g /dev/null
SELECT pg_create_logical_replication_slot('oa_pgtap', 'oa_sync') \g /dev/null
CREATE FUNCTION t.decoded() RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(replace(data, 'epoch=' || runtime.sync_current_epoch(), 'epoch=1') ORDER BY n) FROM (SELECT data, row_number() OVER () n FROM pg_logical_slot_get_changes('oa_pgtap', NULL, NULL, 'format', 'text')) d $$;

INSERT INTO app.docs VALUES (1, 'one');
UPDATE app.docs SET body = 'two';
DELETE FROM app.docs;
TRUNCATE app.docs;
SELECT is(t.decoded(), ARRAY['docs 1 upsert ''d''''1'' version=1 epoch=1 {"body":"one","id":1}', 'docs 2 upsert ''d''''1'' version=1 epoch=1 {"body":"two","id":1}',
  'docs 3 delete ''d''''1'' version=1 epoch=1 null', 'docs 4 truncate ''d'''''' version=4 epoch=1 null'], 'text: a line for each event');
INSERT INTO app.plain VALUES (1);
BEGIN; INSERT INTO app.docs VALUES (2, 'rolled back'); ROLLBACK;
CREATE TABLE app.later (id int);
TRUNCATE app.plain;
SELECT is(t.decoded(), NULL, 'nothing of other tables, nothing that is rolled back');
BEGIN; INSERT INTO app.plain VALUES (2); INSERT INTO app.docs VALUES (3, 'a'); SAVEPOINT s; INSERT INTO app.docs VALUES (4, 'b'); ROLLBACK TO s; SAVEPOINT s2; INSERT INTO app.docs VALUES (5, 'c'); COMMIT;
SELECT is(t.decoded(), ARRAY['docs 5 upsert ''d''''3'' version=3 epoch=1 {"body":"a","id":3}', 'docs 6 upsert ''d''''5'' version=5 epoch=1 {"body":"c","id":5}'], 'savepoints');

-- Binary: the bytes of sync_replay_updates, with the commit's time behind them.
INSERT INTO app.docs VALUES (6, 'ä'), (7, NULL);
DELETE FROM app.docs WHERE id = 6;
SELECT is((SELECT count(*) FROM pg_logical_slot_peek_binary_changes('oa_pgtap', NULL, NULL)), 3::bigint, 'binary is the default');
SELECT is((SELECT array_agg(encode(substr(b.data, 1, octet_length(u.update)), 'hex') = encode(u.update, 'hex') AND get_byte(b.data, octet_length(u.update)) = 88
                            AND octet_length(b.data) - octet_length(u.update) BETWEEN 8 AND 10 ORDER BY u.watermark)
           FROM (SELECT data, row_number() OVER () + 6 AS watermark FROM pg_logical_slot_peek_binary_changes('oa_pgtap', NULL, NULL, 'format', 'binary', 'protocol_version', '1')) b
           JOIN runtime.sync_replay_updates('docs', 6) u USING (watermark)), '{t,t,t}', 'the same bytes as sync_replay_updates, and field 11 after them');
SELECT is((SELECT count(*) FROM pg_logical_slot_get_binary_changes('oa_pgtap', NULL, NULL)), 3::bigint, 'get takes them');

-- A payload that is toasted.
INSERT INTO app.docs SELECT 8, string_agg(md5(i::text), '') FROM generate_series(1, 100000) i;
SELECT is((SELECT array_agg(octet_length(data) > 3200000 AND position(convert_to((SELECT payload::text FROM runtime.sync_replay('docs', 9)), 'UTF8') IN data) > 0)
           FROM pg_logical_slot_peek_binary_changes('oa_pgtap', NULL, NULL)), '{t}', 'a toasted payload is whole');
SELECT is((SELECT md5(data) FROM pg_logical_slot_get_changes('oa_pgtap', NULL, NULL, 'format', 'text')),
          (SELECT md5(format('docs 10 upsert ''d''''8'' version=8 epoch=%s %s', epoch, payload)) FROM runtime.sync_replay('docs', 9)), 'in text too');

-- Options
SELECT throws_ok($$SELECT * FROM pg_logical_slot_peek_changes('oa_pgtap', NULL, NULL, 'format', 'xml')$$, '22023', 'invalid option "format" of output plugin oa_sync', 'unknown format');
SELECT throws_ok($$SELECT * FROM pg_logical_slot_peek_changes('oa_pgtap', NULL, NULL, 'foo', 'bar')$$, '22023', 'invalid option "foo" of output plugin oa_sync', 'unknown option');
SELECT throws_ok($$SELECT * FROM pg_logical_slot_peek_changes('oa_pgtap', NULL, NULL, 'format', 'text', 'protocol_version', '2')$$, '22023', 'invalid option "protocol_version" of output plugin oa_sync', 'another version');
SELECT throws_ok($$SELECT * FROM pg_logical_slot_peek_changes('oa_pgtap', NULL, NULL, 'format', 'text', 'protocol_version', 'one')$$, '22P02', NULL, 'a version that is no number');
SELECT throws_ok($$SELECT * FROM pg_logical_slot_peek_changes('oa_pgtap', NULL, NULL)$$, '0A000', NULL, 'binary through the text function is refused');

-- Tables that are unpublished are invisible; events that are emitted, and of a new partition of the journal, are not.
SELECT runtime.sync_unpublish('app.docs') \g /dev/null
INSERT INTO app.docs VALUES (9, 'x');
SELECT is(t.decoded(), NULL, 'an unpublished table');
SELECT runtime.sync_emit('by.hand', 'k', NULL, '[1]') \g /dev/null
SELECT is(t.decoded(), ARRAY['by.hand 1 upsert ''k'' version=1 epoch=1 [1]'], 'sync_emit');
SELECT ok(t.wait_for('SELECT count(*) >= 3 FROM runtime.sync_journal_partitions WHERE lower > now()'), 'partitions are there');
CREATE TABLE app.journal_like (LIKE runtime.sync_stream_events);
INSERT INTO app.journal_like SELECT * FROM runtime.sync_replay('docs', 0);
SELECT is(t.decoded(), NULL, 'a table that only looks like the journal');
DELETE FROM runtime.sync_stream_events WHERE topic = 'docs' AND watermark < 3;
SELECT is(t.decoded(), NULL, 'rows that leave the journal are no events');
BEGIN; INSERT INTO app.docs SELECT i, 'x' FROM generate_series(1000, 5000) i; DELETE FROM app.docs WHERE id >= 1000; SELECT runtime.sync_emit('by.hand', 'k2', NULL, '2') \g /dev/null
COMMIT;
SELECT is(t.decoded(), ARRAY['by.hand 2 upsert ''k2'' version=2 epoch=1 2'], 'after thousands of changes that are skipped');

-- Two transactions that commit in another order than they began.
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'id') \g /dev/null
SELECT dblink_connect('a', t.conn()) \g /dev/null
SELECT dblink_exec('a', 'BEGIN; INSERT INTO app.docs VALUES (20)') \g /dev/null
INSERT INTO app.docs VALUES (21);
SELECT dblink_exec('a', 'COMMIT') \g /dev/null
SELECT dblink_disconnect('a') \g /dev/null
SELECT is(t.decoded(), ARRAY['docs 11 upsert ''21'' version=11 epoch=1 {"id":21}', 'docs 12 upsert ''20'' version=12 epoch=1 {"id":20}'], 'in the order of commits');
SELECT pg_drop_replication_slot('oa_pgtap') \g /dev/null
SELECT is((SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'oa_pgtap'), 0::bigint, 'the slot is dropped');
SELECT * FROM finish();
