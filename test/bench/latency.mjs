// Commit to socket: how long after its commit an event is at every subscriber, through oa-sync-fanout and through
// LISTEN/NOTIFY with a Node `ws` broadcaster, at the same rate, with the same subscribers, in turns.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Fanout, atExit, pause, waitFor } from '../harness/index.mjs';
import { database } from './ground.mjs';
import { options, quick } from './options.mjs';
import { inTurn, median, quantile } from './statistics.mjs';
import { Subscribers } from './subscribers.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {import('./subscribers.mjs').Endpoint} Endpoint */
/**
 * Milliseconds. `commit` counts from the moment the writer knew of the commit, `insert` from before it sent the row.
 * @typedef {object} Latency
 * @property {number} p50
 * @property {number} p99
 * @property {number} max
 * @property {number} insertP50
 * @property {number} insertP99
 * @property {number} lost deliveries that did not come within 20 s of the last event
 * @property {number} duplicates
 * @property {number} serverCpu CPU seconds of the server (fan-out or broadcaster) per second of the run
 */

const tokenSeconds = 86_400;
let runs = 100_000;

/** A run_id, and so a topic, that no measurement has had. */
export const freshRun = () => ++runs;

/** A fan-out whose tokens outlive any measurement: a subscriber of the benches never renews one. @param {Ground} ground */
export const startFanout = (ground) =>
  Fanout.start({ database: ground.cluster.conninfo(database), flags: { 'jwt-max-age-s': tokenSeconds } });

/** The fan-out as an endpoint. @param {Fanout} fanout @returns {Endpoint} */
export function fanoutEndpoint(fanout) {
  return { host: fanout.host, port: fanout.port, script: (topic) => ({
    target: `/socket/websocket?vsn=2.0.0&token=${fanout.token([topic], { exp: Math.floor(Date.now() / 1000) + tokenSeconds })}`,
    hello: JSON.stringify(['1', '1', 'sync:v1', 'phx_join', { topics: [topic] }]),
    ready: '"status":"ok"',
  }) };
}

/** CPU seconds that a process has used. @param {number} pid */
function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/**
 * Inserts rows at a steady rate, each in its own transaction, whether or not the one before it is done.
 * @param {Ground} ground @param {string} table @param {number} run @param {number} events @param {number} perSecond
 * @returns {Promise<{sent: BigInt64Array, committed: BigInt64Array}>}
 */
async function insertSteadily(ground, table, run, events, perSecond) {
  const client = await ground.cluster.connect(database);
  const sent = new BigInt64Array(events);
  const committed = new BigInt64Array(events);
  /** @type {Promise<unknown>[]} */
  const pending = [];
  const text = `INSERT INTO ${table} (run_id, kind, status, seq) VALUES ($1, 'tool_call', 'running', $2)`;
  const start = performance.now();
  for (let event = 0; event < events; event++) {
    const wait = start + (event * 1000) / perSecond - performance.now();
    if (wait > 0) await pause(wait);
    sent[event] = process.hrtime.bigint();
    pending.push(client.query({ name: 'insert', text, values: [run, event] }).then(() => {
      committed[event] = process.hrtime.bigint();
    }));
  }
  await Promise.all(pending);
  await client.end();
  return { sent, committed };
}

/**
 * One measurement.
 * @param {Ground} ground
 * @param {{endpoint: Endpoint, table: string, subscribers: number, seconds: number, perSecond: number, pid: number,
 *   run?: number}} what
 * @returns {Promise<Latency>}
 */
export async function measureLatency(ground, what) {
  const { endpoint, table, subscribers, seconds, perSecond, pid, run = freshRun() } = what;
  const events = Math.round(seconds * perSecond);
  const attached = await Subscribers.attach(endpoint, `run:${run}:events`, subscribers, events);
  const cpuBefore = cpuSeconds(pid);
  const { sent, committed } = await insertSteadily(ground, table, run, events, perSecond);
  const { arrivals, duplicates } = await attached.finish(20_000);
  const cpu = cpuSeconds(pid) - cpuBefore;
  /** @type {number[]} */
  const sinceCommit = [];
  /** @type {number[]} */
  const sinceInsert = [];
  let lost = 0;
  for (let event = 0; event < events; event++) {
    for (let subscriber = 0; subscriber < subscribers; subscriber++) {
      const arrival = /** @type {bigint} */ (arrivals[event * subscribers + subscriber]);
      if (arrival === 0n) {
        lost++;
        continue;
      }
      sinceCommit.push(Number(arrival - /** @type {bigint} */ (committed[event])) / 1e6);
      sinceInsert.push(Number(arrival - /** @type {bigint} */ (sent[event])) / 1e6);
    }
  }
  return { p50: quantile(sinceCommit, 0.5), p99: quantile(sinceCommit, 0.99), max: quantile(sinceCommit, 1),
    insertP50: quantile(sinceInsert, 0.5), insertP99: quantile(sinceInsert, 0.99), lost, duplicates,
    serverCpu: cpu / seconds };
}

/** Starts the broadcaster. @param {Ground} ground */
async function startNotifyServer(ground) {
  const child = spawn(process.execPath, [new URL('notify_server.mjs', import.meta.url).pathname,
    JSON.stringify(ground.cluster.connectOptions(database))], { stdio: ['ignore', 'pipe', 'inherit'] });
  const forget = atExit(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const port = await waitFor(() => /listening (\d+)/.exec(output)?.[1], { what: 'the broadcaster listens' });
  /** @type {Endpoint} */
  const endpoint = { host: '127.0.0.1', port: Number(port), script: () => ({ target: '/', hello: '', ready: '' }) };
  return { endpoint, pid: /** @type {number} */ (child.pid), stop: () => {
    forget();
    child.kill('SIGKILL');
  } };
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function latency(ground, log) {
  const fanout = await startFanout(ground);
  /** @type {Awaited<ReturnType<typeof startNotifyServer>> | undefined} */
  let notify;
  try {
    await fanout.ready();
    notify = await startNotifyServer(ground);
    const systems = { sync: { endpoint: fanoutEndpoint(fanout), table: 'bench.sync', pid: fanout.pid },
      notify: { endpoint: notify.endpoint, table: 'bench.notify', pid: notify.pid } };
    const results = [];
    for (const { subscribers, perSecond } of [{ subscribers: 1, perSecond: options.eventsPerSecond },
      { subscribers: 1000, perSecond: options.eventsPerSecond }, ...(quick ? [] : [{ subscribers: 1000, perSecond: 20 }])]) {
      /** @type {Record<'sync' | 'notify', Latency[]>} */
      const rounds = { sync: [], notify: [] };
      await ground.settle();
      for (let round = 0; round < options.rounds; round++) {
        for (const way of inTurn(/** @type {const} */ (['sync', 'notify']), round)) {
          rounds[way].push(await measureLatency(ground, { ...systems[way], subscribers, perSecond,
            seconds: options.latencySeconds }));
        }
      }
      results.push({ subscribers, perSecond, rounds });
      for (const way of /** @type {const} */ (['sync', 'notify'])) {
        const middle = (/** @type {keyof Latency} */ key) => median(rounds[way].map((r) => r[key]));
        log(`latency, ${subscribers} subscribers, ${perSecond}/s, ${way}: commit to socket p50 ` +
          `${middle('p50').toFixed(2)} p99 ${middle('p99').toFixed(2)} ms, insert to socket p99 ` +
          `${middle('insertP99').toFixed(2)} ms, lost ${rounds[way].reduce((n, r) => n + r.lost, 0)}, ` +
          `cpu ${middle('serverCpu').toFixed(2)}`);
      }
    }
    return { seconds: options.latencySeconds, results };
  } finally {
    notify?.stop();
    await fanout.destroy();
  }
}
/** @typedef {Awaited<ReturnType<typeof latency>>} LatencyResult */
