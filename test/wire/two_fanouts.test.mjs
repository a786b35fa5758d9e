// Two fan-outs on one database: each has everything, and a client may go from one to the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, range } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { loops: 1 } });
const second = await stand.startFanout({ loops: 2 });
await second.ready();

test('subscribers of both get the same', async () => {
  const clients = [stand.client({ topics: ['two.t'] }), stand.client({ fanout: second, topics: ['two.t'] })];
  await Promise.all(clients.map((client) => client.connect()));
  for (let i = 0; i < 20; i++) await stand.insert('two.t', 10, { first: 10 * i + 1 });
  for (const client of clients) {
    await client.reach('two.t', 200);
    assert.deepEqual(client.watermarks('two.t'), range(1, 200));
    assert.equal(client.gaps + client.duplicates, 0);
  }
});

test('a cursor from one is good at the other', async () => {
  const here = stand.client({ topics: ['walk.t'] });
  await here.connect();
  await stand.insert('walk.t', 50);
  await here.reach('walk.t', 50);
  await here.close();
  await stand.insert('walk.t', 50, { first: 51 });
  const there = stand.client({ fanout: second, topics: ['walk.t'], resumeAfter: { 'walk.t': 50 } });
  await there.connect();
  await there.reach('walk.t', 100);
  assert.deepEqual(there.watermarks('walk.t'), range(51, 100));
});

test('sockets are spread over event loops, and all loops deliver', async () => {
  const clients = Array.from({ length: 24 }, () => stand.client({ fanout: second, topics: ['loops.t'] }));
  await Promise.all(clients.map((client) => client.connect()));
  for (let i = 0; i < 10; i++) await stand.insert('loops.t', 5, { first: 5 * i + 1 });
  for (const client of clients) {
    await client.reach('loops.t', 50);
    assert.deepEqual(client.watermarks('loops.t'), range(1, 50));
  }
});

test('a tail that only reads the journal delivers the same', async () => {
  const journal = await stand.startFanout({ tail: 'journal' });
  await journal.ready();
  const client = stand.client({ fanout: journal, topics: ['poll.t'] });
  await client.connect();
  for (let i = 0; i < 10; i++) await stand.insert('poll.t', 5, { first: 5 * i + 1 });
  await client.reach('poll.t', 50);
  assert.deepEqual(client.watermarks('poll.t'), range(1, 50));
});

test('a stopped fan-out leaves no replication slot behind', async () => {
  const third = await stand.startFanout();
  await third.ready();
  await third.kill9();
  const slots = async () => Number((await stand.query(`SELECT count(*) AS n FROM pg_replication_slots WHERE NOT temporary`))[0].n);
  assert.equal(await slots(), 0);
});
