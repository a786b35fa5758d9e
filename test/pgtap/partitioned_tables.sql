-- Partitioned tables: rows through the root and through partitions, rows that move, ATTACH and DETACH, own column order.
\ir include/setup.sql
SELECT plan(25);
CREATE TABLE app.events (id int, region text, note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE app.events_eu PARTITION OF app.events FOR VALUES IN ('eu');
-- Other column numbers than the root's.
CREATE TABLE app.events_us (dropped int, note text, region text NOT NULL, id int NOT NULL);
ALTER TABLE app.events_us DROP COLUMN dropped;
ALTER TABLE app.events ATTACH PARTITION app.events_us FOR VALUES IN ('us');
-- Partitions of partitions.
CREATE TABLE app.events_asia PARTITION OF app.events FOR VALUES IN ('asia') PARTITION BY RANGE (id);
CREATE TABLE app.events_asia_low PARTITION OF app.events_asia FOR VALUES FROM (0) TO (100);
SELECT runtime.sync_publish('app.events', topic => 'events', doc_key => 'event/{region}/{id}') \g /dev/null

INSERT INTO app.events VALUES (1, 'eu', 'a'), (2, 'us', 'b'), (3, 'asia', 'c');
SELECT is(t.events('events'), ARRAY['1 upsert event/eu/1 1 {"id":1,"note":"a","region":"eu"}',
  '2 upsert event/us/2 2 {"id":2,"note":"b","region":"us"}', '3 upsert event/asia/3 3 {"id":3,"note":"c","region":"asia"}'],
  'rows through the root, whatever the partition''s column order');
INSERT INTO app.events_us (id, region, note) VALUES (4, 'us', 'd');
UPDATE app.events_asia_low SET note = 'cc';
DELETE FROM app.events_eu;
SELECT is(t.events('events', 3), ARRAY['4 upsert event/us/4 4 {"id":4,"note":"d","region":"us"}',
  '5 upsert event/asia/3 5 {"id":3,"note":"cc","region":"asia"}', '6 delete event/eu/1 6 -'], 'rows through partitions');
UPDATE app.events SET region = 'eu' WHERE id = 2;
SELECT is(t.events('events', 6), ARRAY['7 delete event/us/2 7 -', '8 upsert event/eu/2 8 {"id":2,"note":"b","region":"eu"}'],
  'a row that moves to another partition with its key: delete and upsert');

SELECT runtime.sync_publish('app.events', topic => 'byid', doc_key => 'event/{id}') \g /dev/null
UPDATE app.events SET region = 'us' WHERE id = 2;
SELECT is(t.events('byid'), ARRAY['1 delete event/2 1 -', '2 upsert event/2 2 {"id":2,"note":"b","region":"us"}'],
  'a row that moves and keeps its key: PostgreSQL deletes and inserts, and the last event has the row');
COPY app.events FROM stdin;
10	eu	copied
11	us	copied
\.
SELECT is(t.events('byid', 2), ARRAY['3 upsert event/10 3 {"id":10,"note":"copied","region":"eu"}', '4 upsert event/11 4 {"id":11,"note":"copied","region":"us"}'], 'COPY');

CREATE TABLE app.events_af PARTITION OF app.events FOR VALUES IN ('af');
INSERT INTO app.events VALUES (12, 'af', 'new');
SELECT is(t.events('byid', 4), ARRAY['5 upsert event/12 5 {"id":12,"note":"new","region":"af"}'], 'a partition that is made later is published');
CREATE TABLE app.events_sa (LIKE app.events INCLUDING ALL);
INSERT INTO app.events_sa VALUES (13, 'sa', 'before');
ALTER TABLE app.events ATTACH PARTITION app.events_sa FOR VALUES IN ('sa');
SELECT is(t.events('byid', 5), '{}', 'ATTACH itself is no event: the rows are there without one');
UPDATE app.events SET note = 'after' WHERE id = 13;
SELECT is(t.events('byid', 5), ARRAY['6 upsert event/13 6 {"id":13,"note":"after","region":"sa"}'], 'an attached partition is published');
ALTER TABLE app.events DETACH PARTITION app.events_sa;
UPDATE app.events_sa SET note = 'on its own';
SELECT is(t.events('byid', 6), '{}', 'a detached one is not');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.events_sa'::regclass AND tgname LIKE '!oa%'), 0::bigint, 'and has no trigger left');
ALTER TABLE app.events DETACH PARTITION app.events_af CONCURRENTLY;
INSERT INTO app.events_af VALUES (14, 'af', 'x');
SELECT is(t.events('byid', 6), '{}', 'nor is one detached concurrently');

-- TRUNCATE
INSERT INTO app.events VALUES (15, 'us', 'e');
SELECT is(t.events('byid', 6), ARRAY['7 upsert event/15 7 {"id":15,"note":"e","region":"us"}'], 'before the truncates');
TRUNCATE app.events_us;
SELECT is(t.changes('byid', 7), ARRAY['delete event/11 -', 'delete event/15 -', 'delete event/2 -', 'delete event/4 -'],
          'TRUNCATE of one partition: each of its rows is deleted');
TRUNCATE app.events_asia;
SELECT is(t.events('byid', 11), ARRAY['12 delete event/3 12 -'], 'TRUNCATE of a partition with partitions: each row is deleted, once');
INSERT INTO app.events VALUES (16, 'us', 'f'), (17, 'asia', 'g');
TRUNCATE app.events;
SELECT is(t.events('byid', 14), ARRAY['15 truncate event/ 15 -'], 'TRUNCATE of the root: one event');
INSERT INTO app.events VALUES (18, 'us', 'f');
TRUNCATE app.events_us;
SELECT is(t.events('byid', 16), ARRAY['17 delete event/18 17 -'], 'TRUNCATE of a partition after one of the root');
INSERT INTO app.events VALUES (18, 'us', 'f');
TRUNCATE app.events, app.events_us;
SELECT is(t.events('byid', 18), ARRAY['19 truncate event/ 19 -'], 'TRUNCATE of the root and a partition: one event');
INSERT INTO app.events VALUES (18, 'us', 'f'), (19, 'asia', 'f');
TRUNCATE app.events_us, app.events_asia;
SELECT is(t.events('byid', 21), ARRAY['22 delete event/18 22 -', '23 delete event/19 23 -'], 'TRUNCATE of two partitions');
INSERT INTO app.events VALUES (19, 'us', 'f'), (20, 'eu', 'f');
BEGIN; TRUNCATE app.events_us; TRUNCATE app.events_eu; INSERT INTO app.events VALUES (21, 'us', 'z'); TRUNCATE app.events; COMMIT;
SELECT is((SELECT array_agg(doc_key || ' ' || op ORDER BY watermark) FROM runtime.sync_replay('byid', 25)),
          ARRAY['event/19 delete', 'event/20 delete', 'event/21 upsert', 'event/ truncate'], 'all of them in one transaction');
BEGIN; INSERT INTO app.events VALUES (22, 'us', 'z'); TRUNCATE app.events; ROLLBACK;
INSERT INTO app.events VALUES (23, 'us', 'z');
TRUNCATE app.events_us;
SELECT is((SELECT array_agg(doc_key || ' ' || op ORDER BY watermark) FROM runtime.sync_replay('byid', 29)),
          ARRAY['event/23 upsert', 'event/23 delete'], 'TRUNCATE of a partition after one of the root that was rolled back');

-- A row that comes while TRUNCATE waits for its lock is deleted by an event too.
INSERT INTO app.events VALUES (24, 'us', 'z');
SELECT dblink_connect('writer', t.conn()), dblink_connect('truncater', t.conn()) \g /dev/null
SELECT dblink_exec('writer', $$BEGIN; INSERT INTO app.events VALUES (25, 'us', 'late')$$) \g /dev/null
SELECT dblink_send_query('truncater', 'TRUNCATE app.events_us') \g /dev/null
SELECT ok(t.wait_for($$SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'app.events_us'::regclass)$$), 'TRUNCATE waits for a writer');
SELECT dblink_exec('writer', 'COMMIT') \g /dev/null
SELECT * FROM dblink_get_result('truncater') AS r(x text) \g /dev/null
SELECT is((SELECT array_agg(doc_key || ' ' || op ORDER BY watermark) FROM runtime.sync_replay('byid', 31)),
          ARRAY['event/24 upsert', 'event/25 upsert', 'event/24 delete', 'event/25 delete'], 'and sees what the writer wrote');
SELECT dblink_disconnect('writer'), dblink_disconnect('truncater') \g /dev/null

DROP ROLE IF EXISTS oa_pgtap_nobody;
CREATE ROLE oa_pgtap_nobody LOGIN;
GRANT USAGE ON SCHEMA app TO oa_pgtap_nobody;
SELECT throws_ok($$SELECT t.run('TRUNCATE app.events_us', role => 'oa_pgtap_nobody')$$, '42501', 'permission denied for table events_us',
                 'who may not truncate is refused');
DROP OWNED BY oa_pgtap_nobody;
DROP ROLE oa_pgtap_nobody;
DROP TABLE app.events_us;
SELECT lives_ok($$INSERT INTO app.events VALUES (30, 'eu', 'end')$$, 'a partition that is dropped is no trouble');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
