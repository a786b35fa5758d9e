// What the server advises is done, and what it gets wrong harms nothing. Against a scripted server.
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { SyncClient, type SyncError, type SyncTopic, type SyncUpdate } from '../src/index.js';
import { hashOf } from '../src/hash.js';
import { waitFor, Wire } from './support/stand.js';
import { accept, type Peer, type Script, ScriptedServer } from './support/scripted.js';

const clients: SyncClient[] = [];
afterAll(async () => {
  for (const client of clients) await client.close();
});

/** A client of a script, following `t` from the floor; without jitter, so that waits are what was advised. */
async function follow(script: Script, more: { backoff?: object; topics?: string[] } = {}) {
  const server = await ScriptedServer.start(script);
  const wire = new Wire();
  const waits: number[] = [];
  const client = new SyncClient({ url: server.url, token: () => 'h.e30.s', transport: wire.transport, encoding: 'json', random: () => 0,
    backoff: { baseMs: 10, maxMs: 200, jitterMs: 0, ...more.backoff },
    log: (message, details) => {
      if (message === 'connecting') waits.push(details?.inMs as number);
    } });
  clients.push(client);
  const errors: SyncError[] = [];
  client.on('error', (error) => errors.push(error));
  const topics = (more.topics ?? ['t']).map((name) => client.subscribe(name, { start: 'floor' }));
  const topic = topics[0] as SyncTopic;
  const updates: SyncUpdate[] = [];
  topic.on('update', (update) => updates.push(update));
  topic.on('error', (error) => errors.push(error));
  return { server, wire, waits, client, topic, topics, updates, errors };
}

/** Accepts a join or subscribe of `t` and sends what follows the cursor, up to `head`. */
function serve(event: string, payload: any, peer: Peer, head: number, change?: (update: Record<string, unknown>) => void) {
  if ((event !== 'phx_join' && event !== 'sync:subscribe') || !payload.topics) return undefined;
  const after = payload.resume_after[0]?.watermark ?? 0;
  setImmediate(() => after < head && peer.batch('t', after, head, change));
  return accept(payload, head);
}

test('a gap: subscribed again from the cursor, on the same socket', async () => {
  const { server, topic, updates, wire, errors } = await follow({ onEvent: (event, payload, peer) => {
    if (event !== 'phx_join') return serve(event, payload, peer, 5);
    setImmediate(() => {
      peer.batch('t', 0, 2);
      peer.batch('t', 3, 5);
    });
    return accept(payload, 5);
  } });
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual([1, 2, 3, 4, 5]);
  expect(server.events.find((e) => e.event === 'sync:subscribe')?.payload.resume_after).toEqual([{ topic: 't', watermark: 2, epoch: 1 }]);
  expect(wire.opened).toBe(1);
  expect(errors.map((e) => e.code)).toEqual(['gap']);
});

test('a heartbeat that tells of more than came is a gap too', async () => {
  const { topic, updates } = await follow({ onEvent: (event, payload, peer) => {
    if (event !== 'phx_join') return serve(event, payload, peer, 3);
    setImmediate(() => peer.push('sync:heartbeat', { watermarks: [{ topic: 't', watermark: 3, epoch: 1, head_watermark: 3 }] }));
    return accept(payload, 3);
  } });
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual([1, 2, 3]);
});

test('void events at the end: the heartbeat says that nothing is left', async () => {
  const { topic, server } = await follow({ onEvent: (event, payload, peer) => {
    if (event === 'sync:heartbeat') {
      peer.push('sync:heartbeat', { watermarks: [{ topic: 't', watermark: 3, epoch: 1, head_watermark: 3 }] });
      return { ok: {} };
    }
    if (event !== 'phx_join') return undefined;
    setImmediate(() => peer.batch('t', 0, 3));
    return accept(payload, 5);
  } });
  await topic.live();
  expect([topic.lag, topic.cursor?.watermark]).toEqual([0, 3]);
  expect(server.count('sync:heartbeat'), 'it was asked').toBeGreaterThan(0);
});

test('a payload that is not what its hash says is asked for again, and is never applied', async () => {
  let wrong = 1;
  const { topic, updates, errors } = await follow({ onEvent: (event, payload, peer) => serve(event, payload, peer, 3, (update) => {
    if (update.watermark === 2 && wrong-- > 0) update.payload = 99;
  }) });
  await topic.live();
  expect(updates.map((u) => u.payload)).toEqual([1, 2, 3]);
  expect(errors.map((e) => e.code)).toEqual(['hash_mismatch']);
});

test('one that is always wrong ends in an error, not in a loop', async () => {
  const { topic, updates, server } = await follow({ onEvent: (event, payload, peer) => serve(event, payload, peer, 3, (update) => {
    update.payload = 99;
  }) });
  await expect(topic.live()).rejects.toMatchObject({ code: 'resync_failed' });
  expect(updates).toEqual([]);
  expect([topic.status, topic.error?.code]).toEqual(['stale', 'resync_failed']);
  await waitFor(() => server.count('sync:unsubscribe') === 1);
  expect(server.count('sync:subscribe')).toBe(3);
});

test.each([['text', 'no JSON'], ['a batch', JSON.stringify([null, null, 'sync:v1', 'sync:update_batch', { updates: [] }])],
  ['a watermark', JSON.stringify([null, null, 'sync:v1', 'sync:update_batch', { updates: [{ topic: 't' }] }])]])(
  'frames that cannot be read (%s): another connection', async (_what, frame) => {
    let bad = 1;
    const { topic, updates, wire, errors } = await follow({ onEvent: (event, payload, peer) => {
      if (event === 'phx_join' && bad-- > 0) {
        setImmediate(() => peer.socket.send(frame));
        return accept(payload, 2);
      }
      return serve(event, payload, peer, 2);
    } });
    await topic.live();
    expect(updates.map((u) => u.watermark)).toEqual([1, 2]);
    expect(wire.opened).toBe(2);
    expect(errors.map((e) => e.code)).toEqual(['protocol_error']);
  });

test('a join that is too much at the moment is repeated when the server says', async () => {
  let refuse = 1;
  const { topic, waits, errors } = await follow({ onEvent: (event, payload, peer) =>
    (refuse-- > 0 ? { error: { code: 'rate_limited', message: 'later', retry_after_ms: 123 } } : serve(event, payload, peer, 0)) });
  await topic.live();
  expect(waits).toEqual([0, 123]);
  expect(errors[0]).toMatchObject({ code: 'rate_limited', retryAfterMs: 123 });
});

test('a subscribe that is too much at the moment is repeated on the same socket', async () => {
  let refuse = 1;
  const { client, wire } = await follow({ onEvent: (event, payload, peer) => (event === 'sync:subscribe' && refuse-- > 0
    ? { error: { code: 'rate_limited', message: 'later', retry_after_ms: 20 } } : serve(event, payload, peer, 0)) });
  const later = client.subscribe('later', { start: 'floor' });
  await later.live();
  expect(wire.opened).toBe(1);
});

test.each([['slow_consumer', 1008], ['going_away', 1001]])('%s: back when the server says', async (code, close) => {
  let end = 1;
  const { topic, waits, wire } = await follow({ onEvent: (event, payload, peer) => {
    if (end-- > 0) {
      setImmediate(() => {
        peer.push('sync:error', { code, message: 'bye', action: 'reconnect', reconnect_after_ms: 77 });
        peer.socket.close(close);
      });
    }
    return serve(event, payload, peer, 0);
  } });
  await waitFor(() => wire.opened === 2 && topic.status === 'live');
  expect(waits).toEqual([0, 77]);
});

test('the join reply says how to back off', async () => {
  // A connection that lasts makes the waits begin anew: for the client no time passes here.
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now);
  onTestFinished(() => clock.mockRestore());
  let end = 3;
  const { topic, waits, wire } = await follow({ onEvent: (event, payload, peer) => {
    if (event !== 'phx_join') return undefined;
    if (end-- > 0) setImmediate(() => peer.socket.terminate());
    return { ok: { ...(accept(payload) as any).ok, reconnect_backoff_ms: { base: 30, jitter: 0 } } };
  } });
  await waitFor(() => wire.opened === 4 && topic.status === 'live');
  expect(waits).toEqual([0, 30, 60, 120]);
});

test('a client that the server does not take: denied, and tried at the longest wait only', async () => {
  let old = true;
  const { client, topic, waits, errors } = await follow({ onEvent: (event, payload, peer) => (event === 'phx_join' && old
    ? { error: { code: 'upgrade_required', message: 'too old', min_client_build_id: '20260101T000000Z' } } : serve(event, payload, peer, 0)) });
  await expect(topic.live()).rejects.toMatchObject({ code: 'incompatible_client', reason: 'upgrade_required' });
  await waitFor(() => errors.length >= 2);
  expect(client.status).toBe('denied');
  expect(waits.slice(1).every((ms) => ms >= 200), String(waits)).toBe(true);
  old = false;
  client.connect();
  await waitFor(() => topic.status === 'live');
});

test('more topics than a socket may have: those that fit are followed', async () => {
  const taken = new Set<string>();
  const { topics } = await follow({ onEvent: (event, payload, peer) => {
    const names: string[] = event === 'sync:unsubscribe' ? [] : payload.topics ?? [];
    if (taken.size + names.length > 2) return { error: { code: 'bad_subscription', message: 'too many topics on one socket', max_topics: 2 } };
    names.forEach((name) => taken.add(name));
    return serve(event, payload, peer, 0);
  } }, { topics: ['a', 'b', 'c'] });
  await waitFor(() => topics.map((topic) => topic.status).sort().join() === 'denied,live,live');
  const [denied] = topics.filter((topic) => topic.status === 'denied');
  expect(denied?.error?.code).toBe('bad_subscription');
  // With room again it is taken.
  const given = topics.find((topic) => topic.status === 'live')!;
  taken.delete(given.name);
  given.release();
  await waitFor(() => denied?.status === 'live');
});

test('what piles up while a payload is fetched is bounded, and comes again', async () => {
  // 40 updates of half a million characters each, behind one whose payload takes its time.
  const text = 'x'.repeat(500_000);
  const big = hashOf(JSON.stringify(text));
  const fill = (update: Record<string, unknown>): void => {
    if (update.watermark === 1) Object.assign(update, { payload: null, hydration_required: true });
    else Object.assign(update, { payload: text, payload_hash: big });
  };
  const { topic, updates, server, wire } = await follow({ onEvent: (event, payload, peer) => {
    if (event !== 'phx_join' && event !== 'sync:subscribe') return undefined;
    const after = payload.resume_after?.[0]?.watermark ?? 0;
    setImmediate(() => {
      for (let w = after; w < 41; w++) peer.batch('t', w, w + 1, fill);
    });
    return accept(payload, 41);
  } });
  // The document is there when the reply and all the batches have come.
  server.script.onHttp = (url) => {
    if (url.pathname !== '/api/sync/documents') return undefined;
    return wire.heard < 42 ? { status: 503, body: { error: { code: 'unavailable', reason: 'not_yet_visible' } } }
      : { status: 200, body: { topic: 't', epoch: 1, watermark: 1, document: { doc_key: 'k', doc_version: 1, payload: 1, payload_hash: hashOf('1') } } };
  };
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
  expect(server.count('sync:subscribe'), 'it was dropped, and asked for again').toBeGreaterThan(0);
});
