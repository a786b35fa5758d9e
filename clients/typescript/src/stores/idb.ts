// IndexedDB: writes only what changed, in transactions that hold between tabs.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { judgeCommit, type StoredCursor, type StoredDocument, type SyncStore } from './store.js';

interface Schema extends DBSchema {
  cursors: { key: string; value: { topic: string } & StoredCursor };
  documents: { key: [string, string]; value: { topic: string } & StoredDocument };
}

export interface IndexedDbStoreOptions {
  /** Names the database: one for each user of a browser, say. Default 'oa-sync'. */
  name?: string;
}

/** The range of a topic's documents: an empty array sorts after every text. */
const documentsOf = (topic: string): IDBKeyRange => IDBKeyRange.bound([topic], [topic, []]);

/** A store in IndexedDB. Tabs share it: a commit compares and writes in one transaction. */
export function indexedDbStore(options: IndexedDbStoreOptions = {}): SyncStore {
  const name = options.name ?? 'oa-sync';
  let opened: Promise<IDBPDatabase<Schema>> | undefined;
  const forget = (): void => void (opened = undefined);

  const open = (): Promise<IDBPDatabase<Schema>> => {
    opened ??= openDB<Schema>(name, 1, {
      upgrade(db) {
        db.createObjectStore('cursors', { keyPath: 'topic' });
        db.createObjectStore('documents', { keyPath: ['topic', 'docKey'] });
      },
      // A newer version of the application wants to change the database in another tab: give way to it.
      blocking: (_current, _wanted, event) => {
        (event.target as IDBDatabase).close();
        forget();
      },
      terminated: forget,
    }).catch((error: unknown) => {
      forget();
      throw error;
    });
    return opened;
  };

  return {
    async load(topic) {
      const tx = (await open()).transaction(['cursors', 'documents']);
      const [cursor, documents] = await Promise.all([
        tx.objectStore('cursors').get(topic), tx.objectStore('documents').getAll(documentsOf(topic)), tx.done]);
      if (!cursor) return undefined;
      return { cursor: { epoch: cursor.epoch, watermark: cursor.watermark }, documents };
    },

    async commit(topic, change) {
      const tx = (await open()).transaction(['cursors', 'documents'], 'readwrite');
      const cursors = tx.objectStore('cursors');
      const documents = tx.objectStore('documents');
      const work = async () => {
        const result = judgeCommit(await cursors.get(topic), change);
        if (result !== 'stored') return result;
        if (change.base === null) void documents.delete(documentsOf(topic)).catch(ignore);
        for (const key of change.deletes) void documents.delete([topic, key]).catch(ignore);
        for (const one of change.puts) void documents.put({ ...one, topic }).catch(ignore);
        void cursors.put({ ...change.cursor, topic }).catch(ignore);
        return result;
      };
      // A request that fails aborts the transaction, and with it everything.
      const [result] = await Promise.all([work(), tx.done]);
      return result;
    },

    async remove(topic) {
      const tx = (await open()).transaction(['cursors', 'documents'], 'readwrite');
      await Promise.all([
        tx.objectStore('cursors').delete(topic), tx.objectStore('documents').delete(documentsOf(topic)), tx.done]);
    },

    async clear() {
      const tx = (await open()).transaction(['cursors', 'documents'], 'readwrite');
      await Promise.all([tx.objectStore('cursors').clear(), tx.objectStore('documents').clear(), tx.done]);
    },

    async close() {
      const db = await opened?.catch(() => undefined);
      forget();
      db?.close();
    },
  };
}

/** The transaction's own promise tells. */
const ignore = (): void => {};
