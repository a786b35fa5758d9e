// The connection goes and comes: at every step, with the server, for good.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../src/index.js';
import { held, reach, record, Stand, waitFor, Wire } from './support/stand.js';

const stand = await Stand.create();
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe.each(['proto', 'json'] as const)('%s', (encoding) => {
  test.each(['heard', 'sent'] as const)('cut at every step, counted in frames that were %s: every event once', async (what) => {
    const name = `cut.${encoding}.${what}`;
    await stand.insert(name, 60);
    const wire = new Wire();
    const client = stand.client({ wire, encoding, replayBatchSize: 7 });
    const topic = client.subscribe(name, { start: 'floor' });
    const updates = record(topic);
    // The first connection is lost before its first frame, the next after it, and so on, until all of it came.
    for (let frames = 0; frames < 12; frames++) {
      const opened = wire.opened;
      if (what === 'heard') wire.cutAfter = frames;
      else wire.cutAfterSent = frames;
      if (frames > 0) wire.cut();
      // Enough is said and heard, by the heartbeats, that each of them is cut.
      if (frames < 6) await waitFor(() => wire.opened > opened);
    }
    wire.cutAfter = wire.cutAfterSent = undefined;
    wire.cut();
    await stand.insert(name, 5, { first: 61 });
    await reach(topic, 65);
    await topic.live();
    expect(updates.map((u) => u.watermark)).toEqual(upTo(65));
    expect(held(topic)).toEqual(await stand.table(name));
    expect(wire.opened).toBeGreaterThan(6);
  });
});

test('the server is killed, and comes back', async () => {
  const fanout = await stand.startFanout();
  await stand.insert('restart.kill', 3);
  const client = stand.client({ fanout });
  const topic = client.subscribe('restart.kill', { start: 'floor' });
  const updates = record(topic);
  await topic.live();
  const statuses: string[] = [];
  client.on('status', (status) => statuses.push(status));
  await fanout.kill9();
  await waitFor(() => client.status === 'reconnecting' && topic.status === 'reconnecting');
  expect(held(topic), 'the documents stay').toEqual(await stand.table('restart.kill'));
  await stand.insert('restart.kill', 3, { first: 4 });
  await fanout.launch();
  await reach(topic, 6);
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual(upTo(6));
  expect(statuses).toContain('live');
});

test('the server says that it goes away, and when to come back', async () => {
  const fanout = await stand.startFanout();
  const client = stand.client({ fanout });
  const topic = client.subscribe('restart.stop', { start: 'floor' });
  await topic.live();
  await fanout.stop();
  await waitFor(() => client.status === 'reconnecting');
  expect(client.errors.map((e) => e.code)).toContain('going_away');
  await fanout.launch();
  await topic.live();
});

test('offline start: what is stored is there before, and without, any server', async () => {
  const store = memoryStore();
  await stand.insert('offline', 3);
  const before = stand.client({ store });
  const topic = before.subscribe('offline');
  await topic.live();
  const documents = held(topic);
  const { cursor } = topic;
  await before.close();
  expect([before.status, topic.status]).toEqual(['closed', 'closed']);

  // Nobody listens on this port.
  const later = stand.client({ store, url: 'ws://127.0.0.1:9/socket' });
  const again = later.subscribe('offline');
  await waitFor(() => again.documents.size === 3);
  expect(held(again)).toEqual(documents);
  expect(again.cursor).toEqual(cursor);
  await waitFor(() => later.errors.some((e) => e.code === 'connection_failed'));
  expect([later.status, again.status]).toEqual(['connecting', 'connecting']);
  await later.close();

  // And goes on from there.
  await stand.insert('offline', 1, { first: 4 });
  const online = stand.client({ store });
  const live = online.subscribe('offline');
  const updates = record(live);
  await live.live();
  // The server still follows the topic and may not have had the event when it was asked: live is where the server is.
  await reach(live, 4);
  expect(updates.map((u) => u.watermark)).toEqual([4]);
});

test('disconnect and connect', async () => {
  await stand.insert('pause', 1);
  const client = stand.client();
  const topic = client.subscribe('pause', { start: 'floor' });
  const updates = record(topic);
  await topic.live();
  client.disconnect();
  expect([client.status, topic.status]).toEqual(['idle', 'idle']);
  await stand.insert('pause', 1, { first: 2 });
  client.connect();
  await topic.live();
  await reach(topic, 2);
  expect(updates.map((u) => u.watermark)).toEqual([1, 2]);
  expect(client.wire.opened).toBe(2);
});

test('closed, nothing keeps the process from ending', async () => {
  const script = `
    import { SyncClient } from '@openagents/sync';
    import WebSocket from 'ws';
    const client = new SyncClient({ url: process.env.SYNC_URL, token: () => process.env.TOKEN, transport: WebSocket });
    const topic = client.subscribe('process.ends');
    await topic.live();
    const waiting = client.subscribe('process.waits');
    await client.close();
    console.log('closed');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SYNC_URL: stand.fanout.socketUrl, TOKEN: stand.keyring.token(['*']) } });
  let output = '';
  let ended: { code: number | null } | undefined;
  child.stdout.on('data', (data) => (output += data));
  child.on('close', (code) => (ended = { code }));
  // phoenix's own timers would keep it for much longer, were they not ended.
  await waitFor(() => ended, { timeoutMs: 40_000 });
  expect([ended!.code, output]).toEqual([0, 'closed\n']);
});

test('the network is back: tried at once', async () => {
  const listeners = new Map<string, () => void>();
  Object.assign(globalThis, { addEventListener: (event: string, listener: () => void) => listeners.set(event, listener),
    removeEventListener: (event: string) => listeners.delete(event) });
  try {
    const fanout = await stand.startFanout({ 'reconnect-backoff-base-ms': 3_600_000 });
    const client = stand.client({ fanout, backoff: { maxMs: 3_600_000 } });
    const topic = client.subscribe('online');
    await topic.live();
    client.wire.cut();
    await waitFor(() => client.waits.length === 2);
    expect(client.waits[1]).toBeGreaterThan(1_000_000);
    listeners.get('online')?.();
    await topic.live();
    await client.close();
    expect(listeners.size).toBe(0);
  } finally {
    Reflect.deleteProperty(globalThis, 'addEventListener');
    Reflect.deleteProperty(globalThis, 'removeEventListener');
  }
});
