// A steady 50 messages/s to 1 000 subscribers: how late they are. The fan-out's count from before the row was sent to
// PostgreSQL, so that its commit and its decoding are in them; the bare loop's from before the first send().
import { pause } from '../harness/index.mjs';
import { attach, emitOne, freshTopics, payloadBytes, startFanout } from './fanout_stand.mjs';
import { subscribers } from './fanout_throughput.mjs';
import { BareServer, Load } from './load.mjs';
import { options } from './options.mjs';
import { inTurn, quantile } from './statistics.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** Milliseconds. @typedef {{p50: number, p99: number, max: number, commitP50: number, commitP99: number}} Pace */

/**
 * Commits events at a steady rate, whether or not the one before is done; returns how long each commit took.
 * @param {Ground} ground @param {number} topic @param {number} events @param {number} perSecond
 */
export async function emitSteadily(ground, topic, events, perSecond) {
  const start = performance.now();
  /** @type {number[]} */
  const took = [];
  /** @type {Promise<unknown>[]} */
  const pending = [];
  for (let event = 0; event < events; event++) {
    const wait = start + (event * 1000) / perSecond - performance.now();
    if (wait > 0) await pause(wait);
    const sent = performance.now();
    pending.push(emitOne(ground, topic).then(() => took.push(performance.now() - sent)));
  }
  await Promise.all(pending);
  return took;
}

/** @param {Ground} ground @param {number} perSecond @returns {Promise<Pace>} */
async function ours(ground, perSecond) {
  const fanout = await startFanout(ground);
  const first = freshTopics();
  const load = await attach(fanout, { first }, { connections: subscribers });
  const events = Math.round(perSecond * options.latencySeconds);
  try {
    await emitSteadily(ground, first, 20, perSecond);
    await load.reached(20 * subscribers);
    await load.reset();
    const took = await emitSteadily(ground, first, events, perSecond);
    await load.reached(events * subscribers);
    const { p50, p99, max } = await load.report();
    return { p50, p99, max, commitP50: quantile(took, 0.5), commitP99: quantile(took, 0.99) };
  } finally {
    await load.stop();
    await fanout.destroy();
  }
}

/** @param {number} perSecond @returns {Promise<Pace>} */
async function bare(perSecond) {
  const server = await BareServer.start();
  const load = await Load.attach(server, { connections: subscribers, target: '/', count: 'frames', stamp: '"t":' });
  const events = Math.round(perSecond * options.latencySeconds);
  try {
    await server.ask(`pace ${events} ${payloadBytes} ${perSecond}`);
    await load.reached(events * subscribers);
    const { p50, p99, max } = await load.report();
    return { p50, p99, max, commitP50: 0, commitP99: 0 };
  } finally {
    await load.stop();
    await server.stop();
  }
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function pace(ground, log) {
  const perSecond = 50;
  /** @type {{ours: Pace[], bare: Pace[]}} */
  const rounds = { ours: [], bare: [] };
  for (let round = 0; round < options.rounds; round++) {
    for (const way of inTurn(/** @type {const} */ (['ours', 'bare']), round)) {
      const found = way === 'ours' ? await ours(ground, perSecond) : await bare(perSecond);
      rounds[way].push(found);
      log(`fanout pace ${way}: p50 ${found.p50} ms, p99 ${found.p99} ms, commit p50 ${found.commitP50.toFixed(2)} ms`);
    }
  }
  return { perSecond, subscribers, rounds };
}
/** @typedef {Awaited<ReturnType<typeof pace>>} PaceResult */
