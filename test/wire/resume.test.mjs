// A subscriber that is cut off, or whose fan-out dies, goes on where it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();

/** Writes on a topic until told to stop; returns how many rows. @param {string} topic */
function writeUntilStopped(topic) {
  let stop = false;
  let rows = 0;
  const done = (async () => {
    for (let i = 0; !stop; i++, rows += 2) await stand.insert(topic, 2, { first: 2 * i + 1 });
    return rows;
  })();
  return { stop: () => ((stop = true), done) };
}

test('cut again and again while rows are written: everything once', async () => {
  const client = stand.client({ topics: ['cut.t'] });
  await client.connect();
  const writing = writeUntilStopped('cut.t');
  for (let i = 1; i <= 5; i++) {
    await client.reach('cut.t', (client.state('cut.t').cursor ?? 0) + 40);
    const joins = client.joinReplies.length;
    client.cut();
    await waitFor(() => client.joinReplies.length > joins, { what: 'the client joined again' });
  }
  const rows = await writing.stop();
  await client.reach('cut.t', rows);
  assert.deepEqual(client.watermarks('cut.t'), range(1, rows));
  assert.equal(client.gaps, 0);
  assert.ok(client.resumes >= 5);
});

test('what was written while away is replayed from the cursor, not from the start', async () => {
  await stand.insert('away.t', 10);
  const first = stand.client({ topics: ['away.t'] });
  await first.connect();
  await first.reach('away.t', 10);
  await first.close();
  await stand.insert('away.t', 300, { first: 11 });
  const second = stand.client({ topics: ['away.t'], resumeAfter: { 'away.t': 10 } });
  const response = await second.connect();
  assert.equal(response.current_watermarks[0].watermark, 10);
  await second.reach('away.t', 310);
  assert.deepEqual(second.watermarks('away.t'), range(11, 310));
  assert.equal(second.duplicates, 0);
});

test('a cursor at the head waits for what comes next', async () => {
  await stand.insert('athead.t', 4);
  const client = stand.client({ topics: ['athead.t'], resumeAfter: { 'athead.t': 4 } });
  await client.connect();
  await stand.insert('athead.t', 1, { first: 5 });
  await client.reach('athead.t', 5);
  assert.deepEqual(client.watermarks('athead.t'), [5]);
});

test('the fan-out is killed and started again under its subscribers', async () => {
  const fanout = await stand.startFanout();
  await fanout.ready();
  const clients = [stand.client({ fanout, topics: ['killed.t'] }), stand.client({ fanout, topics: ['killed.t'], encoding: 'proto' })];
  await Promise.all(clients.map((client) => client.connect()));
  const writing = writeUntilStopped('killed.t');
  for (let i = 0; i < 3; i++) {
    const before = clients.map((client) => client.state('killed.t').cursor ?? 0);
    await Promise.all(clients.map((client, c) => client.reach('killed.t', (before[c] ?? 0) + 30)));
    if (i === 1) await fanout.stop();
    else await fanout.kill9();
    await fanout.launch();
  }
  const rows = await writing.stop();
  for (const client of clients) {
    await client.reach('killed.t', rows);
    assert.deepEqual(client.watermarks('killed.t'), range(1, rows));
    assert.equal(client.gaps, 0);
  }
});

test('a client that keeps its own cursors may subscribe topic by topic', async () => {
  await stand.insert('own.a', 5);
  await stand.insert('own.b', 5);
  const client = stand.client({ resumeAfter: { 'own.a': 2, 'own.b': 5 } });
  await client.connect();
  await client.subscribe(['own.a']);
  await client.subscribe(['own.b']);
  await client.reach('own.a', 5);
  await stand.insert('own.b', 1, { first: 6 });
  await client.reach('own.b', 6);
  assert.deepEqual(client.watermarks('own.a'), [3, 4, 5]);
  assert.deepEqual(client.watermarks('own.b'), [6]);
});

test('subscribing again to a live topic with a lower cursor replays from it', async () => {
  await stand.insert('again.t', 5);
  const raw = await stand.raw();
  await raw.join({ topics: ['again.t'], resume_after: { 'again.t': 5 } });
  await raw.ask('sync:v1', 'sync:subscribe', { topics: ['again.t'], resume_after: { 'again.t': 3 } });
  const batch = await raw.frame((f) => f[3] === 'sync:update_batch', 'a batch');
  assert.equal(batch[4].after_watermark, 3);
  assert.deepEqual(batch[4].updates.map((/** @type {any} */ u) => u.watermark), [4, 5]);
});
