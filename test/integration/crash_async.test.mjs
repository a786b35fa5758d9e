// Durable before delivered: writers that do not wait for the disk lose their last commits in a crash, and no
// subscriber has seen one of those.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

// The WAL writer would hide what this is about.
const stand = await Stand.create({ settings: { wal_writer_delay: '10s', synchronous_commit: 'off' } });
const { cluster } = stand;
const polling = await stand.startFanout({ tail: 'journal', 'journal-poll-ms': 20 });
await polling.ready();

test('what was delivered survives kill -9, what did not survive was not delivered', async () => {
  const topic = 'async.t';
  const clients = [stand.client({ topics: [topic] }), stand.client({ fanout: polling, topics: [topic], encoding: 'proto' })];
  for (const client of clients) await client.connect();
  let id = 0;
  let lost = 0;
  for (let round = 1; round <= 4; round++) {
    const writer = await cluster.connect(stand.database);
    const before = Math.max(...clients.map((client) => client.applied));
    // Until some have arrived, and then some more, of which nobody has told the disk.
    await waitFor(async () => {
      await writer.query('INSERT INTO app.items (topic, id, body) VALUES ($1, $2, $3)', [topic, ++id, `round ${round}`]);
      return Math.max(...clients.map((client) => client.applied)) >= before + 5;
    }, { timeoutMs: 60_000, everyMs: 1, what: 'some events arrive' });
    for (let i = 0; i < 20; i++) {
      await writer.query('INSERT INTO app.items (topic, id, body) VALUES ($1, $2, $3)', [topic, ++id, `round ${round}`]);
    }
    await cluster.kill9();
    const held = clients.map((client) => [...client.state(topic).events]);
    await cluster.start();
    const journal = await stand.journal(topic);
    lost = id - journal.length;
    for (const events of held) {
      assert.deepEqual(events.map((e) => [e.watermark, e.docKey, e.payloadHash]),
        journal.slice(0, events.length).map((e) => [e.watermark, e.doc_key, e.payload_hash]));
    }
  }
  assert.ok(lost > 0, 'the crashes took commits back');
  await stand.insert(topic, 1, { first: ++id });
  await stand.query('CHECKPOINT');
  const journal = await stand.journal(topic);
  for (const client of clients) {
    await client.reach(topic, journal.at(-1).watermark, 60_000);
    assert.deepEqual(client.state(topic).events.map((e) => [e.watermark, e.docKey, e.payloadHash]),
      journal.map((e) => [e.watermark, e.doc_key, e.payload_hash]));
    assert.equal(client.gaps, 0);
    assert.deepEqual(client.errors, []);
    assert.ok(client.joinReplies.every((reply) => reply.stale === undefined), 'no cursor became stale');
  }
});
