// Everything that a wire test stands on: a cluster, a database with a published table, a fan-out, clients.
//
// One Stand serves a test file. Topics are cheap, so each test uses its own.
import { after } from 'node:test';
import { SyncClient } from './client.mjs';
import { Cluster } from './cluster.mjs';
import { Fanout } from './fanout.mjs';
import { RawSocket } from './raw.mjs';

/** @typedef {import('./fanout.mjs').Flags} Flags */
/** @typedef {{admin?: boolean, consoleDir?: string}} FanoutOptions as of Fanout.start */

/** The table behind the tests: a row's topic column says where its events go. */
const schemaScript = `
CREATE SCHEMA app;
CREATE TABLE app.items (
  topic text NOT NULL,
  id bigint NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  n numeric,
  body text,
  PRIMARY KEY (topic, id)
);
SELECT runtime.sync_publish('app.items', topic => '{topic}', doc_key => 'item:{id}', doc_version => 'version');
`;

export class Stand {
  /** @type {(SyncClient | RawSocket)[]} */
  #clients = [];
  /** @type {Fanout[]} */
  #fanouts = [];

  /** Use Stand.create. @param {Cluster} cluster */
  constructor(cluster) {
    this.cluster = cluster;
    this.database = 'test';
    this.db = cluster.pool(this.database);
    /** The first fan-out. @type {Fanout} */
    this.fanout = /** @type {any} */ (undefined);
  }

  /**
   * Starts it all, waits for readiness, and takes it down after the file's tests.
   * @param {{flags?: Flags, settings?: Record<string, string | number | boolean>} & FanoutOptions} [options]
   */
  static async create({ flags = {}, settings = {}, ...options } = {}) {
    const cluster = await Cluster.create({ settings });
    const stand = new Stand(cluster);
    after(() => stand.destroy());
    await cluster.createDatabase(stand.database);
    cluster.psql(stand.database, schemaScript);
    stand.fanout = await stand.startFanout(flags, options);
    await stand.fanout.ready();
    return stand;
  }

  /** One more fan-out on the same database. @param {Flags} [flags] @param {FanoutOptions} [options] */
  async startFanout(flags = {}, options = {}) {
    const fanout = await Fanout.start({ database: this.cluster.conninfo(this.database), flags, ...options,
      ...(this.fanout ? { keyring: this.fanout.keyring } : {}) });
    this.#fanouts.push(fanout);
    return fanout;
  }

  /** @param {string} text @param {unknown[]} [values] @returns {Promise<any[]>} */
  async query(text, values) {
    return (await this.db.query(text, values)).rows;
  }

  /**
   * Inserts `count` rows on a topic in one transaction, ids from `first`. Every row is one event.
   * @param {string} topic @param {number} count @param {{first?: number, body?: string}} [options]
   */
  async insert(topic, count, { first = 1, body = 'x' } = {}) {
    await this.query(`INSERT INTO app.items (topic, id, n, body)
      SELECT $1, i, i, $4 FROM generate_series($2::bigint, $2::bigint + $3::bigint - 1) i`, [topic, first, count, body]);
  }

  /** The journal of a topic, voids left out. @param {string} topic @returns {Promise<any[]>} */
  async journal(topic) {
    return await this.query(`SELECT watermark, epoch, doc_key, doc_version, op, payload,
        encode(payload_hash, 'hex') AS payload_hash
      FROM runtime.sync_stream_events WHERE topic = $1 AND op <> 'void' ORDER BY watermark`, [topic]);
  }

  /**
   * A phoenix client of the first fan-out (or `fanout`), closed at the end. Scopes: everything.
   * @param {Partial<ConstructorParameters<typeof SyncClient>[0]> & {fanout?: Fanout}} [options]
   */
  client({ fanout = this.fanout, ...options } = {}) {
    const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), ...options });
    this.#clients.push(client);
    return client;
  }

  /**
   * A raw socket to the first fan-out (or `fanout`).
   * @param {{token?: string, fanout?: Fanout, autoPong?: boolean}} [options]
   */
  async raw({ fanout = this.fanout, token = fanout.token(['*']), autoPong = true } = {}) {
    const url = `${fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`;
    const raw = await RawSocket.connect(url, { autoPong });
    this.#clients.push(raw);
    return raw;
  }

  /** Ends everything; throws when a client saw a wrong batch, a server crashed or a sanitizer reported something. */
  async destroy() {
    /** @type {unknown[]} */
    const failures = [];
    const attempt = async (/** @type {() => unknown} */ work) => {
      try {
        await work();
      } catch (error) {
        failures.push(error);
      }
    };
    for (const client of this.#clients) {
      if (client instanceof SyncClient) {
        await attempt(() => client.close());
        await attempt(() => client.assertClean());
      } else client.end();
    }
    for (const fanout of this.#fanouts) await attempt(() => fanout.destroy());
    await attempt(() => this.cluster.destroy());
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }
}

/**
 * The watermarks from `first` to `last`.
 * @param {number} first @param {number} last
 */
export const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
