// Runs test/pgtap/*.sql with pg_prove, in a private cluster. Each file has a database of its own, with pgTAP in it; it
// makes the extension oa_sync itself, as it wants it. Usage: node run_pgtap.mjs [file ...]
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Cluster, atExit, root } from './index.mjs';

const named = process.argv.slice(2);
const files = named.length > 0 ? named
  : readdirSync(`${root}/test/pgtap`).filter((name) => name.endsWith('.sql')).sort().map((name) => `${root}/test/pgtap/${name}`);

// fsync is off: a database for each file is many files, and no test here crashes the server. No autovacuum: it comes when it
// likes, holds locks that retention and partitions give way to, and counts in statistics. In a deadlock it is the worker that
// gives way, after half a second; a machine that stands still for longer must not make it the test's statement.
const cluster = await Cluster.create({ settings: { max_prepared_transactions: 10, max_worker_processes: 200, 'oa_sync.max_databases': 200, fsync: 'off',
  autovacuum: 'off', deadlock_timeout: '1min' } });
try {
  // A psql for pg_prove that finds the file's own database.
  const psql = `${cluster.dir}/psql-per-file`;
  writeFileSync(psql, `#!/bin/sh
for last; do :; done
exec psql -d "test_$(basename "$last" .sql)" "$@"
`, { mode: 0o755 });
  cluster.psql('postgres', 'CREATE DATABASE with_pgtap;');
  cluster.psql('with_pgtap', 'CREATE EXTENSION pgtap;');
  // The launcher looks into databases that take connections, and one that somebody is in is no template.
  cluster.psql('postgres', 'ALTER DATABASE with_pgtap ALLOW_CONNECTIONS false;');
  for (const file of files) cluster.psql('postgres', `CREATE DATABASE "test_${basename(file, '.sql')}" TEMPLATE with_pgtap;`);
  mkdirSync(`${root}/build`, { recursive: true });
  const child = spawn('pg_prove', ['--timer', '--psql-bin', psql, '-h', cluster.socketDir, '-p', '5432', '-U', cluster.superuser, ...files],
    { stdio: 'inherit', cwd: root });
  atExit(() => child.kill());
  const code = await new Promise((resolve) => child.on('exit', resolve));
  if (code !== 0) {
    process.exitCode = 1;
    console.error(cluster.logTail(80));
  }
} finally {
  await cluster.destroy();
}
