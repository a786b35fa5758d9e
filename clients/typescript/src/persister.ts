// Writes a topic's state to its store: behind the state, one commit at a time, each with a cursor and all it covers.
import { SyncError, messageOf } from './errors.js';
import { fromBigInt } from './integers.js';
import type { StoreCommit, StoredCursor, StoredDocument, SyncStore } from './stores/store.js';
import type { Cursor, HeldDocument, Snapshot, TopicState } from './topic_state.js';

const toStored = (cursor: Cursor): StoredCursor => ({ epoch: String(cursor.epoch), watermark: cursor.watermark });

const storedDocument = (held: HeldDocument): StoredDocument => ({
  docKey: held.docKey, docVersion: String(held.docVersion), text: held.text, payloadHash: held.payloadHash,
  watermark: held.watermark, updatedAt: held.updatedAt,
});

/** After a failed write: so long until the next try. */
const retryMs = 2000;

export class Persister {
  readonly #store: SyncStore;
  readonly #key: string;
  readonly #state: TopicState;
  readonly #failed: (error: SyncError) => void;
  /** What is in the store as far as this client knows; null: everything is to be written. */
  #base: StoredCursor | null = null;
  #dirty = new Set<string>();
  #force = false;
  #wanted = false;
  #closed = false;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(store: SyncStore, key: string, state: TopicState, failed: (error: SyncError) => void) {
    this.#store = store;
    this.#key = key;
    this.#state = state;
    this.#failed = failed;
  }

  /** What the store has. Undefined when there is nothing, or nothing that can be read. */
  async load(): Promise<Snapshot | undefined> {
    try {
      const found = await this.#store.load(this.#key);
      if (!found) return undefined;
      const snapshot: Snapshot = {
        cursor: { epoch: fromBigInt(BigInt(found.cursor.epoch)), watermark: found.cursor.watermark },
        documents: found.documents.map((one) => ({ ...one, docVersion: fromBigInt(BigInt(one.docVersion)) })),
      };
      this.#base = found.cursor;
      return snapshot;
    } catch (cause) {
      this.#failed(new SyncError('store_failed', `the store could not be read: ${messageOf(cause)}; the topic begins anew`, { cause }));
      return undefined;
    }
  }

  /** The state moved on, and these documents changed. */
  changed(keys: Iterable<string>): void {
    for (const key of keys) this.#dirty.add(key);
    this.#start();
  }

  /** The state is another one. `force`: the stored one is no good, newer or not. */
  replaced(force: boolean): void {
    this.#base = null;
    this.#dirty.clear();
    this.#force ||= force;
    this.#start();
  }

  /** Waits until what is there now is stored, or could not be. */
  async flush(): Promise<void> {
    this.#wake?.();
    while (this.#running) {
      this.#wake?.();
      await this.#running;
    }
  }

  /** Stores what is there, and then nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  #start(): void {
    if (this.#closed) return;
    this.#wanted = true;
    this.#runOn();
  }

  #runOn(): void {
    this.#running ??= this.#run().then((isDone) => {
      this.#running = undefined;
      // It was woken just as it ended.
      if (isDone && this.#wanted) this.#runOn();
    });
  }

  /** Commits until nothing is wanted. False when it gave up: the store failed, and there is no more time. */
  async #run(): Promise<boolean> {
    // A turn of the event loop, so that the batches of one read of the socket are one commit.
    await this.#pause(0);
    while (this.#wanted) {
      this.#wanted = false;
      const ok = await this.#commit();
      const wait = ok ? this.#store.commitIntervalMs ?? 0 : retryMs;
      if (!ok && this.#closed) return false;
      if (!ok) this.#wanted = true;
      if (wait > 0 && !this.#closed) await this.#pause(wait);
    }
    return true;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#closed) this.#wake();
    });
    this.#wake = undefined;
  }

  /** False when the store failed. */
  async #commit(): Promise<boolean> {
    const cursor = this.#state.cursor;
    if (!cursor) return true;
    const change = this.#change(toStored(cursor));
    const before = { base: this.#base, dirty: this.#dirty, force: this.#force };
    this.#dirty = new Set();
    this.#force = false;
    // From here on changes are relative to this cursor, unless a replacement comes meanwhile.
    this.#base = change.cursor;
    try {
      const result = await this.#store.commit(this.#key, change);
      if (result === 'apart') {
        // Everything then, also when it is the last thing that is written.
        this.#base = null;
        this.#dirty.clear();
        this.#wanted = true;
      }
      return true;
    } catch (cause) {
      if (this.#base !== null) {
        this.#base = before.base;
        for (const key of before.dirty) this.#dirty.add(key);
      }
      this.#force ||= before.force;
      this.#failed(new SyncError('store_failed', `the store could not be written: ${messageOf(cause)}; it is tried again`, { cause }));
      return false;
    }
  }

  #change(cursor: StoredCursor): StoreCommit {
    const { documents } = this.#state;
    const change: StoreCommit = { base: this.#base, cursor, puts: [], deletes: [] };
    if (this.#force) change.force = true;
    if (this.#base === null) {
      for (const held of documents.values()) change.puts.push(storedDocument(held));
      return change;
    }
    for (const key of this.#dirty) {
      const held = documents.get(key);
      if (held) change.puts.push(storedDocument(held));
      else change.deletes.push(key);
    }
    return change;
  }
}
