// Frames go to the kernel past libwebsockets, several in one write; what is cut is finished before anything else is sent
// on that connection: not a pong, an answer or a close frame may come within a frame. A client that reads nothing for a
// while makes the server's writes end anywhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

/** @typedef {import('../harness/index.mjs').RawSocket} RawSocket */

// Nobody is cut who only had to wait for a processor.
const stand = await Stand.create({ flags: { 'close-timeout-ms': 40_000, 'shutdown-deadline-ms': 40_000 } });
const events = 2500;
const body = 'y'.repeat(8000);  // 20 MB in all: more than the kernel's buffers hold for a reader that has not read yet
await stand.insert('partial', events, { body });

/** A socket that has asked for the backlog and reads nothing, once the server has no room to send more. */
async function stalled() {
  const raw = await stand.raw();
  await raw.join();
  raw.ws.pause();
  const before = await stand.fanout.metric('oa_sync_bytes_sent_total');
  raw.send(['1', 'go', 'sync:v1', 'sync:subscribe', { topics: ['partial'], replay_batch_size: 3 }]);
  let last = before;
  let same = 0;
  await waitFor(async () => {
    const sent = await stand.fanout.metric('oa_sync_bytes_sent_total');
    same = sent > before + 100_000 && sent === last ? same + 1 : 0;
    last = sent;
    return same >= 5;
  }, { everyMs: 50, what: 'the server has no room to send more' });
  return raw;
}

/** All batches that came cover (0, events] without a hole. @param {RawSocket} raw */
function assertWhole(raw, through = events) {
  let at = 0;
  for (const [, , , event, batch] of raw.frames) {
    if (event !== 'sync:update_batch') continue;
    assert.equal(batch.after_watermark, at);
    assert.ok(batch.updates.every((/** @type {any} */ update) => update.payload.body === body));
    at = batch.through_watermark;
  }
  assert.ok(at >= through, `came to ${at}`);
}

/** @param {RawSocket} raw */
const last = (raw) => raw.frames.filter((frame) => frame[4]?.through_watermark !== undefined).at(-1)?.[4].through_watermark;

test('a stalled reader gets every frame whole when it reads again', async () => {
  const raw = await stalled();
  raw.ws.resume();
  await waitFor(() => last(raw) === events, { what: 'the whole backlog' });
  assertWhole(raw);
  raw.end();
});

test('pongs and answers come between frames', async () => {
  const raw = await stalled();
  /** @type {string[]} */
  const pongs = [];
  raw.ws.on('pong', (data) => pongs.push(data.toString()));
  const asked = 20;
  for (let i = 0; i < asked; i++) {
    // Reads a little and stops again, so that the server's writes are cut again and again.
    raw.ws.ping(`ping ${i}`);
    raw.send([null, `hb ${i}`, 'phoenix', 'heartbeat', {}]);
    raw.ws.resume();
    const had = raw.frames.length;
    await waitFor(() => raw.frames.length > had + 5 || last(raw) === events, { everyMs: 1, what: 'some more frames' });
    raw.ws.pause();
  }
  raw.ws.resume();
  await waitFor(() => raw.frames.some((frame) => frame[4].through_watermark === events), { what: 'all' });
  await raw.frame((frame) => frame[1] === `hb ${asked - 1}`, 'the last answer');
  assertWhole(raw);
  // Of pings that come while one waits for its answer, libwebsockets answers the first.
  await waitFor(() => pongs.length > 0, { what: 'a pong' });
  assert.ok(pongs.every((pong) => /^ping \d+$/.test(pong)), `pongs: ${pongs.join()}`);
  raw.end();
});

test('a client may close while a frame is cut: what was begun is finished, and the close is answered', async () => {
  const raw = await stalled();
  raw.ws.close(1000);
  raw.ws.resume();
  assert.equal(await raw.closed(), 1000);
  assertWhole(raw, 1);
});

test('the server says goodbye behind the frame that was cut', async () => {
  const raw = await stalled();
  const stopped = stand.fanout.stop();
  raw.ws.resume();
  assert.equal(await raw.closed(), 1001);
  assertWhole(raw, 1);
  assert.equal(await stopped, 0);
});
