// A primary that dies or is cut off under load, a standby that is promoted, and clients that stay attached to a fan-out between.
import { Cluster, Fanout, waitFor } from '../../harness/index.mjs';
import { Network } from '../network.mjs';
import { Follower, Writers, checkFollower, database, headsOf, readJournal, reader, script, topics } from './load.mjs';

/** unconfirmed: synchronous, but the standby is cut off before the fault, so that commits wait for it. @typedef {'async' | 'sync' | 'unconfirmed'} Replication */
/** kill: every process of the primary, by SIGKILL. cut: its host's cable. @typedef {'kill' | 'cut'} How */
/**
 * @typedef {object} Facts
 * @property {Replication} replication
 * @property {How} how
 * @property {number} promotedMs from the fault to the end of pg_promote()
 * @property {number} writtenMs to the first commit that was acknowledged on the new primary
 * @property {number} firstEventMs to the first of its events at a client
 * @property {number} allMs to the last client's first of its events
 * @property {number} acknowledgedLost rows that were acknowledged and are not there
 * @property {number} seenLost events that clients had seen and that are not there, summed over clients
 * @property {number} diverged topics that clients were told epoch_diverged of, summed over clients
 * @property {number} wrongResets
 * @property {number} gaps
 * @property {number} twice events that got past a client twice
 * @property {number} clients
 * @property {number} events in the journal in the end
 */

const standbyName = 'oa_standby';
const writerCount = 4;

/** How many rows that were begun after the first `begun` each of some clients has at least. @param {Follower[]} followers @param {number} begun */
const seenOf = (followers, begun) => () =>
  Math.min(...followers.map(({ got }) => got.filter(({ key }) => Number(key.slice('item:'.length)) > begun).length));

/** @param {Network} network @param {Replication} replication */
async function servers(network, replication) {
  const hba = [`host all all ${network.range} trust`, `host replication all ${network.range} trust`];
  const primary = await Cluster.create({ place: { netns: network.file('primary'), hba },
    settings: { listen_addresses: network.address('primary') } });
  await primary.createDatabase(database);
  primary.psql(database, script);
  const standby = await primary.backup({ standby: true, place: { netns: network.file('standby'), hba: [] },
    settings: { listen_addresses: network.address('standby'), synchronous_standby_names: '',
      primary_conninfo: `host=${network.address('primary')} port=5432 user=postgres application_name=${standbyName}` } });
  await waitFor(() => primary.psql('postgres', `SELECT count(*) FROM pg_stat_replication WHERE application_name = '${standbyName}' AND state = 'streaming'`).trim() === '1',
    { timeoutMs: 60_000, what: 'the standby follows' });
  if (replication !== 'async') {
    primary.configure({ synchronous_standby_names: standbyName });
    primary.psql('postgres', 'SELECT pg_reload_conf();');
    await waitFor(() => primary.psql('postgres', `SELECT sync_state FROM pg_stat_replication WHERE application_name = '${standbyName}'`).trim() === 'sync',
      { timeoutMs: 60_000, what: 'replication is synchronous' });
  }
  return { primary, standby };
}

/**
 * @param {{replication: Replication, how: How, say: (text: string) => void}} options
 * @returns {Promise<{facts: Facts, problems: string[]}>}
 */
export async function runPromotion({ replication, how, say }) {
  const network = Network.get();
  /** @type {(() => unknown)[]} */
  const cleanups = [];
  try {
    say('setting up');
    const { primary, standby } = await servers(network, replication);
    cleanups.push(() => primary.destroy(), () => standby.destroy());
    const hosts = ['primary', 'standby'].map((host) => network.address(host));
    const fanout = await Fanout.start({ database: `host=${hosts.join(',')} port=5432 user=${reader} dbname=${database} target_session_attrs=read-write connect_timeout=2`,
      where: { host: network.address('fanout'), netns: network.file('fanout') }, flags: { loops: 2, 'http-requests-per-second': 0 } });
    cleanups.push(() => fanout.destroy());
    await fanout.ready({ timeoutMs: 60_000 });
    const followers = ['json', 'proto', 'json', 'proto', 'json'].map((encoding, n) =>
      new Follower(`client ${n + 1}/${encoding}`, fanout, /** @type {'json' | 'proto'} */ (encoding)));
    for (const follower of followers) {
      cleanups.push(() => follower.close());
      await follower.connect();
    }
    const writers = new Writers(hosts.slice(0, 1), writerCount, 10);
    cleanups.push(() => writers.stop());
    const [absent, ...staying] = /** @type {[Follower, ...Follower[]]} */ (followers);
    await waitFor(() => followers.every(({ got }) => got.length >= 100), { timeoutMs: 60_000, what: 'every client has a hundred events' });

    // One client goes away with a cursor that both servers have.
    await absent.close();
    const old = absent.cursors.map(({ topic, watermark, epoch }) => ({ topic, watermark, epoch: epoch ?? 0 }));
    await waitFor(() => standby.psql(database, `SELECT bool_and(head >= w) FROM (VALUES ${old.map(({ topic, watermark }) => `('${topic}', ${watermark})`).join(', ')}) v (t, w)
      JOIN LATERAL (SELECT max(watermark) AS head FROM runtime.sync_stream_events WHERE topic = t) h ON true`).trim() === 't', { timeoutMs: 60_000, what: 'the standby has what it saw' });
    if (replication === 'async') {
      // What is written from here on reaches clients and not the standby.
      network.swallow('primary', 'standby');
      cleanups.push(() => network.unswallow('primary', 'standby'));
      const seen = seenOf(staying, writers.begun);
      await waitFor(() => seen() >= 20, { timeoutMs: 60_000, what: 'clients see what the standby does not have' });
    } else if (replication === 'unconfirmed') {
      network.swallow('primary', 'standby');
      cleanups.push(() => network.unswallow('primary', 'standby'));
      const seen = seenOf(staying, writers.begun);
      await waitFor(() => seen() >= 1, { timeoutMs: 60_000, what: 'clients see what the standby has not confirmed' });
    }
    say('the primary goes');
    const begun = performance.now();
    if (how === 'kill') await primary.kill9();
    else network.cut('primary');
    writers.hosts = hosts.slice(1);
    await standby.promote();
    const promoted = performance.now();
    say('promoted');
    const firstNew = (/** @type {Follower} */ follower) => {
      const before = old[0]?.epoch ?? 0;
      return follower.got.find(({ epoch }) => epoch > before)?.at;
    };
    await waitFor(() => staying.every((follower) => firstNew(follower) !== undefined), { timeoutMs: 120_000, what: () =>
      `every client has an event of the new primary; the fan-out's log:\n${fanout.logTail()}` });
    say('everybody has events of the new primary');
    // The old one comes back and takes writes. The fan-out has to begin anew, and must not go back to it.
    if (how === 'cut') network.mend('primary');
    else await primary.start();
    const admin = await standby.connect('postgres');
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, [reader]);
    await admin.end();
    const at = staying.map(({ got }) => got.length);
    await waitFor(() => staying.every(({ got }, n) => got.length >= (at[n] ?? 0) + 20), { timeoutMs: 120_000, what: () =>
      `clients go on though the former primary is there; the fan-out's log:\n${fanout.logTail()}` });
    const returned = new Follower('returned', fanout, 'proto', { cursors: old });
    cleanups.push(() => returned.close());
    await returned.connect();
    await writers.stop();
    const journal = await readJournal(standby);
    say('the end');
    for (const follower of [...staying, returned]) await follower.reach(headsOf(journal));

    const there = new Set(journal.map(({ topic, key }) => `${topic} ${key}`));
    const acknowledgedLost = writers.acknowledged.filter(({ topic, id }) => !there.has(`${topic} item:${id}`)).length;
    const results = [...staying.map((follower) => ({ follower, ...checkFollower(follower.name, follower, journal) })),
      { follower: returned, ...checkFollower(returned.name, returned, journal, new Map(old.map(({ topic, watermark }) => [topic, watermark]))) }];
    const problems = results.flatMap((result) => result.problems);
    if (replication !== 'async' && acknowledgedLost > 0) problems.push(`${acknowledgedLost} acknowledged rows are lost`);
    if (replication !== 'sync' && !results.some(({ lost }) => lost > 0)) problems.push('no client had seen an event that is lost: nothing was tried');
    for (const { client, name } of staying) {
      if (client.opened !== 1) problems.push(`${name} had ${client.opened} connections: it did not stay attached`);
    }
    for (const { client, name } of [...staying, returned]) {
      problems.push(...client.problems.map((problem) => `${name}: ${problem}`));
      if (client.gaps > 0) problems.push(`${name} saw ${client.gaps} gaps`);
    }
    const since = (/** @type {number | undefined} */ at) => Math.round((at ?? Infinity) - begun);
    const firsts = staying.map(firstNew).map(since);
    return { problems, facts: { replication, how, promotedMs: since(promoted), writtenMs: since(writers.acknowledged.find(({ host }) => host === hosts[1])?.at),
      firstEventMs: Math.min(...firsts), allMs: Math.max(...firsts), acknowledgedLost, seenLost: results.reduce((sum, { lost }) => sum + lost, 0),
      diverged: results.reduce((sum, { follower }) => sum + follower.told.length, 0), wrongResets: problems.filter((problem) => /was reset|was told/.test(problem)).length,
      gaps: results.reduce((sum, { follower }) => sum + follower.client.gaps, 0), twice: problems.filter((problem) => /twice/.test(problem)).length,
      clients: results.length, events: journal.length } };
  } finally {
    network.mend('primary');
    /** @type {unknown[]} */
    const failures = [];
    for (const cleanup of cleanups.reverse()) await Promise.resolve().then(cleanup).catch((error) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }
}
