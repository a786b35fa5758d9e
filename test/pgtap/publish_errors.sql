-- What sync_publish refuses, with its SQLSTATE and message; and that a refusal leaves nothing.
\ir include/setup.sql
SELECT plan(47);

CREATE TABLE app.runs (id int PRIMARY KEY, name text, amount numeric, at timestamptz, small smallint);
CREATE FUNCTION app.returns_text(r app.runs) RETURNS text LANGUAGE sql AS $$ SELECT r.name $$;
CREATE FUNCTION app.returns_set(r app.runs) RETURNS SETOF json LANGUAGE sql AS $$ SELECT '{}'::json $$;
CREATE FUNCTION app.takes_int(r int) RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$;

SELECT throws_ok('SELECT runtime.sync_unpublish(NULL)', '22004', 'relation must not be null', 'nothing to unpublish');

-- Columns
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => 'run:{nope}')$$, '42703',
                 'column "nope" of table "runs" does not exist', 'unknown column in the topic');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => 'run:{nope}')$$, '42703',
                 'column "nope" of table "runs" does not exist', 'unknown column in the key');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => 'run:{ID}')$$, '42703',
                 'column "ID" of table "runs" does not exist', 'columns are matched exactly');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_version => 'nope')$$, '42703',
                 'column "nope" of table "runs" does not exist', 'unknown version column');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', payload => 'id, nope')$$, '42703',
                 'column "nope" of table "runs" does not exist', 'unknown payload column');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => '{ctid}')$$, '42703',
                 'column "ctid" of table "runs" does not exist', 'system columns are no columns');

-- Templates
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => 'run:{id')$$, '22023',
                 'invalid topic template "run:{id"', 'open brace');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => 'run:id}')$$, '22023',
                 'invalid doc_key template "run:id}"', 'lone closing brace');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => 'run:{}')$$, '22023',
                 'invalid doc_key template "run:{}"', 'no column in the braces');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => '')$$, '22023',
                 'invalid doc_key template ""', 'empty template');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_key => repeat('{id}', 33))$$, '22023', NULL, 'too many parts');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => 'no spaces')$$, '22023',
                 'invalid topic "no spaces"', 'a topic without columns is checked at once');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => repeat('x', 161))$$, '22023', NULL, 'a topic that is too long');

-- Topics of OA Sync's own
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => 'oa_sync.revocations')$$, '22023', 'topic "oa_sync.revocations" is reserved', 'a reserved topic');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', topic => 'oa_sync.{name}')$$, '22023', 'topic "oa_sync." is reserved', 'a template that begins so');
CREATE TABLE app.strangers (id int PRIMARY KEY, room text);
SELECT lives_ok($$SELECT runtime.sync_publish('app.strangers', topic => '{room}')$$, 'a template that may give one');
SELECT throws_ok($$INSERT INTO app.strangers VALUES (1, 'oa_sync.revocations')$$, '22023', 'topic "oa_sync.revocations" is reserved', 'a row that gives one');
INSERT INTO app.strangers VALUES (1, 'a');
SELECT throws_ok($$UPDATE app.strangers SET room = 'oa_sync.canary'$$, '22023', 'topic "oa_sync.canary" is reserved', 'a row that is changed to one');
ALTER TABLE app.strangers DISABLE TRIGGER USER;
UPDATE app.strangers SET room = 'oa_sync.canary';
ALTER TABLE app.strangers ENABLE TRIGGER USER;
SELECT lives_ok($$DELETE FROM app.strangers$$, 'a row that was never an event can go');
SELECT is((SELECT count(*) FROM runtime.sync_stream_events WHERE topic LIKE 'oa!_sync.%' ESCAPE '!'), 0::bigint, 'and tells nobody');
SELECT runtime.sync_unpublish('app.strangers') \g /dev/null

-- Kinds of relations
CREATE VIEW app.a_view AS SELECT * FROM app.runs;
CREATE MATERIALIZED VIEW app.a_matview AS SELECT * FROM app.runs;
CREATE SEQUENCE app.a_sequence;
CREATE INDEX an_index ON app.runs (name);
CREATE UNLOGGED TABLE app.an_unlogged (id int PRIMARY KEY);
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
CREATE TABLE app.a_root (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.a_partition PARTITION OF app.a_root FOR VALUES FROM (0) TO (10);
CREATE TABLE app.no_key (id int);
SELECT throws_ok($$SELECT runtime.sync_publish('app.a_view')$$, '42809', 'app.a_view is not a table', 'view');
SELECT throws_ok($$SELECT runtime.sync_publish('app.a_matview')$$, '42809', NULL, 'materialized view');
SELECT throws_ok($$SELECT runtime.sync_publish('app.a_sequence')$$, '42809', NULL, 'sequence');
SELECT throws_ok($$SELECT runtime.sync_publish('app.an_index')$$, '42809', NULL, 'index');
SELECT throws_ok($$SELECT runtime.sync_publish('app.an_unlogged')$$, '42809', 'table app.an_unlogged is temporary or unlogged', 'unlogged table');
SELECT throws_ok($$SELECT runtime.sync_publish('a_temp')$$, '42809', NULL, 'temporary table');
SELECT throws_ok($$SELECT runtime.sync_publish('app.a_partition')$$, '42809', 'app.a_partition is a partition', 'partition');
SELECT throws_ok($$SELECT runtime.sync_publish('pg_class', doc_key => '{relname}')$$, '42809',
                 'table pg_class belongs to the system and can not be published', 'system table');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_stream_events', doc_key => '{topic}')$$, '42809', NULL, 'the journal');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_stream_events_default', doc_key => '{topic}')$$, '42809', NULL, 'its default partition');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_publications')$$, '42809', NULL, 'the publications');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_epochs')$$, '42809', NULL, 'the epochs');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_topic_sequences')$$, '42809', NULL, 'the sequences');
SELECT throws_ok($$SELECT runtime.sync_publish('runtime.sync_topic_policies')$$, '42809', NULL, 'the policies, and whatever else is the extension''s own');
SELECT throws_ok($$SELECT runtime.sync_publish('app.nowhere')$$, '42P01', NULL, 'a table that is not there');
SELECT throws_ok($$SELECT runtime.sync_publish(0)$$, '42P01', NULL, 'the relation number 0');
SELECT throws_ok($$SELECT runtime.sync_publish('app.no_key')$$, '22023', 'table app.no_key has no primary key', 'no primary key');
SELECT lives_ok($$SELECT runtime.sync_publish('app.no_key', doc_key => 'k:{id}')$$, 'which is no matter when the key is given');

-- Versions, payloads, nulls
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_version => 'name')$$, '42804',
                 'doc_version column "name" is of type text', 'version of a wrong type');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', doc_version => 'amount')$$, '42804', NULL, 'numeric is no version');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', payload => 'app.returns_text(*)')$$, '42804', NULL, 'payload function that returns text');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', payload => 'app.returns_set(*)')$$, '42804', NULL, 'payload function that returns a set');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', payload => 'app.takes_int(*)')$$, '42883', NULL, 'payload function of something else');
SELECT throws_ok($$SELECT runtime.sync_publish('app.runs', payload => 'id,,name')$$, '22023', 'invalid payload "id,,name"', 'broken list of columns');
SELECT throws_ok($$SELECT runtime.sync_publish(NULL)$$, '22004', NULL, 'null table');

-- After all that
SELECT is((SELECT array_agg(relation::text) FROM runtime.sync_publications WHERE publication_id > 0), ARRAY['app.no_key'], 'a refusal leaves no publication');
SELECT * FROM finish();
