// A long open transaction on a hot topic: what it adds to the wait of other writers, and of subscribers.
import { waitFor } from '../harness/index.mjs';
import { database, insertOne } from './ground.mjs';
import { fanoutEndpoint, freshRun, measureLatency, startFanout } from './latency.mjs';
import { options } from './options.mjs';
import { pgbench } from './pgbench.mjs';
import { median, ratio } from './statistics.mjs';

/** @typedef {{tps: number, latency: import('./latency.mjs').Latency}} Phase */

/** A hot topic that the writers and the open transaction share. */
const hotRun = 1;

/**
 * Waits until the fan-out has been sent all that is committed now.
 * @param {import('./ground.mjs').Ground} ground @param {number} seconds for how long there was writing
 */
async function caughtUp(ground, seconds) {
  const [{ lsn }] = await ground.query('SELECT pg_current_wal_lsn() AS lsn');
  await waitFor(async () => (await ground.query(
    'SELECT count(*) > 0 AND bool_and(sent_lsn >= $1) AS done FROM pg_stat_replication', [lsn]))[0].done,
  { timeoutMs: (60 + seconds) * 1000, what: 'the fan-out has caught up' });
}

/**
 * Other writers on the hot topic, then 100 subscribers of topic `run` at the rate of the latency bench.
 * @param {import('./ground.mjs').Ground} ground @param {import('../harness/index.mjs').Fanout} fanout
 * @param {number} run @param {number} seconds how long the phase takes, half of it for each
 * @returns {Promise<Phase>}
 */
async function phase(ground, fanout, run, seconds) {
  const half = Math.ceil(seconds / 2);
  const tps = await pgbench(ground, { script: insertOne('sync', String(hotRun)), clients: 16, seconds: half });
  await caughtUp(ground, half);
  const latency = await measureLatency(ground, { endpoint: fanoutEndpoint(fanout), table: 'bench.sync',
    subscribers: 100, perSecond: options.eventsPerSecond, seconds: half, pid: fanout.pid, run });
  return { tps, latency };
}

/** Whether a second writer of a counter-row topic gets through while the first has not committed. @param {import('./ground.mjs').Ground} ground */
async function counterRowWaits(ground) {
  const open = await ground.cluster.connect(database);
  const other = await ground.cluster.connect(database);
  try {
    await open.query(`BEGIN; ${insertOne('counter', String(hotRun))}`);
    await other.query(`SET statement_timeout = '1s'`);
    return await other.query(insertOne('counter', String(hotRun))).then(() => false, (error) => error.code === '57014');
  } finally {
    await open.end();
    await other.end();
  }
}

/** The writers' speed against the phases before and after. @param {Record<'closed' | 'open', Phase[]>} phases */
export function speedWhileOpen({ open, closed }) {
  const around = open.map((_, i) => closed.slice(i, i + 2).map((p) => p.tps));
  return ratio(open.map((p) => p.tps), around.map((tps) => tps.reduce((sum, one) => sum + one, 0) / tps.length));
}

/** @param {import('./ground.mjs').Ground} ground @param {(line: string) => void} log */
export async function longTransaction(ground, log) {
  const fanout = await startFanout(ground);
  try {
    await fanout.ready();
    /** @type {Record<'closed' | 'open', Phase[]>} */
    const phases = { closed: [], open: [] };
    await ground.settle();
    // The ten minutes of the target are spent once, and without the transaction a minute tells as much.
    const isLong = options.longSeconds > 120;
    const closed = async () => phases.closed.push(await phase(ground, fanout, freshRun(), isLong ? 60 : options.longSeconds));
    for (let round = 0; round < (isLong ? 1 : Math.min(options.rounds, 2)); round++) {
      await closed();
      const run = freshRun();
      const open = await ground.cluster.connect(database);
      // Events of the hot topic and of the one with the subscribers, neither committed.
      await open.query(`BEGIN; ${insertOne('sync', String(hotRun))} ${insertOne('sync', String(run))}`);
      phases.open.push(await phase(ground, fanout, run, options.longSeconds));
      await open.query('COMMIT');
      await open.end();
    }
    await closed();
    const speed = speedWhileOpen(phases);
    const p99 = (/** @type {Phase[]} */ list) => median(list.map((p) => p.latency.p99));
    const waits = await counterRowWaits(ground);
    log(`long transaction (${options.longSeconds} s open): other writers at ${speed.median.toFixed(3)} of their speed, ` +
      `subscribers' p99 ${p99(phases.closed).toFixed(2)} -> ${p99(phases.open).toFixed(2)} ms; ` +
      `a counter row's second writer ${waits ? 'waits' : 'does not wait'}`);
    return { seconds: options.longSeconds, phases, counterRowWaits: waits };
  } finally {
    await fanout.destroy();
  }
}
/** @typedef {Awaited<ReturnType<typeof longTransaction>>} LongTransactionResult */
