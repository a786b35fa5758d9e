// Joining the channel, subscribing, unsubscribing, leaving; what is refused and how.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();

test('a join without topics is answered with the session and its defaults', async () => {
  const raw = await stand.raw();
  const { status, response } = await raw.join();
  assert.equal(status, 'ok');
  assert.match(response.subscription_id, /^sub_/);
  assert.ok(Array.isArray(response.allowed_topics));
  assert.deepEqual(response.current_watermarks, []);
  assert.deepEqual(response.head_watermarks, []);
  assert.equal(response.heartbeat_interval_ms, 15000);
  assert.deepEqual(response.reconnect_backoff_ms, { base: 400, jitter: 250 });
});

test('both paths lead to the socket', async () => {
  for (const path of ['/socket', '/sync/socket']) {
    const client = stand.client({ url: stand.fanout.url('ws', path) });
    await client.connect();
  }
});

test('topics in the join are subscribed', async () => {
  await stand.insert('join.topics', 3);
  const client = stand.client({ topics: ['join.topics'] });
  const response = await client.connect();
  assert.deepEqual(response.current_watermarks.map((/** @type {any} */ w) => [w.topic, w.watermark]), [['join.topics', 0]]);
  assert.ok(response.current_watermarks[0].epoch >= 1);
  assert.deepEqual(response.head_watermarks.map((/** @type {any} */ w) => [w.topic, w.watermark]), [['join.topics', 3]]);
  await client.reach('join.topics', 3);
  assert.deepEqual(client.watermarks('join.topics'), [1, 2, 3]);
});

test('the subscribe reply comes before the first batch', async () => {
  await stand.insert('sub.order', 5);
  const raw = await stand.raw();
  await raw.join();
  const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['sub.order'], request_id: 'r1' });
  assert.equal(status, 'ok');
  assert.deepEqual(response.topics, ['sub.order']);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'a batch');
  const kinds = raw.frames.map((f) => f[3]);
  assert.ok(kinds.lastIndexOf('phx_reply') < kinds.indexOf('sync:update_batch'), String(kinds));
  const batch = raw.frames.find((f) => f[3] === 'sync:update_batch');
  assert.deepEqual(batch.slice(0, 4), [null, null, 'sync:v1', 'sync:update_batch']);
});

test('topics are trimmed and deduplicated', async () => {
  const raw = await stand.raw();
  await raw.join();
  const { response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: [' trim.a ', 'trim.a', 'trim.b'] });
  assert.deepEqual([...response.topics].sort(), ['trim.a', 'trim.b']);
});

test('every accepted form of resume_after', async () => {
  await stand.insert('resume.forms', 6);
  const [{ epoch }] = await stand.query('SELECT runtime.sync_current_epoch() AS epoch');
  for (const resume_after of [{ 'resume.forms': 4 }, { 'resume.forms': '4' },
    [{ topic: 'resume.forms', watermark: 4 }], [{ topic: 'resume.forms', watermark: '4', epoch }]]) {
    const raw = await stand.raw();
    await raw.join();
    const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['resume.forms'], resume_after });
    assert.equal(status, 'ok', JSON.stringify(resume_after));
    assert.equal(response.current_watermarks[0].watermark, 4);
    assert.deepEqual((await raw.reach('resume.forms', 6)).map((u) => u.watermark), [5, 6]);
    const batch = await raw.frame((f) => f[3] === 'sync:update_batch', 'a batch');
    assert.equal(batch[4].after_watermark, 4);
    raw.end();
  }
});

test('a malformed subscription is refused with bad_subscription', async () => {
  const raw = await stand.raw();
  await raw.join();
  const bad = [
    {}, { topics: [] }, { topics: 'x' }, { topics: [1] }, { topics: ['  '] }, { topics: [null] }, { topics: {} },
    { topics: ['a b'] }, { topics: ['x'.repeat(161)] }, { topics: ['ü'] },
    { topics: ['t'], resume_after: 5 }, { topics: ['t'], resume_after: { t: -1 } },
    { topics: ['t'], resume_after: { t: 1.5 } }, { topics: ['t'], resume_after: { t: 'x' } },
    { topics: ['t'], resume_after: { t: null } }, { topics: ['t'], resume_after: [{ topic: 't' }] },
    { topics: ['t'], resume_after: [{ watermark: 1 }] }, { topics: ['t'], resume_after: [5] },
    { topics: ['t'], resume_after: { t: '99999999999999999999999' } },
    { topics: ['t'], replay_batch_size: 0 }, { topics: ['t'], replay_batch_size: -1 },
    { topics: ['t'], replay_batch_size: 'many' },
  ];
  for (const payload of bad) {
    const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', payload);
    assert.equal(status, 'error', JSON.stringify(payload));
    assert.ok(['bad_subscription', 'forbidden_topic'].includes(response.code),
      `${JSON.stringify(payload)}: ${JSON.stringify(response)}`);
  }
  const { response } = await raw.ask('sync:v1', 'sync:heartbeat');
  assert.deepEqual(response.watermarks, [], 'nothing was subscribed on the way');
});

test('more topics than a socket may have are refused', async () => {
  const raw = await stand.raw();
  await raw.join();
  const topics = Array.from({ length: 257 }, (_, i) => `many.${i}`);
  const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics });
  assert.equal(status, 'error');
  assert.equal(response.code, 'bad_subscription');
  const { status: second } = await raw.ask('sync:v1', 'sync:subscribe', { topics: topics.slice(1) });
  assert.equal(second, 'ok');
});

test('unsubscribe says what remains, and stops the stream', async () => {
  const client = stand.client({ topics: ['unsub.a', 'unsub.b'] });
  await client.connect();
  await stand.insert('unsub.a', 1);
  await client.reach('unsub.a', 1);
  const response = await client.unsubscribe(['unsub.a']);
  assert.match(response.subscription_id, /^sub_/);
  assert.deepEqual(response.topics, ['unsub.b']);
  await stand.insert('unsub.a', 1, { first: 2 });
  await stand.insert('unsub.b', 1);
  await client.reach('unsub.b', 1);
  assert.deepEqual(client.watermarks('unsub.a'), [1]);
  await client.subscribe(['unsub.a']);
  await client.reach('unsub.a', 2);
  assert.deepEqual(client.watermarks('unsub.a'), [1, 2]);
  assert.equal(client.duplicates, 0);
});

test('leave is answered, then phx_close; the socket lives on and can join again', async () => {
  const raw = await stand.raw();
  await raw.join({ topics: ['leave.t'] });
  const { status } = await raw.ask('sync:v1', 'phx_leave');
  assert.equal(status, 'ok');
  const close = await raw.frame((f) => f[3] === 'phx_close', 'phx_close');
  assert.equal(close[0], '1');
  await stand.insert('leave.t', 1);
  const { status: hidden } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['leave.t'] });
  assert.equal(hidden, 'error', 'a channel that was left takes no events');
  const ref = String(raw.nextRef++);
  raw.send(['9', ref, 'sync:v1', 'phx_join', { topics: ['leave.t'] }]);
  const reply = await raw.frame((f) => f[1] === ref, 'a reply to the second join');
  assert.equal(reply[4].status, 'ok');
  assert.deepEqual((await raw.reach('leave.t', 1)).map((u) => u.watermark), [1]);
});

test('joining again on a live channel replaces it', async () => {
  const raw = await stand.raw();
  await raw.join({ topics: ['rejoin.a'] });
  const ref = String(raw.nextRef++);
  raw.send(['2', ref, 'sync:v1', 'phx_join', { topics: ['rejoin.b'] }]);
  const reply = await raw.frame((f) => f[1] === ref && f[3] === 'phx_reply', 'a reply to the second join');
  assert.equal(reply[0], '2');
  assert.equal(reply[4].status, 'ok');
  await stand.insert('rejoin.a', 1);
  await stand.insert('rejoin.b', 1);
  // Two rounds: whatever belonged to the replaced channel would have come before the second one's event.
  for (const id of [1, 2]) {
    if (id === 2) await stand.insert('rejoin.b', 1, { first: 2 });
    await raw.frame((f) => f[3] === 'sync:update_batch' && f[4].updates.some((/** @type {any} */ u) =>
      u.topic === 'rejoin.b' && u.watermark === id), `event ${id} of rejoin.b`);
  }
  assert.equal(raw.frames.filter((f) => f[3] === 'sync:update_batch' && f[4].updates[0].topic === 'rejoin.a').length, 0);
});

test('an unknown channel and an unknown event are refused without harm', async () => {
  const raw = await stand.raw();
  const { status, response } = await raw.ask('room:lobby', 'phx_join');
  assert.equal(status, 'error');
  assert.equal(response.reason, 'unmatched topic');
  assert.equal(response.code, 'bad_topic');
  assert.equal((await raw.join()).status, 'ok');
  assert.equal((await raw.ask('sync:v1', 'sync:frobnicate')).status, 'error');
  assert.equal((await raw.ask('phoenix', 'heartbeat', {}, null)).status, 'ok');
});

test('an event before the join is refused', async () => {
  const raw = await stand.raw();
  const { status } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['early.t'] });
  assert.equal(status, 'error');
});

test('the phoenix heartbeat is answered', async () => {
  const raw = await stand.raw();
  assert.deepEqual(await raw.ask('phoenix', 'heartbeat', {}, null), { status: 'ok', response: {} });
});

test('a sync:heartbeat is answered and pushed, with cursors and heads', async () => {
  await stand.insert('beat.t', 2);
  const client = stand.client({ topics: ['beat.t'] });
  await client.connect();
  await client.reach('beat.t', 2);
  const before = client.heartbeats.length;
  const response = await client.request('sync:heartbeat', {});
  assert.match(response.subscription_id, /^sub_/);
  assert.equal(response.watermarks[0].topic, 'beat.t');
  const pushed = await waitFor(() => client.heartbeats[before], { what: 'a heartbeat is pushed' });
  assert.deepEqual(Object.keys(pushed.watermarks[0]).sort(), ['epoch', 'head_watermark', 'topic', 'watermark']);
  assert.deepEqual([pushed.watermarks[0].watermark, pushed.watermarks[0].head_watermark], [2, 2]);
});

test('several clients on one socket server do not see each other', async () => {
  const one = stand.client({ topics: ['apart.a'] });
  const two = stand.client({ topics: ['apart.b'] });
  await Promise.all([one.connect(), two.connect()]);
  await stand.insert('apart.a', 2);
  await stand.insert('apart.b', 3);
  await Promise.all([one.reach('apart.a', 2), two.reach('apart.b', 3)]);
  assert.equal(one.applied, 2);
  assert.equal(two.applied, 3);
});
