// Following a topic: the happy path, in both encodings.
import { expect, test } from 'vitest';
import { held, reach, record, Stand } from './support/stand.js';

const stand = await Stand.create();

test.each(['proto', 'json'] as const)('documents, then live updates (%s)', async (encoding) => {
  const name = `follow.${encoding}`;
  await stand.insert(name, 3);
  const client = stand.client({ encoding });
  const topic = client.subscribe(name);
  const updates = record(topic);
  await topic.live();
  expect(client.status).toBe('live');
  expect(held(topic)).toEqual(await stand.table(name));
  expect(topic.get('item:2')?.payload).toEqual({ topic: name, id: 2, version: 1, n: 2, body: 'x' });
  expect(topic.currentAsOf).not.toBeNull();

  await stand.query(`UPDATE app.items SET body = 'y', version = 2 WHERE topic = $1 AND id = 2`, [name]);
  await stand.query('DELETE FROM app.items WHERE topic = $1 AND id = 1', [name]);
  await reach(topic, 5);
  expect(updates.map((u) => [u.watermark, u.op, u.docKey, u.docVersion])).toEqual([
    [4, 'upsert', 'item:2', 2], [5, 'delete', 'item:1', 1]]);
  expect(held(topic)).toEqual(await stand.table(name));
  expect(topic.lag).toBe(0);
  expect(client.errors).toEqual([]);
});

test.each(['proto', 'json'] as const)('the trace of a writer comes with its updates (%s)', async (encoding) => {
  const name = `traced.${encoding}`;
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const client = stand.client({ encoding });
  const topic = client.subscribe(name);
  const updates = record(topic);
  await topic.live();
  await stand.query(`DO $$ BEGIN
    INSERT INTO app.items (topic, id) VALUES ('${name}', 1);
    PERFORM set_config('oa_sync.traceparent', '${trace}', true);
    INSERT INTO app.items (topic, id) VALUES ('${name}', 2);
  END $$`, []);
  await reach(topic, 2);
  expect(updates.map((u) => u.traceparent)).toEqual([undefined, trace]);
  expect(updates.map((u) => 'traceparent' in u)).toEqual([false, true]);
  expect(client.errors).toEqual([]);
});
