// Topics whose events go after two seconds: what retention takes from readers, and how they come back by a snapshot.
//
// A subscriber that slept too long is told stale_cursor, loads the documents over HTTP and goes on from their cursor. In the end it
// holds what the table holds, and every time that it was told so was a time at which its cursor was below the floor.
import { SyncClient, pause, waitFor } from '../../harness/index.mjs';

export const prefix = 'fleeting:';
export const topics = [`${prefix}1`, `${prefix}2`, `${prefix}3`];
const ids = 40;

export const script = `
CREATE SCHEMA chaos;
CREATE TABLE chaos.fleeting (topic text, id int, version bigint NOT NULL, body text NOT NULL, PRIMARY KEY (topic, id));
SELECT runtime.sync_publish('chaos.fleeting', '{topic}', 'f:{id}', 'version');
`;

/** @typedef {import('../../integration/oracle/random.mjs').Random} Random */

export class FleetingWriter {
  #stopping = false;
  #running = Promise.resolve();
  committed = 0;

  /** @param {import('../../harness/index.mjs').Cluster} cluster @param {string} database @param {Random} random */
  constructor(cluster, database, random) {
    this.cluster = cluster;
    this.database = database;
    this.random = random;
  }

  start() {
    this.#running = this.#write();
  }

  async #write() {
    /** @type {import('pg').Client | undefined} */
    let client;
    while (!this.#stopping) {
      try {
        client ??= await this.cluster.connect(this.database);
        await this.#change(client);
        this.committed++;
      } catch {
        // The server is away, or was taken from under the statement: what became of it is the table's affair.
        await client?.end().catch(() => {});
        client = undefined;
      }
      await pause(this.random.integer(5, 60));
    }
    await client?.end().catch(() => {});
  }

  /** @param {import('pg').Client} client */
  async #change(client) {
    const [topic, id] = [this.random.pick(topics), this.random.integer(1, ids)];
    if (this.random.chance(0.15)) await client.query('DELETE FROM chaos.fleeting WHERE topic = $1 AND id = $2', [topic, id]);
    else {
      await client.query(`INSERT INTO chaos.fleeting VALUES ($1, $2, 1, $3) ON CONFLICT (topic, id)
        DO UPDATE SET version = fleeting.version + 1, body = excluded.body`, [topic, id, String(this.random.next())]);
    }
  }

  async stop() {
    this.#stopping = true;
    await this.#running;
  }
}

/** A stale_cursor that a subscriber was told. @typedef {{topic: string, reason: string, after: number, floor: number}} Reset */

export class FleetingSubscriber {
  /** Documents by topic, then by key. @type {Map<string, Map<string, {version: number, body: string}>>} */
  documents = new Map(topics.map((topic) => [topic, new Map()]));
  /** @type {Reset[]} */
  resets = [];
  snapshots = 0;
  /** What it was told and did, for messages. @type {string[]} */
  log = [];
  #seenErrors = 0;
  #seenReplies = 0;
  #stopping = false;
  #running = Promise.resolve();

  /**
   * @param {string} name @param {import('../../harness/index.mjs').Fanout} fanout @param {'json' | 'proto'} encoding @param {Random} random
   * @param {boolean} sleeps goes away for longer than events are kept, now and then
   */
  constructor(name, fanout, encoding, random, sleeps) {
    this.name = name;
    this.fanout = fanout;
    this.random = random;
    this.sleeps = sleeps;
    this.client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics, encoding, keepEvents: false,
      heartbeatMs: 2000, onUpdate: (update) => this.#apply(update) });
  }

  /** @param {import('../../harness/client.mjs').Update} update */
  #apply({ topic, op, docKey, payload }) {
    const documents = /** @type {Map<string, any>} */ (this.documents.get(topic));
    if (op === 'upsert') documents.set(docKey, { version: Number(payload.version), body: payload.body });
    else if (op === 'delete') documents.delete(docKey);
    else documents.clear();
  }

  start() {
    // It has nothing yet. Without cursors it would begin at the floor, which need not be the beginning by the time that it is connected.
    for (const topic of topics) this.client.state(topic).cursor = 0;
    this.client.connect().catch(() => {});
    this.#running = this.#live();
  }

  /** @param {string} what */
  #note(what) {
    this.log.push(`${new Date().toISOString().slice(11, 23)} ${what}`);
  }

  async #live() {
    let wakeAt = 0;
    while (!this.#stopping) {
      await this.#resync();
      if (this.sleeps && Date.now() > wakeAt) {
        await new Promise((resolve) => this.client.socket.disconnect(() => resolve(undefined), 1000));
        await pause(this.random.integer(500, 5000));
        this.client.socket.connect();
        wakeAt = Date.now() + this.random.integer(2000, 5000);
      }
      await pause(30);
    }
  }

  /** Loads afresh what it was told is stale. */
  async #resync() {
    const { client } = this;
    const told = [...client.errors.slice(this.#seenErrors).filter((error) => error.code === 'stale_cursor'),
      ...client.joinReplies.slice(this.#seenReplies).map((reply) => reply.stale).filter(Boolean)];
    [this.#seenErrors, this.#seenReplies] = [client.errors.length, client.joinReplies.length];
    if (told.length === 0) return;
    this.#note(`told ${JSON.stringify(told.flatMap(({ stale_topics }) => stale_topics.map((/** @type {any} */ s) => `${s.topic}@${s.resume_after} below ${s.retention_floor}`)))}`);
    for (const { stale_topics } of told) {
      for (const { topic, reason, resume_after, retention_floor } of stale_topics) {
        this.resets.push({ topic, reason, after: Number(resume_after), floor: Number(retention_floor) });
      }
    }
    // A cursor may have been answered twice, the second time while the first answer was seen to: what has been loaded since is good.
    const stale = new Set(told.flatMap(({ stale_topics }) => stale_topics)
      .filter(({ topic, resume_after }) => (client.state(topic).cursor ?? 0) <= Number(resume_after)).map(({ topic }) => topic));
    for (const topic of stale) if (!await this.#load(topic)) return;
    // A join that had a stale topic subscribed to none.
    await client.subscribe(topics).then(() => this.#note('subscribed'), (error) => {
      this.#note(`not subscribed: ${error.message.slice(0, 200)}`);
      client.cut();
    });
  }

  /** False when it is stopped meanwhile. @param {string} topic */
  async #load(topic) {
    while (!this.#stopping) {
      const answer = await this.fanout.fetch(`/api/sync/topics/${encodeURIComponent(topic)}/snapshot?limit=1000`,
        { headers: { authorization: `Bearer ${this.fanout.token(['*'])}` }, signal: AbortSignal.timeout(5000) }).catch(() => undefined);
      const body = answer?.status === 200 ? await answer.json().catch(() => undefined) : undefined;
      if (body) {
        const { cursor = 0 } = this.client.state(topic);
        this.#note(`loaded ${topic} at ${body.watermark}, from ${cursor}`);
        // It has connected again meanwhile, the window still had what follows its cursor, and it is past the snapshot.
        if (cursor > Number(body.watermark)) return true;
        this.snapshots++;
        this.documents.set(topic, new Map(body.documents.map((/** @type {any} */ d) =>
          [d.doc_key, { version: Number(d.payload.version), body: d.payload.body }])));
        Object.assign(this.client.state(topic), { cursor: Number(body.watermark), epoch: Number(body.epoch) });
        return true;
      }
      await pause(100);
    }
    return false;
  }

  /** Waits until it holds what the table holds. @param {Map<string, Map<string, {version: number, body: string}>>} table @param {number} timeoutMs */
  async settle(table, timeoutMs) {
    this.sleeps = false;
    await waitFor(() => this.#differences(table).length === 0, { timeoutMs, what: () =>
      `${this.name} has the documents of the table; it has not: ${this.#differences(table).slice(0, 5).join(', ')}` });
  }

  /** @param {Map<string, Map<string, {version: number, body: string}>>} table @returns {string[]} */
  #differences(table) {
    return topics.flatMap((topic) => {
      const [mine, wanted] = [this.documents.get(topic) ?? new Map(), table.get(topic) ?? new Map()];
      return [...new Set([...mine.keys(), ...wanted.keys()])].filter((key) =>
        JSON.stringify(mine.get(key)) !== JSON.stringify(wanted.get(key)))
        .map((key) => `${topic} ${key}: ${JSON.stringify(mine.get(key))}, not ${JSON.stringify(wanted.get(key))}`);
    });
  }

  async stop() {
    this.#stopping = true;
    await this.#running;
    await this.client.close();
  }
}

/** @param {import('pg').Client} client @returns {Promise<Map<string, Map<string, {version: number, body: string}>>>} */
export async function readTable(client) {
  const { rows } = await client.query('SELECT topic, id, version::int AS version, body FROM chaos.fleeting');
  const table = new Map(topics.map((topic) => [topic, new Map()]));
  for (const { topic, id, version, body } of rows) table.get(topic)?.set(`f:${id}`, { version, body });
  return table;
}

/** @param {import('../../harness/index.mjs').Cluster} cluster @param {string} database @returns {Promise<Map<string, number>>} */
export async function readFloors(cluster, database) {
  const client = await cluster.connect(database);
  const { rows } = await client.query('SELECT topic, floor FROM runtime.sync_topics WHERE topic LIKE $1', [`${prefix}%`]);
  await client.end();
  return new Map(rows.map(({ topic, floor }) => [topic, floor]));
}

/**
 * What is wrong with resets: a reason other than the floor, a cursor that was not below it, a floor that never was.
 * @param {string} name @param {Reset[]} resets @param {Map<string, number>} floors as they are in the end; they only rise
 */
export function checkResets(name, resets, floors) {
  return resets.filter(({ topic, reason, after, floor }) =>
    reason !== 'retention_floor_breach' || !(after < floor) || !(floor <= (floors.get(topic) ?? -1)))
    .map((reset) => `${name} was reset without need: ${JSON.stringify(reset)}, the floor is ${floors.get(reset.topic)}`);
}
