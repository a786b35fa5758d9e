// One transaction of a writer: what it did, in order, and what became of it.
//
// `groups` are the events that the transaction has to have in the journal if it committed. Within a group that is not
// `ordered`, PostgreSQL is free to choose (the order of a cascade, of the topics of a TRUNCATE).

/** @typedef {{topic: string, op: 'upsert' | 'delete' | 'truncate', key: string, version?: number}} Expected */
/** @typedef {{ordered: boolean, events: Expected[]}} Group */
/**
 * 'committed': COMMIT was answered. 'rolled back': it was not sent, or refused. 'unknown': the connection was lost
 * before COMMIT was answered.
 * @typedef {'committed' | 'rolled back' | 'unknown'} Outcome
 */
/**
 * @typedef {object} Transaction
 * @property {string} label unique; the key of its row in oracle.ledger
 * @property {string} kind
 * @property {boolean} synchronous false: synchronous_commit was off, a crash may take it back
 * @property {string} txid
 * @property {Group[]} groups
 * @property {Outcome} outcome
 * @property {string} [reason] of a failure: the SQLSTATE or the message
 * @property {number} endedAt milliseconds since 1970
 */

/** SQL errors after which the server has ended the connection, so that COMMIT may have happened or not. */
const connectionEnded = /^(57P0[1-5]|08...)$/;

export class TransactionRun {
  #savepoints = 0;

  /** @param {import('pg').Client} client @param {string} label @param {string} kind */
  constructor(client, label, kind) {
    this.client = client;
    this.committing = false;
    /** @type {Transaction} */
    this.record = { label, kind, synchronous: true, txid: '', groups: [], outcome: 'rolled back', endedAt: 0 };
  }

  get label() {
    return this.record.label;
  }

  /** @param {string} sql @param {unknown[]} [values] @returns {Promise<any[]>} */
  async query(sql, values) {
    return (await this.client.query(sql, values)).rows;
  }

  /** @param {Expected[]} events */
  expect(...events) {
    this.record.groups.push({ ordered: true, events });
  }

  /** @param {Expected[]} events */
  expectInAnyOrder(events) {
    this.record.groups.push({ ordered: false, events });
  }

  /**
   * Runs `work` in a savepoint, and then keeps it, takes it back, or lets a failing statement take it back.
   * @param {'keep' | 'roll back' | 'fail'} how @param {() => Promise<void>} work
   */
  async savepoint(how, work) {
    const before = this.record.groups.length;
    const name = `s${++this.#savepoints}`;
    await this.query(`SAVEPOINT ${name}`);
    await work();
    if (how === 'keep') {
      await this.query(`RELEASE SAVEPOINT ${name}`);
      return;
    }
    if (how === 'fail') {
      const error = await this.query('SELECT 1 / 0').then(() => undefined, (reason) => reason);
      if (error?.code !== '22012') throw error;
    }
    await this.query(`ROLLBACK TO SAVEPOINT ${name}`);
    this.record.groups.length = before;
  }

  /**
   * BEGIN, the ledger row, `body`, and the end.
   * @param {{begin?: string, synchronous: boolean, commit: boolean, settings?: string}} options
   * @param {() => Promise<void>} body
   * @returns {Promise<Transaction>}
   */
  async run({ begin = 'BEGIN', synchronous, commit, settings = '' }, body) {
    this.record.synchronous = synchronous;
    try {
      await this.query(`${begin};${synchronous ? '' : 'SET LOCAL synchronous_commit = off;'}${settings}`);
      const [row] = await this.query(
        'INSERT INTO oracle.ledger VALUES ($1, pg_current_xact_id()::text) RETURNING txid', [this.label]);
      this.record.txid = row.txid;
      this.expect({ topic: 'oracle.ledger', op: 'upsert', key: `tx:${this.label}` });
      await body();
      if (commit) {
        this.committing = true;
        const { command } = await this.client.query('COMMIT');
        this.record.outcome = command === 'COMMIT' ? 'committed' : 'rolled back';
      } else {
        await this.query('ROLLBACK');
      }
    } catch (error) {
      await this.#failed(/** @type {any} */ (error));
    }
    this.record.endedAt = Date.now();
    return this.record;
  }

  /** @param {{code?: string, message: string, severity?: string}} error */
  async #failed(error) {
    this.record.reason = error.code ?? error.message;
    const lost = error.code === undefined || error.severity === 'FATAL' || error.severity === 'PANIC' ||
      connectionEnded.test(error.code);
    if (lost) {
      if (this.committing) this.record.outcome = 'unknown';
      this.lost = true;
      return;
    }
    try {
      await this.client.query('ROLLBACK');
    } catch {
      this.lost = true;
    }
  }
}
