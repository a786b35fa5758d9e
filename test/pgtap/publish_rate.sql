-- Publish rates: a second's worth at once, more fails; of all sessions together; tokens come back with time only.
-- Rates are low or the numbers far apart, so that a slow machine changes nothing.
\ir include/setup.sql
SELECT plan(28);
CREATE TABLE app.docs (topic text, id int, PRIMARY KEY (topic, id));
SELECT runtime.sync_publish('app.docs', topic => '{topic}', doc_key => '{id}', payload => 'id') \g /dev/null
SELECT runtime.sync_set_policy('slow:*', publish_rate => 1) \g /dev/null
-- What a statement that is over the rate fails with. When it is not, because the machine stood still for a second, it is
-- rolled back, has used its tokens, and is tried again.
CREATE FUNCTION t.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text;
BEGIN
  FOR attempt IN 1..5 LOOP
    BEGIN
      EXECUTE statement;
      RAISE EXCEPTION 'not refused';
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
      IF SQLSTATE <> 'P0001' THEN
        RETURN format('%s | %s | %s | %s', SQLSTATE, message, regexp_replace(detail, '\d+ ms', 'N ms'), hint);
      END IF;
    END;
  END LOOP;
  RETURN 'not refused';
END
$$;
CREATE FUNCTION t.refused(statement text) RETURNS text LANGUAGE sql AS $$ SELECT split_part(t.refusal($1), ' | ', 1) $$;
CREATE FUNCTION t.works(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN true;
EXCEPTION WHEN configuration_limit_exceeded THEN
  RETURN false;
END
$$;

SELECT lives_ok($$INSERT INTO app.docs VALUES ('slow:a', 1)$$, 'the first event');
SELECT is(t.refusal($$INSERT INTO app.docs VALUES ('slow:a', 2)$$),
  '53400 | topic "slow:a" is at its publish rate of 1 events a second | publish_rate is set by the policy of "slow:*", for all sessions together. There is room for the next event in N ms. | '
  || 'Retry later, write fewer rows in one go, or raise the policy''s publish_rate with sync_set_policy().', 'the second fails its statement');
SELECT lives_ok($$INSERT INTO app.docs VALUES ('slow:b', 1)$$, 'each topic has its own');
SELECT lives_ok($$INSERT INTO app.docs VALUES ('fast', 1), ('fast', 2), ('fast', 3)$$, 'others have none');
SELECT is(t.events('slow:a'), ARRAY['1 upsert 1 1 {"id":1}'], 'what failed is no event');
SELECT is((SELECT count(*) FROM app.docs WHERE topic = 'slow:a'), 1::bigint, 'nor a row');
SELECT ok(t.wait_for($$SELECT t.works('INSERT INTO app.docs VALUES (''slow:a'', 2)')$$), 'after a while there is room again');
SELECT is(t.events('slow:a', 1), ARRAY['2 upsert 2 2 {"id":2}'], 'and the event is there');

-- A burst of one second; all sessions together. The statement is large: nobody writes 100 000 events in the five minutes
-- minus a second that would allow them.
SELECT runtime.sync_set_policy('burst', publish_rate => 300) \g /dev/null
SELECT is(t.failure('INSERT INTO app.docs SELECT ''burst'', i FROM generate_series(1, 100000) i'), '53400', 'a statement over the burst fails');
SELECT is(t.events('burst'), '{}', 'as a whole');
SELECT is(t.refusal($$INSERT INTO app.docs SELECT 'burst', i FROM generate_series(1, 100000) i$$),
  '53400 | topic "burst" is at its publish rate of 300 events a second | publish_rate is set by the policy of "burst", for all sessions together. A second''s worth of events can come at once. | '
  || 'Retry later, write fewer rows in one go, or raise the policy''s publish_rate with sync_set_policy().', 'and says that it was too large');
SELECT lives_ok($$INSERT INTO app.docs SELECT 'burst', i FROM generate_series(1, 300) i$$, 'one within it does not, at once: what failed by the rate took nothing');
SELECT is((SELECT count(*) FROM runtime.sync_replay('burst', 0, 1000)), 300::bigint, 'with all its events');
SELECT runtime.sync_set_policy('shared', publish_rate => 1) \g /dev/null
SELECT is(t.run('INSERT INTO app.docs VALUES (''shared'', 1)'), 'INSERT 0 1', 'another session');
SELECT is(t.refused($$INSERT INTO app.docs VALUES ('shared', 2)$$), '53400', 'takes of the same bucket');

-- Rolled back is used all the same.
SELECT runtime.sync_set_policy('rolled', publish_rate => 1) \g /dev/null
BEGIN; INSERT INTO app.docs VALUES ('rolled', 1); ROLLBACK;
SELECT is(t.refused($$INSERT INTO app.docs VALUES ('rolled', 1)$$), '53400', 'a token of a rolled-back transaction stays taken');
-- An attempt that fails by the rate gives back what it took, of every topic, but not what an outer level took.
SELECT runtime.sync_set_policy('giv:*', publish_rate => 1) \g /dev/null
BEGIN;
INSERT INTO app.docs VALUES ('giv:outer', 1);
SAVEPOINT a;
-- So many that no stand-still of the machine has tokens for them.
SELECT throws_ok($$INSERT INTO app.docs VALUES ('giv:x', 1), ('giv:y', 1) UNION ALL SELECT 'giv:outer', i FROM generate_series(2, 1000) i$$, '53400', NULL, 'over the rate of one of three topics');
ROLLBACK TO a;
SELECT lives_ok($$INSERT INTO app.docs VALUES ('giv:x', 1), ('giv:y', 1)$$, 'the other two have their tokens');
COMMIT;
SELECT is(t.refused($$INSERT INTO app.docs VALUES ('giv:outer', 2)$$), '53400', 'which the outer level used');
SELECT is((SELECT count(*) FROM runtime.sync_topics WHERE topic LIKE 'giv:%' AND head = 1), 3::bigint, 'three events');

-- Every op counts.
INSERT INTO app.docs VALUES ('ops', 1), ('ops', 2);
SELECT runtime.sync_set_policy('ops', publish_rate => 1) \g /dev/null
SELECT lives_ok($$DELETE FROM app.docs WHERE topic = 'ops' AND id = 1$$, 'a delete');
SELECT is(t.refused($$UPDATE app.docs SET id = id WHERE topic = 'ops'$$), '53400', 'counts');
SELECT is(t.refused($$SELECT runtime.sync_emit('ops', 'k', 1, '1')$$), '53400', 'so does sync_emit');
SELECT is(t.refused($$TRUNCATE app.docs$$), '53400', 'and TRUNCATE');

-- A policy that is taken back is forgotten at once.
SELECT runtime.sync_set_policy('ops', publish_rate => 0) \g /dev/null
SELECT lives_ok($$UPDATE app.docs SET id = id WHERE topic = 'ops'$$, '0 is no limit');
SELECT runtime.sync_set_policy('ops', publish_rate => 2000000000) \g /dev/null
SELECT lives_ok($$INSERT INTO app.docs SELECT 'ops', i FROM generate_series(10, 20010) i$$, 'nor is a rate that nobody reaches');

-- Another database has buckets of its own: the same topic, the same moment.
SELECT is((SELECT count(*) FROM runtime.sync_stats WHERE voids_pending > 0), 0::bigint, 'no watermark was ever taken by what failed');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
