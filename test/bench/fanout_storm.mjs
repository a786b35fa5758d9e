// A storm: many clients at once ask for the same 1 000 missed events. How often the database is read for them, and how
// long it takes until all have everything, beside a bare loop that sends the same bytes to as many.
import { mkdtempSync, rmSync } from 'node:fs';
import { atExit } from '../harness/index.mjs';
import { emitMany, freshTopics, startFanout, subscribeScript, timed } from './fanout_stand.mjs';
import { BareServer, Load } from './load.mjs';
import { quick } from './options.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */

const missed = 1000;
const clients = quick ? 1000 : 10_000;
const dir = mkdtempSync('/tmp/oa-sync-storm-');
atExit(() => rmSync(dir, { recursive: true, force: true }));

/** @param {Ground} ground @param {number} topic @param {number} count @param {Record<string, string>} [script] */
async function resume(ground, topic, count, script = {}) {
  const fanout = await startFanout(ground);
  const params = { resume_after: { [`run:${topic}:events`]: 0 } };
  const load = Load.begin(fanout, { ...subscribeScript(fanout, { first: topic, params }), stamp: '', connections: count,
    sources: 4, ...script });
  try {
    const time = await timed(fanout.pid, async () => {
      await load.line();
      await load.reached(missed * count, 120_000);
    });
    const came = await load.report();
    return { ...time, reads: await fanout.metric('oa_sync_journal_reads_total'), bytes: came.bytes, gaps: came.gaps, closed: came.closed };
  } finally {
    await load.stop();
    await fanout.destroy();
  }
}

/** @param {string} file @param {number} bytes */
async function bareStorm(file, bytes) {
  const bare = await BareServer.start();
  const load = Load.begin(bare, { connections: clients, sources: 4, target: '/', count: 'watermarks' });
  try {
    return { ...await timed(bare.pid, async () => {
      await load.line();
      await bare.ask(`replay ${file} 1`);
      await load.reached(missed * clients, 120_000);
    }), bytes };
  } finally {
    await load.stop();
    await bare.stop();
  }
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function storm(ground, log) {
  const topic = freshTopics();
  await emitMany(ground, topic, missed);
  const one = await resume(ground, topic, 1, { record: `${dir}/frames` });
  const all = await resume(ground, topic, clients);
  const bare = await bareStorm(`${dir}/frames`, all.bytes);
  log(`fanout storm: ${all.reads} reads (one client: ${one.reads}), ${all.seconds.toFixed(1)} s, bare ${bare.seconds.toFixed(1)} s`);
  return { at: new Date().toISOString(), clients, missed, one, all, bare };
}
/** @typedef {Awaited<ReturnType<typeof storm>>} StormResult */
