-- session_replication_role = replica (logical replication, restores): nothing is captured unless the publication says always.
\ir include/setup.sql
SELECT plan(7);
CREATE TABLE app.plain (id int PRIMARY KEY);
CREATE TABLE app.every (id int PRIMARY KEY);
CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
SELECT runtime.sync_publish('app.plain', topic => 'plain', doc_key => '{id}'), runtime.sync_publish('app.every', topic => 'every', doc_key => 'e{id}', always => true),
       runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}', always => true) \g /dev/null
SELECT is((SELECT array_agg(DISTINCT tgenabled::text) FROM pg_trigger WHERE tgrelid = 'app.every'::regclass), ARRAY['A'], 'always: ENABLE ALWAYS');
SET session_replication_role = replica;
INSERT INTO app.plain VALUES (1); INSERT INTO app.every VALUES (1); INSERT INTO app.parted VALUES (1);
UPDATE app.every SET id = 2; DELETE FROM app.every; TRUNCATE app.every; TRUNCATE app.plain;
RESET session_replication_role;
SELECT is(t.events('plain'), '{}', 'without always nothing');
SELECT is(t.events('every'), ARRAY['1 upsert e1 1 {"id":1}', '2 delete e1 2 -', '3 upsert e2 3 {"id":2}', '4 delete e2 4 -', '5 truncate e 5 -'], 'with always everything');
SELECT is(t.events('parted'), ARRAY['1 upsert 1 1 {"id":1}'], 'of partitions too');
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (100) TO (200);
SET session_replication_role = replica;
INSERT INTO app.parted VALUES (101);
RESET session_replication_role;
SELECT is(t.events('parted', 1), ARRAY['2 upsert 101 2 {"id":101}'], 'of partitions that are made later');
INSERT INTO app.plain VALUES (2);
SELECT is(t.events('plain'), ARRAY['1 upsert 2 1 {"id":2}'], 'as origin again');
SET session_replication_role = local;
INSERT INTO app.plain VALUES (3);
RESET session_replication_role;
SELECT is(t.events('plain', 1), ARRAY['2 upsert 3 2 {"id":3}'], 'as local too');
SELECT * FROM finish();
