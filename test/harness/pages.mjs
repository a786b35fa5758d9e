// What the documentation shows, run as it stands: the fenced blocks of a page, and the running of one of them.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fanoutBinary, pgBinDir, root } from './paths.mjs';

/** @typedef {{kind: string, text: string, where: string}} Block a fenced block, without its indentation */

/** @param {string} page path from the repository's root */
export const textOf = (page) => readFileSync(`${root}/${page}`, 'utf8');

/**
 * The fenced blocks of a page, in its order.
 * @param {string} page path from the repository's root @param {string[]} kinds languages; none: all of them
 * @returns {Block[]}
 */
export function blocksOf(page, ...kinds) {
  const text = textOf(page);
  return [...text.matchAll(/^( *)```(\w*)\n([^]*?)^ *```$/gm)]
    .filter(([, , kind]) => kinds.length === 0 || kinds.includes(/** @type {string} */ (kind)))
    .map((match) => ({ kind: /** @type {string} */ (match[2]), text: `\n${match[3] ?? ''}`.replaceAll(`\n${match[1]}`, '\n').slice(1),
      where: `${page}, line ${text.slice(0, match.index).split('\n').length + 1}` }));
}

/** The settings that a page's ini blocks show. @param {string} page @returns {Record<string, string>} */
export const settingsOf = (page) => Object.fromEntries(blocksOf(page, 'ini').flatMap(({ text }) =>
  [...text.matchAll(/^(\w+) = (?:'([^']*)'|(\S+))/gm)].map(([, name, quoted, plain]) => [name, quoted ?? plain])));

/** The caller's environment without what our programs and PostgreSQL's would read. */
const outside = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OA_SYNC_\w+|PG[A-Z]+|PGDATABASE)$/.test(name)));

/**
 * Runs a block, `sql` by psql and `sh` by bash; its output. The programs that were built come first in the path, PG… of
 * the environment lead to the database. Throws, with what the block said, when it fails.
 * @param {Block} block
 * @param {{cluster: import('./cluster.mjs').Cluster, database: string, cwd: string, env?: Record<string, string>}} where
 * @returns {Promise<string>}
 */
export async function runBlock(block, { cluster, database, cwd, env = {} }) {
  const { host, port, user } = cluster.connectOptions(database);
  const [program, args] = block.kind === 'sql'
    ? ['psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-f', '-']] : ['bash', ['-euo', 'pipefail', '-c', block.text]];
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'pipe'], env: { ...outside(),
    PATH: `${dirname(fanoutBinary)}:${pgBinDir}:${process.env.PATH}`, PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(block.kind === 'sql' ? block.text : '');
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', (status, signal) => resolve(status ?? signal)));
  if (code !== 0) throw new Error(`${block.where} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}
