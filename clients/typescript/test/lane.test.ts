// The lane: nothing is there that its mode does not need, differences that last are counted, and it can be turned at any time.
import { expect, test } from 'vitest';
import { hashOfPayload, type LaneDocument, type LaneMode, type LaneSource, type Mismatch, SyncLane, topicSource } from '../src/lane.js';
import { Stand, type TestClient, waitFor } from './support/stand.js';

const stand = await Stand.create();

/** A source that a test writes to, and that knows whether it runs. */
class TestSource implements LaneSource {
  readonly documents = new Map<string, LaneDocument>();
  readonly #listeners = new Set<(keys?: Iterable<string>) => void>();
  running = 0;
  starts = 0;
  failing = false;

  start(): void {
    if (this.failing) throw new Error('it does not start');
    this.running++;
    this.starts++;
  }

  stop(): void {
    this.running = 0;
  }

  on(listener: (keys?: Iterable<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  set(key: string, payload: unknown, docVersion?: number): void {
    this.documents.set(key, { docKey: key, payload, ...(docVersion === undefined ? {} : { docVersion }) });
    for (const listener of this.#listeners) listener([key]);
  }

  delete(key: string): void {
    this.documents.delete(key);
    for (const listener of this.#listeners) listener([key]);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

function laneOf(flag: LaneMode, more: Partial<ConstructorParameters<typeof SyncLane>[0]> = {}) {
  const earlier = new TestSource();
  const sync = new TestSource();
  const made = { earlier: 0, sync: 0 };
  const now = { ms: 1000 };
  const mismatches: Mismatch[] = [];
  const lane = new SyncLane({
    flag: () => flag,
    earlier: async () => {
      made.earlier++;
      return { default: () => earlier };
    },
    sync: () => {
      made.sync++;
      return sync;
    },
    toleranceMs: 20, clock: () => now.ms, onMismatch: (mismatch) => mismatches.push(mismatch), ...more,
  });
  return { lane, earlier, sync, made, now, mismatches };
}

test('off: the earlier source only; on: OA Sync only, and nothing of the earlier one is imported', async () => {
  const off = laneOf('off');
  await off.lane.settled();
  expect([off.lane.mode, off.lane.shown, off.made, off.earlier.running, off.sync.running]).toEqual(['off', 'earlier', { earlier: 1, sync: 0 }, 1, 0]);
  const on = laneOf('on');
  await on.lane.settled();
  expect([on.lane.mode, on.lane.shown, on.made, on.earlier.running, on.sync.running]).toEqual(['on', 'sync', { earlier: 0, sync: 1 }, 0, 1]);
  await Promise.all([off.lane.close(), on.lane.close()]);
  expect([off.earlier.running, on.sync.running]).toEqual([0, 0]);
});

test('turned at run time: there is always something to show, and what is not needed stops', async () => {
  const { lane, earlier, sync, made } = laneOf('off');
  earlier.documents.set('a', { docKey: 'a', payload: 'earlier' });
  sync.documents.set('a', { docKey: 'a', payload: 'sync' });
  await lane.settled();
  const shown: unknown[] = [];
  lane.on('documents', () => shown.push(lane.documents.get('a')?.payload));
  const turns: string[] = [];
  lane.on('mode', (mode, previous) => turns.push(`${previous}>${mode}`));
  for (const mode of ['shadow', 'on', 'off', 'on', 'shadow', 'off'] as const) {
    lane.setMode(mode);
    expect(lane.mode).toBe(mode);
    await lane.settled();
    expect(lane.documents.get('a')?.payload, mode).toBe(mode === 'on' ? 'sync' : 'earlier');
    expect([earlier.running > 0, sync.running > 0], mode).toEqual([mode !== 'on', mode !== 'off']);
  }
  expect(shown).toEqual(['sync', 'earlier', 'sync', 'earlier']);
  expect(turns).toEqual(['off>shadow', 'shadow>on', 'on>off', 'off>on', 'on>shadow', 'shadow>off']);
  expect(made).toEqual({ earlier: 3, sync: 2 });
  await lane.close();
  expect([earlier.listeners, sync.listeners]).toEqual([0, 0]);
});

test('turned faster than sources start: the last one counts', async () => {
  const { lane, earlier, sync } = laneOf('off');
  for (const mode of ['on', 'shadow', 'off', 'shadow', 'on'] as const) lane.setMode(mode);
  await lane.settled();
  expect([lane.shown, earlier.running, sync.running]).toEqual(['sync', 0, 1]);
  expect(() => lane.setMode('half' as LaneMode)).toThrow(TypeError);
  await lane.close();
});

test('a source that does not start: what was shown stays, and the way back is open', async () => {
  const { lane, earlier, sync } = laneOf('off');
  await lane.settled();
  const errors: string[] = [];
  lane.on('error', (error) => errors.push(error.message));
  sync.failing = true;
  lane.setMode('on');
  await lane.settled();
  expect([lane.mode, lane.shown, earlier.running, errors]).toEqual(['on', 'earlier', 1, ['it does not start']]);
  // Asked for again, it is tried again.
  sync.failing = false;
  lane.setMode('on');
  await lane.settled();
  expect([lane.shown, earlier.running, sync.running]).toEqual(['sync', 0, 1]);
  lane.setMode('off');
  await lane.settled();
  expect([lane.shown, earlier.running]).toEqual(['earlier', 1]);
  await lane.close();
});

test('a source that never gets anywhere does not keep the lane from being turned', async () => {
  const clients: TestClient[] = [];
  const nowhere = topicSource({ topic: 'lane.nowhere', client: () => {
    clients.push(stand.client({ url: 'ws://127.0.0.1:9/socket' }));
    return clients.at(-1)!;
  } });
  const { lane, earlier } = laneOf('on', { sync: () => nowhere });
  const errors: unknown[] = [];
  lane.on('error', (error) => errors.push(error));
  await waitFor(() => clients.length === 1);
  lane.setMode('off');
  await lane.settled();
  expect([lane.shown, earlier.running, clients[0]?.status]).toEqual(['earlier', 1, 'closed']);
  // Beside an earlier source that works it harms nothing.
  lane.setMode('shadow');
  await lane.settled();
  expect([lane.shown, lane.report().comparingSince]).toEqual(['earlier', null]);
  lane.setMode('on');
  lane.setMode('off');
  await lane.settled();
  await lane.close();
  expect([errors, clients.every((client) => client.status === 'closed')]).toEqual([[], true]);
});

test('a flag that tells when it is turned; one that has no answer is off', async () => {
  let mode: LaneMode = 'off';
  const listeners = new Set<() => void>();
  const { lane, sync } = laneOf('off', { flag: { get: () => mode, subscribe: (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  } } });
  mode = 'on';
  listeners.forEach((listener) => listener());
  await lane.settled();
  expect([lane.mode, sync.running]).toEqual(['on', 1]);
  await lane.close();
  expect(listeners.size).toBe(0);
  const unknown = laneOf(undefined as unknown as LaneMode);
  expect(unknown.lane.mode).toBe('off');
  await unknown.lane.close();
});

test('shadow: what lasts is counted by its reason, once; lag is not', async () => {
  const { lane, earlier, sync, now, mismatches } = laneOf('shadow');
  for (const source of [earlier, sync]) {
    source.set('same', { a: 1, b: [2] }, 1);
    source.set('deleted', 1, 1);
  }
  earlier.set('version', 'x', 1);
  sync.set('version', 'x', 2);
  earlier.set('hash', 'x', 1);
  sync.set('hash', 'y', 1);
  earlier.set('earlier only', 1, 1);
  sync.set('sync only', 1, 1);
  earlier.set('lag', 'new', 2);
  sync.set('lag', 'old', 1);
  await lane.settled();
  await waitFor(() => lane.report().pending === 5);
  expect(lane.report()).toMatchObject({ comparingSince: 1000, mismatches: 0, differing: 0 });
  // The one that is behind comes after within the time that it is given.
  sync.set('lag', 'new', 2);
  await waitFor(() => lane.report().pending === 4);
  now.ms += 25;
  await waitFor(() => lane.report().mismatches === 4);
  expect(lane.report().byReason).toEqual({ version: 1, hash: 1, missing_in_sync: 1, missing_in_earlier: 1 });
  expect(mismatches.find((m) => m.docKey === 'hash')).toEqual({ docKey: 'hash', reason: 'hash',
    earlier: { version: '1', hash: hashOfPayload('x') }, sync: { version: '1', hash: hashOfPayload('y') } });
  expect(JSON.stringify(lane.report())).not.toContain('payload');
  // Counted once however long it lasts; and again when it was gone and came back.
  now.ms += 1000;
  earlier.set('hash', 'z', 1);
  sync.set('sync only', 2, 1);
  await waitFor(() => lane.report().compared > 0);
  sync.set('hash', 'z', 1);
  await waitFor(() => lane.report().differing === 3);
  expect(lane.report().mismatches).toBe(4);
  sync.set('hash', 'other', 1);
  await waitFor(() => lane.report().pending === 1);
  now.ms += 25;
  await waitFor(() => lane.report().mismatches === 5);
  expect(mismatches.length).toBe(5);
  lane.setMode('off');
  await lane.settled();
  expect(lane.report()).toMatchObject({ comparingSince: null, pending: 0, differing: 0, mismatches: 5 });
  await lane.close();
});

test('shadow: a side that moves on is behind, not different, however long that goes on', async () => {
  const { lane, earlier, sync, now } = laneOf('shadow');
  earlier.set('busy', 0, 1);
  earlier.set('stuck', 0, 1);
  sync.set('stuck', 0, 0);
  await lane.settled();
  for (let version = 2; version < 8; version++) {
    await waitFor(() => lane.report().pending + lane.report().differing === 2);
    now.ms += 15;
    earlier.set('busy', version, version);
    earlier.set('stuck', version, version);
    const { compared } = lane.report();
    sync.set('busy', version - 1, version - 1);
    await waitFor(() => lane.report().compared >= compared + 2);
  }
  // The one that does not move on is another matter.
  await waitFor(() => lane.report().mismatches === 1);
  expect(lane.report()).toMatchObject({ byReason: { version: 1 }, pending: 1, differing: 1 });
  expect(lane.report().latest[0]?.docKey).toBe('stuck');
  await lane.close();
});

test('shadow: nothing is compared while a side is not current', async () => {
  const { lane, earlier, sync, now } = laneOf('shadow');
  let isCurrent = true;
  let looks = 0;
  Object.defineProperty(sync, 'isCurrent', { get: () => (looks++, isCurrent) });
  earlier.set('a', 1, 1);
  sync.set('a', 1, 1);
  await lane.settled();
  await waitFor(() => lane.report().compared === 1);
  earlier.set('b', 1, 1);
  await waitFor(() => lane.report().pending === 1);
  isCurrent = false;
  now.ms += 1000;
  earlier.set('a', 2, 2);
  // It looks again and again, and finds that it cannot tell.
  const { compared } = lane.report();
  looks = 0;
  await waitFor(() => looks >= 3);
  expect(lane.report()).toMatchObject({ compared, mismatches: 0, pending: 1 });
  isCurrent = true;
  await waitFor(() => lane.report().pending === 2);
  expect(lane.report().mismatches, 'time that passed meanwhile does not count').toBe(0);
  now.ms += 25;
  await waitFor(() => lane.report().mismatches === 2);
  await lane.close();
});

test('shadow: versions are compared by value', async () => {
  const { lane, earlier, sync } = laneOf('shadow');
  earlier.set('a', 1, 5);
  sync.documents.set('a', { docKey: 'a', payload: 1, docVersion: 5n });
  await lane.settled();
  await waitFor(() => lane.report().compared === 1);
  expect(lane.report().pending).toBe(0);
  await lane.close();
});

test('a source that does not stop: told of, and the other stops all the same', async () => {
  const { lane, earlier, sync } = laneOf('shadow');
  const errors: string[] = [];
  lane.on('error', (error) => errors.push(error.message));
  await lane.settled();
  earlier.stop = () => {
    throw new Error('it does not stop');
  };
  await waitFor(() => sync.running === 1);
  await lane.close();
  expect([sync.running, sync.listeners, earlier.listeners, errors]).toEqual([0, 0, 0, ['it does not stop']]);
});

test('a topic whose client does not close: the source can be started again', async () => {
  const made: TestClient[] = [];
  const source = topicSource({ topic: 'lane.again', client: () => {
    made.push(stand.client());
    return made.at(-1)!;
  } });
  await source.start();
  const [first] = made;
  const close = first!.close.bind(first);
  first!.close = () => Promise.reject(new Error('it does not close'));
  await expect(source.stop()).rejects.toThrow('it does not close');
  await source.stop();
  await source.start();
  expect([made.length, source.isCurrent !== undefined]).toEqual([2, true]);
  await source.stop();
  first!.close = close;
  expect(made[1]?.status).toBe('closed');
});

test('shadow: memory is bounded; what did not fit is found later', async () => {
  const { lane, earlier, sync, now } = laneOf('shadow', { maxPending: 10 });
  for (let i = 0; i < 100; i++) earlier.set(`k${i}`, i, 1);
  await lane.settled();
  await waitFor(() => lane.report().pending === 10);
  expect(lane.report().overflowed).toBeGreaterThanOrEqual(90);
  now.ms += 25;
  await waitFor(() => lane.report().differing === 10);
  for (let i = 0; i < 90; i++) sync.set(`k${i}`, i, 1);
  await waitFor(() => lane.report().pending + lane.report().differing === 10 && lane.report().pending > 0);
  now.ms += 25;
  await waitFor(() => lane.report().mismatches === 20);
  expect(lane.report().latest.length).toBe(20);
  await lane.close();
});

test('a comparison of one\'s own', async () => {
  const { lane, earlier, sync, now } = laneOf('shadow', { compare: (a, b) =>
    ((a.payload as any).status === (b.payload as any).status ? null : 'status') });
  earlier.set('a', { status: 'done', at: 1 });
  sync.set('a', { status: 'done', at: 2 });
  earlier.set('b', { status: 'done' });
  sync.set('b', { status: 'running' });
  await lane.settled();
  await waitFor(() => lane.report().pending === 1);
  now.ms += 25;
  await waitFor(() => lane.report().byReason.status === 1);
  await lane.close();
});

test('with a topic: off has no connection, shadow agrees with the table, on shows OA Sync', async () => {
  await stand.insert('lane', 3);
  const earlier = new TestSource();
  const load = async (): Promise<void> => {
    for (const [key, text] of await stand.table('lane')) earlier.set(key, JSON.parse(text), JSON.parse(text).version);
  };
  await load();
  const made: TestClient[] = [];
  // The lane's clock is the test's: how long one side is behind on a busy machine is not what this is about.
  const now = { ms: 1000 };
  let sync: LaneSource | undefined;
  const lane = new SyncLane<LaneDocument>({ flag: () => 'off', earlier: () => earlier, toleranceMs: 50, clock: () => now.ms,
    sync: () => (sync = topicSource({ topic: 'lane', client: () => {
      const client = stand.client();
      made.push(client);
      return client;
    } })) });
  await lane.settled();
  expect(made).toEqual([]);
  lane.setMode('shadow');
  await waitFor(() => lane.report().comparingSince !== null);
  expect([made.length, made[0]?.wire.opened]).toEqual([1, 1]);
  await stand.query(`UPDATE app.items SET body = 'y', version = 2 WHERE topic = 'lane' AND id = 2`);
  await load();
  await waitFor(() => sync?.isCurrent && sync.documents.get('item:2')?.docVersion == 2 && lane.report().compared >= 3 && lane.report().pending === 0);
  // A difference that is there.
  earlier.set('item:1', { wrong: true }, 1);
  await waitFor(() => lane.report().pending === 1);
  now.ms += 51;
  await waitFor(() => lane.report().mismatches === 1);
  expect(lane.report().byReason).toEqual({ hash: 1 });
  lane.setMode('on');
  await lane.settled();
  expect([...lane.documents.keys()].sort()).toEqual(['item:1', 'item:2', 'item:3']);
  expect(lane.documents.get('item:2')?.payload).toMatchObject({ body: 'y' });
  expect(earlier.running).toBe(0);
  lane.setMode('off');
  await lane.settled();
  expect(made[0]?.status).toBe('closed');
  await waitFor(() => made[0]?.wire.sockets.size === 0);
  await lane.close();
});
