// Past --max-connections a connection is turned away, and those inside notice nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawTcp, Stand, upgradeRequest, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'max-connections': 10 } });

test('ten get in, the eleventh does not, and a place that is freed can be taken', async () => {
  const inside = [];
  while (inside.length < 10) inside.push(await stand.raw());
  await assert.rejects(stand.raw(), { status: 503 });
  for (const raw of inside) assert.equal((await raw.join()).status, 'ok');
  inside.pop()?.end();
  await waitFor(() => stand.raw().then(() => true, () => false), { what: 'the freed place can be taken' });
});

test('of sixty that ask at once, on all loops, as many get in as there is room for', async () => {
  const busy = await stand.startFanout({ 'max-connections': 7, loops: 4 });
  const all = await Promise.all(Array.from({ length: 60 }, () => RawTcp.connect(busy.host, busy.port)));
  const text = upgradeRequest(`/socket/websocket?vsn=2.0.0&token=${busy.token(['*'])}`);
  for (const tcp of all) tcp.send(text);
  const statuses = () => all.map((tcp) => /^HTTP\/1.1 (\d+) /.exec(tcp.received.toString('latin1'))?.[1]);
  await waitFor(() => statuses().every(Boolean), { what: 'all are answered' });
  assert.deepEqual(statuses().sort(), [...Array(7).fill('101'), ...Array(53).fill('503')]);
  for (const tcp of all) tcp.socket.destroy();
});
