// What a test file stands on: the suite's database, a fan-out of its own, and clients whose sockets can be cut.
import pg from 'pg';
import { afterAll, inject } from 'vitest';
import WebSocket from 'ws';
import { Fanout, Keyring, waitFor } from '../../../../test/harness/index.mjs';
import { schemaScript } from './schema.js';
import { SyncClient, type SyncClientOptions, type SyncError, type SyncTopic, type SyncUpdate, type WebSocketConstructor } from '../../src/index.js';

export { waitFor, pause, within, Keyring, Fanout } from '../../../../test/harness/index.mjs';

type Flags = Record<string, string | number | boolean | string[]>;

/** Quick to come back, so that tests that cut sockets are quick too. */
const quick: Flags = { 'reconnect-backoff-base-ms': 20, 'reconnect-backoff-jitter-ms': 20, 'heartbeat-interval-ms': 500 };

/** A WebSocket constructor that knows its sockets, and can cut them. */
export class Wire {
  readonly sockets = new Set<WebSocket>();
  opened = 0;
  /** Frames that were heard. */
  heard = 0;
  /** Frames of the server that are heard before the next one, and the connection with it, is lost. */
  cutAfter: number | undefined;
  /** Frames that are sent before the connection is lost. */
  cutAfterSent: number | undefined;
  /** So many of the next sockets do not open. */
  failNext = 0;
  readonly transport: WebSocketConstructor;

  constructor() {
    const wire = this;
    this.transport = class extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        // Nobody listens on that port.
        super(wire.failNext-- > 0 ? 'ws://127.0.0.1:9/' : url, protocols);
        wire.failNext = Math.max(0, wire.failNext);
        wire.opened++;
        wire.sockets.add(this);
        this.on('close', () => wire.sockets.delete(this));
      }

      /** Frames that were read with the one that is lost are lost too. */
      #isCut = false;

      override emit(event: string | symbol, ...args: unknown[]): boolean {
        if (event !== 'message') return super.emit(event, ...args);
        if (wire.cutAfter !== undefined && wire.cutAfter-- <= 0) {
          wire.cutAfter = undefined;
          this.#isCut = true;
          this.terminate();
        }
        if (this.#isCut) return false;
        wire.heard++;
        return super.emit(event, ...args);
      }

      override send(data: string): void {
        if (wire.cutAfterSent !== undefined && wire.cutAfterSent-- <= 0) {
          wire.cutAfterSent = undefined;
          this.terminate();
          return;
        }
        super.send(data);
      }
    };
  }

  /** Cuts every connection as a dead network would: no close frame. */
  cut(): void {
    for (const socket of this.sockets) socket.terminate();
  }
}

export interface TestClient extends SyncClient {
  readonly wire: Wire;
  /** What it told of. */
  readonly errors: SyncError[];
  /** How long it waited before each try to connect. */
  readonly waits: number[];
}

export class Stand {
  readonly db: pg.Pool;
  readonly database: string;
  readonly keyring = new Keyring();
  fanout!: Fanout;
  readonly #fanouts: Fanout[] = [];
  readonly #clients: TestClient[] = [];

  private constructor(database: string) {
    this.database = database;
    pg.types.setTypeParser(20, (text) => Number(text));
    this.db = new pg.Pool({ host: inject('socketDir'), port: 5432, user: 'postgres', database: this.database, max: 4 });
    this.db.on('error', () => {});
  }

  /** With a database of its own when it is named: for what changes more than topics. */
  static async create(flags: Flags = {}, database?: string): Promise<Stand> {
    if (database !== undefined) await makeDatabase(database);
    const stand = new Stand(database ?? inject('database'));
    afterAll(() => stand.destroy());
    stand.fanout = await stand.startFanout(flags);
    await stand.fanout.ready();
    return stand;
  }

  get conninfo(): string {
    return `host=${inject('socketDir')} port=5432 user=postgres dbname=${this.database}`;
  }

  async startFanout(flags: Flags = {}): Promise<Fanout> {
    const fanout = await Fanout.start({ database: this.conninfo, flags: { ...quick, ...flags }, keyring: this.keyring });
    this.#fanouts.push(fanout);
    return fanout;
  }

  async query(text: string, values?: unknown[]): Promise<any[]> {
    return (await this.db.query(text, values)).rows;
  }

  async insert(topic: string, count: number, { first = 1, body = 'x' } = {}): Promise<void> {
    await this.query(`INSERT INTO app.items (topic, id, n, body)
      SELECT $1, i, i, $4 FROM generate_series($2::bigint, $2::bigint + $3::bigint - 1) i`, [topic, first, count, body]);
  }

  /** The topic's documents as the table has them: canonical text by key. */
  async table(topic: string): Promise<Map<string, string>> {
    const rows = await this.query(`SELECT doc_key, payload::text AS payload FROM runtime.sync_snapshot($1) WHERE doc_key IS NOT NULL`, [topic]);
    return new Map(rows.map((row) => [row.doc_key, row.payload]));
  }

  async head(topic: string): Promise<number> {
    const [row] = await this.query('SELECT coalesce(max(watermark), 0)::bigint AS head FROM runtime.sync_stream_events WHERE topic = $1', [topic]);
    return row.head;
  }

  /** A client of the first fan-out that may follow everything, closed at the end. */
  client(options: Partial<SyncClientOptions> & { fanout?: Fanout; wire?: Wire } = {}): TestClient {
    const { fanout = this.fanout, wire = new Wire(), ...more } = options;
    const waits: number[] = [];
    const client = new SyncClient({
      url: fanout.socketUrl, token: () => this.keyring.token(['*']), transport: wire.transport,
      backoff: { baseMs: 20, jitterMs: 20, maxMs: 1000 },
      log: (message, details) => {
        if (message === 'connecting') waits.push(details?.inMs as number);
        if (process.env.OA_SYNC_TEST_LOG) console.log(Date.now() % 100_000, message, JSON.stringify(details));
      },
      ...more,
    });
    const errors: SyncError[] = [];
    client.on('error', (error) => errors.push(error));
    this.#clients.push(Object.assign(client, { wire, errors, waits }));
    return this.#clients.at(-1)!;
  }

  async destroy(): Promise<void> {
    for (const client of this.#clients) await client.close();
    for (const fanout of this.#fanouts) await fanout.destroy();
    await this.db.end();
  }
}

async function makeDatabase(name: string): Promise<void> {
  const connect = async (database: string, sql: string): Promise<void> => {
    const client = new pg.Client({ host: inject('socketDir'), port: 5432, user: 'postgres', database });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await connect('postgres', `CREATE DATABASE "${name}"`);
  await connect(name, schemaScript);
}

/** What a topic was told, in its order. */
export function record(topic: SyncTopic): SyncUpdate[] {
  const updates: SyncUpdate[] = [];
  topic.on('update', (update) => updates.push(update));
  return updates;
}

/** Waits until a topic is at a watermark or past it. */
export async function reach(topic: SyncTopic, watermark: number): Promise<void> {
  await waitFor(() => (topic.cursor?.watermark ?? -1) >= watermark,
    { what: () => `${topic.name} at ${watermark}; it is at ${topic.cursor?.watermark}, ${topic.status}, ${topic.error}` });
}

/** A topic's documents: canonical text by key. */
export const held = (topic: SyncTopic): Map<string, string> =>
  new Map([...topic.documents].map(([key, document]) => [key, document.payloadText]));
