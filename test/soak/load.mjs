// What the soak runs share: a cluster with a published table, a fan-out on it, and clients that are light enough for thousands
// of them in one process. A client keeps one topic's cursor and checks that every batch begins where it stands.
import { readFileSync, readdirSync } from 'node:fs';
import WebSocket from 'ws';
import { Cluster, Fanout } from '../harness/index.mjs';

/** @typedef {import('../harness/fanout.mjs').Flags} Flags */

/** A cluster, a pool and a fan-out; `destroy` ends them and throws when one crashed or a sanitizer spoke. @param {Flags} flags */
export async function ground(flags) {
  const cluster = await Cluster.create({ settings: { fsync: 'off' } });
  await cluster.createDatabase('soak');
  cluster.psql('soak', `CREATE TABLE items (topic text, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
    SELECT runtime.sync_publish('items', topic => '{topic}', doc_key => 'item:{id}');`);
  const db = cluster.pool('soak');
  const fanout = await Fanout.start({ database: cluster.conninfo('soak'), flags });
  await fanout.ready();
  return { cluster, db, fanout, destroy: async () => {
    await fanout.destroy();
    await cluster.destroy();
  } };
}

/** Inserts `count` rows on each topic in one transaction. @param {any} db @param {string[]} topics @param {number} count */
export const insert = (db, topics, count) => db.query(
  `INSERT INTO items (topic, body) SELECT t, repeat('x', 200) FROM unnest($1::text[]) t, generate_series(1, $2::int)`, [topics, count]);

/** @param {any} db @returns {Promise<Map<string, number>>} */
export const heads = async (db) => new Map((await db.query(
  `SELECT topic, max(watermark)::int AS head FROM runtime.sync_stream_events WHERE op <> 'void' GROUP BY topic`)).rows.map((/** @type {any} */ row) => [row.topic, row.head]));

export class Light {
  /** @param {Fanout} fanout @param {string} topic */
  constructor(fanout, topic) {
    this.fanout = fanout;
    this.topic = topic;
    /** @type {number | undefined} */
    this.cursor = undefined;
    this.joined = false;
    this.ref = 0;
    /** @type {WebSocket | undefined} */
    this.ws = undefined;
    this.updates = 0;
    /** What was wrong. @type {string[]} */
    this.problems = [];
  }

  /** Connects and joins from its cursor. Resolves when joined, or closed, or refused. @param {string} [token] */
  connect(token = this.fanout.token(['*'])) {
    return new Promise((resolve) => {
      const ws = new WebSocket(`${this.fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`, { handshakeTimeout: 60_000 });
      this.ws = ws;
      this.joined = false;
      ws.on('open', () => this.join());
      ws.on('message', (data) => {
        if (this.ws === ws) this.#take(String(data));
        if (this.joined) resolve(undefined);
      });
      ws.on('error', () => {});
      ws.on('close', () => {
        if (this.ws === ws) this.ws = undefined;
        resolve(undefined);
      });
    });
  }

  /** @param {object} [params] */
  join(params = { topics: [this.topic], ...(this.cursor === undefined ? {} : { resume_after: { [this.topic]: this.cursor } }) }) {
    this.joined = false;
    this.send('phx_join', params);
  }

  /** @param {string} event @param {object} payload */
  send(event, payload = {}) {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(['1', String(++this.ref), 'sync:v1', event, payload]));
  }

  /** @param {string} text */
  #take(text) {
    const [, ref, , event, payload] = JSON.parse(text);
    if (event === 'phx_reply' && payload.response.current_watermarks) {
      if (payload.response.stale) this.problems.push(`stale: ${text.slice(0, 300)}`);
      this.joined = true;
      for (const { watermark } of payload.response.current_watermarks) this.cursor = watermark;
    } else if (event === 'phx_reply' && payload.status === 'error' && Number(ref) === this.ref) {
      // Told to come later: it does.
      setTimeout(() => this.join(), payload.response.retry_after_ms ?? 500).unref();
    } else if (event === 'sync:update_batch') {
      if (payload.after_watermark !== this.cursor) this.problems.push(`${this.topic}: a batch from ${payload.after_watermark} at ${this.cursor}`);
      this.updates += payload.updates.length;
      this.cursor = payload.through_watermark;
    }
  }

  /** As a dead network would. */
  cut() {
    this.ws?.terminate();
  }

  /** With a close frame; resolves when the connection is gone. */
  close() {
    const ws = this.ws;
    if (!ws) return Promise.resolve();
    return new Promise((resolve) => {
      ws.once('close', resolve);
      ws.close(1000);
    });
  }
}

/** Resident memory in kB and open descriptors of a process. @param {number} pid */
export const footprint = (pid) => ({ kB: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
  descriptors: readdirSync(`/proc/${pid}/fd`).length });
