// Idle connections: the memory of one, and many of them beside subscribers that get events.
//
// A process here may have only so many descriptors (its hard limit), so the many are spread over as many fan-outs on the
// one database, and as many load generators, as that takes; the subscribers are with the first of them.
import { readFileSync } from 'node:fs';
import { pause } from '../harness/index.mjs';
import { residentBytes } from './cores.mjs';
import { emitSteadily } from './fanout_pace.mjs';
import { attach, freshTopics, startFanout } from './fanout_stand.mjs';
import { subscribers } from './fanout_throughput.mjs';
import { BareServer, Load } from './load.mjs';
import { options, quick } from './options.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */

const descriptors = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);

/** Bytes for each of `count` connections, of which one took `first` of warming up. @param {Ground} ground @param {number} count */
async function memoryOfOne(ground, count) {
  const fanout = await startFanout(ground);
  const first = freshTopics();
  const warm = await attach(fanout, { first }, { connections: 200 });
  const before = residentBytes(fanout.pid);
  const load = await attach(fanout, { first }, { connections: count, sources: 10 });
  await pause(500);  // what the handshakes took is given back by then
  const ours = (residentBytes(fanout.pid) - before) / count;
  for (const one of [warm, load]) await one.stop();
  await fanout.destroy();
  const bare = await BareServer.start();
  const empty = residentBytes(bare.pid);
  const idle = await Load.attach(bare, { connections: count, sources: 10, target: '/' });
  const theirs = (residentBytes(bare.pid) - empty) / count;
  await idle.stop();
  await bare.stop();
  return { connections: count, ours, bare: theirs };
}

/** @param {Ground} ground @param {number} count @param {(line: string) => void} log */
async function beside(ground, count, log) {
  const each = Math.min(count, descriptors - 1500 - subscribers);
  const fanouts = [];
  /** @type {Load[]} */
  const loads = [];
  const start = performance.now();
  try {
    for (let left = count; left > 0; left -= each) {
      const fanout = await startFanout(ground);
      fanouts.push(fanout);
      loads.push(await attach(fanout, { first: freshTopics() }, { connections: Math.min(left, each), sources: 20 }, 180_000));
      log(`fanout idle: ${count - Math.max(0, left - each)} connections after ${Math.round((performance.now() - start) / 1000)} s`);
    }
    const openedMs = performance.now() - start;
    const [fanout] = fanouts;
    if (!fanout) throw new Error('no fan-out');
    const first = freshTopics();
    const live = await attach(fanout, { first }, { connections: subscribers });
    loads.push(live);
    const events = Math.round(options.eventsPerSecond * options.latencySeconds);
    await emitSteadily(ground, first, events, options.eventsPerSecond);
    await live.reached(events * subscribers);
    const { p50, p99, max } = await live.report();
    log(`fanout idle: p50 ${p50} ms, p99 ${p99} ms beside ${count} idle`);
    let closed = 0;
    for (const load of loads) closed += (await load.report()).closed;
    return { connections: count, fanouts: fanouts.length, openedMs, p50, p99, max, closed };
  } finally {
    for (const load of loads) await load.stop();
    for (const fanout of fanouts) {
      await fanout.kill9();  // saying goodbye to so many takes longer than a bench has
      await fanout.destroy();
    }
  }
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function idle(ground, log) {
  const memory = await memoryOfOne(ground, quick ? 2000 : 10_000);
  log(`fanout memory: ${Math.round(memory.ours)} bytes a connection, bare ${Math.round(memory.bare)}`);
  return { memory, beside: await beside(ground, quick ? 5000 : 50_000, log) };
}
/** @typedef {Awaited<ReturnType<typeof idle>>} IdleResult */
