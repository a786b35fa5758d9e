// The model test's world: a table of its own, a fan-out, two tabs over one store, and what happened so far.
import { expect } from 'vitest';
import { memoryStore, type StoredTopic, type SyncError, type SyncStore, type SyncTopic } from '../../src/index.js';
import { held, type Stand, type TestClient, waitFor } from './stand.js';

/** One event as the journal had it. */
interface Event {
  watermark: number;
  docKey: string;
  op: string;
  payload: string | null;
}

/** A store whose process may die: from then on nothing is written. */
function mortal(store: SyncStore): SyncStore & { commitsLeft: number } {
  const wrapped = {
    ...store,
    commitsLeft: Infinity,
    commit: async (...args: Parameters<SyncStore['commit']>) => {
      if (wrapped.commitsLeft-- <= 0) throw new Error('the process is dead');
      return await store.commit(...args);
    },
  };
  return wrapped;
}

/** One life of a client: what it applied, from where. A snapshot begins another stretch. */
interface Life {
  client: TestClient;
  topic: SyncTopic;
  store: SyncStore & { commitsLeft: number };
  stretches: { from: number; watermarks: number[] }[];
  /** Errors that a right client of a right server never has. */
  wrong: string[];
}

export type TabName = 'a' | 'b';

export class World {
  readonly #stand: Stand;
  readonly topic: string;
  readonly #table: string;
  readonly #encoding: 'proto' | 'json';
  readonly #store = memoryStore();
  readonly #lives = new Map<TabName, Life>();
  /** The journal, also what was purged. */
  readonly #journal = new Map<number, Event>();
  readonly #refuse = new Set<TabName>();
  #isDown = false;
  #bodies = 0;

  private constructor(stand: Stand, number: string, encoding: 'proto' | 'json', pointer: boolean) {
    this.#stand = stand;
    this.topic = `${pointer ? 'pointer:' : ''}model.${number}`;
    this.#table = `app.model_${number}`;
    this.#encoding = encoding;
  }

  static async create(stand: Stand, number: string, { encoding, pointer }: { encoding: 'proto' | 'json'; pointer: boolean }): Promise<World> {
    const world = new World(stand, number, encoding, pointer);
    await stand.query(`CREATE TABLE ${world.#table} (id bigint PRIMARY KEY, body text)`);
    await stand.query(`SELECT runtime.sync_publish('${world.#table}', topic => '${world.topic}', doc_key => 'item:{id}')`);
    world.start('a');
    world.start('b');
    return world;
  }

  async write(ids: number[]): Promise<void> {
    await this.#stand.query(`INSERT INTO ${this.#table} SELECT DISTINCT unnest($1::bigint[]), $2
      ON CONFLICT (id) DO UPDATE SET body = excluded.body`, [ids, `body ${this.#bodies++}`]);
  }

  async remove(ids: number[]): Promise<void> {
    await this.#stand.query(`DELETE FROM ${this.#table} WHERE id = ANY ($1)`, [ids]);
  }

  async truncate(): Promise<void> {
    await this.#stand.query(`TRUNCATE ${this.#table}`);
  }

  /** Retention as it ends up: events at and below a floor are gone. `part` of the journal, from 0 to 1. */
  async purge(part: number): Promise<void> {
    await this.#readJournal();
    const floor = Math.floor(Math.max(0, ...this.#journal.keys()) * part);
    await this.#stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor)
      SELECT $1, coalesce(max(watermark), 0) + 1, $2 FROM runtime.sync_stream_events WHERE topic = $1
      ON CONFLICT (topic) DO UPDATE SET floor = greatest(sync_topic_sequences.floor, excluded.floor)`, [this.topic, floor]);
    await this.#stand.query('DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= $2', [this.topic, floor]);
  }

  cut(tab: TabName, afterFrames: number): void {
    const wire = this.#lives.get(tab)?.client.wire;
    if (!wire) return;
    if (afterFrames === 0) wire.cut();
    else wire.cutAfter = afterFrames - 1;
  }

  /** Its token is refused once, and the connection goes. */
  expire(tab: TabName): void {
    this.#refuse.add(tab);
    this.cut(tab, 0);
  }

  async stopFanout(how: 'kill' | 'stop'): Promise<void> {
    if (this.#isDown) return;
    this.#isDown = true;
    await (how === 'kill' ? this.#stand.fanout.kill9() : this.#stand.fanout.stop());
  }

  async startFanout(): Promise<void> {
    if (!this.#isDown) return;
    this.#isDown = false;
    await this.#stand.fanout.launch();
  }

  start(tab: TabName): void {
    if (this.#lives.has(tab)) return;
    const store = mortal(this.#store);
    const client = this.#stand.client({ store, encoding: this.#encoding, token: ({ reason }) => {
      if (reason !== 'refused' && this.#refuse.delete(tab)) {
        const now = Math.floor(Date.now() / 1000);
        return this.#stand.keyring.token(['*'], { iat: now - 100, nbf: now - 100, exp: now - 1 });
      }
      return this.#stand.keyring.token(['*']);
    } });
    const topic = client.subscribe(this.topic);
    const life: Life = { client, topic, store, stretches: [], wrong: [] };
    const note = (error: SyncError): void => {
      if (['gap', 'hash_mismatch', 'protocol_error', 'listener_failed', 'resync_failed'].includes(error.code)) life.wrong.push(error.message);
    };
    client.on('error', note);
    topic.on('error', note);
    topic.on('documents', ({ reset }) => {
      if (reset) life.stretches.push({ from: topic.cursor?.watermark ?? 0, watermarks: [] });
    });
    topic.on('update', ({ watermark }) => life.stretches.at(-1)?.watermarks.push(watermark));
    this.#lives.set(tab, life);
  }

  /** The process dies: at most `commits` more reach the store. */
  async kill(tab: TabName, commits: number): Promise<void> {
    const life = this.#lives.get(tab);
    if (!life) return;
    life.store.commitsLeft = commits;
    this.#lives.delete(tab);
    await life.client.close();
    await this.#checkLife(tab, life);
  }

  /** Waits until everybody has everything, and looks whether it is right. */
  async settle(): Promise<void> {
    await this.startFanout();
    this.start('a');
    this.start('b');
    const head = await this.#stand.head(this.topic);
    const expected = await this.#stand.table(this.topic);
    for (const [tab, { client, topic }] of this.#lives) {
      await waitFor(() => topic.status === 'live' && (topic.cursor?.watermark ?? -1) >= head, { timeoutMs: 30_000, what: () =>
        `tab ${tab} at ${head}; it is ${topic.status} at ${topic.cursor?.watermark}, client ${client.status}, ` +
        `errors ${client.errors.map((e) => e.message).slice(-5).join('; ')}; topic ${topic.error?.message}` });
      expect(held(topic), `documents of tab ${tab}`).toEqual(expected);
    }
    await this.#readJournal();
    for (const [tab, life] of this.#lives) await this.#checkLife(tab, life);
  }

  /** Closes the tabs; what is stored then is everything. */
  async end(): Promise<void> {
    await this.settle();
    const head = await this.#stand.head(this.topic);
    const expected = await this.#stand.table(this.topic);
    for (const life of this.#lives.values()) await life.client.close();
    const stored = await this.#store.load(`documents:${this.topic}`);
    expect(stored?.cursor.watermark ?? 0).toBeGreaterThanOrEqual(head);
    expect(textsOf(stored)).toEqual(expected);
  }

  async abandon(): Promise<void> {
    for (const life of this.#lives.values()) await life.client.close();
  }

  async #readJournal(): Promise<void> {
    const rows = await this.#stand.query(`SELECT watermark, doc_key, op, payload::text AS payload
      FROM runtime.sync_stream_events WHERE topic = $1 AND op <> 'void'`, [this.topic]);
    for (const row of rows) this.#journal.set(row.watermark, { watermark: row.watermark, docKey: row.doc_key, op: row.op, payload: row.payload });
  }

  /** Every watermark of each stretch was applied, once, in order. */
  async #checkLife(tab: string, life: Life): Promise<void> {
    await this.#readJournal();
    expect(life.wrong, `errors of tab ${tab}`).toEqual([]);
    life.stretches.forEach(({ from, watermarks }, i) => {
      const last = watermarks.at(-1) ?? from;
      const expected = [...this.#journal.keys()].filter((w) => w > from && w <= last).sort((x, y) => x - y);
      expect(watermarks, `tab ${tab}, stretch ${i} from ${from}`).toEqual(expected);
    });
  }
}

const textsOf = (stored: StoredTopic | undefined): Map<string, string> =>
  new Map(stored?.documents.map((one) => [one.docKey, one.text]));
