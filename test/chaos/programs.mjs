// Runs inside.mjs for a test, and gives back what it printed.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from '../harness/index.mjs';

/**
 * @param {AbortSignal} signal ends it, with all that it started
 * @param {...string} args the program and its arguments
 * @returns {Promise<{status: number | null, output: string}>}
 */
export function inside(signal, ...args) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('inside.mjs', import.meta.url)), ...args],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  signal.addEventListener('abort', end);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      process.removeListener('exit', end);
      resolve({ status, output });
    });
  });
}
