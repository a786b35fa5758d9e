// Parallel writers: each makes one transaction after the other, of all the kinds that applications make, and notes
// what became of it.
import { pause } from '../../harness/index.mjs';
import * as operations from './operations.mjs';
import { TransactionRun } from './transaction.mjs';

/** @typedef {import('./transaction.mjs').Transaction} Transaction */
/** @typedef {import('./random.mjs').Random} Random */

export const writerName = 'oracle-writer';

/** How often a kind of transaction is made. */
const kinds = {
  small: 60, savepoints: 12, rollback: 6, timeout: 7, serializable: 10, bulk: 4, 'bulk delete': 1, 'truncate': 0.7,
  'long': 0.5,
};

/** @param {TransactionRun} tx @param {Random} random @param {number} most */
async function several(tx, random, most) {
  for (let n = random.integer(1, most); n > 0; n--) await operations.someOperation(random)(tx, random);
}

/**
 * Write skew: reads what another run's writers change, and writes a run that they read.
 * @param {TransactionRun} tx @param {Random} random
 */
async function skew(tx, random) {
  await tx.query('SELECT sum(version) FROM oracle.items WHERE run = $1 AND id <= 30', [random.integer(1, 3)]);
  await operations.upsertItem(tx, random);
  await operations.bumpCounter(tx, random);
}

const endings = /** @type {const} */ (['keep', 'keep', 'roll back', 'fail']);

/** Savepoints, kept and not, nested. @param {TransactionRun} tx @param {Random} random */
async function nested(tx, random, depth = 0) {
  await several(tx, random, 2);
  for (let n = random.integer(1, 3); n > 0; n--) {
    await tx.savepoint(random.pick(endings), async () => {
      await several(tx, random, 2);
      if (depth < 2 && random.chance(0.4)) await nested(tx, random, depth + 1);
    });
  }
  if (random.chance(0.5)) await several(tx, random, 1);
}

export class Workload {
  /** @type {Promise<void>[]} */
  #running = [];
  #stopping = false;

  /**
   * @param {import('../../harness/index.mjs').Cluster} cluster
   * @param {string} database
   * @param {Random} random
   * @param {{thinkMs?: number}} [options] the longest pause of a writer between two transactions
   */
  constructor(cluster, database, random, { thinkMs = 30 } = {}) {
    this.cluster = cluster;
    this.database = database;
    this.random = random;
    this.thinkMs = thinkMs;
    /** @type {Transaction[]} */
    this.transactions = [];
    this.committed = 0;
    /** What went wrong in the writers themselves. @type {unknown[]} */
    this.failures = [];
  }

  /** @param {number} writers */
  start(writers) {
    for (let n = 1; n <= writers; n++) {
      this.#running.push(this.#write(`w${n}`, this.random.fork(`writer ${n}`)).catch((error) => {
        this.failures.push(error);
      }));
    }
  }

  /** Lets every writer finish its transaction. */
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  /** @param {string} name @param {Random} random */
  async #write(name, random) {
    /** @type {import('pg').Client | undefined} */
    let client;
    for (let n = 1; !this.#stopping; n++) {
      client ??= await this.#connect();
      if (!client) continue;
      const tx = new TransactionRun(client, `${name}-${n}`, random.weighted(kinds));
      const record = await this.#transact(tx, random);
      this.transactions.push(record);
      if (record.outcome === 'committed') this.committed++;
      if (tx.lost) {
        await client.end().catch(() => {});
        client = undefined;
      }
      await pause(random.integer(0, this.thinkMs));
    }
    await client?.end().catch(() => {});
  }

  /** Undefined while the server is away. */
  async #connect() {
    try {
      const client = await this.cluster.connect(this.database);
      await client.query(`SET application_name = '${writerName}'; SET lock_timeout = '3s'; SET deadlock_timeout = '100ms'`);
      return client;
    } catch {
      await pause(30);
      return undefined;
    }
  }

  /** @param {TransactionRun} tx @param {Random} random @returns {Promise<Transaction>} */
  async #transact(tx, random) {
    const synchronous = random.chance(0.85);
    const commit = true;
    switch (tx.record.kind) {
      case 'rollback':
        return await tx.run({ synchronous, commit: false }, () => several(tx, random, 4));
      case 'savepoints':
        return await tx.run({ synchronous, commit }, () => nested(tx, random));
      case 'timeout':
        return await tx.run({ synchronous, commit }, async () => {
          if (random.chance(0.3)) await operations.bulkInsert(tx, random);
          await tx.query(`SET LOCAL statement_timeout = ${random.integer(1, 12)}`);
          await several(tx, random, 3);
          if (random.chance(0.3)) await tx.query('SELECT pg_sleep(10)');
        });
      case 'serializable':
        return await tx.run({ begin: 'BEGIN ISOLATION LEVEL SERIALIZABLE', synchronous, commit },
          () => (random.chance(0.7) ? skew(tx, random) : several(tx, random, 3)));
      case 'bulk':
        return await tx.run({ synchronous, commit: random.chance(0.8),
          settings: random.chance(0.5) ? "SET LOCAL work_mem = '64kB';" : '' }, async () => {
          await operations.bulkInsert(tx, random);
          await tx.savepoint(random.pick(endings), () => operations.bulkInsert(tx, random));
          await several(tx, random, 2);
        });
      case 'bulk delete':
        return await tx.run({ synchronous, commit }, () => operations.bulkDelete(tx, random));
      case 'truncate':
        return await tx.run({ synchronous, commit: random.chance(0.8) }, async () => {
          await several(tx, random, 2);
          if (random.chance(0.5)) await operations.truncateNotes(tx, random);
          else await operations.truncateScratch(tx, random);
          if (random.chance(0.5)) await operations.copyScratch(tx, random);
        });
      case 'long':
        // Open while the fan-outs come and go: a replication slot can't be made before it ends. Rows of nobody else.
        return await tx.run({ synchronous, commit: random.chance(0.8) }, async () => {
          await operations.copyScratch(tx, random);
          await tx.query('SELECT pg_sleep($1)', [random.integer(5, 25) / 10]);
        });
      default:
        return await tx.run({ synchronous, commit }, () => several(tx, random, 4));
    }
  }
}
