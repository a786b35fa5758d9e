// Every store keeps the same promises: cursor and documents change together, and an older cursor never takes a newer's place.
import 'fake-indexeddb/auto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { asyncStorageStore, localStorageStore, memoryStore, type StoreCommit, type StoredDocument, type StoredTopic,
  type SyncStore } from '../src/index.js';
import { fileStore } from '../src/stores/file.js';
import { indexedDbStore } from '../src/stores/idb.js';

const dir = await mkdtemp(join(tmpdir(), 'oa-sync-stores-'));
afterAll(() => rm(dir, { recursive: true, force: true }));
let serial = 0;

class FakeStorage {
  readonly records = new Map<string, string>();
  get length(): number {
    return this.records.size;
  }
  key = (index: number): string | null => [...this.records.keys()][index] ?? null;
  getItem = (key: string): string | null => this.records.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.records.set(key, value);
  removeItem = (key: string): void => void this.records.delete(key);
}

/** Each makes two stores over one place: two tabs. */
const kinds: Record<string, () => [SyncStore, SyncStore]> = {
  memory: () => {
    const store = memoryStore();
    return [store, store];
  },
  localStorage: () => {
    const storage = new FakeStorage();
    return [localStorageStore({ storage, commitIntervalMs: 0 }), localStorageStore({ storage, commitIntervalMs: 0 })];
  },
  AsyncStorage: () => {
    const storage = new FakeStorage();
    const slowly = <A extends unknown[], T>(work: (...args: A) => T) => async (...args: A): Promise<T> => {
      await Promise.resolve();
      return work(...args);
    };
    const asynchronous = { getAllKeys: slowly(() => [...storage.records.keys()]), getItem: slowly(storage.getItem),
      setItem: slowly(storage.setItem), removeItem: slowly(storage.removeItem) };
    const store = asyncStorageStore(asynchronous, { name: 'app' });
    return [store, store];
  },
  IndexedDB: () => {
    const name = `db-${serial++}`;
    return [indexedDbStore({ name }), indexedDbStore({ name })];
  },
  file: () => {
    const options = { dir: join(dir, `files-${serial++}`), commitIntervalMs: 0, fsync: false };
    return [fileStore(options), fileStore(options)];
  },
};

const cursor = (watermark: number, epoch = '1') => ({ epoch, watermark });
const doc = (docKey: string, watermark: number): StoredDocument =>
  ({ docKey, docVersion: '9007199254740993', text: `{"n":${watermark}.10}`, payloadHash: 'h', watermark, updatedAt: null });
const commit = (base: number | null, to: number, puts: StoredDocument[] = [], deletes: string[] = []): StoreCommit =>
  ({ base: base === null ? null : cursor(base), cursor: cursor(to), puts, deletes });
const sorted = (topic: StoredTopic | undefined): unknown => topic && { cursor: topic.cursor,
  documents: topic.documents.map(({ docKey, docVersion, text, payloadHash, watermark, updatedAt }) =>
    ({ docKey, docVersion, text, payloadHash, watermark, updatedAt })).sort((a, b) => (a.docKey < b.docKey ? -1 : 1)) };

describe.each(Object.entries(kinds))('%s', (_kind, open) => {
  test('nothing at first; what was committed is loaded', async () => {
    const [store] = open();
    expect(await store.load('t')).toBeUndefined();
    expect(await store.commit('t', commit(null, 5, [doc('a', 1), doc('b', 5)]))).toBe('stored');
    expect(sorted(await store.load('t'))).toEqual({ cursor: cursor(5), documents: [doc('a', 1), doc('b', 5)] });
    expect(await store.commit('t', commit(5, 7, [doc('b', 7)], ['a']))).toBe('stored');
    expect(sorted(await store.load('t'))).toEqual({ cursor: cursor(7), documents: [doc('b', 7)] });
    await store.close?.();
  });

  test('topics do not see each other, whatever their names', async () => {
    const [store] = open();
    const names = ['t', 't:', 'documents:a/b', 'documents:a:b', 'documents:a_b', 'x'.repeat(160)];
    for (const [i, name] of names.entries()) await store.commit(name, commit(null, i + 1, [doc('k', i + 1)]));
    await store.remove('t');
    for (const [i, name] of names.entries()) {
      expect((await store.load(name))?.cursor.watermark, name).toBe(name === 't' ? undefined : i + 1);
      expect((await store.load(name))?.documents.length, name).toBe(name === 't' ? undefined : 1);
    }
    await store.clear();
    for (const name of names) expect(await store.load(name)).toBeUndefined();
    await store.close?.();
  });

  test('an older cursor never takes a newer one\'s place, nor an older epoch a newer', async () => {
    const [one, other] = open();
    await one.commit('t', commit(null, 10, [doc('a', 10)]));
    expect(await other.commit('t', commit(null, 9, []))).toBe('newer');
    expect(await other.commit('t', commit(5, 10, [doc('z', 10)]))).toBe('newer');
    expect(await other.commit('t', { base: null, cursor: cursor(50, '0'), puts: [], deletes: [] })).toBe('newer');
    expect(sorted(await other.load('t'))).toEqual({ cursor: cursor(10), documents: [doc('a', 10)] });
    // By the value of the digits.
    expect(await other.commit('t', { base: null, cursor: cursor(1, '10'), puts: [], deletes: [] })).toBe('stored');
    expect(await one.commit('t', { base: null, cursor: cursor(90, '9'), puts: [], deletes: [] })).toBe('newer');
    expect((await one.load('t'))?.cursor).toEqual(cursor(1, '10'));
    await Promise.all([one.close?.(), other.close?.()]);
  });

  test('changes are written over what they are changes of only', async () => {
    const [one, other] = open();
    await one.commit('t', commit(null, 10, [doc('a', 10)]));
    expect(await other.commit('t', commit(11, 12, [doc('b', 12)])), 'leaves out 11').toBe('apart');
    expect(await other.commit('t', { ...commit(10, 12), base: cursor(10, '0') }), 'of another epoch').toBe('apart');
    expect(await other.commit('new', commit(3, 4)), 'of nothing').toBe('apart');
    expect(await other.commit('t', commit(8, 12, [doc('b', 12)])), 'covers more').toBe('stored');
    expect(sorted(await one.load('t'))).toEqual({ cursor: cursor(12), documents: [doc('a', 10), doc('b', 12)] });
    expect(await one.commit('t', { ...commit(null, 2, [doc('c', 2)]), force: true }), 'the server said so').toBe('stored');
    expect(sorted(await other.load('t'))).toEqual({ cursor: cursor(2), documents: [doc('c', 2)] });
    await Promise.all([one.close?.(), other.close?.()]);
  });

  test('two tabs at once: what is stored is always one moment of the history', async () => {
    // Watermark w writes document w % 3. A tab commits what it has every so often.
    const stateAt = (w: number): StoredDocument[] => [0, 1, 2].flatMap((key) => {
      const last = w - ((w - key) % 3);
      return last >= 1 && w >= 1 ? [doc(`k${key}`, last)] : [];
    });
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(1), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 20 }), async (steps) => {
      const stores = open();
      const at = [{ base: null as number | null, cursor: 0 }, { base: null as number | null, cursor: 0 }];
      const running: Promise<unknown>[] = [];
      for (const [who, by] of steps) {
        const tab = at[who]!;
        tab.cursor += by;
        const { base, cursor: to } = tab;
        const puts = base === null ? stateAt(to) : stateAt(to).filter((one) => one.watermark > base);
        tab.base = to;
        running.push(stores[who]!.commit('t', commit(base, to, puts)).then(async (result) => {
          if (result === 'apart') await stores[who]!.commit('t', commit(null, to, stateAt(to)));
        }));
        if (by > 3) await Promise.all(running);
      }
      await Promise.all(running);
      const found = await stores[0].load('t');
      expect(found?.cursor.watermark).toBe(Math.max(at[0]!.cursor, at[1]!.cursor));
      expect(sorted(found)).toEqual({ cursor: found!.cursor, documents: stateAt(found!.cursor.watermark) });
      await Promise.all(stores.map((store) => store.close?.()));
    }), { numRuns: 15 });
  });
});

test('a record that was cut, or is of something else, is as none', async () => {
  const storage = new FakeStorage();
  for (const text of ['', '{"cur', 'null', '{"format":2}', '"x"']) {
    storage.setItem('oa-sync:t', text);
    expect(await localStorageStore({ storage }).load('t'), text).toBeUndefined();
  }
  const files = join(dir, 'cut');
  const store = fileStore({ dir: files, fsync: false });
  await store.commit('t', commit(null, 5, [doc('a', 1)]));
  const [name] = await readdir(files);
  expect((await stat(join(files, name!))).mode & 0o077, 'nobody else may read it').toBe(0);
  await writeFile(join(files, name!), '{"format":1,"topic":"t","cursor":{"epo');
  expect(await store.load('t')).toBeUndefined();
  expect(await readdir(files), 'no temporary file is left').toEqual([name]);
});

test('what a crash left of a write goes too when a store is cleared, and when its topic is removed', async () => {
  const files = join(dir, 'crashed');
  const store = fileStore({ dir: files, fsync: false });
  for (const topic of ['t', 'u']) await store.commit(topic, commit(null, 5, [doc('a', 1)]));
  const names = await readdir(files);
  for (const name of names) await writeFile(join(files, `${name}.123.0.tmp`), 'documents');
  await writeFile(join(files, 'mine.tmp'), 'of somebody else');
  await store.remove('t');
  expect((await readdir(files)).filter((name) => name.startsWith('t-'))).toEqual([]);
  expect((await readdir(files)).length).toBe(3);
  await store.clear();
  expect(await readdir(files)).toEqual(['mine.tmp']);
});

test('there is no localStorage in Node', () => {
  expect(() => localStorageStore()).toThrow(/localStorage/);
});
