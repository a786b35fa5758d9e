// One cluster and one database for all test files; each file has a fan-out of its own.
import type { TestProject } from 'vitest/node';
import { Cluster } from '../../../../test/harness/index.mjs';
import { schemaScript } from './schema.js';

declare module 'vitest' {
  interface ProvidedContext {
    socketDir: string;
    database: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await Cluster.create({ settings: { fsync: 'off' } });
  cluster.psql('postgres', 'CREATE DATABASE test');
  cluster.psql('test', schemaScript);
  project.provide('socketDir', cluster.socketDir);
  project.provide('database', 'test');
  return () => cluster.destroy();
}
