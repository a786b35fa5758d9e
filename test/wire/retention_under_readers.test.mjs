// Partitions are dropped while clients read: those who are current notice nothing, those whose next events are gone get
// stale_cursor for that topic, and nobody is disconnected.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';
import { age, pastPartition } from '../harness/past.mjs';

const stand = await Stand.create({ settings: { 'oa_sync.retention_interval': 0 } });
const query = (/** @type {string} */ text, /** @type {unknown[]} */ values = []) => stand.query(text, values);
/** A cycle of retention that dropped one partition: those that somebody uses just then are left for a later one. */
const drop = async () => {
  const [{ partitions_dropped: dropped }] = await waitFor(async () => {
    const done = await query('SELECT * FROM runtime.sync_retain()');
    return done[0].skipped === 0 || done[0].partitions_dropped > 0 ? done : undefined;
  }, { what: 'nobody uses the partition' });
  assert.equal(dropped, 1);
};
await query(`SELECT runtime.sync_set_policy('gone.*', horizon => '20 days')`);

/** @param {any} stale @param {string} topic @param {number} floor */
function assertBreach(stale, topic, floor) {
  assert.equal(stale.code, 'stale_cursor');
  assert.equal(stale.full_resync_required, true);
  assert.deepEqual(stale.reason_codes, ['retention_floor_breach']);
  assert.equal(stale.stale_topics.length, 1);
  assert.equal(stale.stale_topics[0].topic, topic);
  assert.equal(stale.stale_topics[0].retention_floor, floor);
}

test('a slow reader in the middle of its replay, and current ones beside it', async () => {
  const topic = 'gone.slow';
  const total = 40_000;
  await pastPartition(query, 100 * 24, 50 * 24);
  await stand.insert(topic, total, { body: 'x'.repeat(1000) });
  const live = [stand.client({ topics: [topic, 'gone.other'], resumeAfter: { [topic]: total } }),
    stand.client({ topics: [topic], resumeAfter: { [topic]: total }, encoding: 'proto' })];
  for (const client of live) await client.connect();
  // Reads a little of the 40 MB, then nothing more.
  const slow = await stand.raw();
  const stopAtBatch = () => {
    if (!slow.frames.some((frame) => frame[3] === 'sync:update_batch')) return;
    slow.ws.off('message', stopAtBatch);
    slow.ws.pause();
  };
  slow.ws.on('message', stopAtBatch);
  await slow.join({ topics: [topic], resume_after: { [topic]: 0 } });
  await waitFor(() => slow.frames.some((frame) => frame[3] === 'sync:update_batch'), { what: 'the replay has begun' });
  await age(query, topic, total, 60 * 24);
  await drop();
  assert.equal((await query('SELECT floor FROM runtime.sync_topic_sequences WHERE topic = $1', [topic]))[0].floor, total);
  await stand.insert(topic, 10, { first: total + 1 });
  await stand.insert('gone.other', 1);
  for (const client of live) await client.reach(topic, total + 10);
  slow.ws.resume();
  const error = await slow.frame((frame) => frame[3] === 'sync:error', 'a sync:error');
  assertBreach(error[4], topic, total);
  // What it had got until then is without a gap, and says where it stands.
  const batches = slow.frames.filter((frame) => frame[3] === 'sync:update_batch').map((frame) => frame[4]);
  let cursor = 0;
  for (const batch of batches) {
    assert.equal(batch.after_watermark, cursor);
    cursor = batch.through_watermark;
  }
  assert.ok(cursor > 0 && cursor < total, `it got ${cursor} of ${total}`);
  assert.equal(error[4].stale_topics[0].resume_after, cursor);
  // The same socket goes on, with other topics and with this one from where it is retained.
  const again = await slow.ask('sync:v1', 'sync:subscribe', { topics: [topic, 'gone.other'] });
  assert.equal(again.status, 'ok');
  await slow.frame((frame) => frame[3] === 'sync:update_batch' && frame[4].through_watermark === total + 10, 'the rest');
  assert.equal(slow.closeCode, undefined);
  for (const client of live) {
    assert.deepEqual([client.gaps, client.duplicates, client.errors, client.closes], [0, 0, [], []]);
    assert.deepEqual(client.watermarks(topic), Array.from({ length: 10 }, (_, i) => total + 1 + i));
  }
});

test('a cursor that was fine a moment ago', async () => {
  const topic = 'gone.moment';
  await pastPartition(query, 99 * 24 + 4800, 99 * 24 + 2400);
  await stand.insert(topic, 30);
  const live = stand.client({ topics: [topic], resumeAfter: { [topic]: 30 } });
  await live.connect();
  // The floor that the fan-out has just read is still trusted when this client comes.
  await age(query, topic, 30, 99 * 24 + 3000);
  await drop();
  const late = stand.client({ topics: [topic], resumeAfter: { [topic]: 3 } });
  const response = await late.connect();
  assertBreach(response.stale ?? await late.error('stale_cursor'), topic, 30);
  assert.deepEqual(late.closes, []);
});

test('a cursor whose events are gone from the journal, but not from memory, is answered exactly', async () => {
  const topic = 'gone.memory';
  await pastPartition(query, 99 * 24 + 14800, 99 * 24 + 12400);
  await stand.insert(topic, 30);
  const first = stand.client({ topics: [topic] });
  await first.connect();
  await first.reach(topic, 30);
  await age(query, topic, 30, 99 * 24 + 13000);
  await drop();
  const late = stand.client({ topics: [topic], resumeAfter: { [topic]: 3 } });
  const response = await late.connect();
  // Unless the floor was read anew meanwhile: then it is said.
  if (response.stale) return assertBreach(response.stale, topic, 30);
  await late.reach(topic, 30);
  assert.deepEqual(late.watermarks(topic), Array.from({ length: 27 }, (_, i) => 4 + i));
});

test('a tail that was away for longer than events are kept', async () => {
  const fanout = await stand.startFanout({ tail: 'journal' });
  await fanout.ready();
  const [topic, other] = ['gone.away', 'gone.fine'];
  await pastPartition(query, 800 * 24, 700 * 24);
  await stand.insert(topic, 5);
  await stand.insert(other, 5);
  const client = stand.client({ fanout, topics: [topic, other] });
  const fresh = stand.client({ fanout, topics: [other], encoding: 'proto' });
  for (const one of [client, fresh]) {
    await one.connect();
    await one.reach(other, 5);
  }
  await client.reach(topic, 5);
  process.kill(fanout.pid, 'SIGSTOP');
  try {
    // What it had asked for before is answered before: an answer from afterwards would be no surprise to it.
    await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE application_name LIKE 'oa-sync-fanout%' AND state = 'active'
      AND backend_type = 'client backend'`)).length === 0, { what: 'no question of a fan-out is being answered' });
    await stand.insert(topic, 20, { first: 6 });
    await stand.insert(other, 20, { first: 6 });
    await age(query, topic, 15, 750 * 24);
    await drop();
  } finally {
    process.kill(fanout.pid, 'SIGCONT');
  }
  for (const one of [client, fresh]) await one.reach(other, 25);
  assertBreach(await client.error('stale_cursor'), topic, 15);
  assert.deepEqual(client.watermarks(topic), [1, 2, 3, 4, 5], 'nothing is cut out silently');
  // The topic is alive for those who begin anew.
  client.state(topic).cursor = undefined;
  await client.subscribe([topic]);
  await client.reach(topic, 25);
  await stand.insert(topic, 1, { first: 26 });
  await client.reach(topic, 26);
  assert.deepEqual([client.closes, fresh.closes, fresh.errors], [[], [], []]);
});
