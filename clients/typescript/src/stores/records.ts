// Stores that know texts by name: localStorage, and whatever is shaped like React Native's AsyncStorage.
//
// A topic is one text, written whole, so cursor and documents change together. That suits some hundreds of documents;
// beyond, IndexedDB writes only what changed. Neither kind has transactions: the comparison and the write are under a
// lock (Web Locks between tabs where there are some, else within this page). Without one the worst that two tabs can do
// is to leave the older of two whole states: what follows it comes again.
import { type Exclusive, oneByOne } from '../exclusive.js';
import { afterCommit, judgeCommit, type StoredTopic, type SyncStore } from './store.js';

/** `localStorage`, or what is shaped like it. */
export interface WebStorageLike {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** React Native's `AsyncStorage`, or what is shaped like it. */
export interface AsyncStorageLike {
  getAllKeys(): Promise<readonly string[]>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
}

export interface RecordStoreOptions {
  /** Begins the names of the records, so that several stores share a storage. Default 'oa-sync'. */
  name?: string;
  /** Least time between two writes of a topic. Default 250. */
  commitIntervalMs?: number;
}

interface Locks {
  request<T>(name: string, work: () => Promise<T>): Promise<T>;
}

const ofThisPage = new WeakMap<object, Exclusive>();

/** Runs works one after the other: between tabs by Web Locks, else for this storage in this page. */
function exclusive(storage: object, name: string): Exclusive {
  const locks = (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks;
  if (locks) return (work) => locks.request(name, work);
  let found = ofThisPage.get(storage);
  if (!found) ofThisPage.set(storage, (found = oneByOne()));
  return found;
}

function parseRecord(text: string | null): StoredTopic | undefined {
  if (text === null) return undefined;
  try {
    const record = JSON.parse(text) as StoredTopic & { format?: number };
    return record.format === 1 ? { cursor: record.cursor, documents: record.documents } : undefined;
  } catch {
    // A record that was cut or is of something else: as if there were none, so the topic begins anew.
    return undefined;
  }
}

/** A store over AsyncStorage, or what is shaped like it. */
export const asyncStorageStore = (storage: AsyncStorageLike, options: RecordStoreOptions = {}): SyncStore =>
  recordStore(storage, storage, options);

/** `shared` is what every store over the same storage has in common. */
function recordStore(storage: AsyncStorageLike, shared: object, options: RecordStoreOptions): SyncStore {
  const prefix = `${options.name ?? 'oa-sync'}:`;
  const lock = exclusive(shared, `oa-sync-store:${prefix}`);
  return {
    commitIntervalMs: options.commitIntervalMs ?? 250,
    load: async (topic) => parseRecord(await storage.getItem(prefix + topic)),
    commit: (topic, change) => lock(async () => {
      const stored = parseRecord(await storage.getItem(prefix + topic));
      const result = judgeCommit(stored?.cursor, change);
      if (result === 'stored') {
        await storage.setItem(prefix + topic, JSON.stringify({ format: 1, ...afterCommit(stored, change) }));
      }
      return result;
    }),
    remove: (topic) => lock(() => storage.removeItem(prefix + topic)),
    clear: () => lock(async () => {
      for (const key of await storage.getAllKeys()) if (key.startsWith(prefix)) await storage.removeItem(key);
    }),
  };
}

/** A store over `localStorage` (the default) or `sessionStorage`. */
export function localStorageStore(options: RecordStoreOptions & { storage?: WebStorageLike } = {}): SyncStore {
  const storage = options.storage ?? (globalThis as { localStorage?: WebStorageLike }).localStorage;
  if (!storage) throw new Error('localStorageStore: there is no localStorage here; give `storage`, or use another store');
  return recordStore({
    getAllKeys: async () => Array.from({ length: storage.length }, (_, i) => storage.key(i)).filter((key) => key !== null),
    getItem: async (key) => storage.getItem(key),
    setItem: async (key, value) => storage.setItem(key, value),
    removeItem: async (key) => storage.removeItem(key),
  }, storage, options);
}
