-- The application's own triggers: events are of rows as they are written, in the order they are written.
\ir include/setup.sql
SELECT plan(12);
CREATE TABLE app.docs (id int PRIMARY KEY, n int, log text);
SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', payload => 'id,n') \g /dev/null

-- BEFORE: the row that is written is the one after it.
CREATE FUNCTION app.before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN IF OLD.n = 99 THEN RETURN NULL; END IF; RETURN OLD; END IF;
  IF NEW.n = 98 THEN RETURN NULL; END IF;
  NEW.n := NEW.n + 1; RETURN NEW;
END $$;
CREATE TRIGGER a_before BEFORE INSERT OR UPDATE OR DELETE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.before_row();
INSERT INTO app.docs VALUES (1, 1);
INSERT INTO app.docs VALUES (2, 98);
SELECT is(t.events('docs'), ARRAY['1 upsert 1 1 {"id":1,"n":2}'], 'BEFORE triggers change and refuse rows');
DROP TRIGGER a_before ON app.docs;

-- AFTER, by names that sort before and after ours.
CREATE FUNCTION app.after_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.n < 20 THEN UPDATE app.docs SET n = n + 10 WHERE id = NEW.id; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "0first" AFTER INSERT OR UPDATE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.after_row();
INSERT INTO app.docs VALUES (3, 3);
SELECT is(t.events('docs', 1), ARRAY['2 upsert 3 2 {"id":3,"n":3}', '3 upsert 3 3 {"id":3,"n":13}', '4 upsert 3 4 {"id":3,"n":23}'],
          'an AFTER trigger that writes the row again: the last event has the last state');
SELECT is((SELECT n FROM app.docs WHERE id = 3), 23, 'which is the row''s');
DROP TRIGGER "0first" ON app.docs;
CREATE TRIGGER "zlast" AFTER INSERT OR UPDATE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.after_row();
INSERT INTO app.docs VALUES (4, 4);
SELECT is(t.events('docs', 4), ARRAY['5 upsert 4 5 {"id":4,"n":4}', '6 upsert 4 6 {"id":4,"n":14}', '7 upsert 4 7 {"id":4,"n":24}'], 'whatever its name');
INSERT INTO app.docs VALUES (5, 5), (6, 6);
SELECT is((SELECT array_agg(DISTINCT ON_LAST) FROM (SELECT last_value(payload::text) OVER (PARTITION BY doc_key ORDER BY watermark ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS ON_LAST
           FROM runtime.sync_replay('docs', 7)) x), ARRAY['{"id":5,"n":25}', '{"id":6,"n":26}'], 'for several rows too');
DROP TRIGGER "zlast" ON app.docs;

-- A deferred constraint trigger that writes at COMMIT.
CREATE TABLE app.audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
SELECT runtime.sync_publish('app.audit', topic => 'docs', doc_key => 'audit:{id}') \g /dev/null
CREATE FUNCTION app.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO app.audit (what) VALUES (TG_OP || ' ' || NEW.id); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER audited AFTER INSERT OR UPDATE ON app.docs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.audit_row();
SELECT head FROM runtime.sync_topic_heads('{docs}') \gset
BEGIN;
INSERT INTO app.docs VALUES (7, 50);
INSERT INTO app.docs VALUES (8, 50);
COMMIT;
SELECT is((SELECT array_agg(doc_key || ' ' || payload::text ORDER BY watermark) FROM runtime.sync_replay('docs', :head)),
          ARRAY['7 {"id":7,"n":50}', '8 {"id":8,"n":50}', 'audit:1 {"id":1,"what":"INSERT 7"}', 'audit:2 {"id":2,"what":"INSERT 8"}'],
          'a deferred trigger that writes published tables at COMMIT: its events are there, last');
SELECT head FROM runtime.sync_topic_heads('{docs}') \gset
BEGIN;
INSERT INTO app.docs VALUES (9, 50);
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO app.docs VALUES (10, 50);
COMMIT;
SELECT is((SELECT array_agg(doc_key ORDER BY watermark) FROM runtime.sync_replay('docs', :head)), ARRAY['9', 'audit:3', '10', 'audit:4'], 'SET CONSTRAINTS IMMEDIATE');
CREATE OR REPLACE FUNCTION app.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused at commit'; END $$;
SELECT throws_ok($$SELECT t.run('BEGIN; INSERT INTO app.docs VALUES (11, 50); COMMIT')$$, 'P0001', 'refused at commit', 'a deferred trigger that fails the COMMIT');
SELECT is((SELECT head FROM runtime.sync_topic_heads('{docs}')) - :head, 4::bigint, 'leaves no event and takes no watermark');
DROP TRIGGER audited ON app.docs;

-- Triggers on the audit of one table writing another, nested three deep, and a payload function that reads.
CREATE FUNCTION app.chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF length(NEW.what) < 4 THEN INSERT INTO app.audit (what) VALUES (NEW.what || 'x'); END IF; RETURN NULL; END $$;
CREATE TRIGGER chained AFTER INSERT ON app.audit FOR EACH ROW EXECUTE FUNCTION app.chain();
SELECT head FROM runtime.sync_topic_heads('{docs}') \gset
INSERT INTO app.audit (what) VALUES ('a');
SELECT is((SELECT array_agg(payload->>'what' ORDER BY watermark) FROM runtime.sync_replay('docs', :head)), ARRAY['a', 'ax', 'axx', 'axxx'], 'triggers that cause triggers');
CREATE FUNCTION app.with_count(a app.audit) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('what', a.what, 'rows', count(*)) FROM app.docs WHERE id >= 1000 $$;
SELECT runtime.sync_publish('app.audit', topic => 'reads', doc_key => '{what}', payload => 'app.with_count(*)') \g /dev/null
BEGIN; INSERT INTO app.docs VALUES (1000, 60); INSERT INTO app.audit (what) VALUES ('last'); COMMIT;
SELECT is(t.events('reads'), ARRAY['1 upsert last 1 {"rows":1,"what":"last"}'], 'a payload function sees what the transaction wrote');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
