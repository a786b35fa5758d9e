
-- Progress of large transactions.

CREATE FUNCTION @extschema@.sync_append_progress(
  OUT pid integer, OUT datid oid, OUT phase text, OUT topics integer, OUT events_total bigint, OUT events_appended bigint,
  OUT spilled_bytes bigint, OUT started_at timestamptz
) RETURNS SETOF record
  LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'sync_append_progress';
COMMENT ON FUNCTION @extschema@.sync_append_progress() IS 'Behind the view sync_progress_append.';

CREATE VIEW @extschema@.sync_progress_append AS
  SELECT p.pid, p.datid, d.datname, p.phase, p.topics, p.events_total, p.events_appended, p.spilled_bytes, p.started_at
  FROM @extschema@.sync_append_progress() p LEFT JOIN pg_catalog.pg_database d ON d.oid = p.datid;
COMMENT ON VIEW @extschema@.sync_progress_append IS
  'A row for each transaction of the cluster with 10000 events or more. Example: SELECT pid, phase, events_appended, events_total FROM runtime.sync_progress_append;';
COMMENT ON COLUMN @extschema@.sync_progress_append.pid IS 'The process, as in pg_stat_activity';
COMMENT ON COLUMN @extschema@.sync_progress_append.datid IS 'Its database''s OID';
COMMENT ON COLUMN @extschema@.sync_progress_append.datname IS 'Its database';
COMMENT ON COLUMN @extschema@.sync_progress_append.phase IS 'capture: rows are being written. append: COMMIT writes the events to the journal; other events of the same topics wait for it from now on. commit: they are written, PostgreSQL commits';
COMMENT ON COLUMN @extschema@.sync_progress_append.topics IS 'How many topics it has written to';
COMMENT ON COLUMN @extschema@.sync_progress_append.events_total IS 'Events captured so far, all of them once the phase is append';
COMMENT ON COLUMN @extschema@.sync_progress_append.events_appended IS 'Events that are in the journal; grows in the phase append';
COMMENT ON COLUMN @extschema@.sync_progress_append.spilled_bytes IS 'Bytes of events that went to a temporary file, because they did not fit into work_mem';
COMMENT ON COLUMN @extschema@.sync_progress_append.started_at IS 'When the transaction began';

REVOKE ALL ON FUNCTION @extschema@.sync_append_progress() FROM PUBLIC;
