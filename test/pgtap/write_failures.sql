-- Transactions that fail while they append their events are counted; others are not.
\ir include/setup.sql
SELECT plan(10);
CREATE TABLE app.docs (id int PRIMARY KEY, CHECK (id > 0));
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => 'd:{id}') \g /dev/null
CREATE FUNCTION t.failures() RETURNS bigint LANGUAGE sql AS $$ SELECT (runtime.sync_overview()->>'write_failures')::bigint $$;
-- The same key is refused within one partition: all of this is to be in the same one.
SELECT t.make_partitions() \g /dev/null
SELECT is(t.failures(), 0::bigint, 'none at first');
INSERT INTO app.docs VALUES (1);
SELECT throws_ok('INSERT INTO app.docs VALUES (-1)', '23514', NULL, 'a statement that fails');
BEGIN; INSERT INTO app.docs VALUES (2); ROLLBACK;
SELECT is(t.failures(), 0::bigint, 'statements that fail and transactions that are rolled back are the application''s own');
-- The journal refuses: an index of somebody's own that allows a key once.
DO $$ DECLARE p regclass; BEGIN
  FOR p IN SELECT partition FROM runtime.sync_journal_partitions LOOP EXECUTE format('CREATE UNIQUE INDEX ON %s (doc_key)', p); END LOOP;
END $$;
SELECT is(t.failure('UPDATE app.docs SET id = 1'), '23505', 'the commit fails');
SELECT is(t.failures(), 1::bigint, 'and is counted');
INSERT INTO app.docs VALUES (3);
SELECT is(t.failures(), 1::bigint, 'one that commits after it is not');
-- Two who read what the other writes: one of them cannot commit, and learns it when its events are written.
SELECT public.dblink_connect(c, t.conn(current_database(), current_user)) FROM unnest('{one,two}'::text[]) c \g /dev/null
SELECT public.dblink_exec(c, 'BEGIN ISOLATION LEVEL SERIALIZABLE; DO $$BEGIN PERFORM count(*) FROM app.docs; END$$') FROM unnest('{one,two}'::text[]) c \g /dev/null
SELECT public.dblink_exec('one', 'INSERT INTO app.docs VALUES (11)'), public.dblink_exec('two', 'INSERT INTO app.docs VALUES (12)') \g /dev/null
SELECT is(public.dblink_exec('one', 'COMMIT'), 'COMMIT', 'the first commits');
SELECT throws_ok($$SELECT public.dblink_exec('two', 'COMMIT')$$, '40001', NULL, 'the other one does not');
SELECT is(t.failures(), 1::bigint, 'a conflict of SERIALIZABLE transactions is not the journal''s failure');
SELECT is((runtime.sync_overview()->>'projection_lag')::bigint, 0::bigint, 'no read model is behind');
SELECT * FROM finish();
