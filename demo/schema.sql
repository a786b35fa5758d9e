-- The demo's application: agents' runs, what happens in them, and the workers that carry them out. Ordinary tables; the
-- only thing that knows of OA Sync is the three sync_publish calls at the end.
CREATE SCHEMA app;

CREATE TABLE app.runs (
  run_id text PRIMARY KEY,
  org_id text NOT NULL,
  title text NOT NULL,
  model text NOT NULL,
  status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
  seq bigint NOT NULL DEFAULT 1,
  tokens bigint NOT NULL DEFAULT 0,
  cost_usd numeric(12, 6) NOT NULL DEFAULT 0,
  labels text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
);

CREATE TABLE app.run_events (
  run_id text NOT NULL REFERENCES app.runs ON DELETE CASCADE,
  seq bigint NOT NULL,
  kind text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_id, seq)
);

CREATE TABLE app.codex_workers (
  worker_id text PRIMARY KEY,
  status text NOT NULL CHECK (status IN ('idle', 'busy', 'draining')),
  run_id text,
  latest_seq bigint NOT NULL DEFAULT 1,
  heartbeat_at timestamptz NOT NULL DEFAULT now()
);

SELECT runtime.sync_publish('app.runs', topic => 'runtime.run_summaries',
  doc_key => 'runtime/run_summary:{run_id}', doc_version => 'seq');
SELECT runtime.sync_publish('app.run_events', topic => 'run:{run_id}:events',
  doc_key => 'run:{run_id}:event:{seq}', doc_version => 'seq');
SELECT runtime.sync_publish('app.codex_workers', topic => 'runtime.codex_worker_summaries',
  doc_key => 'runtime/codex_worker_summary:{worker_id}', doc_version => 'latest_seq');

INSERT INTO app.codex_workers (worker_id, status) SELECT 'worker_' || i, 'idle' FROM generate_series(1, 6) i;
