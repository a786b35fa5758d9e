-- The parity auditor's SQL: lanes, samples, what is compared, what is recorded, who may.
\ir include/setup.sql
SELECT plan(106);

-- Lanes.
SELECT is((SELECT count(*) FROM runtime.sync_parity_lanes), 0::bigint, 'nothing is compared at first');
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane('a', enabled => true)$$, '42704', NULL, 'a new lane takes topic and adapter');
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane(NULL)$$, '22004', NULL, 'a null name');
SELECT throws_ok(format('SELECT runtime.sync_parity_set_lane(%s)', args), '22023', 'invalid ' || what, args) FROM (VALUES
  ($$'a b', topic => 't', adapter => 'self'$$, 'name'),
  ($$'', topic => 't', adapter => 'self'$$, 'name'),
  ($$'a', topic => 't t', adapter => 'self'$$, 'topic'),
  ($$'a', topic => 't*x', adapter => 'self'$$, 'topic'),
  ($$'a', topic => 't', adapter => 'nats'$$, 'adapter'),
  ($$'a', topic => 't', adapter => 'self', address => 'http://x/'$$, 'address'),
  ($$'a', topic => 't', adapter => 'http'$$, 'address'),
  ($$'a', topic => 't', adapter => 'http', address => 'ftp://x/'$$, 'address'),
  ($$'a', topic => 't', adapter => 'http', address => 'http://user:secret@x/'$$, 'address'),
  ($$'a', topic => 't', adapter => 'http', address => 'http://x/?token=secret'$$, 'address'),
  ($$'a', topic => 't', adapter => 'http', address => 'http://x/ y'$$, 'address'),
  ($$'a', topic => 't', adapter => 'self', authority => 'me'$$, 'authority'),
  ($$'a', topic => 't', adapter => 'self', samples => 0$$, 'samples'),
  ($$'a', topic => 't', adapter => 'self', samples => 10001$$, 'samples'),
  ($$'a', topic => 't', adapter => 'self', lag_limit => '11 min'$$, 'lag_limit'),
  ($$'a', topic => 't', adapter => 'self', lag_limit => '-1 s'$$, 'lag_limit'),
  ($$'a', topic => 't', adapter => 'self', max_rate => 0$$, 'max_rate'),
  ($$'a', topic => 't', adapter => 'self', max_age => '8 days'$$, 'max_age'),
  ($$'a', topic => 't', adapter => 'self', keep => '1 s'$$, 'keep'),
  ($$'a', topic => 't', adapter => 'self', keep_results => 0$$, 'keep_results')) AS bad(args, what);
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane('a', topic => 't', adapter => 'table', address => 'app.nothing')$$, '42P01', NULL, 'no such table');
CREATE TABLE app.wrong (doc_key text, payload json);
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane('a', topic => 't', adapter => 'table', address => 'app.wrong')$$, '42809', NULL, 'a table without versions');
SELECT lives_ok($$SELECT runtime.sync_parity_set_lane('a', topic => 't:*', adapter => 'self')$$, 'a lane');
SELECT is((SELECT (topic, adapter, address, authority, samples, lag_limit, max_rate, max_age, enabled, enabled_at)::text FROM runtime.sync_parity_lanes),
          '(t:*,self,"",earlier,100,00:00:10,0.01,00:05:00,f,)', 'its defaults: off');
SELECT lives_ok($$SELECT runtime.sync_parity_set_lane('a', authority => 'oa_sync', enabled => true)$$, 'changed');
SELECT is((SELECT (topic, authority, enabled, enabled_at IS NOT NULL, changed_by = SESSION_USER)::text FROM runtime.sync_parity_lanes), '(t:*,oa_sync,t,t,t)', 'and what was not said is as it was');
SELECT is((SELECT enabled_at FROM runtime.sync_parity_lanes), (SELECT enabled_at FROM (SELECT runtime.sync_parity_set_lane('a', samples => 7)) s, runtime.sync_parity_lanes), 'enabled since then');
CREATE TABLE app."Check points" (doc_key text, doc_version bigint, payload_hash bytea);
SELECT lives_ok($$SELECT runtime.sync_parity_set_lane('b', topic => 't', adapter => 'table', address => 'app."Check points"')$$, 'a table of checkpoints');
SELECT is((SELECT address FROM runtime.sync_parity_lanes WHERE name = 'b'), 'app."Check points"', 'by its whole name');
SELECT lives_ok($$SELECT runtime.sync_parity_set_lane('b', adapter => 'self')$$, 'another adapter');
SELECT is((SELECT address FROM runtime.sync_parity_lanes WHERE name = 'b'), '', 'self has no address');
SELECT is(runtime.sync_parity_drop_lane('b'), true, 'dropped');
SELECT is(runtime.sync_parity_drop_lane('b'), false, 'it was');
SELECT runtime.sync_parity_set_lane('n' || i, topic => 't', adapter => 'self') FROM generate_series(1, 31) i \g /dev/null
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane('one.too.many', topic => 't', adapter => 'self')$$, '54000', NULL, 'the 33rd lane');
SELECT lives_ok($$SELECT runtime.sync_parity_set_lane('n1', samples => 5)$$, 'the others can be changed');
SELECT runtime.sync_parity_drop_lane(name) FROM runtime.sync_parity_lanes \g /dev/null

-- Samples.
CREATE TABLE app.things (topic text, id bigint, version bigint DEFAULT 1, body text, PRIMARY KEY (topic, id));
SELECT runtime.sync_publish('app.things', topic => '{topic}', doc_key => 'thing:{id}', doc_version => 'version') \g /dev/null
INSERT INTO app.things SELECT 't:a', i, 1, repeat('x', 100) FROM generate_series(1, 5000) i;
INSERT INTO app.things SELECT 't:b', i, 1, 'x' FROM generate_series(1, 10) i;
INSERT INTO app.things SELECT 't:' || lpad(i::text, 3, '0'), 1, 1, 'x' FROM generate_series(1, 20) i;
ANALYZE app.things;
SELECT runtime.sync_parity_set_lane('a', topic => 't:a', adapter => 'self', enabled => true) \g /dev/null
SELECT is((SELECT count(DISTINCT doc_key) FROM runtime.sync_parity_sample('a', 42)), 100::bigint, 'as many as wanted, each once');
SELECT is((SELECT count(*) FROM runtime.sync_parity_sample('a', 42) s JOIN app.things t ON t.topic = s.topic AND 'thing:' || t.id = s.doc_key WHERE s.topic = 't:a'), 100::bigint, 'of the topic, and there');
SELECT is((SELECT count(*) FROM runtime.sync_parity_sample('a', 42) WHERE substr(doc_key, 7)::int > 4950), 50::bigint, 'half of them the last that changed');
SELECT is((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_parity_sample('a', 42)), (SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_parity_sample('a', 42)), 'a seed draws the same again');
SELECT isnt((SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_parity_sample('a', 42)), (SELECT array_agg(doc_key ORDER BY doc_key) FROM runtime.sync_parity_sample('a', 43)), 'another seed others');
SELECT ok((SELECT count(DISTINCT doc_key) FROM generate_series(1, 40) seed, runtime.sync_parity_sample('a', seed) WHERE substr(doc_key, 7)::int <= 4950) > 1000, 'and in the end everything');
SELECT is((SELECT count(*) FROM runtime.sync_parity_sample('a', 42, 7)), 7::bigint, 'another number');
SELECT throws_ok($$SELECT runtime.sync_parity_sample('a', 42, 0)$$, '22023', NULL, 'a number out of range');
SELECT throws_ok($$SELECT runtime.sync_parity_sample('nobody', 42)$$, '42704', NULL, 'no such lane');
UPDATE app.things SET body = 'y' WHERE topic = 't:a' AND id = 3;
DELETE FROM app.things WHERE topic = 't:a' AND id = 4;
SELECT is((SELECT count(*) FROM runtime.sync_parity_sample('a', 42) WHERE doc_key IN ('thing:3', 'thing:4')), 2::bigint, 'what changed or went last is in it');
SELECT runtime.sync_parity_set_lane('a', topic => 't:none') \g /dev/null
SELECT is((SELECT (count(*), min(topic), min(doc_key))::text FROM runtime.sync_parity_sample('a', 42)), '(1,t:none,)', 'a topic without documents');
-- A star: eight topics in turn.
SELECT runtime.sync_parity_set_lane('a', topic => 't:*', samples => 16) \g /dev/null
CREATE FUNCTION t.topics() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT topic, ' ' ORDER BY topic) FROM runtime.sync_parity_sample('a', 1) $$;
CREATE FUNCTION t.audited(last_topic text) RETURNS bigint LANGUAGE sql AS $$
  SELECT runtime.sync_parity_record('a', json_build_object('seed', 1, 'seconds', 0, 'reasons', json_build_object('none', 1), 'journal_checked', 0, 'wire_checked', 0, 'unanswered', 0, 'last_topic', last_topic)) $$;
SELECT is(t.topics(), 't:001 t:002 t:003 t:004 t:005 t:006 t:007 t:008', 'the first eight');
SELECT t.audited('t:008') \g /dev/null
SELECT is(t.topics(), 't:009 t:010 t:011 t:012 t:013 t:014 t:015 t:016', 'then the next');
SELECT t.audited('t:019') \g /dev/null
SELECT is(t.topics(), 't:001 t:002 t:003 t:004 t:005 t:020 t:a t:b', 'and round again');
SELECT runtime.sync_parity_set_lane('a', topic => '*') \g /dev/null
SELECT runtime.sync_canary() \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_parity_sample('a', 1) WHERE starts_with(topic, 'oa_sync.')), 0::bigint, 'never those of OA Sync itself');

-- Documents and their newest events.
CREATE FUNCTION t.state(topic text, key text, version bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', d.is_there, d.doc_version, d.journal, d.op, d.event_version, d.payload_hash = d.event_hash, d.stored_hash = d.payload_hash, d.hash_at_version = d.payload_hash)
    FROM runtime.sync_parity_documents(topic, ARRAY[key], CASE WHEN version IS NOT NULL THEN ARRAY[version] END) d $$;
SELECT is(t.state('t:a', 'thing:3', 1), 't 1 found upsert 1 t t', 'a document, its event, and what it was at a version');
SELECT is(t.state('t:a', 'thing:4'), 'f found delete 1', 'one that is gone');
SELECT is(t.state('t:a', 'nothing'), 'f none', 'one that never was');
UPDATE app.things SET version = 2, body = 'z' WHERE topic = 't:a' AND id = 3;
SELECT is((SELECT hash_at_version FROM runtime.sync_parity_documents('t:a', '{thing:3}', '{1}')),
          (SELECT encode(payload_hash, 'hex') FROM runtime.sync_stream_events WHERE topic = 't:a' AND doc_key = 'thing:3' AND doc_version = 1 ORDER BY watermark DESC LIMIT 1), 'what it was before');
SELECT is((SELECT journal FROM runtime.sync_parity_documents('t:a', '{thing:100}', max_searched => 10)), 'not_searched', 'an event that is too far back');
SELECT is((SELECT array_agg(doc_key) FROM runtime.sync_parity_documents('t:a', '{thing:9,thing:8,thing:7}')), '{thing:9,thing:8,thing:7}', 'in the order of the question');
SELECT throws_ok($$SELECT runtime.sync_parity_documents('t:a', '{NULL}')$$, '22004', NULL, 'a null key');
SELECT throws_ok($$SELECT runtime.sync_parity_documents('t:a', '{x}', max_searched => 0)$$, '22023', NULL, 'a limit out of range');
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('run:1', 1, '{"a":1}'), ('run:2', 1, '{}');
SELECT is(t.state('runtime.run_summaries', 'run:1', 1), 't 1 found upsert 1 t t t', 'a read model''s, with the hash that it keeps');
SET session_replication_role = replica;
INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('run:3', 1, '{}');
RESET session_replication_role;
SELECT is(t.state('runtime.run_summaries', 'run:3'), 't 1 lost t', 'a read model''s document that has no event');
TRUNCATE runtime.sync_run_summaries;
SELECT is(t.state('runtime.run_summaries', 'run:1'), 'f found truncate 3', 'a truncate');
CREATE TABLE app.plain (id int PRIMARY KEY, n int);
INSERT INTO app.plain VALUES (1, 1);
SELECT runtime.sync_publish('app.plain', topic => 'plain', doc_key => '{id}') \g /dev/null
SELECT is(t.state('plain', '1'), 't none', 'from before the publication, and without versions');
UPDATE app.plain SET n = 2;
SELECT is(t.state('plain', '1'), 't found upsert 1 t', 'whose version is the watermark');

-- Projections.
CREATE TABLE app.steps (run int, seq int, PRIMARY KEY (run, seq));
CREATE FUNCTION app.summary(s app.steps) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('n', count(*)) FROM app.steps e WHERE e.run = s.run HAVING count(*) > 0 $$;
SELECT runtime.sync_project('app.steps', 'runtime.sync_run_summaries', doc_key => 'run:{run}', payload => 'app.summary(*)') \g /dev/null
INSERT INTO app.steps SELECT r, s FROM generate_series(1, 5) r, generate_series(1, 3) s;
CREATE FUNCTION t.projections() RETURNS text LANGUAGE sql AS $$
  SELECT format('%s %s', count(*), coalesce(string_agg(doc_key, ' ' ORDER BY doc_key) FILTER (WHERE source_hash IS DISTINCT FROM model_hash), '-')) FROM runtime.sync_parity_projections('runtime.run_summaries', 1, 100) $$;
SELECT is(t.projections(), '5 -', 'each document once, as the source makes it');
SELECT is((SELECT count(*) FROM runtime.sync_run_summaries WHERE doc_version = 1), 5::bigint, 'nothing was written by that');
SET session_replication_role = replica;
INSERT INTO app.steps VALUES (2, 4), (9, 1);
RESET session_replication_role;
SELECT is(t.projections(), '6 run:2 run:9', 'what was not projected');
SELECT throws_ok($$SELECT runtime.sync_parity_projections('runtime.run_summaries', 1, 0)$$, '22023', NULL, 'a number out of range');

-- Checkpoints.
CREATE TABLE app.checkpoints (topic text, doc_key text, doc_version bigint, payload jsonb, payload_hash text, updated_at timestamptz DEFAULT now() - interval '1 minute');
INSERT INTO app.checkpoints VALUES ('t:a', 'k1', 1, '{"a":1}', NULL), ('t:a', 'k1', 2, NULL, 'abc'), ('t:a', 'k2', 1, NULL, NULL), ('other', 'k3', 1, '{}', NULL);
SELECT is((SELECT array_agg(k ORDER BY k) FROM runtime.sync_parity_checkpoint_sample('app.checkpoints', 't:a', 1, 10) k), '{k1,k1,k2}', 'keys, of the topic');
SELECT is((SELECT string_agg(concat_ws(' ', doc_key, doc_version, payload, payload_hash, changed_s BETWEEN 60 AND 3600), ', ' ORDER BY doc_key) FROM runtime.sync_parity_checkpoints('app.checkpoints', 't:a', '{k1,k2,k3}')),
          'k1 2 abc t, k2 1 t', 'the newest of each');
SELECT is((SELECT (doc_version, payload)::text FROM runtime.sync_parity_checkpoints('app.checkpoints', 't:a', '{k1}', '{1}')), '(1,"{""a"": 1}")', 'an older one');
CREATE VIEW app.seen AS SELECT doc_key::varchar AS doc_key, doc_version::int AS doc_version, decode('aa', 'hex') AS payload_hash FROM app.checkpoints;
SELECT is((SELECT count(*) FROM runtime.sync_parity_checkpoint_sample('app.seen', 't:a', 1, 10)), 4::bigint, 'of a view what it has');
SELECT is((SELECT (doc_version, payload, payload_hash, changed_s)::text FROM runtime.sync_parity_checkpoints('app.seen', 't:a', '{k2}')), '(1,,aa,)', 'a view, by other types and fewer columns');

-- What audits found.
SELECT runtime.sync_parity_drop_lane('a') \g /dev/null
SELECT is((SELECT (SELECT count(*) FROM runtime.sync_parity_audits) + (SELECT count(*) FROM runtime.sync_parity_totals)), 0::bigint, 'a lane takes its audits and totals with it');
SELECT runtime.sync_parity_set_lane('a', topic => 't:a', adapter => 'self', enabled => true, keep_results => 3) \g /dev/null
-- What t.record() says began half a second ago.
UPDATE runtime.sync_parity_lanes SET compares_since = now() - interval '10 days';
SELECT is(runtime.sync_parity_rate('a'), NULL, 'no audit, no rate');
SELECT is(runtime.sync_parity_overview()::jsonb->0->'audit_age_s', 'null', 'and no age');
CREATE FUNCTION t.record(reasons json, results int, error text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
  SELECT runtime.sync_parity_record('a', json_build_object('seed', 1, 'seconds', 0.5, 'reasons', reasons, 'journal_checked', 2, 'wire_checked', 1, 'unanswered', 1, 'error', error, 'last_topic', 't:a',
    'results', (SELECT json_agg(json_build_object('topic', 't:a', 'doc_key', 'k' || i, 'reason', 'missing', 'compared', 'journal', 'booked_to', 'oa_sync', 'detail', repeat('x', 1000))) FROM generate_series(1, results) i))) $$;
SELECT ok(t.record('{"none":98,"missing":2}', 2) > 0, 'recorded');
SELECT is((SELECT (checked, mismatched, journal_checked, wire_checked, unanswered, round(extract(epoch FROM finished_at - started_at), 1))::text FROM runtime.sync_parity_audits), '(100,2,2,1,1,0.5)', 'its counts');
SELECT is(runtime.sync_parity_rate('a', '1 hour'), 0.02::double precision, 'the rate');
SELECT t.record('{"none":100}', 0) \g /dev/null
SELECT is(runtime.sync_parity_rate('a'), 0.01::double precision, 'of all audits of the window');
SELECT is((SELECT string_agg(format('%s %s', reason, checked), ', ' ORDER BY checked DESC, reason) FROM runtime.sync_parity_totals), 'none 198, missing 2, hash_and_lag_drift 0, lag_drift 0, summary_hash_mismatch 0', 'the totals grow');
SELECT t.record('{"none":0,"missing":0}', 0, 'nobody there') \g /dev/null
SELECT is((SELECT (o->>'audits', o->>'checked', o->>'mismatched', o->'last_error'->>'error', (o->>'audit_age_s')::float < 100, o->'by_reason'->>'missing', o->'totals'->>'none')::text FROM (SELECT runtime.sync_parity_overview('1 hour')::jsonb->0 AS o) s),
          '(3,200,2,"nobody there",t,2,198)', 'the overview');
UPDATE runtime.sync_parity_audits SET finished_at = now() - interval '2 hours' WHERE error IS NULL;
SELECT is((SELECT ((o->>'audit_age_s')::float > 7000, o->>'checked', o->>'rate')::text FROM (SELECT runtime.sync_parity_overview()::jsonb->0 AS o) s), '(t,0,)', 'an audit that failed makes nothing younger');
SELECT t.record('{"missing":5}', 5) \g /dev/null
SELECT is((SELECT (count(*), min(length(detail)), min(doc_key), max(doc_key))::text FROM runtime.sync_parity_results), '(3,500,k3,k5)', 'the newest three are kept');
UPDATE runtime.sync_parity_audits SET finished_at = now() - interval '8 days';
SELECT t.record('{"none":1}', 0) \g /dev/null
SELECT is((SELECT (count(*), (SELECT count(*) FROM runtime.sync_parity_results), (SELECT checked FROM runtime.sync_parity_totals WHERE reason = 'missing'))::text FROM runtime.sync_parity_audits), '(1,0,7)', 'what is too old goes, the totals do not');
-- What counts.
CREATE FUNCTION t.counted() RETURNS text LANGUAGE sql AS $$
  SELECT format('%s %s %s', runtime.sync_parity_rate('a'), o->>'checked', (o->>'audit_age_s')::float < 100) FROM (SELECT runtime.sync_parity_overview()::jsonb->0 AS o) s $$;
SELECT is(t.counted(), '0 1 t', 'an audit of just now');
UPDATE runtime.sync_parity_audits SET finished_at = now() + interval '4 minutes';
SELECT is(t.counted(), '0 1 t', 'one of a clock that was a little ahead');
UPDATE runtime.sync_parity_audits SET finished_at = now() + interval '1 hour';
SELECT is(t.counted(), ' 0 ', 'one that is dated far ahead is no evidence: the clock was set back');
UPDATE runtime.sync_parity_audits SET finished_at = now();
SELECT runtime.sync_parity_set_lane('a', samples => 50, topic => 't:a') \g /dev/null
SELECT is(t.counted(), '0 1 t', 'a lane that compares the same as before');
SELECT runtime.sync_parity_set_lane('a', topic => 't:b') \g /dev/null
SELECT is(t.counted(), ' 0 ', 'one that compares something else: what was audited before says nothing of it');
SELECT runtime.sync_parity_set_lane('a', topic => 't:a') \g /dev/null
SELECT is((SELECT count(*) FROM runtime.sync_parity_audits), 1::bigint, 'and is kept');
SELECT throws_ok($$SELECT runtime.sync_parity_record('nobody', '{}')$$, '42704', NULL, 'no such lane');
SELECT throws_ok($$SELECT runtime.sync_parity_record('a', NULL)$$, '22004', NULL, 'nothing to record');
SELECT throws_ok($$SELECT t.record('{"none":1}', NULL); SELECT runtime.sync_parity_record('a', '{"seed":1,"seconds":0,"reasons":{},"journal_checked":0,"wire_checked":0,"unanswered":0,"last_topic":"","results":[{"topic":"t","doc_key":"k","reason":"none","compared":"wire","booked_to":"oa_sync","detail":""}]}')$$, '23514', NULL, 'a result that fits is none');

-- Rights.
CREATE ROLE parity_auditor;
CREATE ROLE parity_reader;
SELECT throws_ok($$SELECT runtime.sync_grant_auditor('parity_nobody')$$, '42704', NULL, 'a role that is not there');
SELECT runtime.sync_grant_auditor('parity_auditor') \g /dev/null
SELECT runtime.sync_grant_reader('parity_reader') \g /dev/null
SELECT is((SELECT array_agg(p.proname::text ORDER BY p.proname) FROM pg_proc p WHERE p.pronamespace = 'runtime'::regnamespace AND has_function_privilege('parity_auditor', p.oid, 'EXECUTE')),
  '{oa_sync_parity_sample_of,sync_parity_checkpoint_sample,sync_parity_checkpoints,sync_parity_documents,sync_parity_overview,sync_parity_projections,sync_parity_rate,sync_parity_record,sync_parity_sample}', 'what an auditor may call, and nothing else');
SELECT is((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'runtime'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND has_table_privilege('parity_auditor', c.oid, 'SELECT, INSERT, UPDATE, DELETE')),
  '{sync_parity_audits,sync_parity_lanes,sync_parity_results,sync_parity_totals}', 'what it may read');
SELECT ok(NOT has_table_privilege('parity_auditor', 'runtime.sync_parity_lanes', 'INSERT, UPDATE, DELETE'), 'and not write');
SELECT ok(has_function_privilege('parity_reader', 'runtime.sync_parity_overview(interval)', 'EXECUTE') AND NOT has_function_privilege('parity_reader', 'runtime.sync_parity_record(text, json)', 'EXECUTE'), 'a fan-out sees the overview');
SELECT 'app.checkpoints'::regclass::oid AS checkpoints \gset
SET ROLE parity_auditor;
SELECT ok((SELECT count(*) FROM runtime.sync_parity_sample('a', 1)) > 0, 'it draws samples');
SELECT is((SELECT (d.doc_version, d.journal, d.payload_hash = d.event_hash)::text FROM runtime.sync_parity_documents('t:a', '{thing:3}') d), '(2,found,t)', 'reads documents of tables that it has no rights on');
SELECT throws_ok(format('SELECT runtime.sync_parity_checkpoints(%s::oid, ''t:a'', ''{k1}'')', :checkpoints), '42501', NULL, 'and checkpoints with its own rights only');
SELECT throws_ok($$SELECT runtime.sync_parity_set_lane('a', enabled => false)$$, '42501', NULL, 'lanes are not its own');
RESET ROLE;
SELECT runtime.sync_revoke_auditor('parity_auditor') \g /dev/null
SELECT is((SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'runtime'::regnamespace AND has_function_privilege('parity_auditor', p.oid, 'EXECUTE')), 0::bigint, 'taken back');
SELECT runtime.sync_revoke_reader('parity_reader') \g /dev/null
DROP ROLE parity_auditor, parity_reader;
SELECT * FROM finish();
