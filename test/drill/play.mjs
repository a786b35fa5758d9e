// Plays the cutover runbook: cohort by cohort through shadow and on, each step behind its gates; a lie of the earlier lane that
// has to block a step; a rollback by the switch, timed; and forward again. Throws when something is not as the runbook promises.
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fanoutBinary, pause } from '../harness/index.mjs';
import { Flags, cohortOf, readRunbook } from './cohorts.mjs';
import { Gates, oaSync } from './gates.mjs';
import { closedGates, isOpen } from './record.mjs';
import { System, topic, workersTopic } from './system.mjs';

/**
 * How long and how large. `scale` of the runbook's times is not asked for: a drill has seconds for hours, and says so.
 * @typedef {object} Size
 * @property {number} staff @property {number} users
 * @property {number} soakMs how long a cohort stays in each mode before its gate
 * @property {number} patienceMs how long a gate may take to open
 * @property {number} lieMs how long a lie may go unnoticed
 * @property {string} window of the parity gate @property {number} minSamples of it
 * @property {number} pollMs how often a user asks the earlier lane @property {number} toleranceMs of lanes in shadow
 */

/** @type {Record<'short' | 'full', Size>} */
export const sizes = {
  short: { staff: 3, users: 40, soakMs: 1500, patienceMs: 120_000, lieMs: 60_000, window: '10s', minSamples: 6, pollMs: 400, toleranceMs: 3000 },
  full: { staff: 10, users: 190, soakMs: 45_000, patienceMs: 180_000, lieMs: 180_000, window: '60s', minSamples: 30, pollMs: 2000, toleranceMs: 5000 },
};

const lieKey = 'runtime/run_summary:drill';

/** The lanes' command of the runbook. @param {string} url */
export const lanesSql = (url) => `SELECT runtime.sync_parity_set_lane('runs', topic => '${topic}', adapter => 'http', address => '${url}', samples => 100, enabled => true);
  SELECT runtime.sync_parity_set_lane('workers', topic => '${workersTopic}', adapter => 'http', address => '${url}', samples => 100, enabled => true);
  SELECT runtime.sync_parity_set_lane('self', topic => 'runtime.*', adapter => 'self', samples => 100, enabled => true);`;

/**
 * @param {import('./record.mjs').Record} record
 * @param {Size} size
 * @param {{blind?: boolean}} [options] blind: with gates that see no mismatch; the drill has to fail then
 */
export async function play(record, size, { blind = false } = {}) {
  const { cohorts, limits } = readRunbook();
  const system = await System.start({ pollMs: size.pollMs });
  try {
    await new Drill(record, size, system, cohorts, limits, blind).play();
  } finally {
    await system.destroy();
  }
}

class Drill {
  /**
   * @param {import('./record.mjs').Record} record @param {Size} size @param {System} system
   * @param {import('./cohorts.mjs').Cohort[]} cohorts @param {Record<string, number>} limits @param {boolean} blind
   */
  constructor(record, size, system, cohorts, limits, blind) {
    this.record = record;
    this.size = size;
    this.system = system;
    this.limits = limits;
    this.flags = new Flags(cohorts);
    this.gates = new Gates(system, { limits, window: size.window, minSamples: size.minSamples, blind });
  }

  async play() {
    await this.#prepare();
    await this.#rehearse();
    const [internal, limited, full] = this.flags.cohorts.map(({ name }) => name);
    if (!internal || !limited || !full) throw new Error('three cohorts are expected');
    await this.#shadow(internal);
    await this.#turnOn(internal);
    await this.#shadow(limited);
    await this.#lie(limited);
    await this.#turnOn(limited);
    await this.#shadow(full);
    await this.#turnOn(full);
    await this.#authority('oa_sync');
    await this.#rollback();
    await this.#forward();
    await this.#end();
  }

  /** @param {string} cohort */
  #members(cohort) {
    return this.system.users.filter((user) => user.cohort === cohort);
  }

  async #prepare() {
    const { record, size, system } = this;
    record.step('Before the first step');
    const names = [...Array.from({ length: size.staff }, (_, i) => `staff-${i + 1}`), ...Array.from({ length: size.users }, (_, i) => `user-${i + 1}`)];
    system.addUsers(names, this.flags, size.toleranceMs);
    const count = new Map();
    for (const name of names) count.set(cohortOf(this.flags.cohorts, name), (count.get(cohortOf(this.flags.cohorts, name)) ?? 0) + 1);
    const { rows: [server] } = await system.db.query('SHOW server_version');
    record.fact('played with', `${execFileSync(fanoutBinary, ['--version'], { encoding: 'utf8' }).trim()}, PostgreSQL ${server.server_version}, ${cpus().length} cores for everything, users included`);
    record.fact('users', [...count].map(([cohort, n]) => `${n} ${cohort}`).join(', '));
    record.fact('times', `${size.soakMs / 1000} s for the hours of each mode; the parity gate's hour is ${size.window}, and ${size.minSamples} documents of each lane are enough`);
    await system.until(() => system.users.every((user) => user.lane.shown === 'earlier'), 'every user is shown the earlier lane');
    record.note(`every lane is off and shows the earlier lane, asked every ${size.pollMs} ms`);
    // What just started may need a moment: the worker its first pass, the fan-out its slot.
    const doctor = ['doctor', '--database', system.conninfo, '--admin-url', system.fanout.adminUrl(), '--key-file', system.keyFile, '--json'];
    /** @type {any[]} */
    let problems = [];
    await system.until(async () => {
      problems = JSON.parse((await oaSync(doctor)).stdout).results.filter((/** @type {any} */ one) => one.verdict === 'problem');
      return problems.length === 0;
    }, () => `doctor finds no problem; it finds ${JSON.stringify(problems)}`);
    record.command(`oa-sync doctor: ${problems.length} problems`);
    const { rows } = await system.db.query('SELECT relation FROM runtime.sync_publications_status WHERE problem IS NOT NULL');
    record.command(`sync_publications_status: ${rows.length} with a problem`);
    if (rows.length > 0) throw new Error('a publication has a problem');
    system.cluster.psql('demo', lanesSql(system.api.url('/parity')));
    record.command('sync_parity_set_lane: runs and workers (http, authority earlier), self');
    system.startAuditor(['--every', '1s']);
    record.command('oa-sync parity run --every 1s');
  }

  /** The switch, once for one user, both ways. */
  async #rehearse() {
    const { record, system } = this;
    record.step('The switch is rehearsed for one user');
    const [user] = this.#members('internal');
    if (!user) throw new Error('there is nobody on the list of staff');
    user.lane.setMode('on');
    await system.until(() => user.lane.shown === 'sync', 'the test user is shown OA Sync');
    const before = Date.now();
    user.lane.setMode('off');
    await system.until(() => user.lane.shown === 'earlier', 'the test user is shown the earlier lane again');
    this.gates.rollbackSeconds = (Date.now() - before) / 1000;
    record.note(`${user.name}: on, and off again in ${this.gates.rollbackSeconds.toFixed(2)} s`);
  }

  /** @param {string} cohort */
  async #shadow(cohort) {
    const { record, system } = this;
    const members = this.#members(cohort);
    record.step(`${cohort}: shadow`);
    record.decision(`flag shadow for ${cohort}, ${members.length} users`);
    await this.gates.begin();
    this.flags.set(cohort, 'shadow');
    await system.until(() => members.every((user) => user.lane.report().comparingSince !== null), `${cohort} compares`);
    record.note('every lane of the cohort compares; the earlier lane is shown');
    await this.#soak();
  }

  /** Some looks at what is asked for by sampling, for as long as the cohort stays. */
  async #soak() {
    const until = Date.now() + this.size.soakMs;
    do {
      await this.gates.sample();
      await pause(Math.min(250, this.size.soakMs / 4));
    } while (Date.now() < until);
    this.system.assertAuditor();
  }

  /** Waits for the gates to open. @param {string} title */
  async #pass(title) {
    const until = Date.now() + this.size.patienceMs;
    for (;;) {
      const readings = await this.gates.read();
      if (isOpen(readings)) return this.record.gates(title, readings);
      if (Date.now() > until) {
        this.record.gates(title, readings);
        throw new Error(`${title} did not open: ${closedGates(readings).join(', ')}`);
      }
      await this.gates.sample();
      await pause(300);
    }
  }

  /** @param {string} cohort */
  async #turnOn(cohort) {
    const { record, system } = this;
    const members = this.#members(cohort);
    await this.#pass(`entry gate of ${cohort}`);
    record.step(`${cohort}: on`);
    record.decision(`flag on for ${cohort}, ${members.length} users`);
    await this.gates.begin();
    this.flags.set(cohort, 'on');
    await system.until(() => members.every((user) => user.lane.shown === 'sync'), `${cohort} is shown OA Sync`);
    await this.#shows(members, 'OA Sync');
    await this.#soak();
    await this.#pass(`exit gate of ${cohort}`);
  }

  /** Waits until a write of now is on every screen. @param {import('./users.mjs').User[]} users @param {string} by */
  async #shows(users, by) {
    await this.system.probeWrite();
    const version = await this.system.probeVersion();
    const key = 'runtime/run_summary:probe';
    await this.system.until(() => users.every((user) => Number(user.lane.documents.get(key)?.docVersion ?? 0) >= version), 'a write of now is on every screen');
    this.record.note(`a write of this moment is on ${users.length} screens, by ${by}`);
  }

  /** The earlier lane lies about a document: the gate has to close, and to hold the cohort back. @param {string} cohort */
  async #lie(cohort) {
    const { record, system } = this;
    const members = this.#members(cohort);
    await this.#pass(`entry gate of ${cohort}, before the lie`);
    record.step(`${cohort}: the earlier lane lies, the gate has to hold`);
    system.api.liesAbout = lieKey;
    record.note(`from now on the earlier lane says something else of ${lieKey}`);
    const before = new Map(members.map((user) => [user, user.mismatches.length]));
    const until = Date.now() + this.size.lieMs;
    /** @type {import('./gates.mjs').Reading[]} */
    let readings;
    for (;;) {
      readings = await this.gates.read();
      // Closed by what differs: a gate may also be closed for want of samples.
      const closed = readings.filter(({ open, value, limit }) => !open && value !== null && value >= limit).map(({ gate }) => gate);
      if (closed.includes('parity') && closed.includes('lane_mismatch')) break;
      if (Date.now() > until) {
        record.gates(`entry gate of ${cohort}`, readings);
        throw new Error('a gate that should block is open: the earlier lane lies, and parity and lane_mismatch did not both close');
      }
      await pause(200);
    }
    record.gates(`entry gate of ${cohort}`, readings);
    const { rows } = await system.db.query(`SELECT reason, count(*)::int AS n FROM runtime.sync_parity_results WHERE lane = 'runs' AND doc_key = $1 GROUP BY 1`, [lieKey]);
    record.note(`sync_parity_results: ${rows.map((row) => `${row.n} times ${row.reason}`).join(', ')}`);
    if (!rows.some((row) => row.reason === 'summary_hash_mismatch')) throw new Error('the auditor does not name the document and the reason');
    const others = await system.db.query(`SELECT doc_key, reason, detail FROM runtime.sync_parity_results WHERE doc_key <> $1 AND reason <> 'lag_drift'`, [lieKey]);
    if (others.rows.length > 0) throw new Error(`documents that nobody lied about differ: ${JSON.stringify(others.rows.slice(0, 3))}`);
    const told = () => members.filter((user) => user.mismatches.slice(before.get(user) ?? 0).some(({ docKey, reason }) => docKey === lieKey && reason === 'hash'));
    await system.until(() => told().length > 0, 'a lane in shadow reports the mismatch');
    record.note(`${told().length} of ${members.length} lanes in shadow report it themselves`);
    record.decision(`${cohort} is not turned on`);
    if (members.some((user) => user.lane.mode !== 'shadow' || user.lane.shown !== 'earlier')) throw new Error('somebody was turned on past a closed gate');
    system.api.liesAbout = undefined;
    record.note('the earlier lane is mended');
    await this.gates.begin();
    await system.until(async () => {
      await this.gates.sample();
      return (await this.gates.read()).every(({ gate, value }) => !['parity', 'lane_mismatch'].includes(gate) || value === 0);
    }, 'the windows have forgotten the lie', this.size.patienceMs);
    record.note('the windows have forgotten it');
  }

  /** @param {'earlier' | 'oa_sync'} authority */
  async #authority(authority) {
    this.system.cluster.psql('demo', `SELECT runtime.sync_parity_set_lane(l, authority => '${authority}') FROM unnest(ARRAY['runs', 'workers']) l`);
    this.record.command(`sync_parity_set_lane(runs, workers, authority => '${authority}')`);
  }

  async #rollback() {
    const { record, system } = this;
    record.step('Rollback');
    const decided = Date.now();
    record.decision('rollback: flag off for everybody');
    this.flags.kill();
    const turned = system.until(() => system.users.every((user) => user.lane.shown === 'earlier'), 'every user is shown the earlier lane', 300_000);
    await turned;
    await this.#shows(system.users, 'the earlier lane');
    const seconds = (Date.now() - decided) / 1000;
    this.gates.rollbackSeconds = seconds;
    record.note(`${seconds.toFixed(2)} s from the decision to the last of ${system.users.length} users, the limit is ${this.limits.rollback} s`);
    record.fact('rollback', `${seconds.toFixed(2)} s`);
    if (seconds > (this.limits.rollback ?? 0)) throw new Error(`the rollback took ${seconds} s`);
    // The witness and the auditor's probes are nobody's screen.
    await system.until(async () => (await system.fanout.metric('oa_sync_subscriptions')) <= 6, 'no user is connected to OA Sync any more');
    record.command('curl /metrics: no user follows a topic any more');
    await this.#authority('earlier');
    await this.#soak();
  }

  async #forward() {
    const { record, system } = this;
    record.step('Forward again');
    await this.gates.begin();
    for (const { name } of this.flags.cohorts) this.flags.set(name, 'shadow');
    this.flags.kill(false);
    record.decision('flag shadow for everybody');
    await system.until(() => system.users.every((user) => user.lane.report().comparingSince !== null), 'everybody compares');
    await this.#soak();
    await this.#pass('entry gate of everybody');
    for (const { name } of this.flags.cohorts) this.flags.set(name, 'on');
    record.decision('flag on for everybody');
    await system.until(() => system.users.every((user) => user.lane.shown === 'sync'), 'everybody is shown OA Sync');
    await this.#shows(system.users, 'OA Sync');
  }

  /** Nothing is lost: every screen is the tables, every user was told of every event, and so was the witness. */
  async #end() {
    const { record, system } = this;
    record.step('Nothing is lost');
    await system.stopWriting();
    const truth = await system.truth();
    /** What a screen lacks or has otherwise. @param {import('./users.mjs').User} user */
    const differs = ({ lane: { documents } }) => [...new Set([...truth.keys(), ...documents.keys()])].filter((key) => {
      const one = documents.get(key);
      return !one || `${one.docVersion} ${one.payloadHash}` !== truth.get(key);
    });
    await system.until(() => system.users.every((user) => differs(user).length === 0), () => `every screen shows what the tables have; ${system.users
      .filter((user) => differs(user).length > 0).slice(0, 3).map((user) => `${user.name}: ${differs(user).slice(0, 3).map((key) =>
        `${key} is ${user.lane.documents.get(key)?.docVersion}, and ${truth.get(key)} in the table`).join(', ')}`).join('; ')}`);
    record.note(`${system.users.length} screens show the ${truth.size} documents that the tables have, version by version, hash by hash`);
    const journal = await system.journal();
    let told = 0;
    for (const user of system.users) {
      const [first = Infinity] = user.watermarks;
      const expected = journal.filter((watermark) => watermark >= first);
      if (expected.length === 0 || expected.join() !== user.watermarks.join()) {
        const missing = expected.filter((watermark) => !user.watermarks.includes(watermark));
        throw new Error(`${user.name} was not told of each event once: ${user.watermarks.length} of ${expected.length}, missing ${missing.slice(0, 5).join()}`);
      }
      told += expected.length;
    }
    record.note(`each user was told of every event since the first start, once and in order, over the rollback: ${told} in all`);
    await system.witness.reach(topic, journal.at(-1) ?? 0);
    system.witness.assertClean();
    const seen = system.witness.state(topic).events.length;
    if (seen !== journal.length) throw new Error(`the witness was told of ${seen} of ${journal.length} events`);
    record.note(`the witness, a stock phoenix client, got the ${journal.length} events of ${topic}, no gap, no duplicate`);
    const errors = system.users.flatMap((user) => user.errors);
    if (errors.length > 0) throw new Error(`users were told of errors: ${errors.slice(0, 3).join('; ')}`);
    record.fact('transactions committed', system.workload.committed);
    record.fact('events of the moved topic', journal.length);
    record.fact('requests that the earlier lane answered', system.api.asked);
    record.fact('duration', `${((Date.now() - record.startedAt) / 1000).toFixed(0)} s`);
  }
}
