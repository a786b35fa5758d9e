// The oracle: writers and subscribers under a seeded schedule of faults, then every check.
import { Cluster, Fanout, waitFor } from '../../harness/index.mjs';
import { checkDatabase, checkSubscriber } from './checks.mjs';
import { readEvidence } from './evidence.mjs';
import { Faults } from './faults.mjs';
import { makeCounters } from './operations.mjs';
import { Random } from './random.mjs';
import { script } from './schema.mjs';
import { Subscriber } from './subscribers.mjs';
import { summarize } from './summary.mjs';
import { TransactionRun } from './transaction.mjs';
import { Workload } from './workload.mjs';

/**
 * @typedef {object} Options
 * @property {string} seed
 * @property {number} seconds how long faults are made
 * @property {number} [writers]
 * @property {number} [fanouts] 0 checks the database alone
 * @property {number} [thinkMs] the longest pause of a writer between two transactions
 * @property {(text: string) => void} say what happens, as it happens
 */

const database = 'test';

/** Heads are persisted often, and the queue of failed ranges overflows. */
const serverSettings = { 'oa_sync.checkpoint_interval': '1s', 'oa_sync.void_queue_size': 16, 'oa_sync.naptime': '200ms' };

/**
 * Small windows, caches and batches, so that the schedule goes through all of them; quick to connect again, because this
 * server is up for a few seconds at a time.
 */
/** @type {import('../../harness/fanout.mjs').Flags[]} */
const fanoutFlags = [
  { loops: 2, 'window-events': 256, 'reconnect-max-ms': 1000 },
  { loops: 1, 'window-events': 64, 'max-batch-events': 20, 'reconnect-max-ms': 300 },
];

/** The first transaction. @param {Cluster} cluster */
async function setUp(cluster) {
  await cluster.createDatabase(database);
  cluster.psql(database, script);
  const client = await cluster.connect(database);
  const tx = new TransactionRun(client, 'setup', 'setup');
  const record = await tx.run({ synchronous: true, commit: true }, () => makeCounters(tx));
  await client.end();
  return record;
}

/** Waits until the worker has filled everything that failed, and nothing is on its way. @param {Cluster} cluster */
async function settle(cluster) {
  await waitFor(async () => {
    const client = await cluster.connect(database);
    try {
      const { rows: [row] } = await client.query(`SELECT recovered AND voids_pending = 0
          AND NOT EXISTS (SELECT FROM runtime.sync_topics WHERE in_flight <> 0)
          AND NOT EXISTS (SELECT FROM runtime.sync_stream_events GROUP BY topic HAVING count(*) <> max(watermark)) AS done
        FROM runtime.sync_stats`);
      return row.done;
    } finally {
      await client.end();
    }
  }, { timeoutMs: 60_000, everyMs: 100, what: () => `voids are filled; the server's log:\n${cluster.logTail()}` })
    // What is wrong then shows in the checks, which say where.
    .catch((error) => console.error(String(error)));
}

/**
 * Runs a schedule. Returns the problems found (none, if all is well) and a summary of what happened.
 * @param {Options} options
 * @returns {Promise<{problems: string[], summary: string}>}
 */
export async function runOracle({ seed, seconds, writers = 8, fanouts: fanoutCount = 2, thinkMs = 30, say }) {
  const random = new Random(seed);
  const cluster = await Cluster.create({ settings: serverSettings });
  /** @type {Fanout[]} */
  const fanouts = [];
  /** @type {Subscriber[]} */
  const subscribers = [];
  const subscribe = async (/** @type {string} */ name, /** @type {Fanout} */ fanout, /** @type {'json' | 'proto'} */ encoding) => {
    const subscriber = new Subscriber(name, fanout, encoding);
    subscribers.push(subscriber);
    // A join that is refused is repeated by phoenix itself.
    subscriber.connect().catch(() => {});
    await waitFor(() => subscriber.client.joinReplies.length > 0, { timeoutMs: 60_000, what: () =>
      `${name} is attached; it was refused ${JSON.stringify(subscriber.client.joinErrors)}` });
  };
  try {
    const setup = await setUp(cluster);
    for (let n = 0; n < fanoutCount; n++) {
      const fanout = await Fanout.start({ database: cluster.conninfo(database), flags: fanoutFlags[n] ?? {} });
      fanouts.push(fanout);
      await fanout.ready();
      for (const encoding of /** @type {const} */ (['json', 'proto'])) await subscribe(`${'AB'[n]}/${encoding}`, fanout, encoding);
    }
    for (const fanout of fanouts.slice(0, 1)) await subscribe('roaming/json', fanout, 'json');
    const workload = new Workload(cluster, database, random, { thinkMs });
    const faults = new Faults({ cluster, database, fanouts, subscribers, random: random.fork('faults'), say });
    const begun = performance.now();
    workload.start(writers);
    while (performance.now() - begun < seconds * 1000) {
      // The next fault meets a load again.
      const target = workload.committed + random.integer(5, 80);
      await waitFor(() => workload.committed >= target || workload.failures.length > 0, { timeoutMs: 60_000,
        what: () => `writers go on after ${JSON.stringify(faults.counts)}; the server's log:\n${cluster.logTail()}` });
      await faults.next();
    }
    await workload.stop();
    if (workload.failures.length > 0) throw workload.failures[0];
    say('settling');
    await settle(cluster);
    const client = await cluster.connect(database);
    const evidence = await readEvidence(client);
    await client.end();
    const transactions = [setup, ...workload.transactions];
    const problems = checkDatabase(evidence, transactions, faults.crashes);
    // Those who come late get everything from the floor. A fan-out that has just been started has to have its database.
    for (const fanout of fanouts) await fanout.ready({ timeoutMs: 60_000 });
    for (const [n, fanout] of fanouts.entries()) await subscribe(`${'AB'[n]}/late`, fanout, n === 0 ? 'json' : 'proto');
    say('draining');
    for (const subscriber of subscribers) {
      await subscriber.reachEnd(evidence.journal, 60_000).catch((error) => problems.push(String(error)));
      problems.push(...checkSubscriber(evidence.journal, subscriber.name, subscriber.received), ...subscriber.problems());
    }
    const summary = summarize({ seed, seconds, evidence, transactions, faults, subscribers });
    return { problems, summary };
  } finally {
    for (const subscriber of subscribers) await subscriber.close().catch(() => {});
    /** @type {unknown[]} */
    const failures = [];
    for (const fanout of fanouts) await fanout.destroy().catch((error) => failures.push(error));
    await cluster.destroy().catch((error) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }
}
