// The tables behind the tests.
export const schemaScript = `
CREATE EXTENSION oa_sync;
CREATE SCHEMA app;
CREATE TABLE app.items (
  topic text NOT NULL,
  id bigint NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  n numeric,
  body text,
  PRIMARY KEY (topic, id)
);
SELECT runtime.sync_publish('app.items', topic => '{topic}', doc_key => 'item:{id}', doc_version => 'version');
CREATE TABLE app.guarded (LIKE runtime.sync_run_summaries INCLUDING ALL);
SELECT runtime.sync_guard('app.guarded');
SELECT runtime.sync_publish('app.guarded', topic => 'app.guarded', doc_key => '{doc_key}', doc_version => 'doc_version', payload => '{payload}');
-- Payloads over HTTP only.
SELECT runtime.sync_set_policy('pointer:*', payload_mode => 'pointer');
`;
