// Subscribers that stay attached throughout: stock phoenix clients that resume from their cursors by themselves.
import { SyncClient, waitFor } from '../../harness/index.mjs';
import { contentOf, groupBy } from './checks.mjs';
import { topics } from './schema.mjs';

/** @typedef {import('./checks.mjs').Received} Received */

/** Errors that say nothing more than that a fan-out or the database was away, or that a token ran out. */
const harmless = new Set(['internal', 'token_expired', 'reauth_required']);

export class Subscriber {
  /** @type {Map<string, Received[]>} */
  received = new Map();
  longestDelayMs = 0;
  longestSilenceMs = 0;
  /** Those above two seconds, with when they began. @type {string[]} */
  silences = [];
  #lastAt = Date.now();

  /**
   * @param {string} name
   * @param {import('../../harness/index.mjs').Fanout} fanout
   * @param {'json' | 'proto'} encoding
   */
  constructor(name, fanout, encoding) {
    this.name = name;
    this.client = new SyncClient({
      url: fanout.socketUrl, token: () => fanout.token(['*']), topics, encoding, keepEvents: false,
      onUpdate: (update) => {
        let list = this.received.get(update.topic);
        if (!list) this.received.set(update.topic, (list = []));
        list.push([update.watermark, contentOf({ ...update, key: update.docKey, version: update.docVersion,
          hash: update.payloadHash })]);
        this.longestDelayMs = Math.max(this.longestDelayMs, update.receivedAt - update.insertedAtUs / 1000);
        const silence = update.receivedAt - this.#lastAt;
        this.longestSilenceMs = Math.max(this.longestSilenceMs, silence);
        if (silence > 2000) this.silences.push(`${new Date(this.#lastAt).toISOString()} ${Math.round(silence)} ms`);
        this.#lastAt = update.receivedAt;
      },
    });
  }

  async connect() {
    await this.client.connect();
  }

  get count() {
    return [...this.received.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** Waits until nothing of the journal is missing. @param {import('./evidence.mjs').Entry[]} journal @param {number} timeoutMs */
  async reachEnd(journal, timeoutMs) {
    const ends = [...groupBy(journal.filter((e) => e.op !== 'void'), (e) => e.topic).entries()]
      .map(([topic, entries]) => ({ topic, end: entries.at(-1)?.watermark ?? 0 }));
    const behind = () => ends.filter(({ topic, end }) => (this.client.state(topic).cursor ?? 0) < end);
    await waitFor(() => behind().length === 0, { timeoutMs, what: () => `${this.name} has everything; it lacks ` +
      behind().map(({ topic, end }) => `${topic} ${this.client.state(topic).cursor}..${end}`).join(', ') });
  }

  /** What is wrong with what this subscriber saw of the wire. @returns {string[]} */
  problems() {
    const { client } = this;
    const found = client.problems.slice(0, 5).map((problem) => `${this.name}: ${problem}`);
    if (client.gaps > 0) found.push(`${this.name}: ${client.gaps} batches began past its cursor`);
    for (const error of [...client.errors, ...client.joinErrors]) {
      if (!harmless.has(error.code)) found.push(`${this.name}: ${JSON.stringify(error).slice(0, 400)}`);
    }
    for (const reply of client.joinReplies) {
      if (reply.stale) found.push(`${this.name}: stale at a join: ${JSON.stringify(reply.stale).slice(0, 400)}`);
    }
    return found;
  }

  async close() {
    await this.client.close();
  }
}
