// The limits of a batch, what it covers, and payloads that are too large to be sent inline.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, range, sha256, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'max-update-bytes': 65536, 'max-batch-bytes': 131072 } });

test('at most 200 updates in a batch, and batches follow one another', async () => {
  await stand.insert('batch.many', 1000);
  const client = stand.client({ topics: ['batch.many'] });
  await client.connect();
  await client.reach('batch.many', 1000);
  let cursor = 0;
  for (const batch of client.batches) {
    assert.equal(batch.after, cursor);
    assert.ok(batch.updates.length <= 200);
    cursor = batch.through;
  }
  assert.ok(client.batches.length >= 5);
  assert.ok(client.batches.length <= 20, `${client.batches.length} batches for 1000 events`);
});

test('replay_batch_size lowers the limit, and only lowers it', async () => {
  await stand.insert('batch.size', 300);
  const client = stand.client();
  await client.connect();
  await client.subscribe(['batch.size'], { replay_batch_size: 7 });
  await client.reach('batch.size', 300);
  assert.ok(client.batches.every((batch) => batch.updates.length <= 7));
  const greedy = stand.client();
  await greedy.connect();
  await greedy.subscribe(['batch.size'], { replay_batch_size: 100_000 });
  await greedy.reach('batch.size', 300);
  assert.ok(greedy.batches.every((batch) => batch.updates.length <= 200));
});

test('a batch is at most max-batch-bytes long, in both encodings', async () => {
  await stand.insert('batch.bytes', 40, { body: 'z'.repeat(10_000) });
  for (const encoding of /** @type {const} */ (['json', 'proto'])) {
    const raw = await stand.raw();
    await raw.join({ topics: ['batch.bytes'], encoding });
    const frames = () => (encoding === 'json' ? raw.texts.filter((t) => t.includes('update_batch')) : raw.binaries);
    await waitFor(() => frames().reduce((n, f) => n + f.length, 0) > 400_000, { what: 'all of it' });
    assert.ok(frames().length >= 3, `${frames().length} frames`);
    for (const frame of frames()) assert.ok(frame.length <= 131072, `${encoding}: ${frame.length} bytes`);
    raw.end();
  }
});

test('a payload over the inline limit becomes a pointer', async () => {
  const body = 'w'.repeat(100_000);
  for (const encoding of /** @type {const} */ (['json', 'proto'])) {
    const topic = `batch.pointer.${encoding}`;
    const client = stand.client({ topics: [topic], encoding });
    await client.connect();
    await stand.insert(topic, 1);
    await stand.insert(topic, 1, { first: 2, body });
    await stand.insert(topic, 1, { first: 3 });
    await client.reach(topic, 3);
    const [small, large, next] = client.state(topic).events;
    assert.equal(small?.hydrationRequired, false);
    assert.deepEqual([large?.op, large?.payload, large?.hydrationRequired], ['upsert', null, true]);
    const canonical = `{"body":"${body}","id":2,"n":2,"topic":"${topic}","version":1}`;
    assert.equal(large?.payloadHash, sha256(canonical), 'the hash is that of the document');
    assert.equal(next?.payload.id, 3);
  }
});

test('watermarks of failed commits are covered and not sent', async () => {
  // A deferred trigger that runs after capture has allocated can't fail the commit, so a void is made by a writer
  // that is killed; here the journal's own voids are what matters, however they came about.
  await stand.insert('batch.void', 3);
  const victim = await stand.cluster.connect(stand.database);
  const { rows } = await victim.query('SELECT pg_backend_pid() AS pid');
  await victim.query(`BEGIN; INSERT INTO app.items (topic, id) VALUES ('batch.void', 100)`);
  await stand.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
  await stand.insert('batch.void', 3, { first: 4 });
  const client = stand.client({ topics: ['batch.void'] });
  await client.connect();
  const [{ head }] = await stand.query(`SELECT max(watermark) AS head FROM runtime.sync_stream_events WHERE topic = 'batch.void'`);
  await client.reach('batch.void', head);
  const real = await stand.journal('batch.void');
  assert.deepEqual(client.watermarks('batch.void'), real.map((e) => e.watermark));
  assert.equal(real.length, 6);
});

test('a transaction of many rows arrives whole and contiguous', async () => {
  const client = stand.client({ topics: ['batch.big'] });
  await client.connect();
  await stand.insert('batch.big', 20_000);
  await client.reach('batch.big', 20_000);
  assert.deepEqual(client.watermarks('batch.big'), range(1, 20_000));
});
