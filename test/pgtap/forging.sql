-- An application role, with a schema and tables of its own, tries to change or forge events; hostile objects in the way of our functions.
\ir include/setup.sql
SELECT plan(43);
DROP ROLE IF EXISTS oa_pgtap_forger; CREATE ROLE oa_pgtap_forger LOGIN;
CREATE TABLE app.docs (id int PRIMARY KEY, body text);
CREATE TABLE app.rooted (id int PRIMARY KEY) PARTITION BY RANGE (id);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}') AS id \gset
SELECT runtime.sync_publish('app.rooted', topic => 'rooted', doc_key => '{id}') \g /dev/null
INSERT INTO app.docs VALUES (1, 'true');
GRANT USAGE, CREATE ON SCHEMA app TO oa_pgtap_forger;
GRANT CREATE ON SCHEMA public TO oa_pgtap_forger;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON app.docs TO oa_pgtap_forger;
SELECT is(t.failure('DO $$ BEGIN PERFORM FROM runtime.sync_stream_events; END $$', role => 'oa_pgtap_forger'), '42501', 'without USAGE on the schema');
GRANT USAGE ON SCHEMA runtime TO oa_pgtap_forger;
-- With it, which nobody needs.
SELECT is(t.failure(command, role => 'oa_pgtap_forger'), '42501', command) FROM unnest(ARRAY[
  'INSERT INTO runtime.sync_stream_events SELECT * FROM runtime.sync_stream_events',
  'UPDATE runtime.sync_stream_events SET payload = ''1''',
  'DELETE FROM runtime.sync_stream_events',
  'TRUNCATE runtime.sync_stream_events',
  'COPY runtime.sync_stream_events_default FROM PROGRAM ''true''',
  'COPY runtime.sync_publications TO STDOUT',
  'BEGIN; LOCK TABLE runtime.sync_stream_events',
  'UPDATE runtime.sync_topic_sequences SET next_watermark = 1',
  'DELETE FROM runtime.sync_epochs',
  'UPDATE runtime.sync_publications SET topic = ''mine''',
  'INSERT INTO runtime.sync_topic_policies (pattern) VALUES (''*'')',
  'DO $x$ BEGIN PERFORM setval(''runtime.sync_publications_publication_id_seq'', 1); END $x$',
  'DO $x$ BEGIN PERFORM runtime.sync_emit(''docs'', ''1'', 2, ''"false"''); END $x$',
  'CREATE TABLE app.mine (id int); CREATE TRIGGER "!oa_sync_row" AFTER INSERT ON app.mine FOR EACH ROW EXECUTE FUNCTION runtime.oa_sync_capture_row(''1'')',
  'CREATE TABLE app.mine (id int); CREATE TRIGGER "!oa_sync_truncate" BEFORE TRUNCATE ON app.mine EXECUTE FUNCTION runtime.oa_sync_capture_truncate(''1'')',
  'CREATE TRIGGER again AFTER INSERT ON app.docs FOR EACH ROW EXECUTE FUNCTION runtime.oa_sync_capture_row(''1'')',
  'DROP TRIGGER "!oa_sync_row" ON app.docs',
  'ALTER TABLE app.docs DISABLE TRIGGER USER',
  'CREATE TABLE app.mine (LIKE app.docs); ALTER TABLE runtime.sync_stream_events ATTACH PARTITION app.mine FOR VALUES FROM (''2000-01-01'') TO (''2001-01-01'')',
  'CREATE TABLE app.mine PARTITION OF runtime.sync_stream_events FOR VALUES FROM (''2000-01-01'') TO (''2001-01-01'')',
  'CREATE TABLE app.mine () INHERITS (runtime.sync_publications)',
  'CREATE TABLE app.mine (id int PRIMARY KEY); ALTER TABLE app.rooted ATTACH PARTITION app.mine FOR VALUES FROM (0) TO (10)',
  'CREATE FUNCTION runtime.mine() RETURNS int LANGUAGE sql AS ''SELECT 1''',
  'CREATE OR REPLACE FUNCTION runtime.sync_current_epoch() RETURNS bigint LANGUAGE sql AS ''SELECT 1::bigint''',
  'CREATE RULE r AS ON INSERT TO runtime.sync_stream_events_default DO INSTEAD NOTHING',
  'ALTER EXTENSION oa_sync ADD TABLE app.docs',
  'SET session_replication_role = replica']) command;
SELECT throws_ok($$SELECT t.run('CREATE FUNCTION app.capture() RETURNS trigger LANGUAGE c AS ''oa_sync'', ''oa_sync_capture_row''', role => 'oa_pgtap_forger')$$, '42501', NULL, 'nor makes a function of its own of our library');
-- A superuser's mistake: our trigger on another table does not speak for the published one.
CREATE TABLE app.other (id int PRIMARY KEY, body text);
SELECT format('CREATE TRIGGER x AFTER INSERT ON app.other FOR EACH ROW EXECUTE FUNCTION runtime.oa_sync_capture_row(%L)', :id) \gexec
SELECT throws_ok('INSERT INTO app.other VALUES (1, ''false'')', '55000', NULL, 'a trigger on another table, with the publication of this one, fails its writes');
SELECT is(t.events('docs'), ARRAY['1 upsert 1 1 {"body":"true","id":1}'], 'nothing was forged');

-- Hostile objects: functions, operators, tables and types by the names that ours use, in public and in pg_temp, first in the search_path.
CREATE TABLE t.sprung (what text);
CREATE FUNCTION t.spring(what text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO t.sprung VALUES (what) $$;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- Each function of pg_catalog that our functions name gets one with the same name and arguments in public.
DO $do$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0 AND p.prorettype <> 'internal'::regtype AND NOT p.proretset
        AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) a JOIN pg_type y ON y.oid = a WHERE y.typtype = 'p') AND NOT EXISTS (SELECT FROM pg_type y WHERE y.oid = p.prorettype AND y.typtype = 'p') AND p.proargmodes IS NULL
        AND EXISTS (SELECT FROM pg_proc ours WHERE ours.pronamespace = 'runtime'::regnamespace AND ours.prosrc ~ ('\m' || p.proname || '\(')) LOOP
    EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM t.spring(%L); RETURN NULL; END $f$', f.proname, f.arguments, f.result, f.proname);
  END LOOP;
  FOR f IN SELECT o.oprname, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r, format_type(o.oprresult, NULL) AS result FROM pg_operator o
      WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprname IN ('=', '<>', '<', '<=', '||', '+', '-') AND o.oprkind = 'b'
        AND o.oprleft = ANY ('{text,name,oid,integer,bigint,regclass,"char",timestamptz,smallint}'::regtype[]) AND o.oprright = ANY ('{text,name,oid,integer,bigint,regclass,"char",timestamptz,interval,smallint}'::regtype[]) LOOP
    EXECUTE format('CREATE FUNCTION public.%I(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM t.spring(%L); RETURN NULL; END $f$', 'op ' || f.oprname, f.l, f.r, f.result, 'operator ' || f.oprname);
    EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.%I, LEFTARG = %s, RIGHTARG = %s)', f.oprname, 'op ' || f.oprname, f.l, f.r);
  END LOOP;
END $do$;
SELECT dblink_connect('hostile', t.conn()) \g /dev/null
SELECT dblink_exec('hostile', $do$
  DO $$ DECLARE r text; BEGIN
    FOREACH r IN ARRAY '{pg_class,pg_namespace,pg_trigger,pg_index,pg_attribute,pg_type,pg_depend,pg_extension,pg_inherits,pg_proc,pg_roles,sync_publications,sync_epochs,sync_stream_events,sync_journal_partitions,sync_topic_sequences}'::text[] LOOP
      EXECUTE format('CREATE TEMP TABLE %I (x int)', r);
    END LOOP;
  END $$;
  CREATE FUNCTION pg_temp.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
  CREATE DOMAIN pg_temp.regclass AS text; CREATE DOMAIN pg_temp.text AS int; CREATE DOMAIN pg_temp.boolean AS int;
  SET search_path = pg_temp, public, pg_catalog$do$) \g /dev/null
SELECT is((SELECT x FROM dblink('hostile', $$SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text$$) AS x(x boolean)), NULL, 'the trap works: a comparison in that session falls into it');
DELETE FROM t.sprung;
CREATE TABLE app.victim (id int PRIMARY KEY, body text);
CREATE TABLE app.victims (a int, b text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
SELECT lives_ok(format('SELECT dblink_exec(''hostile'', %L)', format('DO $x$ BEGIN PERFORM %s; END $x$', call)), call) FROM unnest(ARRAY[
  $$runtime.sync_publish('app.victim'::pg_catalog.regclass)$$, $$runtime.sync_publish('app.victims'::pg_catalog.regclass, always => true)$$, $$runtime.sync_publish('app.victim'::pg_catalog.regclass, 'victim', '{id}')$$,
  $$runtime.sync_publication_problem('app.victim'::pg_catalog.regclass, 1, false)$$, $$runtime.sync_maintain_partitions()$$, $$runtime.sync_grant_reader('oa_pgtap_forger')$$, $$runtime.sync_revoke_reader('oa_pgtap_forger')$$]) call;
SELECT dblink_exec('hostile', $$INSERT INTO app.victim VALUES (1, 'x'); UPDATE app.victim SET body = 'y'$$) \g /dev/null
SELECT lives_ok($$SELECT * FROM dblink('hostile', 'SELECT count(*)::pg_catalog.int4 FROM runtime.sync_publications_status, runtime.sync_topics, runtime.sync_stats, runtime.sync_journal_partitions') AS x(n int)$$, 'the views');
SELECT lives_ok($$SELECT dblink_exec('hostile', 'DO $x$ BEGIN PERFORM runtime.sync_unpublish(''app.victim''::pg_catalog.regclass); END $x$')$$, 'sync_unpublish');
SELECT is((SELECT array_agg(DISTINCT what) FROM t.sprung), NULL, 'none of them fell into it');
SELECT is(t.events('victim'), ARRAY['1 upsert 1 1 {"body":"x","id":1}', '2 upsert 1 2 {"body":"y","id":1}'], 'and captured writes are as they are');
SELECT dblink_disconnect('hostile') \g /dev/null
DROP OWNED BY oa_pgtap_forger; DROP ROLE oa_pgtap_forger;
SELECT * FROM finish();
