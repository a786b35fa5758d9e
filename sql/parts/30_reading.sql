-- Reading.

CREATE FUNCTION @extschema@.sync_replay(
  topic text, after bigint, max_events integer DEFAULT 256, max_bytes bigint DEFAULT 1048576
) RETURNS SETOF @extschema@.sync_stream_events
  LANGUAGE c STABLE ROWS 256 AS 'MODULE_PATHNAME', 'sync_replay';
COMMENT ON FUNCTION @extschema@.sync_replay(text, bigint, integer, bigint) IS
  'The events of a topic that follow a cursor, in order, voids included: the run without gaps, of commits that are on disk, at most max_events and about max_bytes (at least one event if there is one). ERROR 22023 for an invalid topic or limit, 55000 for a cursor below the topic''s floor whose next events are gone. Example: SELECT * FROM runtime.sync_replay(''runtime.run_summaries'', 41);';

CREATE FUNCTION @extschema@.sync_replay_updates(
  topic text, after bigint, max_events integer DEFAULT 256, max_bytes bigint DEFAULT 1048576,
  OUT watermark bigint, OUT update bytea
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 256 AS 'MODULE_PATHNAME', 'sync_replay_updates';
COMMENT ON FUNCTION @extschema@.sync_replay_updates(text, bigint, integer, bigint) IS
  'The same as sync_replay, each event as a serialized openagents.sync.v1.Update: what the fan-out reads.';

CREATE FUNCTION @extschema@.sync_topic_heads(
  topics text[], OUT topic text, OUT head bigint, OUT floor bigint, OUT epoch bigint, OUT allocated bigint
) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT ROWS 10 AS 'MODULE_PATHNAME', 'sync_topic_heads';
COMMENT ON FUNCTION @extschema@.sync_topic_heads(text[]) IS
  'Head (last visible watermark), floor and epoch of topics, in the order asked; 0 and 0 for a topic that has no events yet. allocated is the last watermark that a transaction holds: a commit can reach its subscribers before other transactions see it, so a cursor up to allocated is ahead of nothing. Example: SELECT * FROM runtime.sync_topic_heads(ARRAY[''runtime.run_summaries'']);';

CREATE FUNCTION @extschema@.sync_current_epoch() RETURNS bigint
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_current_epoch';
COMMENT ON FUNCTION @extschema@.sync_current_epoch() IS 'The present epoch, see sync_epochs.';
