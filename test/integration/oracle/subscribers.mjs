// Subscribers that stay attached throughout: stock phoenix clients that resume from their cursors by themselves.
import { SyncClient, waitFor } from '../../harness/index.mjs';
import { contentOf, groupBy } from './checks.mjs';
import { topics } from './schema.mjs';

/** @typedef {import('./checks.mjs').Received} Received */
/** @typedef {import('../../harness/index.mjs').Fanout} Fanout */

/** Errors that say nothing more than that a fan-out or the database was away, or that a token ran out. */
export const harmless = new Set(['internal', 'token_expired', 'reauth_required', 'going_away', 'rate_limited']);

/** Silences longer than this are listed, with when they began. */
const longSilenceMs = 2000;

export class Subscriber {
  /** @type {Map<string, Received[]>} */
  received = new Map();
  longestDelayMs = 0;
  /** Errors that this subscriber may be sent. @type {Set<string>} */
  harmless = harmless;
  longestSilenceMs = 0;
  /** @type {string[]} */
  silences = [];
  /** One, or one after the other: the last is attached. @type {SyncClient[]} */
  clients = [];
  #lastAt = Date.now();

  /**
   * @param {string} name @param {Fanout} fanout @param {'json' | 'proto'} encoding
   * @param {(fanout: Fanout) => Partial<ConstructorParameters<typeof SyncClient>[0]>} [options] what else its clients are given
   */
  constructor(name, fanout, encoding, options = () => ({})) {
    this.name = name;
    this.encoding = encoding;
    this.options = options;
    this.fanout = fanout;
    this.#attach(fanout);
  }

  get client() {
    return /** @type {SyncClient} */ (this.clients.at(-1));
  }

  /** @param {Fanout} fanout */
  #attach(fanout) {
    this.fanout = fanout;
    this.clients.push(new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics,
      encoding: this.encoding, keepEvents: false, onUpdate: (update) => this.note(update),
      ...this.options(fanout) }));
  }

  /** @param {import('../../harness/client.mjs').Update} update */
  note(update) {
    let list = this.received.get(update.topic);
    if (!list) this.received.set(update.topic, (list = []));
    list.push([update.watermark, contentOf({ ...update, key: update.docKey, version: update.docVersion,
      hash: update.payloadHash })]);
    this.longestDelayMs = Math.max(this.longestDelayMs, update.receivedAt - update.insertedAtUs / 1000);
    const silence = update.receivedAt - this.#lastAt;
    this.longestSilenceMs = Math.max(this.longestSilenceMs, silence);
    if (silence > longSilenceMs) this.silences.push(`${new Date(this.#lastAt).toISOString()} ${Math.round(silence)} ms`);
    this.#lastAt = update.receivedAt;
  }

  async connect() {
    await this.client.connect();
  }

  /** Takes its cursors to another fan-out, as a load balancer would. @param {Fanout} fanout */
  async moveTo(fanout) {
    const before = this.client;
    await before.close();
    this.#attach(fanout);
    for (const [topic, { cursor, epoch }] of before.topics) Object.assign(this.client.state(topic), { cursor, epoch });
    // Refused joins are repeated by phoenix itself, and noted.
    this.client.connect().catch(() => {});
  }

  get count() {
    return [...this.received.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** @param {(client: SyncClient) => number} what */
  sum(what) {
    return this.clients.reduce((sum, client) => sum + what(client), 0);
  }

  /** Every error that the server sent. */
  get errors() {
    return this.clients.flatMap((client) => [...client.errors, ...client.joinErrors]);
  }

  /**
   * Waits until nothing of the journal is missing.
   * @param {import('./evidence.mjs').Entry[]} journal @param {number} timeoutMs
   */
  async reachEnd(journal, timeoutMs) {
    const ends = [...groupBy(journal.filter((e) => e.op !== 'void'), (e) => e.topic).entries()]
      .map(([topic, entries]) => ({ topic, end: entries.at(-1)?.watermark ?? 0 }));
    const behind = () => ends.filter(({ topic, end }) => (this.client.state(topic).cursor ?? 0) < end);
    await waitFor(() => behind().length === 0, { timeoutMs, what: () => `${this.name} has everything; it lacks ` +
      behind().map(({ topic, end }) => `${topic} ${this.client.state(topic).cursor}..${end}`).join(', ') });
  }

  /** What is wrong with what this subscriber saw of the wire. @returns {string[]} */
  problems() {
    const found = this.clients.flatMap((client) => client.problems).slice(0, 5);
    const gaps = this.sum((client) => client.gaps);
    if (gaps > 0) found.push(`${gaps} batches began past its cursor`);
    for (const error of this.errors) if (!this.harmless.has(error.code)) found.push(JSON.stringify(error).slice(0, 400));
    for (const reply of this.clients.flatMap((client) => client.joinReplies)) {
      if (reply.stale) found.push(`stale at a join: ${JSON.stringify(reply.stale).slice(0, 400)}`);
    }
    return found.map((problem) => `${this.name}: ${problem}`);
  }

  async close() {
    await this.client.close();
  }
}
