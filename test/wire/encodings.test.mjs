// JSON and protobuf carry the same events.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, batchFromProto, range, waitFor } from '../harness/index.mjs';

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
  const batches = () => raw.binaries.map((frame) => {
    const [kind, topicLength = 0, eventLength = 0] = frame;
    assert.equal(kind, 2);
    assert.equal(frame.subarray(3, 3 + topicLength).toString(), 'sync:v1');
    const eventEnd = 3 + topicLength + eventLength;
    assert.equal(frame.subarray(3 + topicLength, eventEnd).toString(), 'sync:update_batch');
    return batchFromProto(/** @type {ArrayBuffer} */ (new Uint8Array(frame.subarray(eventEnd)).buffer));
  });
  await waitFor(() => batches().at(-1)?.through === 3, { what: 'binary frames up to the last event' });
  assert.deepEqual(batches().flatMap((batch) => batch.updates.map((u) => u.watermark)), [1, 2, 3]);
  assert.deepEqual(batches().flatMap((batch) => batch.problems), []);
});

test('an unknown encoding is refused', async () => {
  const raw = await stand.raw();
  const { status, response } = await raw.join({ encoding: 'xml' });
  assert.equal(status, 'error');
  assert.equal(response.code, 'bad_subscription');
});

test('the same bytes for every subscriber', async () => {
  const live = [await stand.raw(), await stand.raw(), await stand.raw()];
  for (const raw of live) await raw.join({ topics: ['enc.same'] });
  await stand.query(`INSERT INTO app.items SELECT 'enc.same', i, i * 1000000007::bigint, i / 7.0, repeat('ü"\\', i) FROM generate_series(1, 20) i`);
  const late = await stand.raw();
  await late.join({ topics: ['enc.same'] });
  // Into how many batches the updates go may differ from one subscriber to the other: several loops serve them, each when it
  // comes to it. The text of each update may not.
  const texts = [];
  for (const raw of [...live, late]) {
    await raw.reach('enc.same', 20);
    texts.push(raw.texts.flatMap((text) => /"sync:update_batch",{"updates":\[(.*)\],"replay_complete":/s.exec(text)?.[1] ?? []).join());
  }
  assert.deepEqual(JSON.parse(`[${texts[0]}]`).map((/** @type {any} */ u) => u.watermark), range(1, 20));
  for (const text of texts) assert.equal(text, texts[0]);
});
