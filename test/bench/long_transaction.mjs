// A long open transaction on a hot topic: what it adds to the wait of other writers, and of subscribers.
import { Fanout, waitFor } from '../harness/index.mjs';
import { database, insertOne } from './ground.mjs';
import { fanoutEndpoint, freshRun, measureLatency } from './latency.mjs';
import { options } from './options.mjs';
import { pgbench } from './pgbench.mjs';
import { median, ratio } from './statistics.mjs';

/** @typedef {{tps: number, latency: import('./latency.mjs').Latency}} Phase */

/** A hot topic that the writers and the open transaction share. */
const hotRun = 1;

/** Waits until the fan-out has been sent all that is committed now. @param {import('./ground.mjs').Ground} ground */
async function caughtUp(ground) {
  const [{ lsn }] = await ground.query('SELECT pg_current_wal_lsn() AS lsn');
  await waitFor(async () => (await ground.query(
    'SELECT count(*) > 0 AND bool_and(sent_lsn >= $1) AS done FROM pg_stat_replication', [lsn]))[0].done,
  { timeoutMs: 60_000, what: 'the fan-out has caught up' });
}

/**
 * Other writers on the hot topic, then 100 subscribers of topic `run` at the rate of the latency bench.
 * @param {import('./ground.mjs').Ground} ground @param {Fanout} fanout @param {number} run @returns {Promise<Phase>}
 */
async function phase(ground, fanout, run) {
  const seconds = options.longSeconds / 2;
  const tps = await pgbench(ground, { script: insertOne('sync', String(hotRun)), clients: 16, seconds });
  await caughtUp(ground);
  const latency = await measureLatency(ground, { endpoint: fanoutEndpoint(fanout), table: 'bench.sync',
    subscribers: 100, perSecond: options.eventsPerSecond, seconds, pid: fanout.pid, run });
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

/** @param {import('./ground.mjs').Ground} ground @param {(line: string) => void} log */
export async function longTransaction(ground, log) {
  const fanout = await Fanout.start({ database: ground.cluster.conninfo(database) });
  try {
    await fanout.ready();
    /** @type {Record<'closed' | 'open', Phase[]>} */
    const phases = { closed: [], open: [] };
    await ground.settle();
    for (let round = 0; round < Math.min(options.rounds, 2); round++) {
      phases.closed.push(await phase(ground, fanout, freshRun()));
      const run = freshRun();
      const open = await ground.cluster.connect(database);
      // Events of the hot topic and of the one with the subscribers, neither committed.
      await open.query(`BEGIN; ${insertOne('sync', String(hotRun))} ${insertOne('sync', String(run))}`);
      phases.open.push(await phase(ground, fanout, run));
      await open.query('COMMIT');
      await open.end();
    }
    const speed = ratio(phases.open.map((p) => p.tps), phases.closed.map((p) => p.tps));
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
