-- Projections: rows of an authority table become documents of a read model, in the transaction that writes them.
\ir include/setup.sql
SELECT plan(63);
DROP ROLE IF EXISTS oa_pgtap_app; CREATE ROLE oa_pgtap_app LOGIN;
CREATE TABLE app.run_events (run_id text, seq int, kind text NOT NULL, PRIMARY KEY (run_id, seq));
CREATE FUNCTION app.summarize(e app.run_events) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object('count', count(*), 'last', max(x.kind)) FROM app.run_events x WHERE x.run_id = e.run_id HAVING count(*) > 0 $$;
SELECT runtime.sync_project('app.run_events', 'runtime.sync_run_summaries', 'runtime/run_summary:{run_id}', 'app.summarize(*)', on_delete => 'project') AS id \gset
CREATE FUNCTION t.doc(key text) RETURNS text LANGUAGE sql AS $$ SELECT format('%s %s', doc_version, payload) FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:' || key $$;

INSERT INTO app.run_events VALUES ('a', 1, 'x');
SELECT is(t.doc('a'), '1 {"count":1,"last":"x"}', 'a row makes a document');
INSERT INTO app.run_events VALUES ('a', 2, 'y'), ('b', 1, 'z');
SELECT is(t.doc('a') || ' ' || t.doc('b'), '2 {"count":2,"last":"y"} 1 {"count":1,"last":"z"}', 'another row, a new version');
SELECT is(t.events('runtime.run_summaries'), ARRAY['1 upsert runtime/run_summary:a 1 {"count":1,"last":"x"}', '2 upsert runtime/run_summary:a 2 {"count":2,"last":"y"}', '3 upsert runtime/run_summary:b 1 {"count":1,"last":"z"}'], 'and its events');
INSERT INTO app.run_events SELECT 'a', n, 'a' FROM generate_series(3, 50) n;
SELECT is(t.doc('a'), '3 {"count":50,"last":"y"}', 'many rows of one document in a statement write it once');
UPDATE app.run_events SET seq = seq WHERE run_id = 'b';
SELECT is(t.doc('b'), '1 {"count":1,"last":"z"}', 'an unchanged document is not written');
SELECT is(t.events('runtime.run_summaries', 4), '{}', 'and is no event');
UPDATE app.run_events SET run_id = 'c' WHERE run_id = 'b';
SELECT is(t.doc('c'), '1 {"count":1,"last":"z"}', 'a row that moves to another document makes that');
SELECT is(t.doc('b'), NULL, 'and the one it left, of which the function makes null, is deleted');
SELECT is(t.changes('runtime.run_summaries', 4), ARRAY['delete runtime/run_summary:b -', 'upsert runtime/run_summary:c {"count":1,"last":"z"}'], 'which are events');
DELETE FROM app.run_events WHERE run_id = 'a' AND seq > 1;
SELECT is(t.doc('a'), '4 {"count":1,"last":"x"}', 'on_delete project: computed with the old row');
DELETE FROM app.run_events WHERE run_id = 'a';
SELECT is(t.doc('a'), NULL, 'the last row takes the document with it');
BEGIN; INSERT INTO app.run_events VALUES ('r', 1, 'x'); ROLLBACK;
SELECT is(t.doc('r'), NULL, 'what is rolled back leaves nothing');
BEGIN; INSERT INTO app.run_events VALUES ('s', 1, 'x'); SAVEPOINT s; INSERT INTO app.run_events VALUES ('s', 2, 'x'); ROLLBACK TO s; COMMIT;
SELECT is(t.doc('s'), '1 {"count":1,"last":"x"}', 'nor what a savepoint takes back');
SELECT throws_ok('TRUNCATE app.run_events', '0A000', 'cannot truncate table app.run_events', 'TRUNCATE is refused where documents go with their rows');

-- Rights: the writer needs none on the read model; the function runs as the table's owner, with nothing of the session's.
CREATE ROLE oa_pgtap_owner; GRANT USAGE, CREATE ON SCHEMA app TO oa_pgtap_owner;
GRANT USAGE ON SCHEMA app TO oa_pgtap_app;
CREATE TABLE app.jobs (id int PRIMARY KEY, at timestamptz);
CREATE TABLE app.private (note text); INSERT INTO app.private VALUES ('seen');
ALTER TABLE app.jobs OWNER TO oa_pgtap_owner;
ALTER TABLE app.private OWNER TO oa_pgtap_owner;
GRANT INSERT, SELECT ON app.jobs TO oa_pgtap_app;
CREATE FUNCTION app.job(j app.jobs) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN jsonb_build_object('who', current_user, 'at', j.at, 'path', current_setting('search_path'), 'note', (SELECT p.note FROM app.private p)); END $$;
SELECT runtime.sync_project('app.jobs', 'runtime.sync_codex_worker_summaries', 'job:{id}', 'app.job(*)') AS jobs \gset
SELECT is(t.run('SET timezone = ''Asia/Tokyo''; SET search_path = public; INSERT INTO app.jobs VALUES (1, ''2026-01-01 00:00+00'')', role => 'oa_pgtap_app'), 'INSERT 0 1', 'a writer without any grant on the read model');
SELECT is((SELECT payload::text FROM runtime.sync_codex_worker_summaries WHERE doc_key = 'job:1'), '{"at":"2026-01-01T00:00:00+00:00","note":"seen","path":"pg_catalog, pg_temp","who":"oa_pgtap_owner"}', 'the function runs as the owner, with fixed settings');
SELECT is(t.ask('INSERT INTO app.jobs VALUES (2, NULL) RETURNING format(''%s %s'', current_user, current_setting(''search_path''))', role => 'oa_pgtap_app'), 'oa_pgtap_app "$user", public', 'and the writer is who it was');
CREATE FUNCTION app.job_bad(j app.jobs) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$ BEGIN SET ROLE oa_pgtap_app; RETURN '1'; END $$;
SELECT runtime.sync_project('app.jobs', 'runtime.sync_codex_worker_summaries', 'job:{id}', 'app.job_bad(*)') AS again \gset
SELECT is(:again, :jobs, 'projecting anew keeps the id');
SELECT is(t.failure('INSERT INTO app.jobs VALUES (3, NULL)', role => 'oa_pgtap_app'), '0A000', 'a function can not become somebody else');
SELECT is((SELECT count(*) FROM app.jobs), 2::bigint, 'an error of the function fails the statement');
ALTER TABLE app.private ENABLE ROW LEVEL SECURITY; ALTER TABLE app.private FORCE ROW LEVEL SECURITY;
SELECT runtime.sync_project('app.jobs', 'runtime.sync_codex_worker_summaries', 'job:{id}', 'app.job(*)') \g /dev/null
SELECT is(t.failure('INSERT INTO app.jobs VALUES (3, NULL)', role => 'oa_pgtap_app'), '42501', 'row security on the owner is an error, not a silent cut');
ALTER TABLE app.private NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON FUNCTION app.job(app.jobs) FROM PUBLIC;
SELECT throws_ok($$SELECT runtime.sync_project('app.jobs', 'runtime.sync_codex_worker_summaries', 'job:{id}', 'app.job(*)')$$, '42501', 'role "oa_pgtap_owner" may not execute the projection''s function', 'a function that the owner may not execute');
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_app; GRANT EXECUTE ON FUNCTION runtime.sync_project(regclass, regclass, text, text, text, text) TO oa_pgtap_app;
GRANT TRIGGER, UPDATE ON app.run_events TO oa_pgtap_app;
SELECT is(t.failure('DO $x$ BEGIN PERFORM runtime.sync_project(''app.run_events'', ''runtime.sync_run_summaries'', ''{run_id}'', ''*''); END $x$', role => 'oa_pgtap_app'), '42501', 'who does not own both tables makes no projection');
SELECT is(t.failure('CREATE TABLE public.mine (id int); CREATE TRIGGER x AFTER INSERT ON public.mine FOR EACH ROW EXECUTE FUNCTION runtime.oa_sync_project_row(''1'')', role => 'oa_pgtap_app'), '42501', 'nor uses the trigger');

-- Versions from a column, plain payload forms, on_delete
CREATE TABLE app.cards (LIKE runtime.sync_run_summaries INCLUDING ALL); SELECT runtime.sync_guard('app.cards') \g /dev/null
CREATE TABLE app.things (id int PRIMARY KEY, v bigint, body text, secret text);
SELECT runtime.sync_project('app.things', 'app.cards', 'thing:{id}', '* EXCEPT (secret)', 'v', 'delete') AS things \gset
INSERT INTO app.things VALUES (1, 5, 'a', 's');
SELECT is((SELECT format('%s %s %s', doc_key, doc_version, payload) FROM app.cards), 'thing:1 5 {"body":"a","id":1,"v":5}', 'a payload form and a version column');
UPDATE app.things SET v = 4, body = 'old';
SELECT is((SELECT format('%s %s', doc_version, payload) FROM app.cards), '5 {"body":"a","id":1,"v":5}', 'an older version is left out');
UPDATE app.things SET id = 2, v = 1;
SELECT is((SELECT array_agg(format('%s %s', doc_key, doc_version)) FROM app.cards), ARRAY['thing:2 1'], 'a row that changes its key: on_delete delete');
DELETE FROM app.things;
SELECT is((SELECT count(*) FROM app.cards), 0::bigint, 'a deleted row');
SELECT throws_ok($$INSERT INTO app.things VALUES (3, NULL, 'n', 's')$$, '22004', NULL, 'a null version');
SELECT runtime.sync_project('app.things', 'app.cards', 'thing:{id}', '{body}') \g /dev/null
INSERT INTO app.things VALUES (4, 1, 'kept', 's'); DELETE FROM app.things;
SELECT is((SELECT format('%s %s %s', doc_key, doc_version, payload) FROM app.cards), 'thing:4 1 "kept"', 'on_delete ignore keeps it');
SELECT lives_ok('TRUNCATE app.things', 'TRUNCATE is fine then');
ALTER TABLE app.things RENAME COLUMN body TO text;
SELECT throws_ok($$INSERT INTO app.things VALUES (5, 1, 'x', 's')$$, '42703', 'column "body" of table "things" does not exist', 'a column that is renamed: writes fail');
ALTER TABLE app.things RENAME COLUMN text TO body;

-- Refusals
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.jobs', '{id}', '*')$$, '42809', 'table app.jobs is not a read model', 'no read model');
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', '{nope}', '*')$$, '42703', NULL, 'an unknown column');
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', '{id}', 'app.nope(*)')$$, '42883', NULL, 'an unknown function');
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', '{id}', '*', on_delete => 'cascade')$$, '22023', NULL, 'an unknown on_delete');
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', NULL, '*')$$, '22004', NULL, 'a null');
SELECT throws_ok($$SELECT runtime.sync_project('app.cards', 'app.cards', '{doc_key}', '*')$$, '42809', NULL, 'to itself');
CREATE FUNCTION app.vol(x app.things) RETURNS json LANGUAGE sql AS $$ SELECT '1'::json $$;
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', '{id}', 'app.vol(*)')$$, '42P17', 'projection function app.vol is volatile', 'a volatile function');
SELECT throws_ok($$SELECT runtime.sync_project('app.things', 'app.cards', '{id}', '*', 'secret')$$, '42804', NULL, 'a version of a wrong type');
SELECT is((SELECT payload FROM runtime.sync_projections WHERE projection_id = :things), '{body}', 'a refusal leaves what was');

-- Unprojecting, tables that go
SELECT is(runtime.sync_unproject(:things), true, 'sync_unproject');
SELECT is(runtime.sync_unproject(:things), false, 'once');
INSERT INTO app.things VALUES (9, 9, 'x', 's');
SELECT is((SELECT count(*) FROM app.cards WHERE doc_key = 'thing:9'), 0::bigint, 'ends it');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.things'::regclass), 0::bigint, 'its triggers are gone');
SELECT runtime.sync_project('app.things', 'app.cards', 'thing:{id}', '*') AS things \gset
ALTER TABLE app.cards RENAME TO deck;
UPDATE app.things SET v = 10 WHERE id = 9;
SELECT is((SELECT doc_version FROM app.deck WHERE doc_key = 'thing:9'), 1::bigint, 'a read model that is renamed');
DROP TABLE app.deck;
SELECT throws_ok($$UPDATE app.things SET v = 11$$, '42P01', NULL, 'a read model that is dropped: writes fail');
SELECT is(runtime.sync_unproject(:things), true, 'until the projection is ended');
SELECT lives_ok($$UPDATE app.things SET v = 11$$, 'then they go on');

-- Partitions
CREATE TABLE app.parts (run text, n int, extra int, PRIMARY KEY (run, n)) PARTITION BY RANGE (n);
CREATE TABLE app.part1 (n int NOT NULL, gone int, run text NOT NULL, extra int, PRIMARY KEY (run, n)); ALTER TABLE app.part1 DROP COLUMN gone;
ALTER TABLE app.parts ATTACH PARTITION app.part1 FOR VALUES FROM (0) TO (10);
CREATE TABLE app.part2 PARTITION OF app.parts FOR VALUES FROM (10) TO (20);
CREATE FUNCTION app.sum_parts(p app.parts) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('run', p.run, 'sum', (SELECT sum(x.n) FROM app.parts x WHERE x.run = p.run)) $$;
SELECT runtime.sync_project('app.parts', 'runtime.sync_run_summaries', 'runtime/run_summary:{run}', 'app.sum_parts(*)', on_delete => 'project') \g /dev/null
INSERT INTO app.parts VALUES ('p', 1, 0), ('p', 11, 0);
SELECT is(t.doc('p'), '1 {"run":"p","sum":12}', 'a partitioned table, a partition with its columns in another order');
UPDATE app.parts SET n = 12 WHERE n = 1;
SELECT is(t.doc('p'), '2 {"run":"p","sum":23}', 'a row that moves to another partition');

SELECT throws_ok('TRUNCATE app.part2', '0A000', 'cannot truncate table part2', 'nor is a partition truncated under its documents');
SELECT throws_ok('TRUNCATE app.parts', '0A000', 'cannot truncate table app.parts', 'or the whole table');

-- Rows that are older than the projection and can not be named are no documents; they can be corrected and deleted.
CREATE TABLE app.late (id int PRIMARY KEY, run text, v bigint); INSERT INTO app.late VALUES (1, NULL, 1), (2, NULL, 1), (3, 'late3', NULL), (4, 'late4', 4);
SELECT runtime.sync_project('app.late', 'runtime.sync_run_summaries', 'runtime/run_summary:{run}', 'id', 'v', 'project') AS late \gset
SELECT lives_ok($$DELETE FROM app.late WHERE id = 1$$, 'a row without a key is deleted');
SELECT lives_ok($$DELETE FROM app.late WHERE id = 3$$, 'one without a version');
SELECT lives_ok($$UPDATE app.late SET run = 'late2' WHERE id = 2$$, 'one is corrected');
SELECT is(t.doc('late2'), '1 {"id":2}', 'and is a document');
SELECT throws_ok($$UPDATE app.late SET run = NULL WHERE id = 2$$, '22004', NULL, 'but no document loses its key');
SELECT runtime.sync_unproject(:late) \g /dev/null

-- What the function sets does not stay in the session of the writer.
CREATE TABLE app.setter (run text PRIMARY KEY);
CREATE FUNCTION app.set_path(r app.setter) RETURNS json LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM set_config('search_path', 'hostile', false); RETURN '1'; END $$;
SELECT runtime.sync_project('app.setter', 'runtime.sync_run_summaries', 'runtime/run_summary:{run}', 'app.set_path(*)') \g /dev/null
SELECT current_setting('search_path') AS path \gset
INSERT INTO app.setter VALUES ('setter');
SELECT is(current_setting('search_path'), :'path', 'a function that sets search_path does not set the writer''s');

-- Isolation: whoever computes last has seen what committed before.
SELECT dblink_connect('rr', t.conn()) \g /dev/null
SELECT dblink_exec('rr', 'BEGIN ISOLATION LEVEL REPEATABLE READ') \g /dev/null
SELECT n FROM dblink('rr', 'SELECT count(*) FROM app.run_events') AS d(n bigint) \g /dev/null
INSERT INTO app.run_events VALUES ('iso', 1, 'x');
SELECT dblink_exec('rr', 'INSERT INTO app.run_events VALUES (''iso'', 2, ''y'')') \g /dev/null
SELECT dblink_exec('rr', 'COMMIT') \g /dev/null
SELECT is(t.doc('iso'), '2 {"count":2,"last":"y"}', 'REPEATABLE READ: the document counts a row that the transaction itself does not see');
SELECT dblink_exec('rr', 'BEGIN ISOLATION LEVEL SERIALIZABLE') \g /dev/null
SELECT n FROM dblink('rr', 'SELECT count(*) FROM app.run_events') AS d(n bigint) \g /dev/null
SELECT dblink_connect('rc', t.conn()) \g /dev/null
SELECT dblink_exec('rc', 'BEGIN; INSERT INTO app.run_events VALUES (''iso'', 3, ''y'')') \g /dev/null
SELECT dblink_send_query('rr', 'INSERT INTO app.run_events VALUES (''iso'', 4, ''z'')') \g /dev/null
SELECT t.wait_for('SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = ''Lock''') \g /dev/null
SELECT dblink_exec('rc', 'COMMIT') \g /dev/null
SELECT throws_ok($$SELECT * FROM dblink_get_result('rr') AS d(r text)$$, '40001', NULL, 'one that waited for the document fails to serialize, and no effect is lost');
SELECT dblink_disconnect('rr'), dblink_disconnect('rc') \g /dev/null
SELECT is(t.doc('iso'), '3 {"count":3,"last":"y"}', 'what is left');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
DROP OWNED BY oa_pgtap_app; DROP ROLE oa_pgtap_app; DROP OWNED BY oa_pgtap_owner CASCADE; DROP ROLE oa_pgtap_owner;
SELECT * FROM finish();
