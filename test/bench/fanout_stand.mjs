// What the parts of the fan-out bench share: a published table with payloads of 256 bytes, and the fan-out on a core of
// its own with subscribers on the others.
import { Fanout } from '../harness/index.mjs';
import { cpuSeconds, loadCores, pin, serverCores } from './cores.mjs';
import { database } from './ground.mjs';
import { Load } from './load.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */

/** Bytes of an event's payload. */
export const payloadBytes = 256;
const tokenSeconds = 86_400;
let topics = 1_000_000;

/** Number of a topic that no measurement has had; `count` in a row. */
export function freshTopics(count = 1) {
  topics += count;
  return topics - count;
}

/** Makes the table that the events come from. @param {Ground} ground */
export async function prepare(ground) {
  pin(process.pid, loadCores);
  pin(ground.cluster.pid, loadCores);
  await ground.query(`CREATE TABLE IF NOT EXISTS bench.fan (id bigint GENERATED ALWAYS AS IDENTITY, run_id int NOT NULL,
    t bigint NOT NULL, body text NOT NULL)`);
  await ground.query(`SELECT runtime.sync_publish('bench.fan', topic => 'run:{run_id}:events', doc_key => 'event:{id}',
    payload => 't, body')`);
}

// What is around the body: {"body":"…","t":<15 digits>}.
const body = 'x'.repeat(payloadBytes - 31);
const now = () => process.hrtime.bigint();

/** One event, committed. @param {Ground} ground @param {number} topic */
export const emitOne = (ground, topic) =>
  ground.db.query({ name: 'fan_one', text: 'INSERT INTO bench.fan (run_id, t, body) VALUES ($1, $2, $3)', values: [topic, now(), body] });

/** Many events of one topic in one transaction. @param {Ground} ground @param {number} topic @param {number} events */
export const emitMany = (ground, topic, events) => ground.db.query({ name: 'fan_many',
  text: 'INSERT INTO bench.fan (run_id, t, body) SELECT $1, $2, $3 FROM generate_series(1, $4)', values: [topic, now(), body, events] });

/** One event of each topic, in one transaction. @param {Ground} ground @param {number} first @param {number} count */
export const emitEach = (ground, first, count) => ground.db.query({ name: 'fan_each',
  text: 'INSERT INTO bench.fan (run_id, t, body) SELECT i, $1, $2 FROM generate_series($3::int, $3::int + $4::int - 1) i',
  values: [now(), body, first, count] });

// What a server protects itself with against the very crowds that are measured here.
const unlimited = { 'max-connections': 100_000, 'max-handshakes': 100_000, 'max-joins-per-second': 0, 'max-replays': 0, 'max-topics': 0 };

/**
 * A fan-out whose tokens outlive any measurement and that turns nobody away, on the server's core.
 * @param {Ground} ground @param {import('../harness/fanout.mjs').Flags} [flags] @param {string} [cores]
 */
export async function startFanout(ground, flags = {}, cores = serverCores) {
  const fanout = await Fanout.start({ database: ground.cluster.conninfo(database),
    flags: { loops: 1, 'jwt-max-age-s': tokenSeconds, ...unlimited, ...flags } });
  pin(fanout.pid, cores);
  await fanout.ready();
  return fanout;
}

/**
 * The script of subscribers of topic `first`, or of a topic each.
 * @param {Fanout} fanout @param {{first: number, each?: boolean, params?: object}} what
 */
export function subscribeScript(fanout, { first, each = false, params = {} }) {
  const topic = `run:${each ? '{n}' : first}:events`;
  const token = fanout.token(['run:*'], { exp: Math.floor(Date.now() / 1000) + tokenSeconds });
  return { first, target: `/socket/websocket?vsn=2.0.0&token=${token}`, ready: '"status":"ok"', count: 'watermarks',
    hello: JSON.stringify(['1', '1', 'sync:v1', 'phx_join', { topics: [topic], ...params }]), stamp: '"t":' };
}

/** @param {Fanout} fanout @param {Parameters<typeof subscribeScript>[1]} what @param {Record<string, string | number>} script @param {number} [timeoutMs] */
export const attach = (fanout, what, script, timeoutMs = 60_000) =>
  Load.attach(fanout, { ...subscribeScript(fanout, what), ...script }, timeoutMs);

/**
 * Runs work and tells how long it took, and what CPU time the server used for it.
 * @param {number} pid @param {() => Promise<unknown>} work
 */
export async function timed(pid, work) {
  const cpu = cpuSeconds(pid);
  const start = performance.now();
  await work();
  return { seconds: (performance.now() - start) / 1000, cpu: cpuSeconds(pid) - cpu };
}

/**
 * Deliveries a second, and a second of the server's CPU.
 * @param {{seconds: number, cpu: number}} time @param {number} deliveries
 */
export const rates = (time, deliveries) => ({ deliveries, perSecond: deliveries / time.seconds, perCpuSecond: deliveries / time.cpu });
/** @typedef {ReturnType<typeof rates>} Rates */
