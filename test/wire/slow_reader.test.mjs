// Readers that stop reading get strikes and are closed; those that are merely slow are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, pause, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'stall-ms': 1000, 'stall-strikes': 3, 'close-timeout-ms': 60_000, 'slow-reconnect-ms': 1234 } });

/** More than the buffers of both kernels take. @param {string} topic */
async function fill(topic) {
  for (let i = 0; i < 10; i++) await stand.insert(topic, 100, { first: 100 * i + 1, body: 'x'.repeat(60_000) });
}

test('one that stops reading has three strikes, and is told why if it reads again', async () => {
  await fill('slow.stop');
  const raw = await stand.raw();
  await raw.join();
  const strikes = await stand.fanout.metric('oa_sync_slow_strikes_total');
  raw.send(['1', '50', 'sync:v1', 'sync:subscribe', { topics: ['slow.stop'] }]);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'the first batch');
  raw.ws.pause();
  const paused = await stand.fanout.metric('oa_sync_slow_strikes_total');
  await waitFor(async () => (await stand.fanout.metric('oa_sync_closed_total', 'reason="slow"')) === 1,
    { what: 'the server gives it up' });
  // Three in a row. One from before the pause, when this process stood still, was cleared by what it read then; one from
  // after it may have come before we looked.
  const after = await stand.fanout.metric('oa_sync_slow_strikes_total');
  assert.ok(after - strikes >= 3 && after - paused <= 3, `${strikes}, ${paused}, ${after}`);
  raw.ws.resume();
  const notice = (await raw.frame((f) => f[4]?.code === 'slow_consumer', 'slow_consumer'))[4];
  assert.equal(notice.action, 'reconnect');
  assert.equal(notice.reconnect_after_ms, 1234);
  assert.equal(await raw.closed(), 1008);
});

test('one that reads slowly, but reads, stays', async () => {
  await fill('slow.slow');
  // A stall time that this process keeps even when it has to wait for a processor.
  const fanout = await stand.startFanout({ 'stall-ms': 3000, 'stall-strikes': 3 });
  const [slow, stopped] = [await stand.raw({ fanout }), await stand.raw({ fanout })];
  for (const raw of [stopped, slow]) {
    await raw.join();
    raw.send(['1', '50', 'sync:v1', 'sync:subscribe', { topics: ['slow.slow'] }]);
    await raw.frame((f) => f[3] === 'sync:update_batch', 'the first batch');
    raw.ws.pause();
  }
  // One frame, several times within a stall time, until the server has given up one who reads nothing since then.
  const closed = () => fanout.metric('oa_sync_closed_total', 'reason="slow"');
  const atEnd = () => slow.frames.some((f) => f[3] === 'sync:update_batch' && f[4].through_watermark >= 1000);
  await waitFor(async () => {
    slow.ws.once('message', () => slow.ws.pause());
    slow.ws.resume();
    await waitFor(() => slow.ws.isPaused || atEnd() || slow.closeCode !== undefined, { everyMs: 1, what: 'one more frame' });
    await pause(400);
    return await closed() > 0;
  }, { what: 'the one who reads nothing is closed' });
  assert.equal(slow.closeCode, undefined);
  slow.ws.resume();
  await waitFor(atEnd, { what: 'the end of the topic' });
  assert.equal(await closed(), 1);
});

test('a budget of the topic\'s policy is answered as stale, with everything that is to know', async () => {
  await stand.insert('budget.t', 50);
  await stand.query(`SELECT runtime.sync_set_policy('budget.*', replay_budget => 10, qos_tier => 'hot')`);
  const raw = await stand.raw();
  const { response } = await raw.join({ topics: ['budget.t'], resume_after: { 'budget.t': 39 } });
  assert.deepEqual(response.stale.reason_codes, ['replay_budget_exceeded']);
  assert.deepEqual(response.stale.stale_topics, [{ topic: 'budget.t', reason: 'replay_budget_exceeded', resume_after: 39,
    retention_floor: 0, head_watermark: 50, replay_lag: 11, replay_budget_events: 10, qos_tier: 'hot' }]);
  const within = await raw.join({ topics: ['budget.t'], resume_after: { 'budget.t': 40 } });
  assert.equal(within.response.stale, undefined);
  const everything = await raw.join({ topics: ['budget.t'] });
  assert.equal(everything.response.current_watermarks[0].watermark, 0);
  await raw.frame((f) => f[3] === 'sync:update_batch' && f[4].after_watermark === 0, 'everything retained');
});
