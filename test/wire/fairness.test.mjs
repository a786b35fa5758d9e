// Several topics share a socket: a quiet topic's event is not queued behind a hot topic's backlog.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SyncClient, Stand, range } from '../harness/index.mjs';

// One connection reads the journal, so that no page is late because its connection was; one loop serves everybody, so that
// what one subscriber has been sent is known for the other too.
const stand = await Stand.create({ flags: { loops: 1, 'journal-readers': 1 } });

// More than what can be on its way to a client that does not read.
const buffers = ['tcp_rmem', 'tcp_wmem'].map((name) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2]));
const body = 'y'.repeat(1000);
const backlog = Math.max(20_000, Math.ceil(buffers.reduce((sum, bytes) => sum + bytes, 0) / body.length));

/**
 * How far the hot topic was when an event came: what the client had been sent before it, whatever time that took.
 * @param {SyncClient} client @param {string} topic @param {number} watermark
 */
function hotBefore(client, topic, watermark) {
  const at = client.batches.findIndex((batch) => batch.topic === topic && batch.through >= watermark);
  assert.ok(at >= 0, `${topic}@${watermark} came`);
  return Math.max(0, ...client.batches.slice(0, at).filter((batch) => batch.topic === 'fair.hot').map((batch) => batch.through));
}

test('quiet topics are served while a hot backlog is replayed', async () => {
  await stand.insert('fair.hot', backlog, { body });
  const quiet = range(0, 4).map((i) => `fair.quiet.${i}`);
  for (const topic of quiet) await stand.insert(topic, 1);
  const client = stand.client({ topics: ['fair.hot', ...quiet] });
  await client.connect();
  // The backlog is not over before the live event is there: its client does not read.
  client.pause();
  const observer = stand.client({ topics: ['fair.quiet.0'] });
  await observer.connect();
  await observer.reach('fair.quiet.0', 1);
  await stand.insert('fair.quiet.0', 1, { first: 2 });
  await observer.reach('fair.quiet.0', 2);
  client.resume();
  await client.reach('fair.hot', backlog);
  for (const topic of quiet) {
    await client.reach(topic, topic === 'fair.quiet.0' ? 2 : 1);
    assert.ok(hotBefore(client, topic, 1) < backlog / 2, `${topic} came after half of the backlog`);
  }
  assert.ok(hotBefore(client, 'fair.quiet.0', 2) < backlog, 'a live event waited for the whole backlog');
  assert.equal(client.applied, backlog + 6);
});

test('a hot topic does not keep another subscriber of it waiting', async () => {
  const slow = await stand.raw();
  await slow.join({ topics: ['fair.hot'] });
  slow.ws.pause();
  const quick = stand.client({ topics: ['fair.hot'], resumeAfter: { 'fair.hot': backlog } });
  await quick.connect();
  await stand.insert('fair.hot', 10, { first: 2 * backlog });
  await quick.reach('fair.hot', backlog + 10);
  slow.end();
});
