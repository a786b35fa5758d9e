// Writers and subscribers of the failover runs: rows with a name each, and who got them.
import pg from 'pg';
import { SyncClient, pause, waitFor } from '../../harness/index.mjs';

export const database = 'test';
export const reader = 'sync_reader';
export const topics = ['f.a', 'f.b', 'f.c', 'f.d'];
export const script = `
  CREATE SCHEMA app;
  CREATE TABLE app.items (topic text, id bigint, body text, PRIMARY KEY (topic, id));
  SELECT runtime.sync_publish('app.items', topic => '{topic}', doc_key => 'item:{id}');
  SELECT runtime.sync_set_policy('*', horizon => '0', replay_budget => 0);
  CREATE ROLE ${reader} LOGIN REPLICATION;
  SELECT runtime.sync_grant_reader('${reader}');`;

/** A row whose INSERT was acknowledged. @typedef {{topic: string, id: number, at: number, host: string}} Acknowledged */

/** Writers that go to the first of some hosts which takes them. */
export class Writers {
  /** @type {Acknowledged[]} */
  acknowledged = [];
  /** Rows whose INSERT ended with an error or with none. */
  uncertain = 0;
  #next = 1;
  #stopping = false;
  /** @type {Promise<void>[]} */
  #running = [];

  /** @param {string[]} hosts @param {number} count @param {number} everyMs */
  constructor(hosts, count, everyMs) {
    this.hosts = hosts;
    this.everyMs = everyMs;
    for (let n = 0; n < count; n++) this.#running.push(this.#write(n));
  }

  /** How many rows were begun: the ids of later ones are higher. */
  get begun() {
    return this.#next - 1;
  }

  async #write(/** @type {number} */ n) {
    /** @type {{client: pg.Client, host: string} | undefined} */
    let open;
    while (!this.#stopping) {
      const [topic, id] = [/** @type {string} */ (topics[(this.#next + n) % topics.length]), this.#next++];
      try {
        if (open && !this.hosts.includes(open.host)) throw new Error('not there any more');
        open ??= await this.#connect();
        await open.client.query('INSERT INTO app.items VALUES ($1, $2, $3)', [topic, id, `row ${id}`]);
        this.acknowledged.push({ topic, id, at: performance.now(), host: open.host });
      } catch {
        this.uncertain++;
        open?.client.end().catch(() => {});
        open = undefined;
      }
      await pause(this.everyMs);
    }
    await open?.client.end().catch(() => {});
  }

  async #connect() {
    for (const host of this.hosts) {
      const client = new pg.Client({ host, port: 5432, user: 'postgres', database, connectionTimeoutMillis: 1000, query_timeout: 3000 });
      client.on('error', () => {});
      try {
        await client.connect();
        return { client, host };
      } catch {
        client.end().catch(() => {});
      }
    }
    throw new Error('no server takes connections');
  }

  async stop() {
    this.#stopping = true;
    await Promise.all(this.#running);
  }
}

/** What a subscriber got: a place and what was there. @typedef {{topic: string, watermark: number, epoch: number, key: string, at: number}} Got */

/** A stock phoenix client of all topics. When it is told that a topic is stale, it loads it afresh, as clients do. */
export class Follower {
  /** @type {Got[]} */
  got = [];
  /** Topics that it was told are stale, with the reason and the cursor it had. @type {{topic: string, reason: string, after: number, at: number}[]} */
  told = [];
  /** Where it began anew. @type {Map<string, number>} */
  reloaded = new Map();
  #seen = [0, 0];
  #stopping = false;
  /** @type {Promise<void>} */
  #running;

  /**
   * @param {string} name @param {import('../../harness/index.mjs').Fanout} fanout @param {'json' | 'proto'} encoding
   * @param {{url?: string, cursors?: {topic: string, watermark: number, epoch: number}[]}} [options]
   */
  constructor(name, fanout, encoding, { url = fanout.socketUrl, cursors = [] } = {}) {
    this.name = name;
    this.fanout = fanout;
    this.client = new SyncClient({ url, token: () => fanout.token(['*']), topics, encoding, keepEvents: false,
      onUpdate: ({ topic, watermark, epoch, docKey }) => void this.got.push({ topic, watermark, epoch, key: docKey, at: performance.now() }) });
    for (const { topic, watermark, epoch } of cursors) Object.assign(this.client.state(topic), { cursor: watermark, epoch });
    this.#running = this.#live();
  }

  /** A join that is refused, because a server is not there for a moment, is repeated by phoenix itself. */
  async connect() {
    this.client.connect().catch(() => {});
    await waitFor(() => this.client.joinReplies.length > 0, { timeoutMs: 120_000, what: () =>
      `${this.name} is attached; it was refused ${JSON.stringify(this.client.joinErrors)}` });
  }

  async #live() {
    while (!this.#stopping) {
      const { client } = this;
      const pushed = client.errors.slice(this.#seen[0]).filter(({ code }) => code === 'stale_cursor');
      const joined = client.joinReplies.slice(this.#seen[1]).map((reply) => reply.stale).filter(Boolean);
      this.#seen = [client.errors.length, client.joinReplies.length];
      const stale = [...pushed, ...joined].flatMap(({ stale_topics: all }) => all);
      for (const { topic, reason, resume_after } of stale) {
        const after = Number(resume_after);
        // The same cursor may be answered by a push and by a reply.
        if (this.told.some((one) => one.topic === topic && one.after === after)) continue;
        this.told.push({ topic, reason, after, at: performance.now() });
        await this.#reload(topic);
      }
      // A join that had a stale topic subscribed to none.
      if (stale.length > 0) await this.#subscribe(joined.length > 0 ? topics : stale.map(({ topic }) => topic));
      await pause(20);
    }
  }

  /** @param {string[]} which */
  async #subscribe(which) {
    while (!this.#stopping) {
      const answer = await this.client.subscribe(which).then(() => undefined, (error) => error.response);
      // Told that another one is stale: that is the next turn's.
      if (answer === undefined || answer.code === 'stale_cursor') return;
      await pause(200);
    }
  }

  /** @param {string} topic */
  async #reload(topic) {
    while (!this.#stopping) {
      const answer = await this.fanout.fetch(`/api/sync/topics/${topic}/snapshot?limit=1`, { headers: { authorization: `Bearer ${this.fanout.token(['*'])}` } })
        .catch(() => undefined);
      if (answer?.status === 200) {
        const { watermark, epoch } = await answer.json();
        Object.assign(this.client.state(topic), { cursor: Number(watermark), epoch: Number(epoch) });
        this.reloaded.set(topic, Number(watermark));
        return;
      }
      await pause(100);
    }
  }

  /** @param {Map<string, number>} heads */
  async reach(heads, timeoutMs = 120_000) {
    const behind = () => [...heads].filter(([topic, head]) => (this.client.state(topic).cursor ?? 0) < head);
    await waitFor(() => behind().length === 0, { timeoutMs, what: () => `${this.name} is at the heads; it is not: ` +
      `${behind().map(([topic, head]) => `${topic} ${this.client.state(topic).cursor}/${head}`).join(', ')}; errors ${JSON.stringify(this.client.errors)}` });
  }

  get cursors() {
    return this.client.cursors(topics);
  }

  async close() {
    this.#stopping = true;
    await this.#running;
    await this.client.close();
  }
}

/** An event of the journal that is not void. @typedef {{topic: string, watermark: number, epoch: number, key: string}} Place */

/** @param {import('../../harness/index.mjs').Cluster} cluster @returns {Promise<Place[]>} */
export async function readJournal(cluster) {
  const client = await cluster.connect(database);
  const { rows } = await client.query(`SELECT topic, watermark, epoch, doc_key AS key FROM runtime.sync_stream_events
    WHERE op <> 'void' AND topic = ANY ($1) ORDER BY topic, watermark`, [topics]);
  await client.end();
  return rows;
}

/** @param {Place[]} journal @returns {Map<string, number>} */
export const headsOf = (journal) => new Map(journal.map(({ topic, watermark }) => [topic, watermark]));

/**
 * What a follower got against the journal of the history that goes on: what it got and is not there is lost; who got such an event
 * is told so, nobody else is; and but for that everything came once, in order.
 * @param {string} name
 * @param {{got: Got[], told: {topic: string, reason: string}[], reloaded: Map<string, number>}} follower
 * @param {Place[]} journal @param {Map<string, number>} [from] where it began, by topic
 */
export function checkFollower(name, { got, told, reloaded }, journal, from = new Map()) {
  /** @type {string[]} */
  const problems = [];
  let lost = 0;
  for (const topic of topics) {
    const there = journal.filter((place) => place.topic === topic && place.watermark > (from.get(topic) ?? 0));
    const mine = got.filter((one) => one.topic === topic);
    const same = (/** @type {Place | undefined} */ a, /** @type {Place | undefined} */ b) =>
      a?.watermark === b?.watermark && a?.epoch === b?.epoch && a?.key === b?.key;
    const firstLost = mine.findIndex((one) => !there.some((place) => same(place, one)));
    const tellings = told.filter((one) => one.topic === topic);
    for (const { reason } of tellings) if (reason !== 'epoch_diverged') problems.push(`${name} was told ${reason} of ${topic}`);
    if (firstLost < 0) {
      if (tellings.length > 0) problems.push(`${name} was reset on ${topic} though it had seen nothing that is lost`);
      const differs = there.findIndex((place, i) => !same(place, mine[i]));
      if (differs >= 0) problems.push(`${name} on ${topic}: event ${differs} of ${there.length} should be ${JSON.stringify(there[differs])}, is ${JSON.stringify(mine[differs])}`);
      else if (mine.length > there.length) problems.push(`${name} has ${mine.length - there.length} events of ${topic} twice`);
      continue;
    }
    if (tellings.length !== 1) problems.push(`${name} has seen lost events of ${topic}, such as ${JSON.stringify(mine[firstLost])}, and was told ${tellings.length} times`);
    // Before the loss as the journal, and from where it was loaded afresh.
    const kept = mine.slice(0, firstLost);
    if (!kept.every((one, i) => same(one, there[i]))) problems.push(`${name} on ${topic}: what it got before the loss is not what is there`);
    const again = there.filter(({ watermark }) => watermark > (reloaded.get(topic) ?? Infinity));
    const after = mine.slice(mine.length - again.length);
    if (!again.every((place, i) => same(place, after[i]))) problems.push(`${name} on ${topic}: what it got after ${reloaded.get(topic)} is not what is there`);
    const middle = mine.slice(firstLost, mine.length - again.length);
    lost += middle.length;
    if (middle.some((one) => there.some((place) => same(place, one)))) problems.push(`${name} on ${topic}: events of both histories are mixed`);
  }
  return { problems, lost };
}
