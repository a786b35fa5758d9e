// JSON and protobuf carry the same events.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, batchFromProto, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();

test('both encodings tell the same, replayed and live', async () => {
  const topic = 'enc.t';
  await stand.query(`INSERT INTO app.items SELECT 'enc.t', i, i * 1000000007::bigint, i / 7.0, repeat('ü"\\', i) FROM generate_series(1, 40) i`);
  const json = stand.client({ topics: [topic] });
  const proto = stand.client({ topics: [topic], encoding: 'proto' });
  await Promise.all([json.connect(), proto.connect()]);
  await stand.query(`UPDATE app.items SET body = 'live' WHERE topic = 'enc.t' AND id <= 5`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'enc.t' AND id <= 5`);
  await Promise.all([json.reach(topic, 50), proto.reach(topic, 50)]);
  const strip = (/** @type {any} */ { receivedAt, ...rest }) => rest;
  assert.deepEqual(proto.state(topic).events.map(strip), json.state(topic).events.map(strip));
});

test('a binary frame is a Phoenix broadcast that holds an UpdateBatch', async () => {
  await stand.insert('enc.raw', 3);
  const raw = await stand.raw();
  const { status } = await raw.join({ encoding: 'proto', topics: ['enc.raw'] });
  assert.equal(status, 'ok', 'replies stay JSON');
  const frame = await waitFor(() => raw.binaries[0], { what: 'a binary frame' });
  const [kind, topicLength = 0, eventLength = 0] = frame;
  assert.equal(kind, 2);
  assert.equal(frame.subarray(3, 3 + topicLength).toString(), 'sync:v1');
  const eventEnd = 3 + topicLength + eventLength;
  assert.equal(frame.subarray(3 + topicLength, eventEnd).toString(), 'sync:update_batch');
  const body = frame.subarray(eventEnd);
  const batch = batchFromProto(/** @type {ArrayBuffer} */ (new Uint8Array(body).buffer));
  assert.deepEqual(batch.updates.map((u) => u.watermark), [1, 2, 3]);
  assert.deepEqual(batch.problems, []);
});

test('an unknown encoding is refused', async () => {
  const raw = await stand.raw();
  const { status, response } = await raw.join({ encoding: 'xml' });
  assert.equal(status, 'error');
  assert.equal(response.code, 'bad_subscription');
});

test('the same bytes for every subscriber', async () => {
  const sockets = [await stand.raw(), await stand.raw()];
  for (const raw of sockets) await raw.join({ topics: ['enc.same'] });
  await stand.insert('enc.same', 3);
  const texts = [];
  for (const raw of sockets) {
    await raw.frame((f) => f[3] === 'sync:update_batch', 'a batch');
    texts.push(raw.texts.find((text) => text.includes('sync:update_batch')));
  }
  assert.equal(texts[0], texts[1]);
});
