// Runs a program of this directory in a network of hosts that exists for it alone.
//
//   node test/chaos/inside.mjs PROGRAM.mjs [ARGUMENT]...
//
// The program is in the host `clients`; it starts others in the other hosts. It takes root: other users get there by `sudo -n`.
// Mounts that the program makes are seen by it and its children only, and end with them.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Network } from './network.mjs';

const hosts = ['clients', 'fanout', 'primary', 'standby', 'middle'];
const here = fileURLToPath(new URL('.', import.meta.url));

/** @param {string} program @param {string[]} args @param {Record<string, string>} env @returns {Promise<number>} */
function run(program, args, env) {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP'])) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${program} cannot be run (${error.message}): this test makes network namespaces, which takes root, or sudo without a password`);
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      if (signal) console.error(`${program} ended by ${signal}`);
      resolve(code ?? 1);
    });
  });
}

/** The same again, as root. */
async function asRoot() {
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|PG_CONFIG|HOME|OA_SYNC_.*)$/.test(name));
  return await run('sudo', ['-n', 'env', ...kept.map(([name, value]) => `${name}=${value}`), process.execPath,
    fileURLToPath(import.meta.url), ...process.argv.slice(2)], {});
}

const [program, ...args] = process.argv.slice(2);
if (!program) {
  console.error('usage: node test/chaos/inside.mjs PROGRAM.mjs [ARGUMENT]...');
  process.exit(2);
}
if (process.getuid?.() !== 0) process.exit(await asRoot());

process.umask(0o022);
// Where ip and tc are, whatever the caller's PATH.
process.env.PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
let status = 1;
/** @type {Network} */
let network;
try {
  network = Network.create(hosts);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exit(1);
}
try {
  status = await run('nsenter', [`--net=${network.file('clients')}`, '--', 'unshare', '--mount', '--propagation', 'private', '--',
    process.execPath, `${here}${program}`, ...args], network.environment);
} finally {
  network.destroy();
}
process.exit(status);
