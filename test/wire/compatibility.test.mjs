// The compatibility gate, as clients meet it: off by default, and each refusal in its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create();
const gated = await stand.startFanout({ 'compatibility-gate': 'on', 'protocol-version': 'openagents.sync.v1,older.v1',
  'min-schema-version': 2, 'max-schema-version': 3, 'min-client-build-id': '20260101T000000Z',
  'max-client-build-id': '20261231T235959Z', 'compatibility-surface': 'tests' });
await gated.ready();

const fine = { client: 'test', client_build_id: '20260601T120000Z', protocol_version: 'openagents.sync.v1', schema_version: 2 };

test('without the gate any client joins, whatever it says of itself', async () => {
  for (const params of [{}, { client_build_id: 5, protocol_version: null, schema_version: [] }, fine]) {
    const raw = await stand.raw();
    assert.equal((await raw.join(params)).status, 'ok', JSON.stringify(params));
    raw.end();
  }
});

test('with the gate, what is supported joins and follows its topics', async () => {
  await stand.insert('gate.topic', 3);
  const client = stand.client({ fanout: gated, topics: ['gate.topic'], params: { ...fine, schema_version: '3', protocol_version: 'older.v1' } });
  await client.connect();
  await client.reach('gate.topic', 3);
});

const refusals = {
  invalid_client_build: [{}, { ...fine, client_build_id: 'v1.2.3' }, { topics: 'not even a list' }],
  unsupported_protocol_version: [{ ...fine, protocol_version: 'other' }, { ...fine, protocol_version: undefined, schema_version: 9 }],
  unsupported_schema_version: [{ ...fine, schema_version: 1 }, { ...fine, schema_version: 4, client_build_id: '20200101T000000Z' }],
  upgrade_required: [{ ...fine, client_build_id: '20251231T235959Z' }],
  unsupported_client_build: [{ ...fine, client_build_id: '20270101T000000Z' }],
};
for (const [code, cases] of Object.entries(refusals)) {
  test(`refused with ${code}`, async () => {
    const raw = await stand.raw({ fanout: gated });
    for (const params of cases) {
      const reply = await raw.join(params);
      assert.equal(reply.status, 'error');
      assert.equal(typeof reply.response.message, 'string');
      const { message: _, ...response } = reply.response;
      assert.deepEqual(response, { code, retryable: false, upgrade_required: true, surface: 'tests',
        min_client_build_id: '20260101T000000Z', max_client_build_id: '20261231T235959Z', min_schema_version: 2, max_schema_version: 3,
        protocol_version: 'openagents.sync.v1' });
    }
    // The socket itself goes on: what is right may still be sent on it.
    assert.equal((await raw.join(fine)).status, 'ok');
    const metrics = await (await gated.fetchAdmin('/metrics')).text();
    assert.match(metrics, new RegExp(`^oa_sync_denials_total\\{reason="${code}"\\} ${cases.length}$`, 'm'));
    raw.end();
  });
}
