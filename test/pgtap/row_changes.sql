-- Every way to change rows: INSERT, UPDATE, DELETE, keys that change, COPY, ON CONFLICT, MERGE, many rows at once.
\ir include/setup.sql
SELECT plan(19);
CREATE TABLE app.docs (id int PRIMARY KEY, topic text NOT NULL DEFAULT 'a', n int NOT NULL DEFAULT 0);
SELECT runtime.sync_publish('app.docs', topic => 'docs:{topic}', doc_key => 'doc/{id}', payload => 'id,n') \g /dev/null

INSERT INTO app.docs VALUES (1);
SELECT is(t.events('docs:a'), ARRAY['1 upsert doc/1 1 {"id":1,"n":0}'], 'INSERT');
UPDATE app.docs SET n = n + 1;
SELECT is(t.events('docs:a', 1), ARRAY['2 upsert doc/1 2 {"id":1,"n":1}'], 'UPDATE: the new row');
UPDATE app.docs SET n = n;
SELECT is(t.events('docs:a', 2), ARRAY['3 upsert doc/1 3 {"id":1,"n":1}'], 'UPDATE that changes nothing is an event');
UPDATE app.docs SET n = 5 WHERE false;
SELECT is(t.events('docs:a', 3), '{}', 'UPDATE of no row is none');
UPDATE app.docs SET id = 2, n = 2;
SELECT is(t.events('docs:a', 3), ARRAY['4 delete doc/1 4 -', '5 upsert doc/2 5 {"id":2,"n":2}'], 'a key that changes: delete and upsert');
UPDATE app.docs SET topic = 'b';
SELECT is(t.events('docs:a', 5) || t.events('docs:b'), ARRAY['6 delete doc/2 6 -', '1 upsert doc/2 1 {"id":2,"n":2}'], 'a topic that changes: delete here, upsert there');
DELETE FROM app.docs;
SELECT is(t.events('docs:b', 1), ARRAY['2 delete doc/2 2 -'], 'DELETE');
SELECT is((SELECT array_agg(DISTINCT encode(payload_hash, 'hex')) FROM runtime.sync_stream_events WHERE op = 'delete'),
          ARRAY['74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b'], 'a delete''s hash is that of null');

INSERT INTO app.docs (id, topic) SELECT i, 'c' FROM generate_series(1, 5) i;
UPDATE app.docs SET id = id + 10 WHERE topic = 'c' AND id > 3;
DELETE FROM app.docs WHERE topic = 'c' AND id < 3;
SELECT is(t.events('docs:c'), ARRAY[
  '1 upsert doc/1 1 {"id":1,"n":0}', '2 upsert doc/2 2 {"id":2,"n":0}', '3 upsert doc/3 3 {"id":3,"n":0}',
  '4 upsert doc/4 4 {"id":4,"n":0}', '5 upsert doc/5 5 {"id":5,"n":0}',
  '6 delete doc/4 6 -', '7 upsert doc/14 7 {"id":14,"n":0}', '8 delete doc/5 8 -', '9 upsert doc/15 9 {"id":15,"n":0}',
  '10 delete doc/1 10 -', '11 delete doc/2 11 -'], 'many rows: in the order they were changed');

COPY app.docs (id, topic, n) FROM stdin;
21	d	1
22	d	2
20	d	3
\.
SELECT is(t.events('docs:d'), ARRAY['1 upsert doc/21 1 {"id":21,"n":1}', '2 upsert doc/22 2 {"id":22,"n":2}', '3 upsert doc/20 3 {"id":20,"n":3}'], 'COPY');

INSERT INTO app.docs VALUES (21, 'd', 9), (23, 'd', 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n + 100;
SELECT is(t.events('docs:d', 3), ARRAY['4 upsert doc/21 4 {"id":21,"n":109}', '5 upsert doc/23 5 {"id":23,"n":9}'], 'INSERT ON CONFLICT DO UPDATE');
INSERT INTO app.docs VALUES (21, 'd', 1), (24, 'd', 1) ON CONFLICT DO NOTHING;
SELECT is(t.events('docs:d', 5), ARRAY['6 upsert doc/24 6 {"id":24,"n":1}'], 'INSERT ON CONFLICT DO NOTHING');

MERGE INTO app.docs d USING (VALUES (21, 1), (22, 2), (99, 3)) AS s(id, n) ON d.id = s.id
  WHEN MATCHED AND s.n = 1 THEN DELETE
  WHEN MATCHED THEN UPDATE SET n = 1000 + s.n
  WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'd', s.n);
SELECT is(t.changes('docs:d', 6),
          ARRAY['delete doc/21 -', 'upsert doc/22 {"id":22,"n":1002}', 'upsert doc/99 {"id":99,"n":3}'], 'MERGE');

WITH gone AS (DELETE FROM app.docs WHERE id = 99 RETURNING *) INSERT INTO app.docs SELECT 100, topic, n FROM gone;
SELECT is(t.changes('docs:d', 9),
          ARRAY['delete doc/99 -', 'upsert doc/100 {"id":100,"n":3}'], 'a WITH that writes');

BEGIN;
INSERT INTO app.docs VALUES (30, 'e');
UPDATE app.docs SET n = 1 WHERE id = 30;
INSERT INTO app.docs VALUES (31, 'f');
UPDATE app.docs SET n = 2 WHERE id = 30;
UPDATE app.docs SET n = 2 WHERE id = 31;
DELETE FROM app.docs WHERE id = 30;
COMMIT;
SELECT is(t.events('docs:e'), ARRAY['1 upsert doc/30 1 {"id":30,"n":0}', '2 upsert doc/30 2 {"id":30,"n":1}', '3 upsert doc/30 3 {"id":30,"n":2}', '4 delete doc/30 4 -'],
          'one transaction: every state of a row, in order');
SELECT is(t.events('docs:f'), ARRAY['1 upsert doc/31 1 {"id":31,"n":0}', '2 upsert doc/31 2 {"id":31,"n":2}'], 'each topic by itself');
SELECT is((SELECT count(DISTINCT txid) FROM runtime.sync_stream_events WHERE topic IN ('docs:e', 'docs:f')), 1::bigint, 'all with the txid of the transaction');
INSERT INTO app.docs VALUES (40, 'g');
SELECT is((SELECT txid FROM runtime.sync_replay('docs:g', 0)), (SELECT xmin::text::xid8 FROM app.docs WHERE id = 40), 'which is the writer''s');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
