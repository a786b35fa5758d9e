-- Savepoints, released and rolled back, nested, in PL/pgSQL exception blocks: events go with their rows.
\ir include/setup.sql
SELECT plan(12);
CREATE TABLE app.docs (id int PRIMARY KEY, topic text NOT NULL DEFAULT 'a');
SELECT runtime.sync_publish('app.docs', topic => 's:{topic}', doc_key => '{id}', payload => 'id') \g /dev/null
CREATE FUNCTION t.keys(topic text, after bigint DEFAULT 0) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(doc_key, ' ' ORDER BY watermark) FROM runtime.sync_replay($1, $2, 100000, 1000000000) $$;

BEGIN; INSERT INTO app.docs VALUES (1); SAVEPOINT a; INSERT INTO app.docs VALUES (2); RELEASE a; INSERT INTO app.docs VALUES (3); COMMIT;
SELECT is(t.keys('s:a'), '1 2 3', 'released');
BEGIN; INSERT INTO app.docs VALUES (4); SAVEPOINT a; INSERT INTO app.docs VALUES (5); ROLLBACK TO a; INSERT INTO app.docs VALUES (6); COMMIT;
SELECT is(t.keys('s:a', 3), '4 6', 'rolled back');
BEGIN;
INSERT INTO app.docs VALUES (10);
SAVEPOINT a; INSERT INTO app.docs VALUES (11);
SAVEPOINT b; INSERT INTO app.docs VALUES (12);
SAVEPOINT c; INSERT INTO app.docs VALUES (13);
RELEASE c; INSERT INTO app.docs VALUES (14);
ROLLBACK TO b; INSERT INTO app.docs VALUES (15);
SAVEPOINT c; INSERT INTO app.docs VALUES (16); RELEASE b;
INSERT INTO app.docs VALUES (17);
SAVEPOINT d; INSERT INTO app.docs VALUES (18); ROLLBACK TO d; ROLLBACK TO d; INSERT INTO app.docs VALUES (19);
COMMIT;
SELECT is(t.keys('s:a', 5), '10 11 15 16 17 19', 'nested: released into one that is rolled back, and the other way');
BEGIN; SAVEPOINT a; INSERT INTO app.docs VALUES (20); RELEASE a; ROLLBACK;
SELECT is(t.keys('s:a', 11), NULL, 'released, and the transaction rolled back');
BEGIN; SAVEPOINT a; INSERT INTO app.docs VALUES (21); ROLLBACK TO a; COMMIT;
SELECT is(t.keys('s:a', 11), NULL, 'nothing left: no event, no watermark');
BEGIN; INSERT INTO app.docs VALUES (22, 'b'); SAVEPOINT a; INSERT INTO app.docs VALUES (23, 'only-here'); ROLLBACK TO a; INSERT INTO app.docs VALUES (23, 'b'); COMMIT;
SELECT is((SELECT array_agg(topic || ' ' || head) FROM runtime.sync_topic_heads('{s:b,s:only-here}')), ARRAY['s:b 2', 's:only-here 0'], 'a topic that is only in what is rolled back');
DO $$
BEGIN
  FOR i IN 30..39 LOOP
    BEGIN
      INSERT INTO app.docs VALUES (i);
      IF i % 3 = 0 THEN RAISE 'undo'; END IF;
      BEGIN
        INSERT INTO app.docs VALUES (i + 100);
        IF i % 2 = 0 THEN RAISE 'undo'; END IF;
      EXCEPTION WHEN raise_exception THEN NULL;
      END;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT is(t.keys('s:a', 11), '31 131 32 34 35 135 37 137 38', 'PL/pgSQL exception blocks');
-- A statement that fails in the middle takes the events of its first rows with it.
BEGIN;
INSERT INTO app.docs VALUES (40);
DO $$ BEGIN INSERT INTO app.docs VALUES (41), (42), (40); EXCEPTION WHEN unique_violation THEN NULL; END $$;
INSERT INTO app.docs VALUES (43);
COMMIT;
SELECT is(t.keys('s:a', 20), '40 43', 'a statement that fails after some rows');
DO $$
BEGIN
  FOR i IN 1..5000 LOOP
    BEGIN
      INSERT INTO app.docs VALUES (i + 1000, 'many');
      IF i % 2 = 0 THEN RAISE 'undo'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT is((SELECT (count(*), min(doc_key::int), max(doc_key::int), bool_and(doc_key::int = 999 + watermark * 2))::text FROM runtime.sync_replay('s:many', 0, 10000, 1000000000)),
          '(2500,1001,5999,t)', 'thousands of subtransactions, every other rolled back');
CREATE PROCEDURE app.commits() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..4 LOOP
    INSERT INTO app.docs VALUES (i + 50, 'procedure');
    IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
  END LOOP;
END $$;
CALL app.commits();
SELECT is(t.keys('s:procedure'), '52 54', 'a procedure that commits and rolls back');
SELECT is((SELECT count(DISTINCT txid) FROM runtime.sync_replay('s:procedure', 0)), 2::bigint, 'in two transactions');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
