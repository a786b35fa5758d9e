-- Payload limits: by setting and by policy, both fail the statement and say who decided.
\ir include/setup.sql
SELECT plan(17);
CREATE TABLE app.docs (topic text, id int, body text, PRIMARY KEY (topic, id));
SELECT runtime.sync_publish('app.docs', topic => '{topic}', doc_key => 'doc:{id}', payload => 'body') \g /dev/null
-- message | detail | hint of a statement that fails.
CREATE FUNCTION t.complaint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN format('%s | %s | %s | %s', SQLSTATE, message, detail, hint);
END
$$;

SELECT runtime.sync_set_policy('small:*', max_payload => 100) \g /dev/null
SELECT lives_ok($$INSERT INTO app.docs VALUES ('small:a', 1, repeat('x', 89))$$, 'the largest one');
SELECT is(t.complaint($$INSERT INTO app.docs VALUES ('small:a', 2, repeat('x', 90))$$),
  '54000 | the payload of document "doc:2" has 101 bytes | max_payload is 100 bytes on topic "small:a", by the policy of "small:*". | Publish fewer columns, or raise the policy''s max_payload with sync_set_policy().', 'one byte more');
SELECT is(t.complaint($$UPDATE app.docs SET body = repeat('x', 90) WHERE id = 1$$),
  '54000 | the payload of document "doc:1" has 101 bytes | max_payload is 100 bytes on topic "small:a", by the policy of "small:*". | Publish fewer columns, or raise the policy''s max_payload with sync_set_policy().', 'UPDATE');
SELECT is(t.complaint($$SELECT runtime.sync_emit('small:a', 'k', 1, to_json(repeat('x', 99)))$$),
  '54000 | the payload of document "k" has 101 bytes | max_payload is 100 bytes on topic "small:a", by the policy of "small:*". | Publish fewer columns, or raise the policy''s max_payload with sync_set_policy().', 'sync_emit');
SELECT lives_ok($$INSERT INTO app.docs VALUES ('large', 1, repeat('x', 100000))$$, 'other topics');
SELECT lives_ok($$DELETE FROM app.docs WHERE id = 1 AND topic = 'small:a'$$, 'a delete has no payload');
SELECT is(t.events('small:a'), ARRAY['1 upsert doc:1 1 {"body":"' || repeat('x', 89) || '"}', '2 delete doc:1 2 -'], 'what failed is nowhere');
SELECT is((SELECT count(*) FROM app.docs WHERE topic = 'small:a'), 0::bigint, 'the row neither');

-- In a transaction: a savepoint saves the rest.
BEGIN;
INSERT INTO app.docs VALUES ('small:b', 1, 'x');
SAVEPOINT a;
SELECT throws_ok($$INSERT INTO app.docs VALUES ('small:b', 2, repeat('x', 1000))$$, '54000', NULL, 'fails');
ROLLBACK TO a;
INSERT INTO app.docs VALUES ('small:b', 3, 'x');
COMMIT;
SELECT is(t.events('small:b'), ARRAY['1 upsert doc:1 1 {"body":"x"}', '2 upsert doc:3 2 {"body":"x"}'], 'the rest goes on');

-- The limit is of the document, wherever its payload is.
SELECT runtime.sync_set_policy('small:p', payload_mode => 'pointer') \g /dev/null
SELECT throws_ok($$INSERT INTO app.docs VALUES ('small:p', 2, repeat('x', 1000))$$, '54000', NULL, 'also in pointer mode');

-- The setting is the ceiling.
SET oa_sync.max_payload = '1kB';
SELECT runtime.sync_set_policy('small:c', max_payload => 1000000) \g /dev/null
SELECT is(t.complaint($$INSERT INTO app.docs VALUES ('small:c', 1, repeat('x', 1024))$$),
  '54000 | the payload of document "doc:1" has 1035 bytes | oa_sync.max_payload is 1 kB. | Publish fewer columns, or raise oa_sync.max_payload.', 'oa_sync.max_payload holds besides');
SELECT runtime.sync_set_policy('small:c', max_payload => 0) \g /dev/null
SELECT throws_ok($$INSERT INTO app.docs VALUES ('small:c', 1, repeat('x', 1024))$$, '54000', NULL, 'where a policy has no limit too');
SELECT lives_ok($$INSERT INTO app.docs VALUES ('small:c', 1, repeat('x', 1000))$$, 'and less specific ones are not asked then');
RESET oa_sync.max_payload;

SELECT runtime.sync_drop_policy('small:*') \g /dev/null
SELECT lives_ok($$INSERT INTO app.docs VALUES ('small:a', 2, repeat('x', 90))$$, 'without the policy there is no limit');
SELECT is(runtime.sync_drop_policy('small:p'), true, 'drop the last ones');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
