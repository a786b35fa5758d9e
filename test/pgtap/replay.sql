-- sync_replay and sync_replay_updates: limits, gaps, errors; both give the same.
\ir include/setup.sql
SELECT plan(32);
SELECT runtime.sync_emit('r', 'k' || i, i, to_json(repeat('x', 1000))) FROM generate_series(1, 300) i \g /dev/null
CREATE FUNCTION t.marks(topic text, after bigint, max_events int, max_bytes bigint) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(watermark::text, ' ' ORDER BY n), '-') FROM (SELECT watermark, row_number() OVER () AS n FROM runtime.sync_replay($1, $2, $3, $4)) r $$;
SELECT is((SELECT (count(*), min(watermark), max(watermark))::text FROM runtime.sync_replay('r', 0)), '(256,1,256)', 'defaults: 256 events');
SELECT is(t.marks('r', 0, 3, 1000000), '1 2 3', 'max_events');
SELECT is(t.marks('r', 298, 10, 1000000), '299 300', 'up to the head');
SELECT is(t.marks('r', 300, 10, 1000000), '-', 'at the head');
SELECT is(t.marks('r', 9223372036854775807, 10, 1000000), '-', 'beyond every head');
SELECT is(t.marks('r', 10, 1, 1), '11', 'at least one event, whatever its size');
SELECT is(t.marks('r', 10, 10, 1), '11', 'but no second one');
SELECT is((SELECT count(*) BETWEEN 6 AND 10 FROM runtime.sync_replay('r', 0, 100, 10000)), true, 'max_bytes');
SELECT is(t.marks('unknown', 0, 10, 1000), '-', 'a topic without events');
SELECT is((SELECT count(*) FROM runtime.sync_replay('r', 0, 1000, 10000000) a JOIN runtime.sync_stream_events b USING (topic, watermark, epoch, doc_key, doc_version, op, payload_hash, txid, inserted_at)
           WHERE a.payload::text = b.payload::text), 300::bigint, 'the journal''s rows, every column');

-- sync_replay_updates: the same events as protobuf.
SELECT is((SELECT array_agg(watermark ORDER BY watermark) FROM runtime.sync_replay_updates('r', 5, 4)), '{6,7,8,9}'::bigint[], 'sync_replay_updates: the same limits');
SELECT is((SELECT max(watermark) FROM runtime.sync_replay_updates('r', 0)), 256::bigint, 'the same defaults');
SELECT runtime.sync_emit('p', 'key', 300, '{"b":1,"a":2}') \g /dev/null
CREATE FUNCTION t.varint(value bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE out text := '';
BEGIN
  WHILE value >= 128 LOOP out := out || lpad(to_hex((value & 127) | 128), 2, '0'); value := value >> 7; END LOOP;
  RETURN out || lpad(to_hex(value), 2, '0');
END $$;
SELECT is((SELECT encode(update, 'hex') FROM runtime.sync_replay_updates('p', 0)),
  -- topic = 1, doc_key = 2, doc_version = 3, payload = 4, watermark = 5, payload_hash = 6, op = 8, epoch = 9, inserted_at_us = 10
  '0a0170' || '12036b6579' || '18ac02' || '220d' || encode('{"a":2,"b":1}', 'hex') || '2801' || '3220' || '' || encode(sha256('{"a":2,"b":1}'), 'hex') || '' || '4001' || '48' || t.varint(runtime.sync_current_epoch()) || '50'
  || (SELECT t.varint((extract(epoch FROM inserted_at) * 1000000)::bigint) FROM runtime.sync_replay('p', 0)), 'an Update, byte by byte');
SELECT runtime.sync_emit('p', 'key', NULL, NULL) \g /dev/null
SELECT is((SELECT encode(update, 'hex') FROM runtime.sync_replay_updates('p', 1)),
  '0a0170' || '12036b6579' || '1802' || '2802' || '3220' || encode(sha256('null'), 'hex') || '4002' || '48' || t.varint(runtime.sync_current_epoch()) || '50'
  || (SELECT t.varint((extract(epoch FROM inserted_at) * 1000000)::bigint) FROM runtime.sync_replay('p', 1)), 'a delete has no payload');

-- A gap ends the run, also when there is more behind it.
INSERT INTO runtime.sync_stream_events SELECT 'gap', w, 1, 'k', 1, 'upsert', '1', sha256('1'), pg_current_xact_id(), now() FROM unnest('{1,2,4,5,8}'::int[]) w;
SELECT is(t.marks('gap', 0, 10, 10000), '1 2', 'a gap ends the run');
SELECT is(t.marks('gap', 2, 10, 10000), '-', 'nothing is given across it');
SELECT is(t.marks('gap', 3, 10, 10000), '4 5', 'a cursor behind it goes on');
SELECT is(t.marks('gap', 5, 10, 10000), '-', 'to the next gap');
SELECT is((SELECT count(*) FROM runtime.sync_replay_updates('gap', 2)), 0::bigint, 'so do updates');
SELECT t.wait_for('SELECT count(*) >= 3 FROM runtime.sync_journal_partitions WHERE lower > now()') \g /dev/null
-- Late events of another partition, in the order of watermarks.
INSERT INTO runtime.sync_stream_events SELECT 'parts', w, 1, 'k', 1, 'upsert', '1', sha256('1'), pg_current_xact_id(), CASE WHEN w % 2 = 0 THEN now() + interval '1 day' ELSE now() - interval '400 days' END FROM generate_series(6, 1, -1) w;
SELECT is(t.marks('parts', 0, 10, 10000), '1 2 3 4 5 6', 'events of several partitions are merged');
SELECT is((SELECT count(DISTINCT tableoid) FROM runtime.sync_stream_events WHERE topic = 'parts') > 1, true, 'of two partitions indeed');
DELETE FROM runtime.sync_stream_events WHERE topic IN ('gap', 'parts');

-- Errors
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('not a topic', 0)$$, '22023', 'invalid topic "not a topic"', 'invalid topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('', 0)$$, '22023', 'invalid topic ""', 'empty topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('r', -1)$$, '22023', NULL, 'negative cursor');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('r', 0, 0)$$, '22023', NULL, 'no events');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay_updates('r', 0, 1, 0)$$, '22023', NULL, 'no bytes');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay(NULL, 0)$$, '22004', 'topic must not be null', 'null topic');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay('r', NULL)$$, '22004', 'after must not be null', 'null cursor');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay_updates('r', 0, NULL)$$, '22004', 'max_events must not be null', 'null limit');
SELECT throws_ok($$SELECT * FROM runtime.sync_replay_updates('r', 0, 1, NULL)$$, '22004', 'max_bytes must not be null', 'null bytes');
SELECT is(t.marks('r', 299, 2147483647, 9223372036854775807), '300', 'the largest limits');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
