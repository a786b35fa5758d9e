-- session_replication_role = replica (logical replication, restores): nothing is captured unless the publication says always.
\ir include/setup.sql
SELECT plan(13);
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

-- TRUNCATE of one partition follows the rule of its row trigger, which is that of the publication.
CREATE TABLE app.quiet (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.quiet_1 PARTITION OF app.quiet FOR VALUES FROM (0) TO (100);
SELECT runtime.sync_publish('app.quiet', topic => 'quiet', doc_key => '{id}') \g /dev/null
INSERT INTO app.quiet VALUES (1);
SET session_replication_role = replica;
TRUNCATE app.quiet_1; TRUNCATE app.parted_1;
RESET session_replication_role;
SELECT is(t.events('quiet', 1), '{}', 'TRUNCATE of a partition: without always nothing');
SELECT is(t.events('parted', 2), ARRAY['3 delete 1 3 -'], 'with always its rows');
INSERT INTO app.quiet VALUES (2);
ALTER TABLE app.quiet_1 DISABLE TRIGGER ALL;
TRUNCATE app.quiet_1;
SELECT is(t.events('quiet', 2), '{}', 'of a partition whose triggers are off: nothing, as of its DELETE');
ALTER TABLE app.quiet_1 ENABLE TRIGGER ALL;
INSERT INTO app.quiet VALUES (3);
TRUNCATE app.quiet_1;
SELECT is(t.events('quiet', 2), ARRAY['3 upsert 3 3 {"id":3}', '4 delete 3 4 -'], 'on again');
ALTER TABLE app.quiet ENABLE REPLICA TRIGGER "!oa_sync_row";
INSERT INTO app.quiet VALUES (4);
TRUNCATE app.quiet_1;
SELECT is(t.events('quiet', 4), '{}', 'ENABLE REPLICA: not as origin');
SET session_replication_role = replica;
INSERT INTO app.quiet VALUES (5);
TRUNCATE app.quiet_1;
RESET session_replication_role;
SELECT is(t.events('quiet', 4), ARRAY['5 upsert 5 5 {"id":5}', '6 delete 5 6 -'], 'but as replica');
SELECT * FROM finish();
