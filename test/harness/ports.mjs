// Ports for servers that are stopped and started again: nobody else gets them in between.
//
// A port that the kernel chose is free to be chosen again while its server is away: for the server of a test beside this one
// (rarely: for a connection that goes out). These lie outside the range that the kernel chooses from, and a name, which it
// forgets with the process, keeps them from other users of this file.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';

// Above everything that browsers and fetch refuse to connect to.
const lowest = 12_000;
const [firstOutgoing = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
const end = firstOutgoing >= lowest + 5000 ? firstOutgoing : 65_536;

/** Undefined when somebody listens there already. @param {net.ListenOptions} where @returns {Promise<net.Server | undefined>} */
function listen(where) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (/** @type {NodeJS.ErrnoException} */ error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(where, () => resolve(server.unref()));
  });
}

/**
 * A port that is free and stays it until `release` or the end of this process.
 * @param {string} host of this machine, or of another network namespace
 * @returns {Promise<{port: number, release: () => void}>}
 */
export async function holdPort(host) {
  for (;;) {
    const port = randomInt(lowest, end);
    const name = await listen({ path: `\0oa-sync-test-port-${port}` });
    if (!name) continue;
    // An address of another namespace cannot be tried from here; nobody but the test is in there.
    const taken = await listen({ host, port }).then((server) => !server?.close(), (error) => {
      if (error.code === 'EADDRNOTAVAIL') return false;
      name.close();
      throw error;
    });
    if (!taken) return { port, release: () => void name.close() };
    name.close();
  }
}
