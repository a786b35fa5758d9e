// Writes like an application: several connections, transactions of several statements, some of them rolled back.
import { pause } from '../test/harness/index.mjs';

/** @typedef {import('pg').Client} Client */

const titles = ['Fix the flaky login test', 'Summarise the incident', 'Port the parser', 'Review pull request',
  'Write release notes', 'Find the memory leak', 'Translate the docs', 'Plan the migration'];
const models = ['codex-large', 'codex-small', 'planner'];
const kinds = ['thinking', 'tool_call', 'tool_result', 'message', 'patch'];
const maxRuns = 40;

/** @template T @param {readonly T[]} list @returns {T} */
const pick = (list) => /** @type {T} */ (list[Math.floor(Math.random() * list.length)]);

export class Workload {
  /** @type {Promise<void>[]} */
  #writers = [];
  #stop = false;
  #runs = 0;

  /** @param {import('../test/harness/index.mjs').Cluster} cluster @param {string} database */
  constructor(cluster, database) {
    this.cluster = cluster;
    this.database = database;
    this.committed = 0;
    this.rolledBack = 0;
  }

  /** @param {number} connections */
  start(connections) {
    for (let i = 0; i < connections; i++) this.#writers.push(this.#write());
  }

  /** Resolves when every writer has ended its last transaction. */
  async stop() {
    this.#stop = true;
    await Promise.all(this.#writers);
  }

  async #write() {
    const db = await this.cluster.connect(this.database);
    try {
      while (!this.#stop) {
        const act = pick([this.#begin, this.#progress, this.#progress, this.#progress, this.#retryTool, this.#finish,
          this.#changeMind, this.#forget, this.#heartbeat]);
        await this.#transaction(db, act);
        // A breath, so that a reader can follow the output.
        await pause(20 + Math.random() * 80);
      }
    } finally {
      await db.end();
    }
  }

  /** Runs `act` in a transaction; it returns false to roll back. @param {Client} db @param {(db: Client) => Promise<boolean>} act */
  async #transaction(db, act) {
    await db.query('BEGIN');
    try {
      const keep = await act.call(this, db);
      await db.query(keep ? 'COMMIT' : 'ROLLBACK');
      if (keep) this.committed++;
      else this.rolledBack++;
    } catch (error) {
      await db.query('ROLLBACK');
      // Two writers may pick the same run; the database says so and the application tries something else.
      const code = /** @type {{code?: string}} */ (error).code ?? '';
      if (!['40P01', '40001', '23505', '23503'].includes(code)) throw error;
      this.rolledBack++;
    }
  }

  /** Locks one run of a status. @param {Client} db @param {string[]} statuses @returns {Promise<any>} */
  async #someRun(db, statuses) {
    const { rows } = await db.query(`SELECT run_id, seq FROM app.runs WHERE status = ANY($1)
      ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED`, [statuses]);
    return rows[0];
  }

  /** A new run, its first events, and a worker for it: three tables in one transaction. @param {Client} db */
  async #begin(db) {
    if (this.#runs >= maxRuns) return await this.#progress(db);
    const id = `r${++this.#runs}`;
    await db.query(`INSERT INTO app.runs (run_id, org_id, title, model, status, labels)
      VALUES ($1, 'org_1', $2, $3, 'queued', $4)`, [id, pick(titles), pick(models), [pick(['web', 'cli', 'ci'])]]);
    await db.query(`INSERT INTO app.run_events (run_id, seq, kind, detail)
      VALUES ($1, 1, 'queued', '{}'), ($1, 2, 'started', '{"by": "scheduler"}')`, [id]);
    await db.query(`UPDATE app.runs SET status = 'running', seq = 2 WHERE run_id = $1`, [id]);
    await db.query(`UPDATE app.codex_workers SET status = 'busy', run_id = $1, latest_seq = latest_seq + 1
      WHERE worker_id = (SELECT worker_id FROM app.codex_workers WHERE status = 'idle' LIMIT 1 FOR UPDATE SKIP LOCKED)`, [id]);
    return true;
  }

  /** Several events by one INSERT, and the run's totals. @param {Client} db */
  async #progress(db) {
    const run = await this.#someRun(db, ['running']);
    if (!run) return false;
    const count = 1 + Math.floor(Math.random() * 5);
    await db.query(`INSERT INTO app.run_events (run_id, seq, kind, detail)
      SELECT $1, $2::bigint + i, ($4::text[])[1 + (random() * 4)::int], jsonb_build_object('step', i, 'ms', (random() * 900)::int)
      FROM generate_series(1, $3::int) i`, [run.run_id, run.seq, count, kinds]);
    await db.query(`UPDATE app.runs SET seq = seq + $2::int, tokens = tokens + $2::int * 137, cost_usd = cost_usd + $2::int * 0.00041
      WHERE run_id = $1`, [run.run_id, count]);
    return true;
  }

  /** A tool call that fails, is undone by a savepoint, and is tried again. @param {Client} db */
  async #retryTool(db) {
    const run = await this.#someRun(db, ['running']);
    if (!run) return false;
    const insert = `INSERT INTO app.run_events (run_id, seq, kind, detail) VALUES ($1, $2, 'tool_call', $3)`;
    await db.query('SAVEPOINT attempt');
    await db.query(insert, [run.run_id, run.seq + 1, { tool: 'shell', ok: false }]);
    await db.query('ROLLBACK TO SAVEPOINT attempt');
    await db.query(insert, [run.run_id, run.seq + 1, { tool: 'shell', ok: true, note: 'second try' }]);
    await db.query('UPDATE app.runs SET seq = seq + 1 WHERE run_id = $1', [run.run_id]);
    return true;
  }

  /** @param {Client} db */
  async #finish(db) {
    const run = await this.#someRun(db, ['running']);
    if (!run || Math.random() < 0.5) return false;
    const status = pick(['succeeded', 'succeeded', 'failed']);
    await db.query(`INSERT INTO app.run_events (run_id, seq, kind, detail) VALUES ($1, $2, 'finished', $3)`,
      [run.run_id, run.seq + 1, { status }]);
    await db.query('UPDATE app.runs SET status = $2, seq = seq + 1, finished_at = now() WHERE run_id = $1', [run.run_id, status]);
    await db.query(`UPDATE app.codex_workers SET status = 'idle', run_id = NULL, latest_seq = latest_seq + 1 WHERE run_id = $1`,
      [run.run_id]);
    return true;
  }

  /** Writes, and then does not mean it. @param {Client} db */
  async #changeMind(db) {
    const run = await this.#someRun(db, ['running']);
    if (!run) return false;
    await db.query(`INSERT INTO app.run_events (run_id, seq, kind) VALUES ($1, $2, 'never happened')`, [run.run_id, run.seq + 1]);
    await db.query(`UPDATE app.runs SET status = 'failed', seq = seq + 1 WHERE run_id = $1`, [run.run_id]);
    return false;
  }

  /** Deletes the oldest events of a finished run, which starts over. @param {Client} db */
  async #forget(db) {
    const run = await this.#someRun(db, ['succeeded', 'failed']);
    if (!run) return false;
    await db.query('DELETE FROM app.run_events WHERE run_id = $1 AND seq <= $2::bigint - 3', [run.run_id, run.seq]);
    await db.query(`UPDATE app.runs SET status = 'running', seq = seq + 1, finished_at = NULL WHERE run_id = $1`, [run.run_id]);
    return true;
  }

  /** @param {Client} db */
  async #heartbeat(db) {
    await db.query(`UPDATE app.codex_workers SET heartbeat_at = clock_timestamp(), latest_seq = latest_seq + 1
      WHERE worker_id IN (SELECT worker_id FROM app.codex_workers ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED)`);
    return true;
  }
}
