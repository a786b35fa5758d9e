// Runs pgbench, the load generator that comes with PostgreSQL.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { atExit, waitFor } from '../harness/index.mjs';
import { pgBinDir } from '../harness/paths.mjs';
import { database } from './ground.mjs';

const scriptDir = mkdtempSync('/tmp/oa-sync-pgbench-');
atExit(() => rmSync(scriptDir, { recursive: true, force: true }));
let scripts = 0;

/**
 * @typedef {object} Load
 * @property {string} script SQL with pgbench's own commands
 * @property {number} clients
 * @property {number} seconds
 * @property {'prepared' | 'simple'} [protocol]
 * @property {string} [log] beginning of the names of files that get a line for each transaction
 */

/**
 * Runs a script; resolves with the transactions per second, connecting not counted.
 * @param {import('./ground.mjs').Ground} ground
 * @param {Load} load
 * @returns {Promise<number>}
 */
export async function pgbench(ground, { script, clients, seconds, protocol = 'prepared', log }) {
  const file = `${scriptDir}/${++scripts}.sql`;
  writeFileSync(file, script);
  const { host, port, user } = ground.cluster.connectOptions(database);
  const child = spawn(`${pgBinDir}/pgbench`, ['-n', '-M', protocol, '-c', String(clients), '-j',
    String(Math.min(clients, 2)), '-T', String(seconds), '-f', file,
    ...(log === undefined ? [] : ['-l', '--log-prefix', log]), '-h', host, '-p', String(port), '-U', user,
    database], { stdio: ['ignore', 'pipe', 'pipe'] });
  const forget = atExit(() => child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (errors += data));
  await waitFor(() => child.exitCode !== null || child.signalCode !== null,
    { timeoutMs: (seconds + 120) * 1000, what: () => `pgbench ends: ${errors}` });
  forget();
  const tps = /^tps = ([\d.]+) /m.exec(output)?.[1];
  const failed = /number of failed transactions: (\d+)/.exec(output)?.[1] ?? '0';
  if (child.exitCode !== 0 || tps === undefined || failed !== '0') {
    throw new Error(`pgbench failed (${child.exitCode}): ${errors}\n${output}`);
  }
  return Number(tps);
}
