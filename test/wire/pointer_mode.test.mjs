// Pointer mode on the wire: an upsert whose payload is not in the journal says hydration_required and has the
// document's hash, in both encodings, live and replayed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, sha256 } from '../harness/index.mjs';

const stand = await Stand.create();
await stand.query(`SELECT runtime.sync_set_policy('ptr.*', payload_mode => 'pointer'),
  runtime.sync_set_policy('ptr.sized', payload_mode => 'inline', max_inline => 200)`);

/** @param {string} topic @param {number} events @param {() => Promise<void>} work what happens when clients are there */
async function follow(topic, events, work) {
  const clients = ['json', 'proto'].map((encoding) => stand.client({ topics: [topic], encoding: /** @type {any} */ (encoding) }));
  await Promise.all(clients.map((client) => client.connect()));
  await work();
  const late = ['json', 'proto'].map((encoding) => stand.client({ topics: [topic], encoding: /** @type {any} */ (encoding) }));
  await Promise.all(late.map((client) => client.connect()));
  await Promise.all([...clients, ...late].map((client) => client.reach(topic, events)));
  const seen = [...clients, ...late].map((client) => client.state(topic).events.map(({ receivedAt, ...rest }) => rest));
  for (const other of seen.slice(1)) assert.deepEqual(other, seen[0], 'live and replayed, JSON and proto tell the same');
  return /** @type {any[]} */ (seen[0]);
}

test('every upsert of a pointer topic is to be hydrated; a delete is not', async () => {
  const events = await follow('ptr.all', 3, async () => {
    await stand.insert('ptr.all', 1);
    await stand.query(`UPDATE app.items SET body = 'ü' WHERE topic = 'ptr.all'`);
    await stand.query(`DELETE FROM app.items WHERE topic = 'ptr.all'`);
  });
  const hash = (/** @type {string} */ body) => sha256(`{"body":"${body}","id":1,"n":1,"topic":"ptr.all","version":1}`);
  assert.deepEqual(events.map((e) => [e.op, e.payload, e.hydrationRequired, e.payloadHash]), [
    ['upsert', null, true, hash('x')],
    ['upsert', null, true, hash('ü')],
    ['delete', null, false, sha256('null')],
  ]);
});

test('by size, only the larger ones', async () => {
  const events = await follow('ptr.sized', 2, async () => {
    await stand.insert('ptr.sized', 1);
    await stand.insert('ptr.sized', 1, { first: 2, body: 'y'.repeat(300) });
  });
  assert.deepEqual(events.map((e) => [e.payload?.body ?? null, e.hydrationRequired]), [['x', false], [null, true]]);
});
