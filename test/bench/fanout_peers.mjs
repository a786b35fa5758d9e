// Other servers in the trickle's place: 1 000 subscribers, 256 bytes, one message at a time. Those that are not installed
// are left out. What feeds them is their own way of publishing, which costs them less than a database does the fan-out.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { Agent, request } from 'node:http';
import { atExit, pause, waitFor } from '../harness/index.mjs';
import { cpuSeconds, pin, serverCores } from './cores.mjs';
import { payloadBytes, rates } from './fanout_stand.mjs';
import { drive, subscribers } from './fanout_throughput.mjs';
import { Load } from './load.mjs';
import { options } from './options.mjs';
import { childrenOf } from '../harness/cluster.mjs';

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} file that it needs
 * @property {(port: number, dir: string) => [string, string[]]} command
 * @property {Record<string, string>} script of the subscribers
 * @property {(port: number) => Promise<{publish: () => Promise<unknown>, end: () => void}>} publisher
 */

const message = 'x'.repeat(payloadBytes);

/** @param {number} port */
const connected = (port) => waitFor(() => new Promise((resolve, reject) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(socket));
  socket.once('error', reject);
}), { what: `port ${port} answers` });

/** @type {Peer[]} */
const all = [
  { name: 'Node ws', file: process.execPath, script: { target: '/' },
    command: (port) => [process.execPath, [new URL('ws_server.mjs', import.meta.url).pathname, String(port)]],
    publisher: async (port) => {
      const socket = /** @type {net.Socket} */ (await connected(port + 1));
      return { publish: async () => socket.write(`${message}\n`), end: () => socket.destroy() };
    } },
  { name: 'nchan', file: '/usr/lib/nginx/modules/ngx_nchan_module.so', script: { target: '/sub' },
    command: (port, dir) => {
      writeFileSync(`${dir}/nginx.conf`, `load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; worker_processes 1; pid ${dir}/pid; error_log /dev/null; worker_rlimit_nofile 8192; user root;
events { worker_connections 4096; }
http { access_log off; server { listen 127.0.0.1:${port}; keepalive_requests 1000000;
  location /sub { nchan_subscriber websocket; nchan_channel_id t; nchan_subscriber_first_message newest; }
  location /pub { nchan_publisher http; nchan_channel_id t; nchan_message_timeout 1s; } } }`);
      return ['/usr/sbin/nginx', ['-c', `${dir}/nginx.conf`, '-p', dir]];
    },
    publisher: async (port) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      return { end: () => agent.destroy(), publish: () => new Promise((resolve, reject) => {
        const post = request({ port, path: '/pub', method: 'POST', agent }, (response) => response.resume().on('end', resolve));
        post.on('error', reject);
        post.end(message);
      }) };
    } },
  { name: 'nats-server', file: '/usr/sbin/nats-server',
    script: { target: '/', hello: 'CONNECT {"verbose":false}\\r\\nSUB t 1\\r\\nPING\\r\\n', ready: 'PONG' },
    command: (port, dir) => {
      writeFileSync(`${dir}/nats.conf`, `listen: 127.0.0.1:${port + 1}\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\n`);
      return ['/usr/sbin/nats-server', ['-c', `${dir}/nats.conf`]];
    },
    publisher: async (port) => {
      const socket = /** @type {net.Socket} */ (await connected(port + 1));
      socket.resume();
      socket.write('CONNECT {"verbose":false}\r\n');
      return { publish: async () => socket.write(`PUB t ${message.length}\r\n${message}\r\n`), end: () => socket.destroy() };
    } },
];

/** CPU seconds of a process and its children. @param {number} pid */
const cpuOf = (pid) => [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuSeconds(one), 0);

/** Whether nobody listens there. @param {number} port */
const isFree = (port) => new Promise((resolve) => {
  const server = net.createServer().once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});

/** A free port with a free one behind it, where the kernel takes none for clients. */
async function freePort() {
  for (let port = 20_000; ; port += 2) {
    if (await isFree(port) && await isFree(port + 1)) return port;
  }
}

/** @param {Peer} peer */
async function measure(peer) {
  const dir = mkdtempSync('/tmp/oa-sync-peer-');
  const port = await freePort();
  const [program, args] = peer.command(port, dir);
  const child = spawn(program, args, { stdio: 'ignore' });
  const forget = atExit(() => child.kill('SIGKILL'));
  try {
    if (!child.pid) throw new Error(`${peer.name} did not start`);
    /** @type {net.Socket} */ (await connected(port)).destroy();
    for (const pid of [child.pid, ...childrenOf(child.pid)]) pin(pid, serverCores);
    const load = await Load.attach({ host: '127.0.0.1', port }, { connections: subscribers, count: 'frames', ...peer.script });
    const publisher = await peer.publisher(port);
    try {
      await pause(200);  // what a server says of itself comes first
      await load.reset();
      await drive(load, subscribers, 0, publisher.publish, options.seconds / 4);
      await load.reset();
      const pid = child.pid;
      const cpu = cpuOf(pid);
      const start = performance.now();
      const messages = await drive(load, subscribers, 0, publisher.publish, options.seconds);
      return rates({ seconds: (performance.now() - start) / 1000, cpu: cpuOf(pid) - cpu }, messages * subscribers);
    } finally {
      publisher.end();
      await load.stop();
    }
  } finally {
    const children = child.pid ? childrenOf(child.pid) : [];
    child.kill('SIGTERM');
    await pause(200);
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    }
    child.kill('SIGKILL');
    forget();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** @param {(line: string) => void} log */
export async function peers(log) {
  /** @type {Record<string, import('./fanout_stand.mjs').Rates[]>} */
  const results = {};
  for (const peer of all) {
    if (!existsSync(peer.file)) {
      log(`fanout peers: ${peer.name} is not installed (scripts/deps.sh bench), left out`);
      continue;
    }
    for (let round = 0; round < options.rounds; round++) {
      try {
        const found = await measure(peer);
        (results[peer.name] ??= []).push(found);
        log(`fanout trickle ${peer.name}: ${Math.round(found.perSecond)} deliveries/s, ${Math.round(found.perCpuSecond)} a CPU second`);
      } catch (error) {
        log(`fanout peers: ${peer.name} left out: ${error}`);
        break;
      }
    }
  }
  return results;
}
