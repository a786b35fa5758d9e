// Holds, listeners, iterators, and what the client refuses.
import { expect, test } from 'vitest';
import { memoryStore, SyncClient, SyncError, type SyncUpdate } from '../src/index.js';
import { held, reach, record, Stand, waitFor, Wire } from './support/stand.js';

const stand = await Stand.create();

test('holds share one subscription; the last release ends it', async () => {
  await stand.insert('holds', 2);
  const client = stand.client();
  const one = client.subscribe('holds');
  const other = client.subscribe('holds');
  const seen = [record(one), record(other)];
  await Promise.all([one.live(), other.live()]);
  expect(await stand.fanout.metric('oa_sync_subscriptions')).toBe(1);
  one.release();
  one.release();
  expect(one.status).toBe('closed');
  await stand.insert('holds', 1, { first: 3 });
  await reach(other, 3);
  expect(seen.map((updates) => updates.length)).toEqual([0, 1]);
  other.release();
  await waitFor(async () => (await stand.fanout.metric('oa_sync_subscriptions')) === 0);
  // Again, and from where it was: a release is no forgetting.
  const again = client.subscribe('holds');
  const updates = record(again);
  await stand.insert('holds', 1, { first: 4 });
  await reach(again, 4);
  expect(updates.map((u) => u.watermark)).toEqual([4]);
  expect(client.wire.opened).toBe(1);
});

test('released and held again at once: nothing is unsubscribed', async () => {
  const client = stand.client();
  const first = client.subscribe('again');
  await first.live();
  const subscribes = await stand.fanout.metric('oa_sync_subscribes_total');
  first.release();
  const second = client.subscribe('again');
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(second.status).toBe('live');
  expect(await stand.fanout.metric('oa_sync_subscribes_total')).toBe(subscribes);
});

test('released and held again while it is being stored: nothing is told twice', async () => {
  const store = memoryStore();
  let slow = Promise.resolve();
  const client = stand.client({ store: { ...store, commit: async (...change) => {
    await slow;
    return await store.commit(...change);
  } } });
  const first = client.subscribe('stored', { start: 'floor' });
  await first.live();
  let finish = (): void => {};
  slow = new Promise((resolve) => (finish = resolve));
  await stand.insert('stored', 3);
  await reach(first, 3);
  first.release();
  await waitFor(() => first.status === 'closed');
  await new Promise((resolve) => setTimeout(resolve, 5));
  const second = client.subscribe('stored', { start: 'floor' });
  const updates = record(second);
  await new Promise((resolve) => setTimeout(resolve, 5));
  finish();
  await stand.insert('stored', 1, { first: 4 });
  await reach(second, 4);
  expect(updates.map((u) => u.watermark)).toEqual([4]);
});

test('many topics on one socket', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `many.${i}`);
  for (const name of names.slice(0, 15)) await stand.insert(name, 3);
  const client = stand.client();
  const topics = names.map((name) => client.subscribe(name));
  await Promise.all(topics.map((topic) => topic.live()));
  for (const topic of topics) expect(held(topic)).toEqual(await stand.table(topic.name));
  expect(client.wire.opened).toBe(1);
  expect(client.errors).toEqual([]);
});

test('iterating: in order, bounded, and over when released', async () => {
  const client = stand.client();
  const topic = client.subscribe('iterate', { start: 'floor' });
  await topic.live();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const update of topic) {
      seen.push(update.watermark);
      if (update.watermark === 5) break;
    }
  })();
  await stand.insert('iterate', 5);
  await reading;
  expect(seen).toEqual([1, 2, 3, 4, 5]);

  const slow = topic.updates({ limit: 3 });
  await stand.insert('iterate', 10, { first: 6 });
  await reach(topic, 15);
  const dropped = await slow.next().then(() => undefined, (error: SyncError) => error);
  expect(dropped?.code).toBe('updates_dropped');
  expect(dropped?.details).toEqual({ dropped: 7 });
  const rest = [await slow.next(), await slow.next(), await slow.next()].map((r) => (r.value as SyncUpdate).watermark);
  expect(rest).toEqual([13, 14, 15]);
  const last = slow.next();
  topic.release();
  expect((await last).done).toBe(true);
  expect((await slow.next()).done).toBe(true);
});

test('a listener that throws keeps nobody from hearing', async () => {
  const client = stand.client();
  const topic = client.subscribe('throws', { start: 'floor' });
  topic.on('update', () => {
    throw new Error('mine');
  });
  const updates = record(topic);
  await topic.live();
  await stand.insert('throws', 2);
  await reach(topic, 2);
  expect(updates.length).toBe(2);
  expect(client.errors.map((e) => e.code)).toEqual(['listener_failed', 'listener_failed']);
});

test('a parser that throws harms nobody but who looks', async () => {
  for (const name of ['parse', 'pointer:parse']) {
    const client = stand.client({ parse: () => {
      throw new Error('mine');
    } });
    const topic = client.subscribe(name, { start: 'floor' });
    const updates = record(topic);
    await topic.live();
    await stand.insert(name, 2);
    await reach(topic, 2);
    expect(updates.map((u) => [u.watermark, u.payload])).toEqual([[1, null], [2, null]]);
    expect(() => topic.get('item:1')?.payload).toThrow('mine');
    expect(held(topic)).toEqual(await stand.table(name));
    expect(client.errors.map((e) => e.code)).toEqual(['listener_failed', 'listener_failed']);
  }
});

test('digits that a double does not hold are kept, and verified', async () => {
  await stand.query(`INSERT INTO app.items (topic, id, version, n, body) VALUES ('digits', 9007199254740993, 9007199254740993, 0.10, 'ü')`);
  for (const encoding of ['proto', 'json'] as const) {
    const client = stand.client({ encoding });
    for (const start of ['snapshot', 'floor'] as const) {
      const topic = client.subscribe('digits', { start });
      await topic.live();
      const document = topic.get('item:9007199254740993');
      expect(document?.payloadText).toBe('{"body":"ü","id":9007199254740993,"n":0.10,"topic":"digits","version":9007199254740993}');
      expect(document?.docVersion).toBe(9007199254740993n);
      topic.release();
      await client.close();
      break;
    }
    expect(client.errors).toEqual([]);
  }
});

test('start: from the head, with what comes from now on', async () => {
  await stand.insert('head', 5);
  const client = stand.client();
  const topic = client.subscribe('head', { documents: false, start: 'head' });
  const updates = record(topic);
  await topic.live();
  await stand.insert('head', 1, { first: 6 });
  await reach(topic, 6);
  expect(updates.map((u) => u.watermark)).toEqual([6]);
  expect(topic.documents.size).toBe(0);
});

test('fetching without following', async () => {
  await stand.insert('fetch', 3);
  const client = stand.client();
  const { documents, cursor } = await client.fetchSnapshot('fetch');
  expect(new Map(documents.map((one) => [one.docKey, one.payloadText]))).toEqual(await stand.table('fetch'));
  expect(cursor.watermark).toBe(3);
  expect((await client.fetchDocument('fetch', 'item:2'))?.payload).toMatchObject({ id: 2 });
  expect(await client.fetchDocument('fetch', 'item:99')).toBeNull();
  await expect(stand.client({ token: () => stand.keyring.token(['other']) }).fetchSnapshot('fetch')).rejects.toMatchObject({ code: 'forbidden_topic' });
  expect(client.wire.opened, 'no socket').toBe(0);
});

test('progress tells of heartbeats too', async () => {
  const client = stand.client();
  const topic = client.subscribe('progress');
  await topic.live();
  const since = topic.currentAsOf!;
  await new Promise<void>((resolve) => topic.on('progress', resolve));
  expect(topic.currentAsOf).toBeGreaterThanOrEqual(since);
});

test('what cannot be is refused, and says why', async () => {
  const { transport } = new Wire();
  const options = { url: stand.fanout.socketUrl, token: () => 'x', transport };
  expect(() => new SyncClient({ ...options, url: 'http://localhost/socket' })).toThrow(/ws:\/\//);
  const client = stand.client();
  for (const name of ['', 'ä', 'a b', 'x'.repeat(161)]) expect(() => client.subscribe(name), name).toThrow(SyncError);
  const topic = client.subscribe('agree', { documents: false });
  expect(() => client.subscribe('agree', { documents: true })).toThrow(/documents: false/);
  expect(() => topic.updates({ limit: 0 })).toThrow(/limit/);
  await client.close();
  await client.close();
  expect(() => client.subscribe('late')).toThrow(/closed/);
  await expect(topic.resync()).rejects.toMatchObject({ code: 'closed' });
  await expect(topic.live()).rejects.toMatchObject({ code: 'closed' });
});
