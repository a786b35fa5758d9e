// Deliveries a second by one core: the fan-out against a bare epoll loop, in turns.
//
// trickle    1 000 subscribers of one topic, one event at a time: the next one is committed when it has arrived everywhere,
//            so every delivery is a frame and a write of its own; against one send() for each
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
export const chunk = 400;
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
 * @param {string} [what.cores] of the fan-out
 * @returns {Promise<Throughput>}
 */
export async function measureFanout(ground, { each = false, eventsAtOnce, ahead, commit, flags = {}, params = {}, script = {}, cores }) {
  const fanout = await startFanout(ground, flags, cores);
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
 * One measurement of the bare loop, told to send in the same way as the fan-out's events are committed.
 * @param {string} command @param {number} events of one command @param {number} ahead
 * @returns {Promise<Throughput>}
 */
export async function measureBare(command, events, ahead) {
  const bare = await BareServer.start();
  const load = await Load.attach(bare, { connections: subscribers, target: '/', count: events === 1 ? 'frames' : 'watermarks' });
  const send = () => bare.ask(command);
  const deliveries = events * subscribers;
  try {
    await drive(load, deliveries, ahead, send, options.seconds / 4);  // warms up
    await load.reset();
    let commands = 0;
    const time = await timed(bare.pid, async () => {
      commands = await drive(load, deliveries, ahead, send, options.seconds);
    });
    const came = await load.report();
    return { ...rates(time, commands * deliveries), bytes: came.bytes, frames: came.frames };
  } finally {
    await load.stop();
    await bare.stop();
  }
}

/** The frames of one commit as the fan-out sends them, for the bare loop to repeat. @param {Ground} ground */
async function recordFrames(ground) {
  const file = `${dir}/frames`;
  const topic = freshTopics();
  const fanout = await startFanout(ground);
  const load = await attach(fanout, { first: topic }, { connections: 1, record: file, stamp: '' });
  await emitMany(ground, topic, chunk);
  await load.reached(chunk);
  const came = await load.report();
  await load.stop();
  await fanout.destroy();
  return { file, bytesPerEvent: came.bytes / chunk };
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function throughput(ground, log) {
  const recorded = await recordFrames(ground);
  // A frame of one event, as the trickle has it.
  const frameBytes = Math.round(recorded.bytesPerEvent) + 190;
  const measurements = {
    trickle: {
      ours: () => measureFanout(ground, { eventsAtOnce: 1, ahead: 0, commit: (topic) => emitOne(ground, topic) }),
      bare: () => measureBare(`send 1 ${payloadBytes}`, 1, 0),
      bareSameBytes: () => measureBare(`send 1 ${frameBytes}`, 1, 0),
    },
    saturated: {
      ours: () => measureFanout(ground, { eventsAtOnce: chunk, ahead: 2, commit: (topic) => emitMany(ground, topic, chunk) }),
      bare: () => measureBare(`replay ${recorded.file} 1`, chunk, 2),
    },
    topics: {
      ours: () => measureFanout(ground, { each: true, eventsAtOnce: 1, ahead: 0, commit: (first) => emitEach(ground, first, subscribers) }),
      bare: () => measureBare(`own 1 ${payloadBytes}`, 1, 0),
      bareSameBytes: () => measureBare(`own 1 ${frameBytes}`, 1, 0),
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
