// Cursors that cannot be resumed: told of, loaded anew when that is wanted, and never in a loop.
import { expect, test } from 'vitest';
import { memoryStore, type StaleInfo } from '../src/index.js';
import { held, reach, record, Stand, waitFor } from './support/stand.js';
import { accept, ScriptedServer } from './support/scripted.js';

const stand = await Stand.create({}, 'stale');

/** Retention as it ends up: events at and below the floor are gone. */
async function purge(topic: string, floor: number): Promise<void> {
  await stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor)
    SELECT $1, max(watermark) + 1, $2 FROM runtime.sync_stream_events WHERE topic = $1
    ON CONFLICT (topic) DO UPDATE SET floor = excluded.floor`, [topic, floor]);
  await stand.query('DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= $2', [topic, floor]);
}

/** A store with a cursor, and documents that the table does not have. */
async function storeAt(topic: string, watermark: number, epoch: string) {
  const store = memoryStore();
  await store.commit(`documents:${topic}`, { base: null, cursor: { epoch, watermark }, deletes: [],
    puts: [{ docKey: 'item:99', docVersion: '1', text: '{"old":true}', payloadHash: 'x', watermark, updatedAt: null }] });
  return store;
}

test('resync: documents and cursor from a snapshot, then on', async () => {
  await stand.insert('stale.resync', 10);
  await purge('stale.resync', 5);
  const store = await storeAt('stale.resync', 2, '1790000000');
  const client = stand.client({ store });
  const topic = client.subscribe('stale.resync');
  const infos: StaleInfo[] = [];
  topic.on('stale', (info) => infos.push(info));
  const updates = record(topic);
  await topic.live();
  expect(infos.map((i) => [i.topic, i.resumeAfter, i.resyncing])).toEqual([['stale.resync', 2, true]]);
  expect(held(topic)).toEqual(await stand.table('stale.resync'));
  await stand.insert('stale.resync', 1, { first: 11 });
  await reach(topic, 11);
  expect(updates.map((u) => u.watermark)).toEqual([11]);
  await client.close();
  const stored = await store.load('documents:stale.resync');
  expect(stored?.cursor.watermark).toBe(11);
  expect(stored?.documents.length).toBe(11);
});

test('notify: told, and nothing happens until resync()', async () => {
  await stand.insert('stale.notify', 10);
  await purge('stale.notify', 5);
  const client = stand.client({ store: await storeAt('stale.notify', 2, '1790000000') });
  const topic = client.subscribe('stale.notify', { onStale: 'notify' });
  const infos: StaleInfo[] = [];
  topic.on('stale', (info) => infos.push(info));
  await expect(topic.live()).rejects.toMatchObject({ code: 'stale_cursor' });
  expect([topic.status, client.status, infos[0]?.resyncing]).toEqual(['stale', 'stale', false]);
  expect([...topic.documents.keys()], 'what it had').toEqual(['item:99']);
  // Also after the connection was made anew: it is no cursor to ask with.
  client.wire.cut();
  await waitFor(() => client.wire.opened === 2 && client.status === 'stale');
  await topic.resync();
  await topic.live();
  expect(held(topic)).toEqual(await stand.table('stale.notify'));
  expect(infos.length).toBe(1);
});

test('other topics of the same join go on', async () => {
  await stand.insert('stale.one', 3);
  await stand.insert('stale.other', 3);
  const client = stand.client({ store: await storeAt('stale.one', 2, '1790000000') });
  const other = client.subscribe('stale.other', { start: 'floor' });
  const stale = client.subscribe('stale.one', { onStale: 'notify' });
  await other.live();
  expect(other.cursor?.watermark).toBe(3);
  await waitFor(() => stale.status === 'stale');
});

test.each([['older', '1790000000'], ['newer', '9007199254740993000']])('a cursor of an %s epoch that this history never had', async (kind, epoch) => {
  const name = `stale.epoch.${kind}`;
  await stand.insert(name, 5);
  const store = await storeAt(name, 3, epoch);
  const client = stand.client({ store });
  const topic = client.subscribe(name);
  let reason = '';
  topic.on('stale', (info) => (reason = info.reason));
  await topic.live();
  expect(reason).toBe('epoch_diverged');
  expect(held(topic)).toEqual(await stand.table(name));
  await client.close();
  expect((await store.load(`documents:${name}`))?.cursor.epoch, 'the store follows the server').not.toBe(epoch);
});

test('the epoch changes under live clients and under one that is away', async () => {
  await stand.insert('stale.live', 5);
  const client = stand.client();
  const topic = client.subscribe('stale.live');
  const store = memoryStore();
  const away = stand.client({ store });
  await Promise.all([topic.live(), away.subscribe('stale.live').live()]);
  await away.close();
  const before = topic.cursor!.epoch;
  await stand.query(`SELECT runtime.sync_new_epoch('test')`);
  await stand.insert('stale.live', 5, { first: 6 });
  await waitFor(() => topic.cursor!.epoch > before && topic.cursor!.watermark >= 10 && topic.status === 'live',
    { what: () => `a new epoch; ${topic.status} ${JSON.stringify(topic.cursor)}` });
  expect(held(topic)).toEqual(await stand.table('stale.live'));
  const back = stand.client({ store });
  const again = back.subscribe('stale.live');
  await again.live();
  // Perhaps on another of the server's loops, which gets to the events by itself.
  await reach(again, topic.cursor!.watermark);
  expect(held(again)).toEqual(held(topic));
  expect(again.cursor).toEqual(topic.cursor);
});

test('a topic without documents: everything that is retained', async () => {
  await stand.query(`SELECT runtime.sync_set_policy('emitted', snapshot_source => 'journal')`);
  for (let i = 1; i <= 6; i++) await stand.query(`SELECT runtime.sync_emit('emitted', 'e:${i}', ${i}, '{"n":${i}}')`);
  const whole = stand.client().subscribe('emitted');
  await whole.live();
  expect(whole.documents.size).toBe(6);
  await purge('emitted', 4);
  const client = stand.client({ store: await storeAt('emitted', 1, '1790000000') });
  const topic = client.subscribe('emitted');
  const updates = record(topic);
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual([5, 6]);
  expect([...topic.documents.keys()]).toEqual(['e:5', 'e:6']);
});

test('updates only: from what is retained', async () => {
  await stand.insert('stale.updates', 10);
  await purge('stale.updates', 5);
  const store = memoryStore();
  await store.commit('cursor:stale.updates', { base: null, cursor: { epoch: '1790000000', watermark: 2 }, puts: [], deletes: [] });
  const client = stand.client({ store });
  const topic = client.subscribe('stale.updates', { documents: false, onStale: 'resync' });
  const updates = record(topic);
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual([6, 7, 8, 9, 10]);
});

test('a server that always says stale is not asked for ever', async () => {
  let snapshots = 0;
  const stale = (topic: string) => ({ code: 'stale_cursor', message: 'no', stale_topics: [{ topic, reason: 'retention_floor_breach',
    resume_after: 1, retention_floor: 5, head_watermark: 9 }] });
  const server = await ScriptedServer.start({
    onEvent: (event, payload) => {
      if (event === 'sync:subscribe') return { error: stale(payload.topics[0]) };
      return event === 'phx_join' ? { ok: { ...(accept({}) as any).ok, ...(payload.topics ? { stale: stale(payload.topics[0]) } : {}) } } : undefined;
    },
    onHttp: (url) => {
      if (url.pathname !== '/api/sync/snapshot') return undefined;
      snapshots++;
      return { status: 200, body: { topic: 't', epoch: 1, watermark: 1, documents: [], next_page_token: null } };
    },
  });
  const client = stand.client({ url: server.url });
  const topic = client.subscribe('t');
  await expect(topic.live()).rejects.toMatchObject({ code: 'resync_failed' });
  expect(topic.status).toBe('stale');
  expect(snapshots).toBe(4);
  const asked = server.count('sync:subscribe') + server.count('phx_join');
  // Another connection does not begin it again.
  for (const peer of server.peers) peer.socket.terminate();
  await waitFor(() => client.wire.opened === 2 && client.status === 'stale');
  expect([snapshots, server.count('sync:subscribe') + server.count('phx_join')]).toEqual([4, asked + 1]);
});

test('resync() for every stale does not ask in a loop', async () => {
  let snapshots = 0;
  const server = await ScriptedServer.start({
    onEvent: (event, payload) => {
      if (event !== 'sync:subscribe' || payload.topics[0] !== 't') return undefined;
      return { error: { code: 'stale_cursor', message: 'no', stale_topics: [{ topic: 't', reason: 'retention_floor_breach',
        resume_after: 1, retention_floor: 5, head_watermark: 9 }] } };
    },
    onHttp: (url) => {
      if (url.pathname !== '/api/sync/snapshot') return undefined;
      snapshots++;
      return { status: 200, body: { topic: 't', epoch: 1, watermark: 1, documents: [], next_page_token: null } };
    },
  });
  // Joined without it, so that it is asked for by a subscribe.
  const client = stand.client({ url: server.url, backoff: { baseMs: 3_600_000, maxMs: 3_600_000, jitterMs: 0 } });
  await client.subscribe('other', { start: 'floor' }).live();
  const topic = client.subscribe('t', { onStale: 'notify' });
  let stales = 0;
  topic.on('stale', () => {
    stales++;
    topic.resync().catch(() => undefined);
  });
  await waitFor(() => stales === 2);
  expect([topic.status, topic.error?.code]).toEqual(['catching_up', 'stale_cursor']);
  // As long as the loop would take for some turns.
  for (let i = 0; i < 10; i++) await client.fetchDocument('other', 'k').catch(() => undefined);
  expect([stales, snapshots]).toEqual([2, 2]);
});

test('a snapshot whose pages went stale begins again; one that never comes ends in an error', async () => {
  let pages = 0;
  let fails = 1;
  const server = await ScriptedServer.start({
    onHttp: (url) => {
      if (url.pathname !== '/api/sync/snapshot') return undefined;
      pages++;
      if (url.searchParams.has('page_token') && fails-- > 0) {
        return { status: 410, body: { error: { code: 'stale_cursor', reason: 'begin_again_without_page_token' } } };
      }
      const first = !url.searchParams.has('page_token');
      return { status: 200, body: { topic: 't', epoch: 1, watermark: 3, next_page_token: first ? 'next' : null,
        documents: [{ doc_key: first ? 'a' : 'b', doc_version: 1, payload: null, payload_hash: 'dCNOmK/nSY+12vHzasLXiswzlGT5UHA7jAGYkvmCuQs=' }] } };
    },
  });
  const one = stand.client({ url: server.url }).subscribe('t');
  await one.live();
  expect([...one.documents.keys()]).toEqual(['a', 'b']);
  expect(one.get('a')?.payload).toBeNull();
  expect(pages).toBe(4);

  fails = Infinity;
  const other = stand.client({ url: server.url }).subscribe('t');
  await expect(other.live()).rejects.toMatchObject({ code: 'resync_failed' });
  expect(pages).toBe(4 + 2 * 3);
  fails = 0;
  await other.resync();
  await other.live();
});
