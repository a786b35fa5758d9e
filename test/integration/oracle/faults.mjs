// What is broken on purpose while writers write and subscribers listen.
import { childrenOf, pause, waitFor } from '../../harness/index.mjs';
import { writerName } from './workload.mjs';

/** @typedef {import('./random.mjs').Random} Random */

/**
 * Faults of the database alone, then those that need a fan-out, with how many of each a round has.
 * @type {Record<string, number>}
 */
export const databaseDeck = {
  terminateWriters: 5, terminateCommitting: 3, blockJournalAndTerminate: 2, blockJournalAndKillBackend: 1,
  blockJournalAndKillServer: 1, killBackend: 1, killServer: 1, killPostmasterAlone: 1, terminateWorker: 1,
  killWorker: 1, restart: 1, stopImmediately: 1, checkpoint: 1,
};
/** @type {Record<string, number>} */
export const fanoutDeck = {
  killFanout: 3, restartFanout: 1, pauseFanout: 1, killWalsenders: 2, killReaders: 1, cutClients: 3, moveClient: 4,
};

// test/chaos widens this class by more kinds of faults.
export class Faults {
  /** @type {Record<string, number>} */
  counts = {};
  /** When a crash of the server began, milliseconds since 1970. @type {number[]} */
  crashes = [];
  /** @type {string[]} */
  #deck = [];

  /**
   * @param {object} options
   * @param {import('../../harness/index.mjs').Cluster} options.cluster
   * @param {string} options.database
   * @param {import('../../harness/index.mjs').Fanout[]} options.fanouts
   * @param {import('./subscribers.mjs').Subscriber[]} options.subscribers
   * @param {Random} options.random
   * @param {(text: string) => void} options.say
   * @param {Record<string, number>} [options.deck] how many of each kind a round has
   */
  constructor({ cluster, database, fanouts, subscribers, random, say, deck }) {
    this.cluster = cluster;
    this.database = database;
    this.fanouts = fanouts;
    this.subscribers = subscribers;
    this.random = random;
    this.say = say;
    this.deck = deck ?? { ...databaseDeck, ...(fanouts.length > 0 ? fanoutDeck : {}) };
  }

  /** The next fault of the schedule. */
  async next() {
    if (this.#deck.length === 0) this.#shuffle();
    const name = /** @type {string} */ (this.#deck.pop());
    this.say(name);
    // False: there was nothing that it could be done to.
    if (await /** @type {any} */ (this)[name]() === false) return this.say(`${name}: not done`);
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #shuffle() {
    const cards = Object.entries(this.deck).flatMap(([name, count]) => Array.from({ length: count }, () => name));
    while (cards.length > 0) this.#deck.push(...cards.splice(this.random.integer(0, cards.length - 1), 1));
  }

  /**
   * Runs `work` with a connection; a server that is away is not an error.
   * @param {(client: import('pg').Client) => Promise<void>} work
   */
  async withServer(work) {
    const client = await this.cluster.connect(this.database).catch(() => undefined);
    if (!client) return;
    try {
      await work(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Waits until the server takes connections again after it restarted all its processes. */
  async afterCrash() {
    await waitFor(async () => {
      const client = await this.cluster.connect(this.database);
      await client.query('SELECT 1');
      await client.end();
      return true;
    }, { timeoutMs: 60_000, what: () => `the server is back; its log:\n${this.cluster.logTail()}` });
  }

  // --- backends ---

  /** What ends a statement, and maybe its backend. */
  #end() {
    return this.random.chance(0.3) ? 'pg_cancel_backend(pid)' : 'pg_terminate_backend(pid)';
  }

  async terminateWriters() {
    await this.withServer(async (client) => {
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1
        ORDER BY random() LIMIT $2`, [writerName, this.random.integer(1, 3)]);
    });
  }

  /** Writers that are in COMMIT at this moment. */
  async terminateCommitting() {
    await this.withServer(async (client) => {
      await waitFor(async () => (await client.query(`SELECT ${this.#end()} FROM pg_stat_activity
        WHERE application_name = $1 AND state = 'active' AND query = 'COMMIT' LIMIT 2`, [writerName])).rowCount,
      { timeoutMs: 5_000, everyMs: 1, what: 'somebody commits' }).catch(() => {});
    });
  }

  /**
   * Blocks appending to the journal, so that writers pile up between the allocation of their watermarks and the
   * append; then `strike`s, given the process ids of those that wait in COMMIT, and lets go.
   * @param {(waiting: number[], client: import('pg').Client) => Promise<void>} strike
   */
  async #blockJournal(strike) {
    await this.withServer(async (client) => {
      try {
        await client.query(`BEGIN; SET LOCAL lock_timeout = '5s'; LOCK TABLE runtime.sync_stream_events IN SHARE MODE`);
        const waiting = await waitFor(async () => {
          // In a transaction the first look at the activity would be the only one.
          await client.query('SELECT pg_stat_clear_snapshot()');
          const { rows } = await client.query(`SELECT pid FROM pg_stat_activity WHERE application_name = $1
            AND state = 'active' AND query = 'COMMIT' AND wait_event_type = 'Lock'`, [writerName]);
          return rows.length >= 2 ? rows.map((row) => row.pid) : undefined;
        }, { timeoutMs: 5_000, everyMs: 5, what: 'writers wait for the journal' });
        await strike(waiting, client);
        await client.query('COMMIT');
      } catch {
        // The strike took this connection along, or too few writers came in time: the next card, then.
      }
    });
  }

  async blockJournalAndTerminate() {
    await this.#blockJournal(async (waiting, client) => {
      const some = waiting.filter(() => this.random.chance(0.5));
      await client.query(`SELECT ${this.#end()} FROM unnest($1::int[]) AS t (pid)`, [some]);
    });
  }

  async blockJournalAndKillBackend() {
    await this.#blockJournal(async ([pid], client) => {
      await client.query('COMMIT');
      await this.killOne(pid);
    });
  }

  async blockJournalAndKillServer() {
    await this.#blockJournal(async (_, client) => {
      await client.query('COMMIT');
      await this.killServer();
    });
  }

  /** @param {number | undefined} pid */
  async killOne(pid) {
    if (pid === undefined) return;
    this.crashes.push(Date.now());
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      return;
    }
    await waitFor(() => !childrenOf(this.cluster.pid).includes(pid), { timeoutMs: 60_000, what: `process ${pid} is gone` });
    await this.afterCrash();
    // Until here writers may have ended something that the crash took back.
    this.crashes.push(Date.now());
  }

  /** SIGKILL to one backend: the postmaster then restarts everything. */
  async killBackend() {
    await this.killOneOf(`application_name = '${writerName}'`);
  }

  async killWorker() {
    await this.killOneOf(`backend_type = 'oa_sync worker'`);
  }

  /** @param {string} which */
  async killOneOf(which) {
    /** @type {number | undefined} */
    let pid;
    await this.withServer(async (client) => {
      const { rows } = await client.query(`SELECT pid FROM pg_stat_activity WHERE ${which} ORDER BY random() LIMIT 1`);
      pid = rows[0]?.pid;
    });
    await this.killOne(pid);
  }

  async terminateWorker() {
    await this.withServer(async (client) => {
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'oa_sync %'`);
    });
  }

  // --- the server ---

  /** @param {() => Promise<void>} end */
  async crash(end) {
    this.crashes.push(Date.now());
    await end();
    // Answers that came before it are read now: who noted a commit later than this had it from a server that is there.
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    this.crashes.push(Date.now());
    await this.cluster.start();
  }

  /** All processes at once, as when the power fails. */
  async killServer() {
    await this.crash(() => this.cluster.kill9());
  }

  /** The postmaster only: its children see that and end by themselves, some after one more commit. */
  async killPostmasterAlone() {
    await this.crash(() => this.cluster.kill9({ children: false }));
  }

  async stopImmediately() {
    await this.crash(() => this.cluster.stop('immediate'));
  }

  async restart() {
    await this.cluster.restart();
  }

  async checkpoint() {
    await this.withServer(async (client) => void (await client.query('CHECKPOINT')));
  }

  // --- the fan-outs and their connections ---

  async killFanout() {
    const fanout = this.random.pick(this.fanouts);
    await fanout.kill9();
    await fanout.launch();
  }

  async restartFanout() {
    const fanout = this.random.pick(this.fanouts);
    await fanout.stop();
    await fanout.launch();
  }

  /** Long enough to fall behind, too short to be taken for dead. */
  async pauseFanout() {
    const fanout = this.random.pick(this.fanouts);
    process.kill(fanout.pid, 'SIGSTOP');
    try {
      await pause(this.random.integer(300, 1500));
    } finally {
      process.kill(fanout.pid, 'SIGCONT');
    }
  }

  async killWalsenders() {
    await this.withServer(async (client) => {
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'`);
    });
  }

  /** What the fan-outs read the journal with. */
  async killReaders() {
    await this.withServer(async (client) => {
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'
        AND application_name NOT IN ($1, 'oa-sync-test')`, [writerName]);
    });
  }

  async cutClients() {
    for (const subscriber of this.subscribers) if (this.random.chance(0.5)) subscriber.client.cut();
  }

  /** The roaming subscriber takes its cursors to the other fan-out. */
  async moveClient() {
    const roaming = this.subscribers.find(({ name }) => name.startsWith('roaming'));
    if (roaming) await roaming.moveTo(this.random.pick(this.fanouts));
  }
}
