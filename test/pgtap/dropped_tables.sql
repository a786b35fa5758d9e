-- DROP TABLE takes the publication with it, in the same transaction, whoever drops and however.
\ir include/setup.sql
SELECT plan(14);
CREATE FUNCTION t.published() RETURNS text[] LANGUAGE sql AS $$ SELECT coalesce(array_agg(relation::text ORDER BY relation::text), '{}') FROM runtime.sync_publications WHERE relation::text LIKE 'app%' $$;
CREATE FUNCTION t.make(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('CREATE TABLE app.%I (id int PRIMARY KEY)', name); PERFORM runtime.sync_publish(format('app.%I', name)::regclass, topic => 'docs', doc_key => name || ':{id}'); END $$;
SELECT t.make('stays'), t.make('a'), t.make('b'), t.make('c'), t.make('d') \g /dev/null
DROP TABLE app.a;
SELECT is(t.published(), '{app.b,app.c,app.d,app.stays}', 'DROP TABLE');
BEGIN;
DROP TABLE app.b;
SELECT is(t.published(), '{app.c,app.d,app.stays}', 'it is gone before COMMIT');
ROLLBACK;
SELECT is(t.published(), '{app.b,app.c,app.d,app.stays}', 'a DROP that is rolled back leaves it');
INSERT INTO app.b VALUES (1);
SELECT is(t.events('docs'), ARRAY['1 upsert b:1 1 {"id":1}'], 'and the table published');
BEGIN; INSERT INTO app.b VALUES (2); SAVEPOINT s; DROP TABLE app.b; ROLLBACK TO s; INSERT INTO app.b VALUES (3); COMMIT;
SELECT is(t.events('docs', 1), ARRAY['2 upsert b:2 2 {"id":2}', '3 upsert b:3 3 {"id":3}'], 'to a savepoint too');
BEGIN; SELECT runtime.sync_publish('app.b', topic => 'docs', doc_key => 'bb:{id}') \g /dev/null
DROP TABLE app.b; COMMIT;
SELECT is(t.published(), '{app.c,app.d,app.stays}', 'published and dropped in one transaction');

-- By its owner, who has no right on anything of ours.
DROP ROLE IF EXISTS oa_pgtap_owner;
CREATE ROLE oa_pgtap_owner LOGIN;
GRANT USAGE, CREATE ON SCHEMA app TO oa_pgtap_owner;
ALTER TABLE app.c OWNER TO oa_pgtap_owner;
SELECT is(t.run('INSERT INTO app.c VALUES (1)', role => 'oa_pgtap_owner'), 'INSERT 0 1', 'an owner who has no right on ours writes');
SELECT is(t.run('DROP TABLE app.c', role => 'oa_pgtap_owner'), 'DROP TABLE', 'and drops');
SELECT is(t.published(), '{app.d,app.stays}', 'the publication is gone');
SET session_replication_role = replica;
DROP TABLE app.d;
RESET session_replication_role;
SELECT is(t.published(), '{app.stays}', 'under session_replication_role = replica');

-- By CASCADE: a schema, an owner; and a partition, which is not the table.
CREATE SCHEMA app2;
CREATE TABLE app2.x (id int PRIMARY KEY);
SELECT runtime.sync_publish('app2.x', topic => 'docs', doc_key => 'x:{id}') \g /dev/null
DROP SCHEMA app2 CASCADE;
CREATE TABLE app.owned (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.owned', topic => 'docs', doc_key => 'o:{id}') \g /dev/null
ALTER TABLE app.owned OWNER TO oa_pgtap_owner;
DROP OWNED BY oa_pgtap_owner;
DROP ROLE oa_pgtap_owner;
CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
SELECT runtime.sync_publish('app.parted', topic => 'docs', doc_key => 'p:{id}') \g /dev/null
DROP TABLE app.parted_1;
VACUUM FULL app.stays;
ALTER TABLE app.stays DROP CONSTRAINT stays_pkey, ADD COLUMN more int;
ALTER TABLE app.stays DROP COLUMN more;
SELECT is(t.published(), '{app.parted,app.stays}', 'DROP SCHEMA, DROP OWNED; not DROP of a partition, a rewrite, of an index or a column');
DROP TABLE app.parted;
SELECT is(t.published(), '{app.stays}', 'a partitioned table');
-- A table of an extension's schema and the extension itself, in one command.
SELECT lives_ok('DROP SCHEMA app, runtime CASCADE', 'DROP of the tables and of the extension in one command');
SELECT is((SELECT count(*) FROM pg_class WHERE relname LIKE 'sync\_%'), 0::bigint, 'leaves nothing');
SELECT * FROM finish();
