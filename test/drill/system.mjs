// What the drill is played on: the demo's database and its writers, a fan-out, the earlier API, the parity auditor, users.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Cluster, Fanout, SyncClient, atExit, root, waitFor, within } from '../harness/index.mjs';
import { Workload } from '../../demo/workload.mjs';
import { cohortOf } from './cohorts.mjs';
import { EarlierApi } from './earlier_api.mjs';
import { program } from './gates.mjs';
import { User } from './users.mjs';

export const topic = 'runtime.run_summaries';
export const workersTopic = 'runtime.codex_worker_summaries';
const database = 'demo';

export class System {
  /** @type {User[]} */
  users = [];
  parityLanes = ['runs', 'workers', 'self'];
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #auditor;
  auditorLog = '';
  /** Of the probe. */
  writes = 0;
  failedWrites = 0;

  /** Use System.start. @param {Cluster} cluster @param {Fanout} fanout @param {number} pollMs */
  constructor(cluster, fanout, pollMs) {
    this.cluster = cluster;
    this.fanout = fanout;
    this.db = cluster.pool(database, 4);
    this.conninfo = cluster.conninfo(database);
    this.pollMs = pollMs;
    this.workload = new Workload(cluster, database);
    this.api = new EarlierApi(this.db, Math.min(100, pollMs / 2));
    this.dir = mkdtempSync('/tmp/oa-sync-drill-');
    chmodSync(this.dir, 0o755);
    this.forget = atExit(() => {
      this.#auditor?.kill('SIGKILL');
      rmSync(this.dir, { recursive: true, force: true });
    });
    this.keyFile = `${this.dir}/observer.key`;
    this.tokenFile = `${this.dir}/auditor.token`;
    writeFileSync(this.keyFile, fanout.adminKey, { mode: 0o600 });
    this.renewToken();
    this.renewal = setInterval(() => this.renewToken(), 60_000);
    /** Follows everything that is moved, from the first event to the last. */
    this.witness = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics: [topic, workersTopic] });
  }

  /** @param {{pollMs: number}} options */
  static async start({ pollMs }) {
    const cluster = await Cluster.create({ settings: { max_slot_wal_keep_size: '20GB' } });
    try {
      await cluster.createDatabase(database);
      cluster.psql(database, readFileSync(`${root}/demo/schema.sql`, 'utf8'));
      // One that no writer touches: the document that the earlier lane will lie about.
      // And one that is written once in a while, to count writes that fail.
      cluster.psql(database, `INSERT INTO app.runs (run_id, org_id, title, model, status)
        SELECT id, 'org_1', 'Watched by the drill', 'planner', 'queued' FROM unnest(ARRAY['drill', 'probe']) id`);
      const fanout = await Fanout.start({ database: cluster.conninfo(database), admin: true, flags: { 'heartbeat-interval-ms': 1000 } });
      const system = new System(cluster, fanout, pollMs);
      await fanout.ready();
      await system.api.start();
      await system.witness.connect();
      system.workload.start(4);
      return system;
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  renewToken() {
    writeFileSync(this.tokenFile, this.fanout.token(['runtime.*']), { mode: 0o600 });
  }

  /** @param {string[]} names @param {import('./cohorts.mjs').Flags} flags @param {number} toleranceMs */
  addUsers(names, flags, toleranceMs) {
    for (const name of names) {
      this.users.push(new User({ name, cohort: cohortOf(flags.cohorts, name), topic, flags, fanout: this.fanout, pollMs: this.pollMs, toleranceMs,
        earlierUrl: this.api.url(`/documents?topic=${topic}`) }));
    }
  }

  /** `oa-sync parity run`, until the end. @param {string[]} args */
  startAuditor(args) {
    const child = spawn(program, ['parity', 'run', '--database', this.conninfo, '--url', this.fanout.socketUrl, '--token-file', this.tokenFile, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#auditor = child;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (this.auditorLog = (this.auditorLog + text).slice(-200_000)));
  }

  /** The application's own count of writes: one more of them. */
  async probeWrite() {
    try {
      await this.db.query(`UPDATE app.runs SET seq = seq + 1, title = 'Written by the drill at ' || clock_timestamp() WHERE run_id = 'probe'`);
      this.writes++;
    } catch {
      this.failedWrites++;
    }
  }

  /** The version of the probe's document. @returns {Promise<number>} */
  async probeVersion() {
    const { rows: [row] } = await this.db.query(`SELECT seq FROM app.runs WHERE run_id = 'probe'`);
    return Number(row.seq);
  }

  /** The auditor has to live: a drill without it proves nothing. */
  assertAuditor() {
    const child = this.#auditor;
    if (child && (child.exitCode !== null || child.signalCode !== null)) {
      throw new Error(`oa-sync parity run ended with ${child.exitCode ?? child.signalCode}:\n${this.auditorLog.slice(-2000)}`);
    }
  }

  /** The documents as the tables have them: key → version and hash. */
  async truth() {
    // Not an answer from before the last write.
    this.api.cacheMs = 0;
    const response = await fetch(this.api.url(`/documents?topic=${topic}`));
    const { documents } = /** @type {any} */ (await response.json());
    return new Map(documents.map((/** @type {any} */ one) => [one.doc_key, `${one.doc_version} ${Buffer.from(one.payload_hash, 'hex').toString('base64')}`]));
  }

  /** Watermarks of the topic's events in the journal, without voids. @returns {Promise<number[]>} */
  async journal() {
    const { rows } = await this.db.query(`SELECT watermark FROM runtime.sync_stream_events WHERE topic = $1 AND op <> 'void' ORDER BY watermark`, [topic]);
    return rows.map((row) => Number(row.watermark));
  }

  async stopWriting() {
    await this.workload.stop();
  }

  async destroy() {
    clearInterval(this.renewal);
    await this.workload.stop().catch(() => {});
    await Promise.all(this.users.map((user) => user.lane.close()));
    const child = this.#auditor;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await within(gone, 20_000, 'the auditor ends').catch(() => child.kill('SIGKILL'));
    }
    await this.witness.close();
    await this.api.stop();
    this.forget();
    rmSync(this.dir, { recursive: true, force: true });
    try {
      await this.fanout.destroy();
    } finally {
      await this.cluster.destroy();
    }
  }

  /** @param {() => boolean | Promise<boolean>} condition @param {string | (() => string)} what @param {number} [timeoutMs] */
  async until(condition, what, timeoutMs = 60_000) {
    await waitFor(async () => {
      this.assertAuditor();
      return await condition();
    }, { what, timeoutMs, everyMs: 50 });
  }
}
