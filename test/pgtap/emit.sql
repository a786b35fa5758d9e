-- sync_emit: events by hand, and what it refuses.
\ir include/setup.sql
SELECT plan(29);
SELECT runtime.sync_emit('e', 'a', 5, '{"b":2,"a":1}'), runtime.sync_emit('e', 'b', NULL, 'null'), runtime.sync_emit('e', 'c', 0, NULL), runtime.sync_emit('e', E'k\n"ä', 9223372036854775807, '"x"') \g /dev/null
SELECT is(t.events('e'), ARRAY['1 upsert a 5 {"a":1,"b":2}', '2 upsert b 2 null', '3 delete c 0 -', E'4 upsert k\n"ä 9223372036854775807 "x"'],
          'payload, version, json null, SQL null');
SELECT is((SELECT encode(payload_hash, 'hex') FROM runtime.sync_replay('e', 0, 1)), '43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777', 'the hash of wire.md');
SELECT throws_ok($$SELECT runtime.sync_emit(NULL, 'k', 1, '1')$$, '22004', 'topic must not be null', 'null topic');
SELECT throws_ok($$SELECT runtime.sync_emit('e', NULL, 1, '1')$$, '22004', 'doc_key must not be null', 'null key');
SELECT throws_ok(format('SELECT runtime.sync_emit(%L, ''k'', 1, ''1'')', topic), '22023', NULL, 'topic ' || to_json(topic))
  FROM unnest(ARRAY['', 'a b', 'ä', 'a{b}', E'a\n', 'a*', repeat('x', 161)]) topic;
SELECT lives_ok(format('SELECT runtime.sync_emit(%L, ''k'', 1, ''1'')', topic), 'topic ' || to_json(topic))
  FROM unnest(ARRAY['A-z_0.9:/', repeat('x', 160)]) topic;
-- Topics of OA Sync's own: whoever wrote to them could revoke, or make a fan-out look sound.
SELECT throws_ok(format('SELECT runtime.sync_emit(%L, ''k'', 1, %L)', topic, payload), '22023', format('topic "%s" is reserved', topic), 'reserved: ' || topic)
  FROM (VALUES ('oa_sync.revocations', '{}'), ('oa_sync.canary', NULL)) v(topic, payload);
SELECT lives_ok($$SELECT runtime.sync_emit('oa_sync', 'k', 1, '1'), runtime.sync_emit('oa_syncs.x', 'k', 1, '1')$$, 'what only resembles one is free');
SELECT throws_ok($$SELECT runtime.oa_sync_emit_own('e', 'k', '{}')$$, '22023', 'topic "e" is not OA Sync''s own', 'the other way is for those only');
SELECT throws_ok($$SELECT runtime.sync_emit('e', '', 1, '1')$$, '22023', NULL, 'empty key');
SELECT throws_ok($$SELECT runtime.sync_emit('e', repeat('x', 1025), 1, '1')$$, '22023', NULL, 'key of 1025 bytes');
SELECT lives_ok($$SELECT runtime.sync_emit('e', repeat('x', 1024), 1, '1')$$, 'key of 1024 bytes');
SELECT throws_ok($$SELECT runtime.sync_emit('e', 'k', -1, '1')$$, '22003', 'document version -1 is negative', 'negative version');
SELECT throws_ok($$SELECT runtime.sync_emit('e', 'k', 1, '{')$$, '22P02', NULL, 'not JSON');
SELECT throws_ok($$SELECT runtime.sync_emit('e', 'k', 1, (repeat('[', 1500) || repeat(']', 1500))::json)$$, '54000', NULL, 'nested too deep');
SET oa_sync.max_payload = '10kB';
SELECT throws_ok($$SELECT runtime.sync_emit('e', 'k', 1, to_json(repeat('x', 10239)))$$, '54000', 'the payload of document "k" has 10241 bytes', 'payload above oa_sync.max_payload');
SELECT lives_ok($$SELECT runtime.sync_emit('e', 'k', 1, to_json(repeat('x', 10238)))$$, 'payload at the limit');
RESET oa_sync.max_payload;
BEGIN; SELECT runtime.sync_emit('rolled', 'k', 1, '1') \g /dev/null
ROLLBACK;
SELECT is(t.events('rolled'), '{}', 'goes with its transaction');
SELECT is((SELECT head FROM runtime.sync_topic_heads('{e}')), 6::bigint, 'what is refused takes no watermark');
SELECT runtime.sync_emit('large', 'k', 1, to_json(repeat('payload ', 1000000))) \g /dev/null
SELECT is((SELECT (octet_length(payload::text), payload_hash = sha256(convert_to(payload::text, 'UTF8')))::text FROM runtime.sync_replay('large', 0)), '(8000002,t)', 'eight megabytes');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
