// One cluster and one database for all test files; each file has a fan-out of its own.
import type { TestProject } from 'vitest/node';
import { Cluster } from '../../../../test/harness/index.mjs';

declare module 'vitest' {
  interface ProvidedContext {
    socketDir: string;
    database: string;
    keyring: { current: string; keys: Record<string, string> };
  }
}

const schemaScript = `
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

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await Cluster.create({ settings: { fsync: 'off' } });
  await cluster.createDatabase('test');
  cluster.psql('test', schemaScript);
  project.provide('socketDir', cluster.socketDir);
  project.provide('database', 'test');
  return () => cluster.destroy();
}
