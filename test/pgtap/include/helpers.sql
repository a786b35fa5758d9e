-- What every test file begins with, after it has made the extension: schemas `app` (the application's tables) and
-- `t` (helpers). Events appear when a transaction commits, so files run without a surrounding transaction.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS app, t CASCADE;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE SCHEMA app;
CREATE SCHEMA t;

-- A topic's events after a cursor, a line each: watermark op doc_key doc_version payload.
CREATE FUNCTION t.events(topic text, after bigint DEFAULT 0) RETURNS text[]
  LANGUAGE sql AS $$
  SELECT coalesce(array_agg(format('%s %s %s %s %s', e.watermark, e.op, e.doc_key, e.doc_version,
                                   coalesce(e.payload::text, '-')) ORDER BY e.watermark), '{}')
  FROM runtime.sync_replay($1, $2, 1000000, 1000000000000) e
$$;

-- The same without watermarks and versions, sorted: for what PostgreSQL may do in any order.
CREATE FUNCTION t.changes(topic text, after bigint DEFAULT 0) RETURNS text[]
  LANGUAGE sql AS $$
  SELECT array_agg(change ORDER BY change COLLATE "C")
  FROM (SELECT format('%s %s %s', e.op, e.doc_key, coalesce(e.payload::text, '-')) AS change
        FROM runtime.sync_replay($1, $2, 1000000, 1000000000000) e) changes
$$;

-- What no journal may show: holes, watermarks that are there twice, hashes that are not of the payload, ops and
-- payloads that do not go together (upserts without payload are in order only where pointers are).
CREATE FUNCTION t.journal_problems(pointers boolean DEFAULT false) RETURNS SETOF text
  LANGUAGE sql AS $$
  SELECT format('%s: %s events up to %s', topic, count(*), max(watermark))
    FROM runtime.sync_stream_events GROUP BY topic
    HAVING count(*) <> max(watermark) OR count(DISTINCT watermark) <> count(*) OR min(watermark) <> 1
  UNION ALL
  SELECT format('%s %s: wrong hash', topic, watermark) FROM runtime.sync_stream_events
    WHERE getdatabaseencoding() = 'UTF8'
      AND (op <> 'upsert' OR payload IS NOT NULL)
      AND payload_hash IS DISTINCT FROM sha256(convert_to(coalesce(payload::text, 'null'), 'UTF8'))
  UNION ALL
  SELECT format('%s %s: %s with or without payload', topic, watermark, op) FROM runtime.sync_stream_events
    WHERE (op = 'upsert' AND payload IS NULL AND NOT pointers) OR (op <> 'upsert' AND payload IS NOT NULL)
      OR op NOT IN ('upsert', 'delete', 'truncate', 'void')
$$;

-- The connection string of another session, in this database or another one.
CREATE FUNCTION t.conn(database text DEFAULT current_database(), role text DEFAULT current_user) RETURNS text
  LANGUAGE sql AS $$
  SELECT format('host=''%s'' port=%s dbname=''%s'' user=''%s'' options=''-c client_min_messages=error''',
                split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), $1, $2)
$$;

-- Runs commands in a session of its own, so that they commit (or fail) by themselves.
CREATE FUNCTION t.run(commands text, database text DEFAULT current_database(), role text DEFAULT current_user)
  RETURNS text LANGUAGE sql AS $$ SELECT public.dblink_exec(t.conn($2, $3), $1) $$;

-- The same, for commands that are to fail: their SQLSTATE (throws_ok sees no cancelled query).
CREATE FUNCTION t.failure(commands text, database text DEFAULT current_database(), role text DEFAULT current_user)
  RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM t.run($1, $2, $3);
  RETURN 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
  RETURN SQLSTATE;
END
$$;

-- Asks for one value in a session of its own.
CREATE FUNCTION t.ask(query text, database text DEFAULT current_database(), role text DEFAULT current_user)
  RETURNS text LANGUAGE sql AS $$ SELECT answer FROM public.dblink(t.conn($2, $3), $1) AS d(answer text) $$;

-- Waits until a query gives true; false when it has not after a minute.
CREATE FUNCTION t.wait_for(query text) RETURNS boolean
  LANGUAGE plpgsql AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + interval '1 minute';
  reached boolean;
BEGIN
  LOOP
    EXECUTE query INTO reached;
    IF reached THEN RETURN true; END IF;
    IF clock_timestamp() > deadline THEN RETURN false; END IF;
    PERFORM pg_sleep(0.01);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
END
$$;

-- Makes the journal's partitions, all of them: a call gives way to who has the default partition open, the worker for one.
CREATE FUNCTION t.make_partitions() RETURNS boolean LANGUAGE sql AS $$
  SELECT t.wait_for('SELECT runtime.sync_maintain_partitions() = 0 AND (SELECT count(*) > current_setting(''oa_sync.partitions_ahead'')::int
    FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL)')
$$;

-- Drops the journal's partitions, all but the default one, and has the connection `keeper` hold the lock that making one takes:
-- the worker makes none until `keeper` ends its transaction. Appending takes no such lock.
CREATE PROCEDURE t.keep_only_default() LANGUAGE plpgsql AS $$
DECLARE
  names text;
BEGIN
  PERFORM public.dblink_connect('keeper', t.conn());
  LOOP
    SELECT string_agg(partition::text, ', ') INTO names FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL;
    IF names IS NOT NULL THEN EXECUTE 'DROP TABLE ' || names; END IF;
    COMMIT;
    PERFORM public.dblink_exec('keeper', 'BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE UPDATE EXCLUSIVE MODE');
    EXIT WHEN NOT EXISTS (SELECT FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL);
    -- The worker was quicker.
    PERFORM public.dblink_exec('keeper', 'ROLLBACK');
  END LOOP;
END
$$;
