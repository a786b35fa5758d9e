// Cursors that can't be resumed: the reason is said, nothing is cut silently.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create();

/** Retention as it ends up: events at and below the floor are gone. @param {string} topic @param {number} floor */
async function raiseFloor(topic, floor) {
  await stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor)
      SELECT $1, max(watermark) + 1, $2 FROM runtime.sync_stream_events WHERE topic = $1
      ON CONFLICT (topic) DO UPDATE SET floor = excluded.floor`, [topic, floor]);
  await stand.query('DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= $2', [topic, floor]);
}

/** @param {any} stale @param {Record<string, unknown>} expected */
function assertStale(stale, expected) {
  assert.equal(stale.code, 'stale_cursor');
  assert.equal(typeof stale.message, 'string');
  assert.equal(stale.full_resync_required, true);
  assert.deepEqual(stale.reason_codes, [expected.reason]);
  assert.equal(stale.stale_topics.length, 1);
  const found = stale.stale_topics[0];
  for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key], value, key);
  for (const key of ['replay_lag', 'replay_budget_events', 'qos_tier', 'retention_floor', 'head_watermark']) {
    assert.ok(key in found, key);
  }
  assert.equal(stale.snapshot_plan.format, 'openagents.sync.snapshot.v1');
  assert.deepEqual(stale.snapshot_plan.topics.map((/** @type {any} */ t) => [t.topic, t.head_watermark]),
    [[found.topic, found.head_watermark]]);
}

test('below the floor: refused in subscribe, by reply and push', async () => {
  await stand.insert('stale.floor', 20);
  await raiseFloor('stale.floor', 10);
  const client = stand.client();
  await client.connect();
  await assert.rejects(client.request('sync:subscribe', { topics: ['stale.floor'], resume_after: { 'stale.floor': 9 } }),
    (/** @type {any} */ error) => {
      assertStale(error.response, { topic: 'stale.floor', reason: 'retention_floor_breach', resume_after: 9,
        retention_floor: 10, head_watermark: 20 });
      return true;
    });
  assertStale(await client.error('stale_cursor'), { topic: 'stale.floor', reason: 'retention_floor_breach' });
});

test('at the floor is fine, and no cursor means from the floor', async () => {
  await stand.insert('stale.at', 20);
  await raiseFloor('stale.at', 10);
  const at = stand.client({ topics: ['stale.at'], resumeAfter: { 'stale.at': 10 } });
  await at.connect();
  await at.reach('stale.at', 20);
  assert.equal(at.watermarks('stale.at')[0], 11);
  const none = stand.client({ topics: ['stale.at'] });
  const response = await none.connect();
  assert.equal(response.current_watermarks[0].watermark, 10);
  await none.reach('stale.at', 20);
  assert.equal(none.watermarks('stale.at').length, 10);
});

test('in a join: ok, with the stale object, so that phoenix.js does not retry for ever', async () => {
  await stand.insert('stale.join', 20);
  await raiseFloor('stale.join', 10);
  const client = stand.client({ topics: ['stale.join'], resumeAfter: { 'stale.join': 3 } });
  const response = await client.connect();
  assertStale(response.stale, { topic: 'stale.join', reason: 'retention_floor_breach', resume_after: 3 });
  assert.equal(client.joinErrors.length, 0);
  await stand.insert('stale.join', 1, { first: 21 });
  const fresh = stand.client({ topics: ['stale.join'] });
  await fresh.connect();
  await fresh.reach('stale.join', 21);
  assert.deepEqual(client.watermarks('stale.join'), [], 'a stale topic is not streamed');
  // The way out: start from what is retained.
  client.state('stale.join').cursor = undefined;
  await client.subscribe(['stale.join']);
  await client.reach('stale.join', 21);
});

test('one stale topic refuses the whole subscribe', async () => {
  await stand.insert('stale.good', 2);
  await stand.insert('stale.bad', 20);
  await raiseFloor('stale.bad', 10);
  const client = stand.client();
  await client.connect();
  await assert.rejects(client.request('sync:subscribe', { topics: ['stale.good', 'stale.bad'],
    resume_after: { 'stale.good': 0, 'stale.bad': 1 } }), /stale_cursor/);
  const { watermarks } = await client.request('sync:heartbeat', {});
  assert.deepEqual(watermarks, []);
});

test('a cursor past the head', async () => {
  await stand.insert('stale.ahead', 5);
  const client = stand.client();
  await client.connect();
  await assert.rejects(client.request('sync:subscribe', { topics: ['stale.ahead'], resume_after: { 'stale.ahead': 6 } }),
    (/** @type {any} */ error) => {
      assertStale(error.response, { topic: 'stale.ahead', reason: 'cursor_ahead_of_head', resume_after: 6, head_watermark: 5 });
      return true;
    });
});

test('a cursor on a topic that has no event yet', async () => {
  const client = stand.client();
  await client.connect();
  await assert.rejects(client.request('sync:subscribe', { topics: ['stale.never'], resume_after: { 'stale.never': 3 } }),
    (/** @type {any} */ error) => {
      assertStale(error.response, { topic: 'stale.never', reason: 'cursor_ahead_of_head', head_watermark: 0 });
      return true;
    });
});

test('a cursor of another history', async () => {
  await stand.insert('stale.epoch', 5);
  const client = stand.client();
  await client.connect();
  const resume_after = [{ topic: 'stale.epoch', watermark: 3, epoch: 999 }];
  await assert.rejects(client.request('sync:subscribe', { topics: ['stale.epoch'], resume_after }),
    (/** @type {any} */ error) => {
      assertStale(error.response, { topic: 'stale.epoch', reason: 'epoch_diverged', resume_after: 3 });
      return true;
    });
});
