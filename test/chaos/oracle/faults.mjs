// More that is broken on purpose: what the oracle of test/integration does not have. Two lanes run beside each other: one for
// processes, disks and clocks, one for networks and tokens.
import { pause, sanitized, waitFor } from '../../harness/index.mjs';
import { Faults, databaseDeck, fanoutDeck } from '../../integration/oracle/faults.mjs';
import { TransactionRun } from '../../integration/oracle/transaction.mjs';
import { writerName } from '../../integration/oracle/workload.mjs';
import { database } from './stand.mjs';

/** @typedef {import('./stand.mjs').Stand} Stand */

// Clients are cut and moved by habit here, and slots are dropped by a kind of its own.
const { cutClients: _, moveClient: __, killWalsenders: ___, ...fanoutFaults } = fanoutDeck;
/** @type {Record<string, number>} */
const processes = { ...databaseDeck, ...fanoutFaults, killWalsender: 1, stopBackend: 2, stopWorker: 1, stopWalsender: 1, stopPostmaster: 1,
  dropSlots: 2, walLimit: 1, diskFull: 2, stepServerClock: 2, ...(sanitized ? {} : { stepFanoutClock: 1 }), purge: 1, openTransaction: 2 };
/** @type {Record<string, number>} */
const network = { cutClientsHost: 2, cutDatabaseHost: 1, halfOpenToClients: 1, halfOpenToServers: 1, silentLine: 1, resetConnections: 2,
  longLine: 2, narrowLine: 2, revokeSession: 2 };

/** What the oracle of test/integration does to the database in every run is left out of a short one. */
const notInShort = new Set(['terminateWriters', 'terminateCommitting', 'blockJournalAndTerminate', 'blockJournalAndKillBackend',
  'blockJournalAndKillServer', 'restart', 'stopImmediately', 'checkpoint', 'killReaders', 'restartFanout', 'terminateWorker']);
/** One of each kind: a short run meets every kind, in an order of the seed's. @param {Record<string, number>} deck */
const once = (deck) => Object.fromEntries(Object.keys(deck).filter((kind) => !notInShort.has(kind)).map((kind) => [kind, 1]));
/** @param {boolean} short */
export const decks = (short) => (short ? { processes: once(processes), network: once(network) } : { processes, network });

export class ChaosFaults extends Faults {
  /** What a fault itself found wrong. @type {string[]} */
  problems = [];
  /** @type {import('../../integration/oracle/transaction.mjs').Transaction[]} */
  transactions = [];
  #probes = 0;

  /**
   * @param {Stand} stand
   * @param {Omit<ConstructorParameters<typeof Faults>[0], 'cluster' | 'database' | 'fanouts'> & {workload: import('../../integration/oracle/workload.mjs').Workload,
   *   watcher: import('./subscribers.mjs').Habitual, revocable: import('./subscribers.mjs').Revocable}} options
   */
  constructor(stand, { workload, watcher, revocable, ...options }) {
    super({ ...options, cluster: stand.cluster, database, fanouts: stand.fanouts });
    this.stand = stand;
    this.workload = workload;
    this.watcher = watcher;
    this.revocable = revocable;
  }

  // --- processes ---

  async killWalsender() {
    await this.killOneOf(`backend_type = 'walsender'`);
  }

  /** SIGSTOP for a while. @param {number | undefined} pid @param {number} ms */
  async #freeze(pid, ms) {
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGSTOP');
      await pause(ms);
      process.kill(pid, 'SIGCONT');
    } catch {
      // It ended by itself.
    }
  }

  /** @param {string} which */
  async #freezeOneOf(which) {
    /** @type {number | undefined} */
    let pid;
    await this.withServer(async (client) => {
      pid = (await client.query(`SELECT pid FROM pg_stat_activity WHERE ${which} ORDER BY random() LIMIT 1`)).rows[0]?.pid;
    });
    await this.#freeze(pid, this.random.integer(500, 3000));
  }

  async stopBackend() {
    await this.#freezeOneOf(`application_name = '${writerName}' AND state = 'active'`);
  }

  async stopWorker() {
    await this.#freezeOneOf(`backend_type = 'oa_sync worker'`);
  }

  async stopWalsender() {
    await this.#freezeOneOf(`backend_type = 'walsender'`);
  }

  async stopPostmaster() {
    await this.#freeze(this.cluster.pid, this.random.integer(500, 2000));
  }

  // --- slots ---

  /** @param {import('pg').Client} client @returns {Promise<{name: string, pid: number | null, temporary: boolean, status: string | null}[]>} */
  async #slots(client) {
    return (await client.query('SELECT slot_name AS name, active_pid AS pid, temporary, wal_status AS status FROM pg_replication_slots')).rows;
  }

  /** Every slot goes. */
  async dropSlots() {
    await this.withServer(async (client) => {
      const before = await this.#slots(client);
      await client.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL`);
      await waitFor(async () => {
        const now = (await this.#slots(client)).map(({ name, pid }) => `${name} ${pid}`);
        return before.every(({ name, pid }) => !now.includes(`${name} ${pid}`));
      }, { timeoutMs: 90_000, what: 'the slots are gone' });
    });
  }

  /** A fan-out that stands still holds WAL until max_slot_wal_keep_size ends its slot. */
  async walLimit() {
    const fanout = this.stand.b;
    // Its own: the other fan-out reads on, and holds nothing.
    const slots = async (/** @type {import('pg').Client} */ client) =>
      (await this.#slots(client)).map(({ name }) => name).filter((name) => name.startsWith(`oa_sync_${fanout.pid}_`));
    // After another fault it may be without one for a while: then there is nothing to hold.
    let has = false;
    await this.withServer(async (client) => {
      has = await waitFor(async () => (await slots(client)).length > 0, { timeoutMs: 20_000, everyMs: 100, what: 'it has a slot' }).catch(() => false);
    });
    if (!has) return false;
    process.kill(fanout.pid, 'SIGSTOP');
    try {
      await this.withServer(async (client) => {
        const before = await slots(client);
        await waitFor(async () => {
          for (let n = 0; n < 3; n++) await client.query(`SELECT pg_switch_wal(), pg_logical_emit_message(false, 'chaos', 'x')`);
          await client.query('CHECKPOINT');
          const now = await this.#slots(client);
          return before.length === 0 || before.some((name) => !now.some((slot) => slot.name === name && slot.status !== 'lost'));
        }, { timeoutMs: 120_000, everyMs: 100, what: 'a slot that held too much WAL is ended' });
      });
    } finally {
      process.kill(fanout.pid, 'SIGCONT');
    }
  }

  // --- disks, clocks, retention ---

  /** The journal's disk is full: who writes is told so, and when there is room it goes on. */
  async diskFull() {
    const { disk } = this.stand;
    if (!disk) return;
    try {
      await this.withServer(async (client) => {
        let failure;
        // What a vacuum has just freed has room for some.
        for (let tries = 3; tries > 0 && failure === undefined; tries--) {
          disk.fill();
          failure = await client.query(`INSERT INTO chaos.fleeting SELECT 'fleeting:probe', i, 1, repeat('x', 1000) FROM generate_series($1::int, $1::int + 3999) i`,
            [4000 * this.#probes++]).then(() => undefined, (error) => error);
        }
        if (failure === undefined) this.problems.push('4000 events were written to a journal whose disk is full, three times');
        else if (failure.code !== '53100' || !/No space left on device/.test(failure.message)) {
          this.problems.push(`who writes to a full disk is told ${failure.code} ${failure.message}`);
        }
      });
      await pause(this.random.integer(500, 1500));
    } finally {
      disk.makeRoom();
    }
  }

  /**
   * The server's clock goes ahead or back by up to three hours, and right again. PostgreSQL's own timers (lock_timeout, statement_timeout,
   * deadlock_timeout, pg_sleep) that began ahead would wait until their time has come, with OA Sync or without: who waits is ended.
   */
  async stepServerClock() {
    this.stand.serverClock.set(this.random.integer(-10_800, 10_800));
    await pause(this.random.integer(500, 2500));
    this.stand.serverClock.set(0);
    for (let looks = 2; looks > 0; looks--) {
      await this.withServer(async (client) => {
        await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'
          AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')`, [writerName]);
      });
      await pause(100);
    }
  }

  /** A fan-out's clock: every token has expired, or is not valid yet. */
  async stepFanoutClock() {
    const clock = this.random.pick(this.stand.fanoutClocks);
    clock.set(this.random.chance(0.5) ? 3600 : -3600);
    await pause(this.random.integer(500, 2500));
    clock.set(0);
  }

  async purge() {
    await this.withServer(async (client) => void (await client.query('SELECT * FROM runtime.sync_retain()')));
  }

  // --- invariant 4 ---

  /** A transaction that has written to the hottest topic stays open; others commit, and subscribers get theirs, before it ends. */
  async openTransaction() {
    const client = await this.cluster.connect(database).catch(() => undefined);
    if (!client) return;
    const tx = new TransactionRun(client, `open-${this.transactions.length + 1}-${this.random.integer(1, 1e9)}`, 'open');
    const marks = () => this.watcher.marks.size;
    this.transactions.push(await tx.run({ synchronous: true, commit: true }, async () => {
      const [committed, seen] = [this.workload.committed, marks()];
      await waitFor(() => this.workload.committed >= committed + 10 && marks() >= seen + 10, { timeoutMs: 120_000, what: 'others go on' }).catch(() =>
        this.problems.push(`while a transaction was open, ${this.workload.committed - committed} others committed and ${marks() - seen} came to a subscriber`));
    }));
    await client.end().catch(() => {});
  }

  // --- networks ---

  /** @param {() => void} begin @param {() => void} end @param {[number, number]} howLong */
  async #during(begin, end, [shortest, longest]) {
    begin();
    try {
      await pause(this.random.integer(shortest, longest));
    } finally {
      end();
    }
  }

  async cutClientsHost() {
    await this.#during(() => this.stand.network.cut('clients'), () => this.stand.network.mend('clients'), [200, 4000]);
  }

  async cutDatabaseHost() {
    await this.#during(() => this.stand.network.cut('primary'), () => this.stand.network.mend('primary'), [200, 4000]);
  }

  /** What servers send to clients is lost; they hear each other the other way. */
  async halfOpenToClients() {
    const { network: net } = this.stand;
    await this.#during(() => net.swallow('fanout', 'clients'), () => net.unswallow('fanout', 'clients'), [500, 5000]);
  }

  /** What PostgreSQL sends to the fan-outs' host is lost. */
  async halfOpenToServers() {
    const { network: net } = this.stand;
    await this.#during(() => net.swallow('primary', 'fanout'), () => net.unswallow('primary', 'fanout'), [500, 5000]);
  }

  /** Connections that stay open, through which nothing comes. */
  async silentLine() {
    const line = this.random.pick(/** @type {const} */ (['clients', 'database']));
    await this.#during(() => this.stand.tell(line, { silent: true }), () => this.stand.tell(line, { silent: false }), [500, 6000]);
  }

  async resetConnections() {
    this.stand.tell(this.random.pick(/** @type {const} */ (['clients', 'database'])), { reset: true });
  }

  async longLine() {
    const line = this.random.pick(/** @type {const} */ (['clients', 'database']));
    await this.#during(() => this.stand.tell(line, { delayMs: this.random.integer(20, 400) }), () => this.stand.tell(line, { delayMs: 0 }), [1000, 3000]);
  }

  async narrowLine() {
    const host = this.random.pick(['fanout', 'primary']);
    await this.#during(() => this.stand.network.narrow(host, this.random.pick(['1mbit', '4mbit'])), () => this.stand.network.widen(host), [1000, 3000]);
  }

  // --- tokens ---

  /** A session is revoked: its sockets are ended, its tokens refused, on the server that was not asked too. */
  async revokeSession() {
    const { revocable } = this;
    const { session } = revocable;
    const revoked = await waitFor(async () => (await this.stand.b.observe('/api/sync/sessions/revoke', { method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.stand.b.adminKey}` },
      body: JSON.stringify({ session_ids: [session], reason: 'admin_revoked' }), signal: AbortSignal.timeout(3000) })).status === 200,
    { timeoutMs: 10_000, everyMs: 200, what: 'the session is revoked' }).catch(() => false);
    // The database is away, or the fan-out stands still, which may yet do what it was asked.
    if (!revoked) return revocable.logInAnew();
    await waitFor(async () => (await revocable.isTaken(session)) === false, { timeoutMs: 120_000, everyMs: 50, what: 'its tokens are refused' })
      .catch(() => this.problems.push(`tokens of ${session} are taken two minutes after it was revoked`));
    revocable.logInAnew();
  }
}
