// Two tabs over one IndexedDB: each follows by itself, the store is always one moment of the history.
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { indexedDbStore } from '../src/stores/idb.js';
import { held, reach, record, Stand, waitFor } from './support/stand.js';

const stand = await Stand.create();

test('both follow, one is behind, one is closed; the next begins where the best of them was', async () => {
  await stand.insert('tabs', 5);
  const one = stand.client({ store: indexedDbStore({ name: 'tabs' }) });
  const other = stand.client({ store: indexedDbStore({ name: 'tabs' }) });
  const topics = [one.subscribe('tabs'), other.subscribe('tabs')];
  await Promise.all(topics.map((topic) => topic.live()));
  await stand.insert('tabs', 5, { first: 6 });
  await Promise.all(topics.map((topic) => reach(topic, 10)));

  // One falls behind, and says so to the store last: nothing is taken back.
  one.disconnect();
  await stand.query(`DELETE FROM app.items WHERE topic = 'tabs' AND id <= 3`);
  await stand.query(`UPDATE app.items SET body = 'y' WHERE topic = 'tabs' AND id > 8`);
  await reach(topics[1]!, 15);
  await other.close();
  await one.close();

  const store = indexedDbStore({ name: 'tabs' });
  const stored = await store.load('documents:tabs');
  expect(stored?.cursor.watermark).toBe(15);
  expect(new Map(stored?.documents.map((d) => [d.docKey, d.text]))).toEqual(await stand.table('tabs'));

  const next = stand.client({ store });
  const topic = next.subscribe('tabs');
  const updates = record(topic);
  await topic.live();
  expect(updates).toEqual([]);
  expect(held(topic)).toEqual(await stand.table('tabs'));
});

test('a store that fails costs nothing but the store', async () => {
  const store = indexedDbStore({ name: 'fails' });
  let fails = 2;
  const client = stand.client({ store: { ...store, commit: async (topic, change) => {
    if (fails-- > 0) throw new Error('quota exceeded');
    return await store.commit(topic, change);
  } } });
  const topic = client.subscribe('fails', { start: 'floor' });
  const codes: string[] = [];
  topic.on('error', (error) => codes.push(error.code));
  await stand.insert('fails', 3);
  await reach(topic, 3);
  await waitFor(() => codes.length === 2);
  expect(codes).toEqual(['store_failed', 'store_failed']);
  await waitFor(async () => (await store.load('documents:fails'))?.cursor.watermark === 3);
  expect((await store.load('documents:fails'))?.documents.length).toBe(3);
});

test('a store that cannot be read: the topic begins anew', async () => {
  await stand.insert('unread', 2);
  const store = indexedDbStore({ name: 'unread' });
  const client = stand.client({ store: { ...store, load: async () => {
    throw new Error('blocked');
  } } });
  const topic = client.subscribe('unread');
  await topic.live();
  expect(held(topic)).toEqual(await stand.table('unread'));
});
