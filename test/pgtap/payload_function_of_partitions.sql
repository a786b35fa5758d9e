-- A payload function takes the published table's row, whatever the order of columns in a partition.
\ir include/setup.sql
SELECT plan(3);
CREATE TABLE app.parted (id int NOT NULL, a text, b text) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE app.parted_2 (gone int, b text, id int NOT NULL, a text);
ALTER TABLE app.parted_2 DROP COLUMN gone;
ALTER TABLE app.parted ATTACH PARTITION app.parted_2 FOR VALUES FROM (10) TO (20);
CREATE FUNCTION app.doc(app.parted) RETURNS json LANGUAGE sql IMMUTABLE AS $$SELECT json_build_object('a', $1.a, 'b', $1.b, 'id', $1.id)$$;
CREATE FUNCTION app.doc_plpgsql(r app.parted) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN RETURN jsonb_build_object('a', r.a, 'b', r.b); END$$;
SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}', doc_version => 'id', payload => 'app.doc(*)') \g /dev/null
INSERT INTO app.parted VALUES (1, 'a1', 'b1'), (11, 'a11', 'b11');
SELECT is(t.events('parted'), ARRAY['1 upsert 1 1 {"a":"a1","b":"b1","id":1}', '2 upsert 11 11 {"a":"a11","b":"b11","id":11}'],
          'columns are found by name');
SELECT runtime.sync_publish('app.parted', topic => 'parted', doc_key => '{id}', doc_version => 'id', payload => 'app.doc_plpgsql(*)') \g /dev/null
UPDATE app.parted SET a = 'x';
SELECT is((t.events('parted'))[3:4], ARRAY['3 upsert 1 1 {"a":"x","b":"b1"}', '4 upsert 11 11 {"a":"x","b":"b11"}'], 'also by PL/pgSQL');

CREATE TABLE app.included (id int, note text, PRIMARY KEY (id) INCLUDE (note));
SELECT runtime.sync_publish('app.included') \g /dev/null
SELECT is((SELECT doc_key FROM runtime.sync_publications WHERE relation = 'app.included'::regclass), 'app/included:{id}',
          'the default key is made of key columns only');
SELECT * FROM finish();
