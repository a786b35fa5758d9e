-- Capture: triggers of published tables, and publishing.

CREATE FUNCTION @extschema@.oa_sync_capture_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_capture_row';
COMMENT ON FUNCTION @extschema@.oa_sync_capture_row() IS
  'AFTER row trigger of published tables, made by sync_publish().';

CREATE FUNCTION @extschema@.oa_sync_capture_truncate() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_capture_truncate';
COMMENT ON FUNCTION @extschema@.oa_sync_capture_truncate() IS
  'BEFORE TRUNCATE trigger of published tables, made by sync_publish().';

CREATE FUNCTION @extschema@.oa_sync_check_publication(relation regclass, publication_id integer) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'oa_sync_check_publication';
COMMENT ON FUNCTION @extschema@.oa_sync_check_publication(regclass, integer) IS
  'Compiles a publication; ERROR when it does not fit its table. Called by sync_publish().';

CREATE FUNCTION @extschema@.sync_emit(topic text, doc_key text, doc_version bigint, payload json) RETURNS void
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sync_emit';
COMMENT ON FUNCTION @extschema@.sync_emit(text, text, bigint, json) IS
  'Appends one event when the transaction commits. A null doc_version is the watermark; a null payload deletes the document. ERROR 22023 for an invalid topic or key, or a topic that begins with oa_sync. (those are OA Sync''s own), 22004 when one is null, 54000 for a payload above oa_sync.max_payload or a policy''s max_payload, 53400 above its publish_rate. In pointer mode only the payload''s hash is kept. Example: SELECT runtime.sync_emit(''run:42:events'', ''note/1'', 1, ''{"text":"hello"}'');';
