// Payloads that are fetched: in order, whole, and again when they are not visible yet.
import { expect, test } from 'vitest';
import type { FetchLike } from '../src/index.js';
import { hashOf } from '../src/hash.js';
import { accept, ScriptedServer } from './support/scripted.js';
import { held, reach, record, Stand, waitFor } from './support/stand.js';

const stand = await Stand.create();

test('pointers are followed; the order stays', async () => {
  const client = stand.client();
  const topic = client.subscribe('pointer:order', { start: 'floor' });
  const updates = record(topic);
  await topic.live();
  await stand.insert('pointer:order', 3);
  await stand.query(`UPDATE app.items SET body = 'y', version = 2 WHERE topic = 'pointer:order'`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'pointer:order' AND id = 2`);
  await reach(topic, 7);
  expect(updates.map((u) => u.watermark)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(updates.filter((u) => u.hydrated).length).toBe(6);
  expect(held(topic)).toEqual(await stand.table('pointer:order'));
  expect(client.errors).toEqual([]);
});

test('replayed pointers to documents that have changed since, or are gone', async () => {
  await stand.insert('pointer:replay', 3);
  await stand.query(`UPDATE app.items SET body = 'y', version = 2 WHERE topic = 'pointer:replay' AND id = 1`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'pointer:replay' AND id = 2`);
  const topic = stand.client().subscribe('pointer:replay', { start: 'floor' });
  const updates = record(topic);
  await topic.live();
  expect(updates.map((u) => [u.watermark, u.op, (u.payload as any)?.body ?? null])).toEqual([
    [1, 'upsert', 'y'], [2, 'upsert', null], [3, 'upsert', 'x'], [4, 'upsert', 'y'], [5, 'delete', null]]);
  expect(held(topic)).toEqual(await stand.table('pointer:replay'));
});

test('not visible yet, unavailable, and cut: asked again, with what it needs; later updates wait', async () => {
  const asked: string[] = [];
  /** Which time of asking was answered: the first after those below, unless the database itself is late. */
  let answered = 0;
  const answers = [
    { status: 503, body: { error: { code: 'unavailable', reason: 'not_yet_visible' } } },
    { status: 503, body: { error: { code: 'unavailable', reason: 'database_busy' } } },
    'cut',
  ] as const;
  const fetching: FetchLike = async (url, init) => {
    if (!url.includes('/documents?')) return await fetch(url, init);
    const answer = answers[asked.length];
    asked.push(url);
    if (answer === 'cut') throw new TypeError('fetch failed');
    if (!answer) {
      const real = await fetch(url, init);
      if (real.status !== 503) answered ||= asked.length;
      return real;
    }
    return { status: answer.status, ok: false, headers: { get: () => '0' }, text: async () => JSON.stringify(answer.body) };
  };
  const client = stand.client({ fetch: fetching });
  const topic = client.subscribe('pointer:again', { start: 'floor' });
  const seen: string[] = [];
  topic.on('update', (update) => seen.push(`${asked.length}:${update.watermark}`));
  await topic.live();
  await stand.insert('pointer:again', 1);
  await stand.query(`DELETE FROM app.items WHERE topic = 'pointer:again'`);
  await reach(topic, 2);
  expect(answered).toBeGreaterThan(answers.length);
  expect(seen[0]).toBe(`${answered}:1`);
  expect(topic.documents.size).toBe(0);
  const [first] = asked.map((url) => new URL(url).searchParams);
  expect(first?.get('min_watermark')).toBe('1');
  expect(first?.get('payload_hash')).toMatch(/^[A-Za-z0-9+/]{43}=$/);
});

test('a document that is not what its hash says is never taken', async () => {
  let wrong = 2;
  const fetching: FetchLike = async (url, init) => {
    const answer = await fetch(url, init);
    const text = await answer.text();
    const isWrong = url.includes('/documents?') && answer.ok && wrong-- > 0;
    return { status: answer.status, ok: answer.ok, headers: answer.headers, text: async () => (isWrong ? text.replace('"x"', '"z"') : text) };
  };
  // Written before: a live event may come before its document is visible, which is another reason to ask again.
  await stand.insert('pointer:wrong', 1);
  const topic = stand.client({ fetch: fetching }).subscribe('pointer:wrong', { start: 'floor' });
  const codes: string[] = [];
  topic.on('error', (error) => codes.push(`${error.code}:${(error.cause as { code?: string } | undefined)?.code}`));
  await reach(topic, 1);
  expect(held(topic)).toEqual(await stand.table('pointer:wrong'));
  expect(codes).toEqual(['hydration_failed:hash_mismatch', 'hydration_failed:hash_mismatch']);
});

test('loaded anew while a payload waits: what comes then does not wait for that', async () => {
  let asked = 0;
  let joined = 0;
  const server = await ScriptedServer.start({
    onEvent: (event, payload, peer) => {
      if (event !== 'phx_join' && event !== 'sync:subscribe') return undefined;
      if (!payload.topics) return undefined;
      const after = payload.resume_after[0]?.watermark ?? 0;
      // First an event without a payload; from the snapshot on, one with.
      if (joined++ === 0) setImmediate(() => peer.batch('t', after, after + 1, (update) => Object.assign(update, { payload: null, hydration_required: true })));
      else setImmediate(() => peer.batch('t', after, after + 1));
      return accept(payload, after + 1);
    },
    onHttp: (url) => {
      if (url.pathname === '/api/sync/snapshot') {
        return { status: 200, body: { topic: 't', epoch: 1, watermark: joined === 0 ? 1 : 5, next_page_token: null,
          documents: [{ doc_key: 'k', doc_version: 1, payload: 1, payload_hash: hashOf('1') }] } };
      }
      asked++;
      return { status: 503, body: { error: { code: 'unavailable', reason: 'database_busy' } }, headers: { 'retry-after': '3600' } };
    },
  });
  const client = stand.client({ url: server.url, encoding: 'json' });
  const topic = client.subscribe('t');
  const updates = record(topic);
  let failures = 0;
  topic.on('error', () => failures++);
  await waitFor(() => asked === 1);
  await topic.resync();
  await topic.live();
  expect(updates.map((u) => u.watermark)).toEqual([6]);
  expect([asked, failures, topic.get('k')?.payload]).toEqual([1, 0, 6]);
});
