// Readers that stop reading get strikes and are closed; those that are merely slow are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'stall-ms': 1000, 'stall-strikes': 3, 'close-timeout-ms': 20_000, 'slow-reconnect-ms': 1234 } });

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
  await waitFor(async () => (await stand.fanout.metric('oa_sync_closed_total', 'reason="slow"')) === 1,
    { timeoutMs: 30_000, what: 'the server gives it up' });
  assert.equal(await stand.fanout.metric('oa_sync_slow_strikes_total') - strikes, 3);
  raw.ws.resume();
  const notice = (await raw.frame((f) => f[4]?.code === 'slow_consumer', 'slow_consumer'))[4];
  assert.equal(notice.action, 'reconnect');
  assert.equal(notice.reconnect_after_ms, 1234);
  assert.equal(await raw.closed(), 1008);
});

test('one that reads slowly, but reads, stays', async () => {
  await fill('slow.slow');
  const closed = await stand.fanout.metric('oa_sync_closed_total', 'reason="slow"');
  const raw = await stand.raw();
  await raw.join();
  raw.send(['1', '50', 'sync:v1', 'sync:subscribe', { topics: ['slow.slow'] }]);
  // A little several times within a stall time, for longer than three of them.
  const end = Date.now() + 8000;
  const turns = setInterval(() => {
    raw.ws.resume();
    setTimeout(() => raw.ws.pause(), 5);
  }, 400);
  await waitFor(() => Date.now() > end, { timeoutMs: 20_000, what: 'eight seconds' });
  clearInterval(turns);
  assert.equal(raw.closeCode, undefined);
  raw.ws.resume();
  await waitFor(() => raw.frames.some((f) => f[3] === 'sync:update_batch' && f[4].through_watermark >= 1000),
    { timeoutMs: 60_000, what: 'the end of the topic' });
  assert.equal(await stand.fanout.metric('oa_sync_closed_total', 'reason="slow"'), closed);
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
