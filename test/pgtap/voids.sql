-- A transaction that fails after allocation leaves watermarks, which the worker fills with void events.
\ir include/setup.sql
SELECT plan(16);
CREATE TABLE app.doctors (id int PRIMARY KEY, on_call boolean NOT NULL);
SELECT runtime.sync_publish('app.doctors', topic => 'doctors', doc_key => '{id}') \g /dev/null
INSERT INTO app.doctors VALUES (1, true), (2, true);
-- Write skew: serialization is checked after oa_sync has allocated. Which side fails is PostgreSQL's choice.
CREATE FUNCTION t.write_skew() RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text := '';
BEGIN
  PERFORM dblink_connect('a', t.conn()), dblink_connect('b', t.conn());
  PERFORM dblink_exec(c, 'BEGIN ISOLATION LEVEL SERIALIZABLE') FROM unnest('{a,b}'::text[]) c;
  PERFORM * FROM dblink('a', 'SELECT count(*) FROM app.doctors WHERE on_call') AS x(n int);
  PERFORM * FROM dblink('b', 'SELECT count(*) FROM app.doctors WHERE on_call') AS x(n int);
  PERFORM dblink_exec('a', 'UPDATE app.doctors SET on_call = false WHERE id = 1');
  PERFORM dblink_exec('b', 'UPDATE app.doctors SET on_call = false WHERE id = 2');
  outcome := dblink_exec('a', 'COMMIT');
  BEGIN
    outcome := outcome || ' ' || dblink_exec('b', 'COMMIT');
  EXCEPTION WHEN serialization_failure THEN outcome := outcome || ' ' || SQLSTATE;
  END;
  PERFORM dblink_disconnect('a'), dblink_disconnect('b');
  RETURN outcome;
END $$;
SELECT voids_queued AS queued, voids_filled AS filled FROM runtime.sync_stats \gset
SELECT is(t.write_skew(), 'COMMIT 40001', 'write skew fails one of two');
SELECT ok(t.wait_for('SELECT voids_pending = 0 FROM runtime.sync_stats'), 'the worker fills what was left');
SELECT is((SELECT (voids_queued - :queued, voids_filled - :filled)::text FROM runtime.sync_stats), '(1,1)', 'one watermark');
SELECT is(t.events('doctors', 2), ARRAY['3 upsert 1 3 {"id":1,"on_call":false}', '4 void  0 -'], 'a void fills its place');
SELECT is((SELECT (encode(payload_hash, 'hex'), (epoch = runtime.sync_current_epoch())::int)::text FROM runtime.sync_replay('doctors', 3)),
          '(74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b,1)', 'its hash is that of null');
UPDATE app.doctors SET on_call = true WHERE id = 1;
SELECT is(t.events('doctors', 4), ARRAY['5 upsert 1 5 {"id":1,"on_call":true}'], 'the next event comes after it');

-- A COMMIT that waits after it has allocated: cancelled, and its session ended.
CREATE FUNCTION t.stop_commit(commands text, how text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE writer int;
BEGIN
  PERFORM dblink_connect('locker', t.conn()), dblink_connect('writer', t.conn());
  PERFORM dblink_exec('writer', 'BEGIN; ' || commands);
  SELECT pid INTO writer FROM dblink('writer', 'SELECT pg_backend_pid()') AS x(pid int);
  PERFORM dblink_exec('locker', 'BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE');
  PERFORM dblink_send_query('writer', 'COMMIT');
  IF NOT t.wait_for(format('SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = %s)', writer)) THEN RETURN 'never waited'; END IF;
  EXECUTE format('SELECT %s(%s)', how, writer);
  IF NOT t.wait_for(format('SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = ''active'')', writer)) THEN RETURN 'never ended'; END IF;
  PERFORM dblink_exec('locker', 'ROLLBACK');
  PERFORM dblink_disconnect('locker'), dblink_disconnect('writer');
  RETURN 'stopped';
END $$;
SELECT is(t.stop_commit('UPDATE app.doctors SET on_call = false; INSERT INTO app.doctors VALUES (3, true)', 'pg_cancel_backend'), 'stopped', 'a COMMIT that is cancelled');
SELECT is(t.stop_commit('DELETE FROM app.doctors', 'pg_terminate_backend'), 'stopped', 'a COMMIT whose session is terminated');
SELECT ok(t.wait_for('SELECT voids_pending = 0 FROM runtime.sync_stats'), 'the worker fills what was left');
SELECT is(t.events('doctors', 5), ARRAY['6 void  0 -', '7 void  0 -', '8 void  0 -', '9 void  0 -', '10 void  0 -'], 'with a void for each of their events');
SELECT is((SELECT count(*) FROM app.doctors WHERE on_call), 2::bigint, 'their rows are as before');

-- A range larger than what is filled in one transaction, stopped by statement_timeout in the middle of the append.
CREATE TABLE app.big (id int PRIMARY KEY);
SELECT runtime.sync_publish('app.big', topic => 'big', doc_key => '{id}') \g /dev/null
SELECT is(t.stop_commit('INSERT INTO app.big SELECT generate_series(1, 45000)', 'pg_cancel_backend'), 'stopped', 'a large COMMIT that is cancelled');
INSERT INTO app.big VALUES (1);
SELECT ok(t.wait_for('SELECT voids_pending = 0 FROM runtime.sync_stats'), 'is filled in steps');
SELECT is((SELECT (count(*) FILTER (WHERE op = 'void'), max(watermark) FILTER (WHERE op = 'void'), max(watermark))::text FROM runtime.sync_stream_events WHERE topic = 'big'),
          '(45000,45000,45001)', 'dense up to the next event');
SELECT is((SELECT (head, in_flight)::text FROM runtime.sync_topics WHERE topic = 'big'), '(45001,0)', 'and nothing is in flight');
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is dense');
SELECT * FROM finish();
