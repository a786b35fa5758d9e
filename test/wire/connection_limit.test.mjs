// Past --max-connections a connection is turned away, and those inside notice nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'max-connections': 10 } });

test('ten get in, the eleventh does not, and a place that is freed can be taken', async () => {
  const inside = [];
  while (inside.length < 10) inside.push(await stand.raw());
  // Each is counted just after its handshake's answer, by its own loop.
  await waitFor(async () => await stand.fanout.metric('oa_sync_connections') === 10, { what: 'ten are counted' });
  await assert.rejects(stand.raw(), { status: 503 });
  for (const raw of inside) assert.equal((await raw.join()).status, 'ok');
  inside.pop()?.end();
  await waitFor(() => stand.raw().then(() => true, () => false), { what: 'the freed place can be taken' });
});
