// Two loops against one. Where server, load generator and database share two cores, two busy loops cannot have a core
// each, so what is compared is the CPU time of a delivery: loops share nothing but events, and if a delivery
// costs as much with two loops, two cores deliver twice as much. Scaling is 2 x (one loop's CPU / two loops').
import { emitMany, emitOne } from './fanout_stand.mjs';
import { chunk, measureFanout } from './fanout_throughput.mjs';
import { allCores } from './cores.mjs';
import { options } from './options.mjs';
import { inTurn } from './statistics.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {import('./fanout_throughput.mjs').Throughput} Throughput */

/** @param {Ground} ground @param {(line: string) => void} log */
export async function loops(ground, log) {
  /** @type {Record<string, Record<string, Throughput[]>>} */
  const results = { trickle: {}, saturated: {} };
  for (let round = 0; round < options.rounds; round++) {
    for (const count of inTurn([1, 2], round)) {
      for (const mode of /** @type {const} */ (['trickle', 'saturated'])) {
        const how = mode === 'trickle' ? { eventsAtOnce: 1, ahead: 0, commit: (/** @type {number} */ topic) => emitOne(ground, topic) }
          : { eventsAtOnce: chunk, ahead: 2, commit: (/** @type {number} */ topic) => emitMany(ground, topic, chunk) };
        const found = await measureFanout(ground, { ...how, flags: { loops: count }, cores: allCores });
        (/** @type {Record<string, Throughput[]>} */ (results[mode])[count] ??= []).push(found);
        log(`fanout ${mode} with ${count} loops: ${Math.round(found.perCpuSecond)} deliveries a CPU second`);
      }
    }
  }
  return results;
}
/** @typedef {Awaited<ReturnType<typeof loops>>} LoopsResult */
