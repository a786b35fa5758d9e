-- Snapshots and documents.

CREATE FUNCTION @extschema@.sync_snapshot(
  topic text, max_documents integer DEFAULT 1000, page_token text DEFAULT NULL, max_bytes bigint DEFAULT 4194304,
  OUT doc_key text, OUT doc_version bigint, OUT payload json, OUT payload_hash bytea,
  OUT topic text, OUT epoch bigint, OUT watermark bigint, OUT next_page_token text
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1000 COST 1000 AS 'MODULE_PATHNAME', 'sync_snapshot';
COMMENT ON FUNCTION @extschema@.sync_snapshot(text, integer, text, bigint) IS
  'A page of a topic''s documents as they are now, and the cursor (topic, epoch, watermark) from which following events make them current: the same on every row and on every page. '
  'At most max_documents (1 to 100000) and about max_bytes (at least one document if there is one); next_page_token, null on the last page, is the page_token of the next call. A page without documents is one row whose doc_key is null. '
  'Documents come from the published tables whose topic can be this one, from what the policy''s snapshot_source names, or else from the journal while it is complete. Pages read in one REPEATABLE READ transaction are one snapshot; what pages of later transactions show of a later moment is repeated by the events behind the cursor. '
  'ERROR 22023 for an invalid topic, limit or token, 22004 when topic or a limit is null, 25001 after this transaction wrote to a published table, 40001 when a table was truncated, rewritten or published anew meanwhile (retry), 42501 when row security hides rows from the table''s owner, '
  '55000 when the token''s cursor is no longer retained or of another epoch, or the topic has no source, 54000 when a key is too long for a token. '
  'Example: SELECT * FROM runtime.sync_snapshot(''runtime.run_summaries'', 100);';

CREATE FUNCTION @extschema@.sync_snapshot_json(
  topic text, max_documents integer DEFAULT 1000, page_token text DEFAULT NULL, max_bytes bigint DEFAULT 4194304
) RETURNS bytea
  LANGUAGE c STABLE COST 1000 AS 'MODULE_PATHNAME', 'sync_snapshot_json';
COMMENT ON FUNCTION @extschema@.sync_snapshot_json(text, integer, text, bigint) IS
  'The same as sync_snapshot, as one JSON text in UTF-8, keys sorted, without white space: {"documents":[{"doc_key","doc_version","payload","payload_hash"}],"epoch","next_page_token","topic","watermark"}; payload_hash is base64, payloads are the bytes that were hashed. What the fan-out serves. '
  'Example: SELECT convert_from(runtime.sync_snapshot_json(''runtime.run_summaries'', 100), ''UTF8'');';

CREATE FUNCTION @extschema@.sync_document(
  topic text, doc_key text,
  OUT doc_key text, OUT doc_version bigint, OUT payload json, OUT payload_hash bytea,
  OUT epoch bigint, OUT watermark bigint
) RETURNS SETOF record
  LANGUAGE c STABLE ROWS 1 COST 100 AS 'MODULE_PATHNAME', 'sync_document';
COMMENT ON FUNCTION @extschema@.sync_document(text, text) IS
  'One document of a topic as it is now, from the same sources as sync_snapshot; no row when it does not exist. epoch and watermark: every event up to there is in it. '
  'It is as new as an event when watermark is not less than the event''s, or payload_hash is the event''s. '
  'ERROR 22023 for an invalid topic or key, 22004 when one is null, and those of sync_snapshot. '
  'Example: SELECT payload FROM runtime.sync_document(''runtime.run_summaries'', ''runtime/run_summary:42'');';

CREATE FUNCTION @extschema@.sync_document_json(topic text, doc_key text) RETURNS bytea
  LANGUAGE c STABLE COST 100 AS 'MODULE_PATHNAME', 'sync_document_json';
COMMENT ON FUNCTION @extschema@.sync_document_json(text, text) IS
  'The same as sync_document, as one JSON text in UTF-8: {"document":{"doc_key","doc_version","payload","payload_hash"},"epoch","topic","watermark"}; document is null when it does not exist. What the fan-out serves. '
  'Example: SELECT convert_from(runtime.sync_document_json(''runtime.run_summaries'', ''runtime/run_summary:42''), ''UTF8'');';

REVOKE ALL ON FUNCTION
  @extschema@.sync_snapshot(text, integer, text, bigint), @extschema@.sync_snapshot_json(text, integer, text, bigint),
  @extschema@.sync_document(text, text), @extschema@.sync_document_json(text, text)
  FROM PUBLIC;
