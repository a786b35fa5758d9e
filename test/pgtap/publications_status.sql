-- sync_publications_status: what a DBA sees of publications that work, and of those that do not.
\ir include/setup.sql
SELECT plan(27);
CREATE TABLE app.docs (id int PRIMARY KEY, body text, version int);
CREATE FUNCTION t.status(relation regclass DEFAULT 'app.docs') RETURNS text LANGUAGE sql AS $$
  SELECT format('%s %s %s: %s', row_trigger, truncate_trigger, persistence, coalesce(problem, 'ok')) FROM runtime.sync_publications_status s WHERE s.relation = $1 $$;
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', doc_version => 'version', payload => 'id, body') AS id \gset
SELECT is((SELECT (relation, topic, doc_key, doc_version, payload, skip_unchanged, always, publication_id)::text FROM runtime.sync_publications_status WHERE relation = 'app.docs'::regclass),
          format('(app.docs,docs,{id},version,"id, body",f,f,%s)', :id), 'what was published');
SELECT is(t.status(), 'enabled enabled permanent: ok', 'all is well');

-- Triggers.
ALTER TABLE app.docs DISABLE TRIGGER ALL;
INSERT INTO app.docs VALUES (1, 'a', 1); TRUNCATE app.docs;
SELECT is(t.events('docs'), '{}', 'DISABLE TRIGGER ALL: nothing is captured');
SELECT is(t.status(), 'disabled disabled permanent: the row trigger is disabled: nothing is captured; the truncate trigger is disabled: nothing is captured', 'which is shown');
ALTER TABLE app.docs ENABLE TRIGGER ALL;
SELECT is(t.status(), 'enabled enabled permanent: ok', 'ENABLE TRIGGER ALL');
ALTER TABLE app.docs DISABLE TRIGGER USER;
SELECT is(t.status(), 'disabled disabled permanent: the row trigger is disabled: nothing is captured; the truncate trigger is disabled: nothing is captured', 'DISABLE TRIGGER USER: ours are among them');
ALTER TABLE app.docs ENABLE REPLICA TRIGGER "!oa_sync_row", ENABLE ALWAYS TRIGGER "!oa_sync_truncate";
SELECT is(t.status(), 'replica always permanent: the row trigger fires only under session_replication_role = replica, and the publication is not always; the truncate trigger fires also under session_replication_role = replica, and the publication is not always', 'ENABLE REPLICA and ALWAYS');
DROP TRIGGER "!oa_sync_row" ON app.docs;
SELECT is(t.status(), 'missing always permanent: the row trigger is missing: nothing is captured; the truncate trigger fires also under session_replication_role = replica, and the publication is not always', 'a trigger that was dropped');
INSERT INTO app.docs VALUES (2, 'a', 1);
SELECT is(t.events('docs'), '{}', 'captures nothing');
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', doc_version => 'version', payload => 'id, body', always => true) \g /dev/null
SELECT is(t.status(), 'always always permanent: ok', 'published anew, always');
ALTER TABLE app.docs DISABLE TRIGGER ALL, ENABLE TRIGGER ALL;
SELECT is(t.status(), 'enabled enabled permanent: the row trigger fires not under session_replication_role = replica, and the publication is always; the truncate trigger fires not under session_replication_role = replica, and the publication is always',
          'turning all triggers off and on loses ALWAYS, which is shown');
ALTER TRIGGER "!oa_sync_row" ON app.docs RENAME TO other;
SELECT is((SELECT row_trigger FROM runtime.sync_publications_status WHERE relation = 'app.docs'::regclass), 'enabled', 'a trigger that was renamed is found');
INSERT INTO app.docs VALUES (3, 'a', 1);
SELECT is(t.events('docs'), ARRAY['1 upsert 3 1 {"body":"a","id":3}'], 'and fires');
DROP TRIGGER other ON app.docs;
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', doc_version => 'version', payload => 'id, body') \g /dev/null

-- What writes would fail of.
ALTER TABLE app.docs RENAME COLUMN body TO text;
SELECT is(t.status(), 'enabled enabled permanent: writes fail: column "body" of table "docs" does not exist', 'a column that the payload names was renamed');
ALTER TABLE app.docs RENAME COLUMN text TO body;
SELECT is(t.status(), 'enabled enabled permanent: ok', 'and back');
ALTER TABLE app.docs ALTER version TYPE text;
SELECT is(t.status(), 'enabled enabled permanent: writes fail: doc_version column "version" is of type text', 'the version is of another type');
ALTER TABLE app.docs DROP COLUMN version;
SELECT is(t.status(), 'enabled enabled permanent: writes fail: column "version" of table "docs" does not exist', 'the version was dropped');
CREATE FUNCTION app.doc(d app.docs) RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$;
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'app.doc(*)') \g /dev/null
DROP FUNCTION app.doc;
SELECT is(t.status(), 'enabled enabled permanent: writes fail: function app.doc(app.docs) does not exist', 'the payload function was dropped');
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}') \g /dev/null
SELECT is(t.status(), 'enabled enabled permanent: ok', 'published anew');

-- Partitions.
CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (10) TO (20);
SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}') \g /dev/null
SELECT is(t.status('app.parted'), 'enabled enabled permanent: ok', 'a partitioned table');
ALTER TABLE app.parted_2 DISABLE TRIGGER ALL;
SELECT is(t.status('app.parted'), 'enabled enabled permanent: partitions whose row trigger is disabled or fires otherwise: app.parted_2', 'the triggers of one partition are off');
ALTER TABLE app.parted_2 ENABLE TRIGGER ALL;

-- The view does not hang on a table that somebody holds, and says so.
SELECT dblink_connect('other', t.conn()) \g /dev/null
SELECT dblink_exec('other', 'BEGIN; LOCK TABLE app.docs') \g /dev/null
SELECT is(t.status(), 'enabled enabled permanent: not looked into further: another session holds a lock on the table', 'a table that is locked');
SELECT is(t.status('app.parted'), 'enabled enabled permanent: ok', 'is no matter for the others');
SELECT dblink_exec('other', 'ROLLBACK'), dblink_disconnect('other') \g /dev/null
SELECT is(t.status(), 'enabled enabled permanent: ok', 'when it is free again');
UPDATE runtime.sync_publications SET relation = 987654321 WHERE relation = 'app.parted'::regclass;
SELECT is((SELECT row_trigger || ': ' || problem FROM runtime.sync_publications_status WHERE relation = 987654321), 'missing: the table does not exist', 'a table that is not there');
UPDATE runtime.sync_publications SET relation = 'app.parted'::regclass WHERE relation = 987654321;

-- A role that watches.
DROP ROLE IF EXISTS oa_pgtap_watch; CREATE ROLE oa_pgtap_watch LOGIN;
SELECT is(t.failure('DO $$ BEGIN PERFORM FROM runtime.sync_publications_status; END $$', role => 'oa_pgtap_watch'), '42501', 'who has no right sees nothing');
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_watch;
GRANT SELECT ON runtime.sync_publications_status TO oa_pgtap_watch;
GRANT EXECUTE ON FUNCTION runtime.sync_publication_problem(regclass, int, boolean), runtime.oa_sync_check_publication(regclass, int) TO oa_pgtap_watch;
SELECT is(t.ask('SELECT count(*) FROM runtime.sync_publications_status WHERE problem IS NULL AND relation::text LIKE ''app.%''', role => 'oa_pgtap_watch'), '2', 'a role that watches needs the view and its two functions');
DROP OWNED BY oa_pgtap_watch; DROP ROLE oa_pgtap_watch;
SELECT * FROM finish();
