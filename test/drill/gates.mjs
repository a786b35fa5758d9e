// The gates of the cutover runbook, read from what runs: /metrics and /readyz of the fan-out, the database, the parity auditor,
// the users' lanes. A gate without data is closed.
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { fanoutBinary } from '../harness/index.mjs';

/** @typedef {{gate: string, value: number | null, limit: number, open: boolean, unit: string, detail: string}} Reading */

export const program = process.env.OA_SYNC_BIN ?? `${dirname(fanoutBinary)}/oa-sync`;

/** @param {string[]} args @returns {Promise<{code: number, stdout: string, stderr: string}>} */
export const oaSync = (args) => new Promise((resolve, reject) => {
  execFile(program, args, { maxBuffer: 1 << 24, timeout: 60_000 }, (error, stdout, stderr) => {
    if (error && typeof error.code !== 'number') reject(error);
    else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
  });
});

/** Reasons of refusals that are of tokens or origins. */
const authReasons = /reason="(missing_|unknown_kid|unsupported_alg|invalid_(token|header|signature|claims)|token_|claim_mismatch|origin_not_allowed)/;

/** A scrape of /metrics: name with labels → value. */
export class Scrape {
  /** @param {string} text */
  constructor(text) {
    /** @type {Map<string, number>} */
    this.values = new Map([...text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
    /** @type {Set<string>} */
    this.names = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
  }

  /** All series of a name, those only whose labels fit; throws for a metric that the fan-out does not have. @param {string} name @param {RegExp} [labels] */
  sum(name, labels) {
    if (!this.names.has(name)) throw new Error(`/metrics has no ${name}`);
    let sum = 0;
    for (const [key, value] of this.values) {
      if ((key === name || key.startsWith(`${name}{`)) && (!labels || labels.test(key))) sum += value;
    }
    return sum;
  }

  /**
   * The upper bound of the bucket that holds a quantile of what was observed since an earlier scrape; null without any.
   * @param {string} name @param {number} share @param {Scrape} before
   */
  quantile(name, share, before) {
    if (!this.names.has(name)) throw new Error(`/metrics has no ${name}`);
    const buckets = [...this.values].filter(([key]) => key.startsWith(`${name}_bucket{`)).map(([key, value]) => {
      const le = /le="([^"]+)"/.exec(key)?.[1] ?? '';
      return { le: le === '+Inf' ? Infinity : Number(le), count: value - (before.values.get(key) ?? 0) };
    }).sort((a, b) => a.le - b.le);
    const all = buckets.at(-1)?.count ?? 0;
    if (all === 0) return null;
    return buckets.find(({ count }) => count >= share * all)?.le ?? Infinity;
  }
}

/** @typedef {{scrape: Scrape, transactions: number, voids: number, failed: number}} Mark */

export class Gates {
  /** @type {Mark | undefined} */
  #mark;
  /** Values of in_flight, asked for every now and then since the mark. @type {number[]} */
  #inFlight = [];

  /**
   * @param {import('./system.mjs').System} system
   * @param {{limits: Record<string, number>, window: string, minSamples: number, blind?: boolean}} options
   *   blind: gates that see no mismatch, to see that the drill then fails.
   */
  constructor(system, { limits, window, minSamples, blind = false }) {
    this.system = system;
    this.limits = limits;
    this.window = window;
    this.minSamples = minSamples;
    this.blind = blind;
    /** Of the last rehearsal; null before the first. @type {number | null} */
    this.rollbackSeconds = null;
  }

  /** From here on the windows are counted. */
  async begin() {
    this.#mark = await this.#look();
    this.#inFlight = [];
  }

  /** @returns {Promise<Mark>} */
  async #look() {
    const { fanout, db, failedWrites } = this.system;
    const scrape = new Scrape(await (await fanout.fetchAdmin('/metrics')).text());
    const { rows: [stats] } = await db.query('SELECT transactions, voids_queued FROM runtime.sync_stats');
    return { scrape, transactions: Number(stats.transactions), voids: Number(stats.voids_queued), failed: failedWrites };
  }

  /** One sample of what is asked for by sampling, and a write of the application's that is counted. */
  async sample() {
    await this.system.probeWrite();
    const { rows: [row] } = await this.system.db.query(`SELECT coalesce(max(in_flight), 0)::int AS n FROM runtime.sync_topics
      WHERE topic IN ('runtime.run_summaries', 'runtime.codex_worker_summaries')`);
    this.#inFlight.push(row.n);
  }

  /** The parity gate's command, as it is run. */
  get parityCommand() {
    return ['parity', 'gate', '--database', this.system.conninfo, '--window', this.window, '--max-rate', String(this.blind ? 1 : this.limits.parity),
      '--min-samples', String(this.minSamples), ...this.system.parityLanes.flatMap((lane) => ['--lane', lane]), '--json'];
  }

  /** Every gate. @returns {Promise<Reading[]>} */
  async read() {
    const before = this.#mark;
    if (!before) throw new Error('gates are read after begin()');
    const now = await this.#look();
    /** @type {Reading[]} */
    const readings = [];
    /** @param {string} gate @param {number | null} value @param {string} unit @param {string} detail @param {boolean} [isOpen] */
    const add = (gate, value, unit, detail, isOpen) => {
      const limit = this.limits[gate];
      if (limit === undefined) throw new Error(`the runbook has no limit for ${gate}`);
      readings.push({ gate, value, limit, unit, detail, open: isOpen ?? (value !== null && value <= limit) });
    };
    const ready = (await this.system.fanout.fetch('/readyz')).status;
    add('ready', ready, '', '/readyz', ready === this.limits.ready);
    const parity = await oaSync(this.parityCommand);
    if (parity.code > 1) throw new Error(`oa-sync parity gate ended with ${parity.code}: ${parity.stderr}`);
    const judged = JSON.parse(parity.stdout);
    const rates = judged.lanes.map((/** @type {any} */ lane) => lane.rate).filter((/** @type {any} */ rate) => rate !== null);
    add('parity', rates.length > 0 ? Math.max(...rates) : null, '', judged.lanes.map((/** @type {any} */ lane) =>
      `${lane.lane}: ${lane.checked} compared, ${lane.mismatched} differ${lane.reasons_closed.length > 0 ? ` (${lane.reasons_closed.join('; ')})` : ''}`).join('. '), parity.code === 0);
    const shadows = this.system.users.filter((user) => user.lane.mode === 'shadow');
    const reports = shadows.map((user) => user.lane.report());
    const shown = shadows.reduce((sum, user) => sum + user.lane.documents.size, 0);
    const differing = reports.reduce((sum, report) => sum + report.differing, 0);
    const compared = reports.reduce((sum, report) => sum + report.compared, 0);
    const lanes = `${shadows.length} lanes in shadow, ${shown} documents, ${compared} comparisons, ${differing} differ`;
    if (shadows.length === 0) add('lane_mismatch', null, '', 'nobody is in shadow: of shadow only', true);
    else add('lane_mismatch', shown > 0 && compared > 0 ? differing / shown : null, '', lanes, this.blind || (shown > 0 && compared > 0 && differing / shown < (this.limits.lane_mismatch ?? 0)));
    const denied = now.scrape.sum('oa_sync_denials_total', authReasons) - before.scrape.sum('oa_sync_denials_total', authReasons);
    const joins = now.scrape.sum('oa_sync_joins_total') - before.scrape.sum('oa_sync_joins_total');
    add('auth_failures', denied + joins === 0 ? null : (100 * denied) / (denied + joins), '%', `${denied} refused, ${joins} joined`);
    const lag = now.scrape.quantile('oa_sync_subscriber_lag_events', 0.95, before.scrape);
    add('replay_lag_p95', lag, 'events', lag === null ? 'no subscriber was looked at' : 'oa_sync_subscriber_lag_events');
    const sorted = [...this.#inFlight].sort((a, b) => a - b);
    add('projection_lag_p95', sorted.length === 0 ? null : sorted[Math.floor(sorted.length * 0.95)] ?? null, 'events', `in_flight, ${sorted.length} looks`);
    add('stale_cursors', now.scrape.sum('oa_sync_stale_cursors_total') - before.scrape.sum('oa_sync_stale_cursors_total'), '', '');
    const transactions = now.transactions - before.transactions;
    const failures = now.failed - before.failed + (now.voids - before.voids);
    add('write_failures', transactions + failures === 0 ? null : (100 * failures) / (transactions + failures), '%',
      `${transactions} transactions, ${now.failed - before.failed} failed, ${now.voids - before.voids} voids`);
    add('rollback', this.rollbackSeconds, 's', this.rollbackSeconds === null ? 'not rehearsed' : 'the last rehearsal');
    return readings;
  }
}
