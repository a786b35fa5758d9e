// Two fan-outs behind haproxy are restarted one after the other, under load, while clients move between them.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { Cluster, Fanout, atExit, waitFor } from '../../harness/index.mjs';
import { Network } from '../network.mjs';
import { Follower, Writers, checkFollower, database, headsOf, readJournal, reader, script } from './load.mjs';

/** Debian's place; sbin is not in everybody's PATH. */
const haproxyProgram = '/usr/sbin/haproxy';
const port = 4400;

/**
 * @typedef {object} Facts
 * @property {number} restarts
 * @property {number} clients
 * @property {number} moves connections that clients made after their first
 * @property {number} events
 * @property {number} delivered
 * @property {number} lost
 * @property {number} twice
 * @property {number} dropped events that came again and that clients dropped
 * @property {number} stale
 * @property {number} medianMs from the acknowledgement of a commit to its arrival at a client
 * @property {number} p99Ms
 * @property {number} longestMs
 */

/** @param {string} address @param {Fanout[]} fanouts */
const configuration = (address, fanouts) => `
defaults
  mode tcp
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option redispatch
frontend sync
  bind ${address}:${port}
  default_backend fanouts
backend fanouts
  balance leastconn
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 200ms fastinter 100ms fall 1 rise 1
${fanouts.map(({ host, port: at }, n) => `  server fanout${n} ${host}:${at}`).join('\n')}
`;

/** @param {Network} network @param {Fanout[]} fanouts */
async function balancer(network, fanouts) {
  const dir = mkdtempSync('/tmp/oa-sync-haproxy-');
  writeFileSync(`${dir}/haproxy.cfg`, configuration(network.address('middle'), fanouts));
  const child = spawn('nsenter', [`--net=${network.file('middle')}`, '--', haproxyProgram, '-db', '-q', '-f', `${dir}/haproxy.cfg`], { stdio: ['ignore', 'inherit', 'inherit'] });
  let ended = false;
  child.on('error', () => (ended = true));
  child.on('exit', () => (ended = true));
  const end = () => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  const forget = atExit(end);
  await waitFor(() => new Promise((resolve, reject) => {
    if (ended) throw new Error(`${haproxyProgram} does not run (Debian package haproxy)`);
    const socket = net.connect(port, network.address('middle'), () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', reject);
  }), { timeoutMs: 60_000, what: 'haproxy listens' });
  return { url: `ws://${network.address('middle')}:${port}/socket`, end: () => {
    forget();
    end();
  } };
}

/** @param {{clients: number, say: (text: string) => void}} options @returns {Promise<{facts: Facts, problems: string[]}>} */
export async function runRolling({ clients, say }) {
  const network = Network.get();
  /** @type {(() => unknown)[]} */
  const cleanups = [];
  try {
    say('setting up');
    const primary = await Cluster.create({ place: { netns: network.file('primary'), hba: [`host all all ${network.range} trust`] },
      settings: { listen_addresses: network.address('primary') } });
    cleanups.push(() => primary.destroy());
    await primary.createDatabase(database);
    primary.psql(database, script);
    /** @type {Fanout[]} */
    const fanouts = [];
    for (let n = 0; n < 2; n++) {
      const fanout = await Fanout.start({ database: `host=${network.address('primary')} user=${reader} dbname=${database}`,
        where: { host: network.address('fanout'), netns: network.file('fanout') }, flags: { loops: 1, 'shutdown-spread-ms': 1000 },
        ...(fanouts[0] ? { keyring: fanouts[0].keyring } : {}) });
      cleanups.push(() => fanout.destroy());
      fanouts.push(fanout);
      await fanout.ready({ timeoutMs: 60_000 });
    }
    const { url, end } = await balancer(network, fanouts);
    cleanups.push(end);
    const followers = Array.from({ length: clients }, (_, n) =>
      new Follower(`client ${n + 1}`, /** @type {Fanout} */ (fanouts[0]), n % 2 ? 'proto' : 'json', { url }));
    for (const follower of followers) {
      cleanups.push(() => follower.close());
      await follower.connect();
    }
    const writers = new Writers([network.address('primary')], 4, 10);
    cleanups.push(() => writers.stop());
    const everybodyGoesOn = async () => {
      const at = followers.map(({ got }) => got.length);
      await waitFor(() => followers.every(({ got }, n) => got.length >= (at[n] ?? 0) + 50), { timeoutMs: 120_000, what: 'every client gets more' });
    };
    await everybodyGoesOn();
    for (const fanout of fanouts) {
      say(`restart of ${fanout.port}`);
      await fanout.stop();
      await everybodyGoesOn();
      await fanout.launch();
      await fanout.ready({ timeoutMs: 60_000 });
      await everybodyGoesOn();
    }
    await writers.stop();
    const journal = await readJournal(primary);
    for (const follower of followers) await follower.reach(headsOf(journal));

    const results = followers.map((follower) => ({ follower, ...checkFollower(follower.name, follower, journal) }));
    const problems = results.flatMap((result) => result.problems);
    for (const { client, name, told } of followers) {
      problems.push(...client.problems.map((problem) => `${name}: ${problem}`));
      if (client.gaps > 0) problems.push(`${name} saw ${client.gaps} gaps`);
      if (told.length > 0) problems.push(`${name} was told ${JSON.stringify(told)}`);
      if (client.opened < 2) problems.push(`${name} never moved`);
    }
    const acknowledged = new Map(writers.acknowledged.map(({ topic, id, at }) => [`${topic} item:${id}`, at]));
    const delays = followers.flatMap(({ got }) => got.flatMap(({ topic, key, at }) => {
      const from = acknowledged.get(`${topic} ${key}`);
      return from === undefined ? [] : [Math.max(0, at - from)];
    })).sort((a, b) => a - b);
    const at = (/** @type {number} */ share) => Math.round(delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0);
    const delivered = followers.reduce((sum, { got }) => sum + got.length, 0);
    return { problems, facts: { restarts: fanouts.length, clients, moves: followers.reduce((sum, { client }) => sum + client.opened - 1, 0), events: journal.length, delivered,
      lost: followers.reduce((sum, { got }) => sum + journal.length - new Set(got.map(({ topic, watermark }) => `${topic} ${watermark}`)).size, 0),
      twice: followers.reduce((sum, { got }) => sum + got.length - new Set(got.map(({ topic, watermark }) => `${topic} ${watermark}`)).size, 0),
      dropped: followers.reduce((sum, { client }) => sum + client.duplicates, 0), stale: followers.reduce((sum, { told }) => sum + told.length, 0),
      medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) } };
  } finally {
    /** @type {unknown[]} */
    const failures = [];
    for (const cleanup of cleanups.reverse()) await Promise.resolve().then(cleanup).catch((error) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }
}
