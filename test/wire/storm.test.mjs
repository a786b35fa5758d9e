// A reconnect storm: what it costs the database, what is refused, and that everyone gets there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, pause, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { loops: 2 } });
const clients = 300;
const missed = 1000;

/** Reads of journal pages so far. @param {import('../harness/fanout.mjs').Fanout} fanout */
const reads = (fanout) => fanout.metric('oa_sync_journal_reads_total');

/** Joins a raw socket behind by `missed` events; resolves when all of them came. @param {import('../harness/fanout.mjs').Fanout} fanout @param {string} topic */
async function resume(fanout, topic, last = missed) {
  const raw = await stand.raw({ fanout });
  const reply = await raw.join({ topics: [topic], resume_after: { [topic]: last - missed } });
  assert.equal(reply.status, 'ok', JSON.stringify(reply));
  let cursor = last - missed;
  let taken = 0;
  await waitFor(() => {
    for (; taken < raw.frames.length; taken++) {
      const [, , , event, payload] = raw.frames[taken];
      if (event !== 'sync:update_batch') continue;
      assert.equal(payload.after_watermark, cursor);
      cursor = payload.through_watermark;
    }
    return cursor >= last;
  }, { timeoutMs: 60_000, what: () => `${topic} reaches ${last}; it is at ${cursor}` });
  raw.end();
}

test('many clients cost at most twice the reads of one, over all loops', async () => {
  await stand.insert('storm.t', 2500);
  const last = 2500;
  const alone = await stand.startFanout({ loops: 1 });
  await alone.ready();
  await resume(alone, 'storm.t', last);
  const one = await reads(alone);
  assert.ok(one >= 1);
  await alone.stop();

  const fanout = await stand.startFanout({ loops: 2 });
  await fanout.ready();
  await Promise.all(range(1, clients).map(() => resume(fanout, 'storm.t', last)));
  const all = await reads(fanout);
  assert.ok(all <= 2 * one, `${clients} clients: ${all} reads; one: ${one}`);
  await waitFor(async () => (await fanout.metric('oa_sync_replays')) === 0, { what: 'no replay is under way any more' });
});

test('clients at different places share the pages as well', async () => {
  await stand.insert('storm.places', 3000);
  const before = await reads(stand.fanout);
  await Promise.all(range(1, 100).map((i) => resume(stand.fanout, 'storm.places', 2000 + 10 * i)));
  const after = await reads(stand.fanout);
  assert.ok(after - before <= 6, `${after - before} reads of three pages`);
});

test('joins beyond the rate are refused with different times, and get in by and by', async () => {
  const fanout = await stand.startFanout({ 'max-joins-per-second': 20 });
  await fanout.ready();
  const sockets = await Promise.all(range(1, 60).map(() => stand.raw({ fanout })));
  const replies = await Promise.all(sockets.map((raw) => raw.join()));
  const refused = replies.filter((reply) => reply.status === 'error');
  assert.ok(refused.length >= 1 && refused.length <= 40, `${refused.length} refused`);
  for (const { response } of refused) {
    assert.equal(response.code, 'rate_limited');
    assert.ok(response.retry_after_ms > 0);
  }
  assert.ok(new Set(refused.map(({ response }) => response.retry_after_ms)).size > refused.length / 2);
  assert.equal(await fanout.metric('oa_sync_storms_refused_total', 'kind="joins"'), refused.length);
  await Promise.all(sockets.map(async (raw) => {
    for (let reply = replies[sockets.indexOf(raw)]; reply?.status === 'error'; reply = await raw.join()) {
      await pause(reply.response.retry_after_ms);
    }
  }));
  // A stock client joins again by itself.
  const patient = stand.client({ fanout, topics: ['storm.t'], resumeAfter: { 'storm.t': 2400 } });
  await patient.connect().catch(() => {});
  await patient.reach('storm.t', 2500);
});

test('replays beyond the limit are refused; what the window has is no replay', async () => {
  await stand.insert('storm.slots', 20);
  const fanout = await stand.startFanout({ 'max-replays': 1, loops: 1, 'max-batch-events': 1 });
  await fanout.ready();
  await stand.insert('storm.wide', 400, { body: 'x'.repeat(50_000) });
  const other = await stand.raw({ fanout });
  // One who does not read: its replay stays under way, and holds the place for some seconds. If those pass before the
  // other asks, because the machine stands still, the other is served, and one more comes who does not read.
  const refused = await waitFor(async () => {
    const slow = await stand.raw({ fanout });
    slow.ws.pause();
    slow.send(['1', '1', 'sync:v1', 'phx_join', { topics: ['storm.wide'] }]);
    await waitFor(async () => (await fanout.metric('oa_sync_replays')) === 1, { timeoutMs: 4000, what: 'a replay under way' });
    const reply = await other.join({ topics: ['storm.slots'] });
    return reply.status === 'error' ? reply : undefined;
  }, { what: 'a replay beyond the limit is refused' });
  assert.equal(refused.response.code, 'rate_limited');
  assert.ok(refused.response.retry_after_ms > 0);
  assert.ok(await fanout.metric('oa_sync_storms_refused_total', 'kind="replays"') >= 1);
  const current = await other.join({ topics: ['storm.slots'], resume_after: { 'storm.slots': 20 } });
  assert.equal(current.status, 'ok');
  // The slow one's place is free before it has read anything.
  await waitFor(async () => (await fanout.metric('oa_sync_replays')) === 0, { what: 'the place is given up' });
  assert.equal((await other.join({ topics: ['storm.slots'] })).status, 'ok');
});

test('topics of the whole server have a limit, and names that nobody published are soon forgotten', async () => {
  const fanout = await stand.startFanout({ 'max-topics': 5, loops: 1 });
  await fanout.ready();
  const raw = await stand.raw({ fanout });
  assert.equal((await raw.join({ topics: range(1, 5).map((i) => `nobody.${i}`) })).status, 'ok');
  const refused = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['nobody.6'] });
  assert.equal(refused.response.code, 'rate_limited');
  assert.equal((await raw.ask('sync:v1', 'sync:unsubscribe', { topics: ['nobody.1'] })).status, 'ok');
  await waitFor(async () => (await raw.ask('sync:v1', 'sync:subscribe', { topics: ['nobody.6'] })).status === 'ok',
    { everyMs: 200, what: 'the place of a name that is gone' });
});
