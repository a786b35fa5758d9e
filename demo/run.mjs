// `make demo`: a private PostgreSQL, an application that writes, the fan-out, and a stock phoenix client that watches,
// is cut off, and resumes. Ends with a comparison of what arrived with the journal.
//
// Usage: node demo/run.mjs [--duration SECONDS]      without it, until Ctrl-C
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Cluster, Fanout, SyncClient, pause, root, waitFor } from '../test/harness/index.mjs';
import { compareWithJournal, percentile } from './compare.mjs';
import { printNotice, printSummary, printUpdate } from './print.mjs';
import { Workload } from './workload.mjs';

const { values: args } = parseArgs({ options: { duration: { type: 'string' } } });
const duration = args.duration === undefined ? undefined : Number(args.duration);
if (duration !== undefined && !(duration > 0)) {
  console.error('demo: --duration takes a number of seconds');
  process.exit(2);
}

/** Resolves at the end of the demo: after the duration, or at the first Ctrl-C (a second one ends at once). */
let interrupted = false;
const ended = new Promise((resolve) => {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.on(signal, () => {
      if (interrupted) process.exit(130);
      interrupted = true;
      resolve(undefined);
    });
  }
  if (duration !== undefined) setTimeout(resolve, duration * 1000);
});

/** A pause that the end of the demo cuts short. @param {number} ms */
const unlessEnded = (ms) => Promise.race([pause(ms), ended]);

printNotice('starting a private PostgreSQL cluster and the fan-out');
const cluster = await Cluster.create({ settings: { track_commit_timestamp: 'on' } });
await cluster.createDatabase('demo');
cluster.psql('demo', readFileSync(`${root}/demo/schema.sql`, 'utf8'));
const built = `${root}/build/console`;
const consoleDir = existsSync(`${built}/index.html`) ? built : undefined;
const fanout = await Fanout.start({ database: cluster.conninfo('demo'), admin: true, consoleDir });
await fanout.ready();
console.log(`database   psql '${cluster.conninfo('demo')}'`);
console.log(`fan-out    ${fanout.socketUrl}/websocket   ${fanout.adminUrl('/metrics')}`);
if (consoleDir) console.log(`console    ${fanout.adminUrl('/')}   service key: ${fanout.adminKey}`);

/** Since when each topic is followed live; what was committed before that is a replay. @type {Map<string, number>} */
const liveSince = new Map();
/** @type {import('./compare.mjs').Delivery[]} */
const deliveries = [];
/** Topics of runs that came up, not asked for yet. @type {Set<string>} */
const fresh = new Set();
/** @type {Promise<void> | undefined} */
let asking;
let awayMs = 1500;

/** Follows what came up: one request at a time, with all of them, for a server limits those that wait. */
async function followFresh() {
  while (fresh.size > 0) {
    const topics = [...fresh];
    fresh.clear();
    for (const topic of topics) client.wanted.add(topic);
    try {
      await client.subscribe(topics);
      for (const topic of topics) liveSince.set(topic, Date.now());
    } catch (error) {
      // Cut off before the answer: the next join subscribes to them. Told to wait: asked again then.
      const retryMs = /** @type {any} */ (error).response?.retry_after_ms;
      if (retryMs === undefined) continue;
      await pause(retryMs);
      for (const topic of topics) fresh.add(topic);
    }
  }
  asking = undefined;
}

const client = new SyncClient({
  url: fanout.socketUrl, token: () => fanout.token(['*']), keepEvents: false, reconnectMs: awayMs,
  topics: ['runtime.run_summaries', 'runtime.codex_worker_summaries'],
  onUpdate(update) {
    const since = liveSince.get(update.topic) ?? Infinity;
    deliveries.push({ ...update, payload: undefined, liveSince: since });
    printUpdate(update, update.insertedAtUs / 1000 >= since);
    // A run that is new to us: follow its events as well.
    const topic = `run:${update.payload?.run_id}:events`;
    if (update.topic === 'runtime.run_summaries' && update.payload && !client.wanted.has(topic)) {
      fresh.add(topic);
      asking ??= followFresh();
    }
  },
});
await client.connect();
for (const topic of client.wanted) liveSince.set(topic, Date.now());
printNotice('subscribed with the stock phoenix client; the application begins to write');
const workload = new Workload(cluster, 'demo');
workload.start(4);

let replayedAfterCut = 0;
/** Cuts the connection and waits until the client is back and has caught up. */
async function cutAndResume() {
  const joins = client.joinReplies.length;
  const before = deliveries.length;
  printNotice('the connection is cut, without a goodbye; the application goes on writing');
  liveSince.clear();
  const cutAt = Date.now();
  client.cut();
  await waitFor(() => client.joinReplies.length > joins, { timeoutMs: 30_000, what: 'the client has joined again' });
  const backAt = Date.now();
  for (const topic of client.wanted) liveSince.set(topic, backAt);
  await pause(300);
  const replayed = deliveries.slice(before).filter((d) => d.insertedAtUs / 1000 < backAt).length;
  replayedAfterCut += replayed;
  printNotice(`back after ${((backAt - cutAt) / 1000).toFixed(1)} s by itself, resumed from its cursors (↺): ${replayed} events replayed`);
}

let over = false;
void ended.then(() => (over = true));
const cutEvery = duration === undefined ? 12_000 : Math.max(2000, (duration * 1000) / 3);
while (!over) {
  await unlessEnded(cutEvery);
  if (!over) await cutAndResume();
}

printNotice(interrupted ? 'stopping, as you asked' : 'the time is up');
await workload.stop();
const db = cluster.pool('demo');
const { rows: heads } = await db.query(`SELECT topic, max(watermark) AS head FROM runtime.sync_stream_events WHERE topic NOT LIKE 'oa_sync.%' GROUP BY topic`);
let complete = true;
for (const { topic, head } of heads) {
  await client.reach(topic, head, 15_000).catch((error) => {
    complete = false;
    console.error(String(error.message));
  });
}
await asking;
const result = await compareWithJournal(db, deliveries);
await client.close();
await fanout.destroy();
await cluster.destroy();

printSummary([
  ['transactions committed', workload.committed],
  ['transactions rolled back', workload.rolledBack],
  ['topics', heads.length],
  ['events written (journal)', result.written],
  ['events delivered', deliveries.length],
  ['resumes after a cut connection', client.resumes],
  ['events replayed by those', replayedAfterCut],
  ['gaps', client.gaps],
  ['duplicates dropped', client.duplicates],
  ['commit to client, p50', `${percentile(result.latencies, 0.5)} ms of ${result.latencies.length} live events`],
  ['commit to client, p99', `${percentile(result.latencies, 0.99)} ms`],
]);
const problems = [...client.problems, ...result.problems, ...(client.gaps > 0 ? [`${client.gaps} gaps`] : []),
  ...(complete ? [] : ['not everything arrived']), ...(result.written === 0 ? ['nothing was written'] : [])];
if (problems.length > 0) {
  console.error(problems.slice(0, 20).join('\n'));
  console.error(`demo: FAILED, ${problems.length} problems: what was delivered is not the journal`);
  process.exit(1);
}
console.log('What was delivered equals the journal, event by event, hash by hash.');
process.exit(0);
