// Several topics share a socket: a quiet topic's event is not queued behind a hot topic's backlog.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create();

test('quiet topics are served while a hot backlog is replayed', async () => {
  const backlog = 20_000;
  await stand.insert('fair.hot', backlog, { body: 'y'.repeat(500) });
  for (let i = 0; i < 5; i++) await stand.insert(`fair.quiet.${i}`, 1);
  const topics = ['fair.hot', ...[0, 1, 2, 3, 4].map((i) => `fair.quiet.${i}`)];
  const client = stand.client({ topics });
  await client.connect();
  for (const topic of topics.slice(1)) {
    await client.reach(topic, 1);
    assert.ok((client.state('fair.hot').cursor ?? 0) < backlog / 2, `${topic} came after half of the backlog`);
  }
  await stand.insert('fair.quiet.0', 1, { first: 2 });
  await client.reach('fair.quiet.0', 2);
  const hotWhenLive = client.state('fair.hot').cursor ?? 0;
  assert.ok(hotWhenLive < backlog, `a live event waited for the whole backlog`);
  await client.reach('fair.hot', backlog, 60_000);
  assert.equal(client.applied, backlog + 6);
});

test('a hot topic does not keep another subscriber of it waiting', async () => {
  const slow = await stand.raw();
  await slow.join({ topics: ['fair.hot'] });
  slow.ws.pause();
  const quick = stand.client({ topics: ['fair.hot'], resumeAfter: { 'fair.hot': 20_000 } });
  await quick.connect();
  await stand.insert('fair.hot', 10, { first: 30_000 });
  await quick.reach('fair.hot', 20_010);
  slow.end();
});
