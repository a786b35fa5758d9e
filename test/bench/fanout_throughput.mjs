// Deliveries a second by one core: the fan-out against a bare epoll loop, in turns.
//
// trickle    1 000 subscribers of one topic, one event at a time: the next one is committed when all but the newest have
//            arrived, so every delivery is a frame of its own; against one send() for each
// saturated  the same subscribers, events committed 400 at a time, so that many are pending; against the same bytes,
//            all that is pending in one writev()
// topics     1 000 topics with one subscriber each, an event of each at a time; against one send() for each
import { mkdtempSync, rmSync } from 'node:fs';
import { atExit } from '../harness/index.mjs';
import { attach, emitEach, emitMany, emitOne, freshTopics, payloadBytes, rates, startFanout, timed } from './fanout_stand.mjs';
import { BareServer, Load } from './load.mjs';
import { options } from './options.mjs';
import { inTurn } from './statistics.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {import('./fanout_stand.mjs').Rates} Rates */
/** @typedef {Rates & {bytes: number, frames: number}} Throughput */

export const subscribers = 1000;
const chunk = 400;
const dir = mkdtempSync('/tmp/oa-sync-fanout-bench-');
atExit(() => rmSync(dir, { recursive: true, force: true }));

/**
 * Commits again and again while at most `ahead` commits have not arrived everywhere, for a time, and until all have.
 * @param {Load} load @param {number} each deliveries of one commit @param {number} ahead
 * @param {() => Promise<unknown>} commit @param {number} seconds
 */
export async function drive(load, each, ahead, commit, seconds) {
  const until = performance.now() + seconds * 1000;
  let commits = 0;
  while (performance.now() < until) {
    await commit();
    commits++;
    if (commits > ahead) await load.reached((commits - ahead) * each);
  }
  await load.reached(commits * each);
  return commits;
}

/**
 * One measurement of the fan-out, with the script's subscribers.
 * @param {Ground} ground @param {object} what
 * @param {boolean} [what.each] a topic for each subscriber
 * @param {number} what.eventsAtOnce @param {number} what.ahead
 * @param {(topic: number) => Promise<unknown>} what.commit
 * @param {Record<string, string | number | boolean>} [what.flags] @param {object} [what.params] of the join
 * @param {Record<string, string | number>} [what.script]
 * @returns {Promise<Throughput>}
 */
export async function measureFanout(ground, { each = false, eventsAtOnce, ahead, commit, flags = {}, params = {}, script = {} }) {
  const fanout = await startFanout(ground, flags);
  const first = freshTopics(each ? subscribers : 1);
  const load = await attach(fanout, { first, each, params }, { connections: subscribers, stamp: '', ...script });
  const deliveries = eventsAtOnce * subscribers;
  try {
    await drive(load, deliveries, ahead, () => commit(first), options.seconds / 4);  // warms up
    await load.reset();
    let commits = 0;
    const time = await timed(fanout.pid, async () => {
      commits = await drive(load, deliveries, ahead, () => commit(first), options.seconds);
    });
    const came = await load.report();
    if (came.gaps > 0 || came.closed > 0) throw new Error(`subscribers had gaps or were closed: ${JSON.stringify(came)}`);
    return { ...rates(time, commits * deliveries), bytes: came.bytes, frames: came.frames };
  } finally {
    await load.stop();
    await fanout.destroy();
  }
}

/**
 * One measurement of the bare loop.
 * @param {(times: number) => string} command that sends `times` of what it sends to everybody
 * @param {number} perTime deliveries to one subscriber of one time
 * @returns {Promise<Throughput>}
 */
export async function measureBare(command, perTime) {
  const bare = await BareServer.start();
  const load = await Load.attach(bare, { connections: subscribers, target: '/', count: 'frames' });
  try {
    // As many as take about the time of a measurement.
    let times = 1;
    for (;;) {
      await load.reset();
      const before = await load.report();
      const time = await timed(bare.pid, () => bare.ask(command(times)));
      if (time.seconds >= options.seconds / 2) {
        const came = await load.report();
        return { ...rates(time, times * perTime * subscribers), bytes: came.bytes - before.bytes, frames: came.frames };
      }
      times = Math.ceil(times * Math.min(50, (options.seconds * 1.1) / Math.max(time.seconds, 0.001)));
    }
  } finally {
    await load.stop();
    await bare.stop();
  }
}

/** Frames as the fan-out sends them when many events are pending, for the bare loop to repeat. @param {Ground} ground */
async function recordFrames(ground) {
  const file = `${dir}/frames`;
  const topic = freshTopics();
  const fanout = await startFanout(ground);
  const load = await attach(fanout, { first: topic }, { connections: 1, record: file, stamp: '' });
  const events = 5 * chunk;
  for (let i = 0; i < 5; i++) {
    await emitMany(ground, topic, chunk);
    await load.reached((i + 1) * chunk);
  }
  const came = await load.report();
  await load.stop();
  await fanout.destroy();
  return { file, events, bytesPerEvent: came.bytes / events };
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function throughput(ground, log) {
  const recorded = await recordFrames(ground);
  // A frame of one event, as the trickle has it.
  const frameBytes = Math.round(recorded.bytesPerEvent) + 190;
  const measurements = {
    trickle: {
      ours: () => measureFanout(ground, { eventsAtOnce: 1, ahead: 1, commit: (topic) => emitOne(ground, topic) }),
      bare: () => measureBare((times) => `send ${times} ${payloadBytes}`, 1),
      bareSameBytes: () => measureBare((times) => `send ${times} ${frameBytes}`, 1),
    },
    saturated: {
      ours: () => measureFanout(ground, { eventsAtOnce: chunk, ahead: 2, commit: (topic) => emitMany(ground, topic, chunk) }),
      bare: () => measureBare((times) => `replay ${recorded.file} ${times}`, recorded.events),
    },
    topics: {
      ours: () => measureFanout(ground, { each: true, eventsAtOnce: 1, ahead: 1, commit: (first) => emitEach(ground, first, subscribers) }),
      bare: () => measureBare((times) => `own ${times} ${payloadBytes}`, 1),
      bareSameBytes: () => measureBare((times) => `own ${times} ${frameBytes}`, 1),
    },
  };
  /** @type {Record<keyof typeof measurements, Record<string, Throughput[]>>} */
  const results = { trickle: {}, saturated: {}, topics: {} };
  for (const [name, ways] of Object.entries(measurements)) {
    for (let round = 0; round < options.rounds; round++) {
      for (const [way, measure] of inTurn(Object.entries(ways), round)) {
        const found = await measure();
        (results[/** @type {keyof typeof measurements} */ (name)][way] ??= []).push(found);
        log(`fanout ${name} ${way}: ${Math.round(found.perSecond)} deliveries/s, ${Math.round(found.perCpuSecond)} a CPU second`);
      }
    }
  }
  return { bytesPerEvent: recorded.bytesPerEvent, frameBytes, results };
}
/** @typedef {Awaited<ReturnType<typeof throughput>>} ThroughputResult */
