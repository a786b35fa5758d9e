\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.2.0. What 0.3.0 adds in parts of its own follows: see extension/Makefile.

COMMENT ON COLUMN @extschema@.sync_epochs.reason IS 'Why it was opened. "being restored": by the CREATE EXTENSION of a dump that is not loaded yet';

-- Topics of OA Sync's own are refused by the library.
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, or a topic that begins with oa_sync. (those are OA Sync''s own), 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
COMMENT ON FUNCTION @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean) IS
  'Makes the writes of a table events, from now on; a table that is published already is published anew and keeps its id. Returns the publication''s id. '
  'topic and doc_key are templates over columns ({column}, {{ for a brace); their defaults are schema.table and schema/table: with the primary key, '
  'which is refused (22023) when two of its columns could contain a colon. '
  'doc_version names a column of an integer type or a timestamp (then microseconds since 1970); null is the watermark. '
  'payload is * for the row, a list of columns, or function(*) for a function of the row that returns json. '
  'skip_unchanged leaves out updates that change neither payload nor version. always captures also under session_replication_role = replica. '
  'ERROR 42703 for an unknown column, 42809 for what is not a permanent table with all its rows in it, 42710 for a partitioned table with a published partition, 22023 for a bad template, or a topic that begins with oa_sync. (those are OA Sync''s own). '
  'WARNING when another table of the same topic has keys that begin alike. '
  'Example: SELECT runtime.sync_publish(''app.run_events'', topic => ''run:{run_id}:events'', doc_key => ''event:{run_id}:{seq}'', doc_version => ''seq'');';

-- What a fan-out calls since.
CREATE OR REPLACE FUNCTION @extschema@.sync_reader_functions() RETURNS SETOF regprocedure
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.oid::regprocedure
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
    WHERE p.proname = ANY ('{sync_topic_heads,sync_topic_histories,sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot,sync_snapshot_json,sync_document,sync_document_json,sync_active_revocations,sync_canary}'::text[])
    ORDER BY p.proname COLLATE "C";
END;

-- Revocations: sessions, devices and tokens that no fan-out lets in any more.

-- The topics of OA Sync itself, by which fan-outs hear of revocations and canaries: nobody else writes to them.
CREATE FUNCTION @extschema@.oa_sync_emit_own(topic text, doc_key text, payload json) RETURNS void
  LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'oa_sync_emit_own';
COMMENT ON FUNCTION @extschema@.oa_sync_emit_own(text, text, json) IS
  'Behind sync_revoke() and sync_canary(): appends an event to a topic that begins with oa_sync., which sync_emit() and published tables can not.';
REVOKE ALL ON FUNCTION @extschema@.oa_sync_emit_own(text, text, json) FROM PUBLIC;

CREATE TABLE @extschema@.sync_revocations (
  kind text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (kind, value),
  CONSTRAINT kind_is_valid CHECK (kind IN ('session', 'device', 'jti')),
  CONSTRAINT value_is_valid CHECK (pg_catalog.octet_length(value) BETWEEN 1 AND 256),
  CONSTRAINT reason_is_valid CHECK (reason IN ('user_requested', 'admin_revoked', 'token_replay', 'device_replaced', 'security_policy'))
);
CREATE INDEX sync_revocations_expires_at ON @extschema@.sync_revocations (expires_at);
COMMENT ON TABLE @extschema@.sync_revocations IS
  'What is revoked. Kept by sync_revoke(), read by the fan-outs through sync_active_revocations(). A row that is deleted by hand counts again only after a fan-out starts anew.';
COMMENT ON COLUMN @extschema@.sync_revocations.kind IS 'What the value is: session (a token''s oa_session_id), device (oa_device_id) or jti';
COMMENT ON COLUMN @extschema@.sync_revocations.value IS 'The claim''s value, 1 to 256 bytes';
COMMENT ON COLUMN @extschema@.sync_revocations.reason IS 'What clients are told: user_requested, admin_revoked, token_replay, device_replaced or security_policy';
COMMENT ON COLUMN @extschema@.sync_revocations.revoked_at IS 'When it was last revoked';
COMMENT ON COLUMN @extschema@.sync_revocations.expires_at IS 'From then on it counts no more; infinity is never';
COMMENT ON INDEX @extschema@.sync_revocations_expires_at IS 'Finds what has expired';

-- A dump keeps them: what is revoked is not to be let in by a restored copy.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sync_revocations', '');

CREATE FUNCTION @extschema@.sync_revoke(
  kind text, value text[], reason text DEFAULT 'admin_revoked', expires_at timestamptz DEFAULT pg_catalog.now() + interval '30 days'
) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  revoked text[];
  one record;
BEGIN
  IF kind IS NULL OR value IS NULL OR reason IS NULL OR expires_at IS NULL OR array_position(value, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'kind, value, its elements, reason and expires_at must not be null'
      USING ERRCODE = 'null_value_not_allowed', HINT = 'infinity is an expires_at that never comes.';
  END IF;
  IF kind NOT IN ('session', 'device', 'jti') THEN
    RAISE EXCEPTION 'invalid kind "%"', kind
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A kind is session, device or jti.';
  END IF;
  IF reason NOT IN ('user_requested', 'admin_revoked', 'token_replay', 'device_replaced', 'security_policy') THEN
    RAISE EXCEPTION 'invalid reason "%"', reason
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A reason is user_requested, admin_revoked, token_replay, device_replaced or security_policy.';
  END IF;
  -- In one order, so that two calls with the same values do not wait for each other in turns.
  SELECT array_agg(DISTINCT v COLLATE "C" ORDER BY v COLLATE "C") INTO revoked FROM unnest(value) v;
  IF EXISTS (SELECT FROM unnest(revoked) v WHERE octet_length(v) NOT BETWEEN 1 AND 256) THEN
    RAISE EXCEPTION 'a value must have 1 to 256 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- An end is never brought forward: nobody is let in again because somebody else revoked for a shorter time.
  INSERT INTO @extschema@.sync_revocations AS r (kind, value, reason, expires_at)
    SELECT sync_revoke.kind, v, sync_revoke.reason, sync_revoke.expires_at FROM unnest(revoked) v
    ON CONFLICT ON CONSTRAINT sync_revocations_pkey
    DO UPDATE SET reason = excluded.reason, revoked_at = now(), expires_at = greatest(r.expires_at, excluded.expires_at);
  FOR one IN SELECT r.* FROM @extschema@.sync_revocations r WHERE r.kind = sync_revoke.kind AND r.value = ANY (revoked)
      ORDER BY r.value LOOP
    PERFORM @extschema@.oa_sync_emit_own('oa_sync.revocations', one.kind || ':' || one.value,
      json_build_object('kind', one.kind, 'value', one.value, 'reason', one.reason,
                        'expires_at', CASE WHEN isfinite(one.expires_at) THEN ceil(extract(epoch FROM one.expires_at))::bigint ELSE 0 END));
  END LOOP;
  -- What has expired goes, a little each time; rows that others hold wait for a later call.
  DELETE FROM @extschema@.sync_revocations WHERE ctid = ANY (ARRAY(
    SELECT r.ctid FROM @extschema@.sync_revocations r WHERE r.expires_at < now() ORDER BY r.expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED));
  RETURN coalesce(cardinality(revoked), 0);
END
$$;
COMMENT ON FUNCTION @extschema@.sync_revoke(text, text[], text, timestamptz) IS
  'Revokes tokens by a claim: kind session (oa_session_id), device (oa_device_id) or jti, with the claim''s values. From the commit on every fan-out refuses tokens with it, and within half a second tells the sockets that stand on one to authenticate anew (sync:error reauth_required with the reason) and closes them. Returns how many values there were. '
  'The default lasts 30 days; infinity is for ever. Revoking again never ends earlier what was revoked. By one event for each value on the topic oa_sync.revocations, which is under policies as any other. '
  'It does not come with sync_grant_reader(): GRANT EXECUTE it to the fan-out''s role for POST /api/sync/sessions/revoke, or to the application''s. ERROR 22023 for an invalid kind, reason or value, 22004 for nulls, 25006 on a standby. '
  'Example: SELECT runtime.sync_revoke(''device'', ARRAY[''phone-1''], ''device_replaced'');';

CREATE FUNCTION @extschema@.sync_active_revocations(
  OUT kind text, OUT value text, OUT reason text, OUT expires_at timestamptz
) RETURNS SETOF record
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT r.kind, r.value, r.reason, r.expires_at FROM @extschema@.sync_revocations r WHERE r.expires_at > now();
END;
COMMENT ON FUNCTION @extschema@.sync_active_revocations() IS
  'Everything that is revoked and not expired. What a fan-out reads at its start; sync_grant_reader() gives it. Example: SELECT kind, count(*) FROM runtime.sync_active_revocations() GROUP BY kind;';

REVOKE ALL ON TABLE @extschema@.sync_revocations FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sync_revoke(text, text[], text, timestamptz), @extschema@.sync_active_revocations() FROM PUBLIC;

-- The canary: an event that shows that events come through.

CREATE FUNCTION @extschema@.sync_canary() RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM @extschema@.sync_topic_heads(ARRAY['oa_sync.canary']) h
               JOIN @extschema@.sync_stream_events e ON e.topic = h.topic AND e.watermark = h.head
               WHERE e.inserted_at > now() - interval '1 second') THEN
    RETURN false;
  END IF;
  -- Nobody waits for standbys because of it, and no walwriter for its turn.
  PERFORM set_config('synchronous_commit', 'local', true);
  PERFORM @extschema@.oa_sync_emit_own('oa_sync.canary', 'canary', '{}');
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.sync_canary() IS
  'Emits an event on the topic oa_sync.canary, unless somebody did within the last second; true when it did. Fan-outs call it when none came for a while, and know by its arrival that the way of the data is open. '
  'Its events are kept as the policy of the topic says, by default for a day. Sets synchronous_commit = local for the transaction. ERROR 25006 on a standby. Example: SELECT runtime.sync_canary();';
REVOKE ALL ON FUNCTION @extschema@.sync_canary() FROM PUBLIC;
