// The oracle in a network: writers, subscribers of every habit, two lanes of faults, then every check.
import { pause, waitFor } from '../../harness/index.mjs';
import { checkDatabase, checkSubscriber } from '../../integration/oracle/checks.mjs';
import { readEvidence } from '../../integration/oracle/evidence.mjs';
import { makeCounters } from '../../integration/oracle/operations.mjs';
import { Random } from '../../integration/oracle/random.mjs';
import { topics } from '../../integration/oracle/schema.mjs';
import { TransactionRun } from '../../integration/oracle/transaction.mjs';
import { Workload } from '../../integration/oracle/workload.mjs';
import { checkReadPath, Intruder } from './intruder.mjs';
import { ChaosFaults, decks } from './faults.mjs';
import * as fleeting from './fleeting.mjs';
import { checkVisits, Historian } from './historian.mjs';
import { lateName, report } from './report.mjs';
import { Stand, database } from './stand.mjs';
import * as habits from './subscribers.mjs';
import { Watch } from './watch.mjs';

/**
 * @typedef {object} Options
 * @property {string} seed
 * @property {number} seconds how long faults are made
 * @property {boolean} short each kind of fault is dealt once before any comes again
 * @property {number} [writers]
 * @property {(text: string) => void} say what happens, as it happens
 */

const patience = 120_000;

/** @param {Stand} stand */
async function firstTransaction(stand) {
  const client = await stand.cluster.connect(database);
  const tx = new TransactionRun(client, 'setup', 'setup');
  const record = await tx.run({ synchronous: true, commit: true }, () => makeCounters(tx));
  await client.end();
  return record;
}

/** @param {Stand} stand @param {Random} random */
function attach(stand, random) {
  const far = () => ({ url: stand.farUrl });
  const fast = new habits.Habitual('fast/proto', stand.b, 'proto');
  const revocable = new habits.Revocable(stand);
  const holders = [new habits.Habitual('fast/json', stand.a, 'json'), fast, new habits.Habitual('far/proto', stand.a, 'proto', far),
    habits.slow(stand, random.fork('slow')), habits.flapping(stand, random.fork('flapping')), habits.roaming(stand, random.fork('roaming')),
    habits.expiring(stand, random.fork('expiring')), revocable];
  const fleet = [new fleeting.FleetingSubscriber('fleeting/json', stand.a, 'json', random.fork('fleeting'), false),
    new fleeting.FleetingSubscriber('sleeper/proto', stand.b, 'proto', random.fork('sleeper'), true)];
  return { holders, fleet, fast, revocable };
}

/** Waits until the worker has filled everything that failed, and nothing is on its way. @param {Stand} stand */
async function settle({ cluster }) {
  await waitFor(async () => {
    const client = await cluster.connect(database);
    try {
      const { rows: [row] } = await client.query(`SELECT recovered AND voids_pending = 0
          AND NOT EXISTS (SELECT FROM runtime.sync_topics WHERE in_flight <> 0)
          AND NOT EXISTS (SELECT FROM runtime.sync_stream_events WHERE topic NOT LIKE $1 GROUP BY topic HAVING count(*) <> max(watermark)) AS done
        FROM runtime.sync_stats`, [`${fleeting.prefix}%`]);
      return row.done;
    } finally {
      await client.end();
    }
  }, { timeoutMs: patience, everyMs: 200, what: () => `voids are filled; the server's log:\n${cluster.logTail()}` });
}

/** What the server is doing, for a message. @param {Stand} stand */
function activity({ cluster }) {
  try {
    return cluster.psql(database, `SELECT pid, application_name, state, wait_event, now() - query_start, left(query, 100) FROM pg_stat_activity WHERE state <> 'idle'`);
  } catch (error) {
    return String(error);
  }
}

/** Deals faults until the time is over. @param {ChaosFaults} faults @param {number} until @param {() => Promise<unknown>} between */
async function deal(faults, until, between) {
  while (performance.now() < until) {
    await between();
    await faults.next();
  }
}

/** No fan-out, no slot: what a dead one leaves behind pins no WAL. @param {Stand} stand @returns {Promise<string[]>} */
async function checkNoSlotStays(stand) {
  for (const fanout of stand.fanouts) await fanout.kill9();
  const client = await stand.cluster.connect(database);
  const gone = await waitFor(async () => (await client.query('SELECT FROM pg_replication_slots')).rowCount === 0, { timeoutMs: 90_000, what: 'no slot is left' })
    .then(() => true, () => false);
  await client.end();
  return gone ? [] : ['a slot stays though its fan-out is dead'];
}

/** A run in which something was never tried has not shown it. @param {Record<string, boolean>} tried */
const nothingTried = (tried) => Object.entries(tried).filter(([, was]) => !was).map(([what]) => `${what}: nothing was tried`);

/** @param {Options} options @returns {Promise<import('./report.mjs').Outcome>} */
export async function runChaos({ seed, seconds, short, writers = 4, say }) {
  const random = new Random(seed);
  const stand = await Stand.create();
  const workload = new Workload(stand.cluster, database, random, { thinkMs: 80 });
  const writer = new fleeting.FleetingWriter(stand.cluster, database, random.fork('fleeting writer'));
  const { holders, fleet, fast, revocable } = attach(stand, random);
  const historian = new Historian(stand.fanouts, fast, random.fork('historian'));
  const intruder = new Intruder(stand, random.fork('intruder'));
  const watch = new Watch(stand, topics.length + fleeting.topics.length);
  const helpers = [writer, historian, intruder, watch];
  try {
    const setup = await firstTransaction(stand);
    const shared = { subscribers: holders, say, workload, watcher: fast, revocable };
    const deck = decks(short);
    const lanes = [new ChaosFaults(stand, { ...shared, random: random.fork('processes'), deck: deck.processes }),
      new ChaosFaults(stand, { ...shared, random: random.fork('network'), deck: deck.network })];
    const [processes, network] = /** @type {[ChaosFaults, ChaosFaults]} */ (lanes);
    await Promise.all(holders.map((holder) => holder.connect()));
    for (const holder of holders) holder.begin();
    for (const subscriber of fleet) subscriber.start();
    workload.start(writers);
    for (const helper of helpers) helper.start();

    const until = performance.now() + seconds * 1000;
    const steps = random.fork('pauses');
    // Both come to an end before anything is taken away: a fault that is on has to be ended.
    const dealt = await Promise.allSettled([
      deal(processes, until, async () => {
        // The next fault meets a load again.
        const target = workload.committed + processes.random.integer(3, 25);
        await waitFor(() => workload.committed >= target || workload.failures.length > 0, { timeoutMs: patience,
          what: () => `writers go on after ${JSON.stringify(processes.counts)};\n${activity(stand)}\nthe server's log:\n${stand.cluster.logTail(20)}` });
      }),
      deal(network, until, () => pause(steps.integer(300, 1500))),
    ]);
    for (const lane of dealt) if (lane.status === 'rejected') throw lane.reason;
    say('calm');
    for (const holder of holders) await holder.calm();
    await workload.stop();
    for (const helper of [writer, historian, intruder]) await helper.stop();
    if (workload.failures.length > 0) throw workload.failures[0];

    say('settling');
    /** @type {string[]} */
    const problems = [];
    await settle(stand).catch((error) => problems.push(String(error)));
    const client = await stand.cluster.connect(database);
    const evidence = await readEvidence(client, `${fleeting.prefix}%`);
    const table = await fleeting.readTable(client);
    const transactions = [setup, ...workload.transactions, ...processes.transactions];
    problems.push(...checkDatabase(evidence, transactions, processes.crashes), ...await checkReadPath(client, evidence, transactions));
    await client.end();

    say('draining');
    for (const fanout of stand.fanouts) await fanout.ready({ timeoutMs: patience });
    const late = new habits.Habitual(lateName, stand.b, 'json');
    holders.push(late);
    // A join that is refused is repeated by phoenix itself.
    late.connect().catch(() => {});
    for (const holder of holders) {
      await holder.reachEnd(evidence.journal, patience).catch((error) => problems.push(String(error)));
      problems.push(...checkSubscriber(evidence.journal, holder.name, holder.received), ...holder.problems());
    }
    for (const subscriber of fleet) await subscriber.settle(table, patience).catch((error) => problems.push(String(error)));
    for (const subscriber of fleet) await subscriber.stop();
    // Floors rise while one who slept is told of them: what they are now is not below any that was told.
    const floors = await fleeting.readFloors(stand.cluster, database);
    for (const subscriber of fleet) {
      problems.push(...fleeting.checkResets(subscriber.name, subscriber.resets, floors), ...subscriber.client.problems.map((problem) => `${subscriber.name}: ${problem}`));
      if (subscriber.client.gaps > 0) problems.push(`${subscriber.name} saw ${subscriber.client.gaps} gaps, the last ${subscriber.client.lastGap}; it did: ${subscriber.log.join('; ')}`);
    }
    for (const holder of holders) await holder.close().catch(() => {});
    await watch.stop();
    problems.push(...nothingTried({ faults: [processes, network].filter(({ counts }) => Object.keys(counts).length > 0).length === 2, visits: historian.visits.length > 0,
      'writes over WebSockets': intruder.refused > 0 }));
    problems.push(...checkVisits(evidence.journal, historian.visits), ...historian.problems, ...intruder.problems, ...watch.problems,
      ...lanes.flatMap((lane) => lane.problems), ...await checkNoSlotStays(stand));
    return report({ seed, seconds, evidence, transactions, lanes, holders, fleet, historian, intruder, watch, problems });
  } finally {
    for (const helper of helpers) await helper.stop().catch(() => {});
    for (const subscriber of fleet) await subscriber.stop().catch(() => {});
    for (const holder of holders) await holder.close().catch(() => {});
    await stand.destroy();
  }
}
