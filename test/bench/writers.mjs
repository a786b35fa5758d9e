// Writers: one-row transactions without capture, with oa_sync, and with a counter row as the allocator; in the settings
// that carry a target also with the peers.
import { insertOne } from './ground.mjs';
import { options, quick } from './options.mjs';
import { pgbench } from './pgbench.mjs';
import { inTurn, median, ratio } from './statistics.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/**
 * @typedef {object} Setting
 * @property {'one topic' | '1 000 topics'} topics
 * @property {'native' | '+1 ms'} sync fdatasync
 * @property {number} clients
 * @property {'prepared' | 'simple'} protocol
 */
/** @typedef {'plain' | 'sync' | 'counter'} Always */
/** @typedef {Setting & {tps: Record<Always, number[]> & Partial<Record<import('./peers.mjs').Peer, number[]>>}} Measured */

const always = /** @type {const} */ (['plain', 'sync', 'counter']);

/** @returns {Setting[]} */
function settings() {
  /** @type {Setting[]} */
  const list = [];
  for (const sync of /** @type {const} */ (['native', '+1 ms'])) {
    for (const topics of /** @type {const} */ (['one topic', '1 000 topics'])) {
      for (const clients of options.clients) list.push({ topics, sync, clients, protocol: 'prepared' });
    }
    // pgbench's own default, where the server parses and plans every statement.
    if (!quick) list.push({ topics: 'one topic', sync, clients: 64, protocol: 'simple' });
  }
  return list;
}

/** @param {Ground} ground @param {Setting} setting @returns {Promise<Measured>} */
async function measure(ground, setting) {
  const run = setting.topics === 'one topic' ? '1' : ':run';
  const prefix = setting.topics === 'one topic' ? '' : '\\set run random(1, 1000)\n';
  /** @type {Measured['tps']} */
  const tps = { plain: [], sync: [], counter: [] };
  // The settings that carry a target get more rounds.
  const hasTarget = setting.topics === 'one topic' && setting.clients === 64;
  const rounds = hasTarget && !quick ? options.rounds + 2 : options.rounds;
  const ways = [...always, ...(hasTarget && setting.protocol === 'prepared' ? ground.peers : [])];
  for (let round = 0; round < rounds; round++) {
    for (const way of inTurn(ways, round)) {
      (tps[way] ??= []).push(await pgbench(ground, { script: `${prefix}${insertOne(way, run)}\n`, clients: setting.clients,
        seconds: options.seconds, protocol: setting.protocol }));
    }
  }
  return { ...setting, tps };
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function writers(ground, log) {
  /** @type {Measured[]} */
  const results = [];
  // Tables, plans and caches warm.
  for (const way of [...always, ...ground.peers]) await pgbench(ground, { script: insertOne(way, '1'), clients: 8, seconds: 1 });
  for (const setting of settings()) {
    ground.slowSync(setting.sync === 'native' ? 0 : options.slowSyncUs);
    await ground.settle();
    const measured = await measure(ground, setting);
    results.push(measured);
    const { plain, sync, counter } = measured.tps;
    log(`writers, ${setting.topics}, fdatasync ${setting.sync}, ${setting.clients} clients, ${setting.protocol}: ` +
      `plain ${median(plain).toFixed(0)}, oa_sync ${median(sync).toFixed(0)} (${ratio(sync, plain).median.toFixed(3)}), ` +
      `counter row ${median(counter).toFixed(0)} (oa_sync is ${ratio(sync, counter).median.toFixed(1)}x)` +
      ground.peers.map((peer) => (measured.tps[peer] ? `, ${peer} ${median(measured.tps[peer]).toFixed(0)}` : '')).join(''));
  }
  ground.slowSync(0);
  return { seconds: options.seconds, results };
}
/** @typedef {Awaited<ReturnType<typeof writers>>} WritersResult */
