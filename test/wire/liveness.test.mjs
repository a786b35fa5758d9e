// Heartbeats both ways, and what happens to a client that has fallen silent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, pause, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'heartbeat-interval-ms': 300, 'client-timeout-ms': 3000 } });

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

test('a client that answers nothing at all is closed', async () => {
  const raw = await stand.raw({ autoPong: false });
  await raw.join();
  const begun = Date.now();
  await raw.closed(15_000);
  const lasted = Date.now() - begun;
  assert.ok(lasted >= 2000, `closed after only ${lasted} ms`);
});

test('a Phoenix heartbeat counts as life', async () => {
  const raw = await stand.raw({ autoPong: false });
  await raw.join({ topics: ['alive.heart'] });
  const end = Date.now() + 7000;
  while (Date.now() < end) {
    assert.equal((await raw.ask('phoenix', 'heartbeat', {}, null)).status, 'ok');
    // The client's own rhythm, well inside the timeout.
    await pause(300);
  }
  assert.equal(raw.closeCode, undefined);
});

test('a WebSocket pong counts as life', async () => {
  const silent = await stand.raw({ autoPong: false });
  const ponging = await stand.raw({ autoPong: false });
  await Promise.all([silent.join(), ponging.join()]);
  const timer = setInterval(() => ponging.ws.pong('alive'), 200);
  try {
    await silent.closed(15_000);
    await waitFor(() => ponging.closeCode !== undefined || ponging.frames.filter((f) => f[3] === 'sync:heartbeat').length > 10,
      { what: 'heartbeats go on' });
  } finally {
    clearInterval(timer);
  }
  assert.equal(ponging.closeCode, undefined);
});

test('a socket that never joins is closed as well', async () => {
  const raw = await stand.raw({ autoPong: false });
  await raw.closed(15_000);
});

test('the answer to a ping of the server counts as life', async () => {
  const raw = await stand.raw();
  await raw.join();
  const silent = await stand.raw({ autoPong: false });
  await silent.closed(15_000);
  await waitFor(() => raw.closeCode !== undefined || raw.frames.filter((f) => f[3] === 'sync:heartbeat').length > 12,
    { what: 'heartbeats go on' });
  assert.equal(raw.closeCode, undefined);
});
