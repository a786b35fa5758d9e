// Heartbeats both ways, and what happens to a client that has fallen silent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

// Half of the timeout is what a machine that stands still may take from those who live. All of it is waited for once only.
const timeoutMs = 20_000;
const stand = await Stand.create({ flags: { 'heartbeat-interval-ms': 300, 'client-timeout-ms': timeoutMs } });

test('the server pushes heartbeats with cursor and head of every topic', async () => {
  await stand.insert('alive.t', 3);
  const client = stand.client({ topics: ['alive.t'] });
  const response = await client.connect();
  assert.equal(response.heartbeat_interval_ms, 300);
  await client.reach('alive.t', 3);
  const count = client.heartbeats.length;
  const beat = await waitFor(() => client.heartbeats[count + 2], { what: 'three heartbeats' });
  assert.deepEqual(beat.watermarks.map((/** @type {any} */ w) => [w.topic, w.watermark, w.head_watermark]), [['alive.t', 3, 3]]);
});

test('who answers nothing at all is closed, joined or not; a heartbeat, a pong and the answer to a ping count as life', async () => {
  // Those who live are there first: what the server waits for ends for them before it does for the silent.
  const beating = await stand.raw({ autoPong: false });
  const ponging = await stand.raw({ autoPong: false });
  const answering = await stand.raw();
  const living = { beating, ponging, answering };
  for (const raw of Object.values(living)) await raw.join();
  let pings = 0;
  answering.ws.on('ping', () => pings++);
  const begun = performance.now();
  const joined = await stand.raw({ autoPong: false });
  await joined.join();
  const mute = await stand.raw({ autoPong: false });
  let beats = 0;
  const timer = setInterval(() => {
    if (beating.closeCode === undefined) beating.send([null, `beat${beats++}`, 'phoenix', 'heartbeat', {}]);
    if (ponging.closeCode === undefined) ponging.ws.pong('alive');
  }, 300);
  try {
    for (const [name, raw] of Object.entries({ joined, mute })) {
      assert.deepEqual([await raw.closed(), raw.closeReason], [1008, 'silent'], name);
      // The time began after `begun` and ended before now: nothing can make this shorter but the server's whole milliseconds.
      assert.ok(performance.now() - begun >= timeoutMs - 1, `${name} was closed too early`);
    }
    for (const [name, raw] of Object.entries(living)) {
      const count = () => raw.frames.filter((f) => f[3] === 'sync:heartbeat').length;
      const before = count();
      await waitFor(() => raw.closeCode !== undefined || count() > before, { what: `heartbeats to ${name} go on` });
      assert.equal(raw.closeCode, undefined, `${name} was closed`);
    }
  } finally {
    clearInterval(timer);
  }
  assert.ok(pings >= 1, 'its life was the answer to a ping');
  // No reply to a heartbeat is missing.
  await beating.frame((f) => f[1] === `beat${beats - 1}` && f[4].status === 'ok', 'the last reply');
});
