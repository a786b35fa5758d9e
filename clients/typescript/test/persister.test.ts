// The store is kept behind the state: nothing that changed is left out, whenever it changed.
import { expect, test } from 'vitest';
import { memoryStore, type SyncStore } from '../src/index.js';
import { Persister } from '../src/persister.js';
import { TopicState } from '../src/topic_state.js';

const at = (state: TopicState, watermark: number): void => void (state.cursor = { epoch: 1, watermark });
const fail = (error: Error): never => {
  throw error;
};

test('a change at any moment at the end of a commit is stored', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const kept = memoryStore();
    let commits = 0;
    const store: SyncStore = { ...kept, commitIntervalMs: 0, commit: async (...args) => {
      const result = await kept.commit(...args);
      if (++commits > 1) return result;
      // So many turns of the queue of promises after the commit was done.
      void (async () => {
        for (let i = 0; i < turns; i++) await undefined;
        at(state, 2);
        persister.changed([]);
      })();
      return result;
    } };
    const state = new TopicState(true, (document) => document);
    const persister = new Persister(store, 't', state, fail);
    at(state, 1);
    persister.changed([]);
    // As long as it takes: a commit of its own, and the last.
    for (let i = 0; i < 50 && commits < 2; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect((await store.load('t'))?.cursor.watermark, `after ${turns} turns`).toBe(2);
    await persister.close();
  }
});

test('closed, what another tab has left apart is written whole', async () => {
  const store = memoryStore();
  const state = new TopicState(true, (document) => document);
  const persister = new Persister(store, 't', state, fail);
  at(state, 1);
  persister.changed([]);
  await persister.flush();
  // Another history took its place, of an older cursor.
  await store.commit('t', { base: null, cursor: { epoch: '1', watermark: 0 }, puts: [], deletes: [], force: true });
  state.documents.set('a', { docKey: 'a', docVersion: 1, text: '1', payloadHash: 'h', watermark: 2, updatedAt: null });
  at(state, 2);
  persister.changed(['a']);
  await persister.close();
  expect((await store.load('t'))?.cursor.watermark).toBe(2);
});

test('closed while the store fails: it ends', async () => {
  const errors: string[] = [];
  const store: SyncStore = { ...memoryStore(), commit: () => Promise.reject(new Error('full')) };
  const state = new TopicState(true, (document) => document);
  const persister = new Persister(store, 't', state, (error) => errors.push(error.code));
  at(state, 1);
  persister.changed([]);
  await persister.close();
  expect(errors).toEqual(['store_failed']);
});
