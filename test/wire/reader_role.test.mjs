// The role that docs/extension.md makes for a fan-out is enough for it, and for nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Fanout, Stand, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const page = readFileSync(new URL('../../docs/extension.md', import.meta.url), 'utf8');
const grants = /```sql\n(CREATE ROLE sync_reader[\s\S]*?)```/.exec(page)?.[1];
assert.ok(grants, 'docs/extension.md shows the role');
stand.cluster.psql(stand.database, grants);
const conninfo = stand.cluster.conninfo(stand.database).replace(/user=\S+/, 'user=sync_reader');
const fanout = await Fanout.start({ database: conninfo });
after(() => fanout.destroy());
await fanout.ready();

test('a fan-out with it replays, and streams live from a slot', async () => {
  await stand.insert('role.t', 5);
  const client = stand.client({ fanout, topics: ['role.t'] });
  await client.connect();
  await client.reach('role.t', 5);
  await waitFor(async () => (await fanout.metric('oa_sync_tail_mode', 'mode="logical"')) === 1, { what: 'the slot is live' });
  await stand.insert('role.t', 5, { first: 6 });
  await client.reach('role.t', 10);
  assert.deepEqual(client.watermarks('role.t'), range(1, 10));
});

test('it reads no table and emits nothing', () => {
  for (const sql of ['SELECT * FROM runtime.sync_stream_events', 'SELECT * FROM app.items',
    `SELECT runtime.sync_emit('role.t', 'k', 1, '1')`]) {
    assert.throws(() => stand.cluster.psql(stand.database, `SET ROLE sync_reader; ${sql};`), /permission denied/, sql);
  }
});
