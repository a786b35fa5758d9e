// docs/operations/metrics.md and a real server name the same metrics, with the same types and labels; and the ones about
// delivery count what happened.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Stand, root, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'heartbeat-interval-ms': 100, 'window-events': 16 } });
const { fanout } = stand;

/** name to {type, labels} of the page's tables. */
function documented() {
  const metrics = new Map();
  const lines = readFileSync(`${root}/docs/operations/metrics.md`, 'utf8').split('\n');
  metrics.set('oa_sync_setting', { type: 'gauge', labels: 'name' });  // in the text
  for (const line of lines) {
    const [, names = '', types = ''] = /^\| (`oa_sync_[^|]*) \| ([a-z, ]+) \|/.exec(line) ?? [];
    const listed = types.split(', ');
    [...names.matchAll(/`(\w+)(?:\{([\w,]+)\})?`/g)].forEach(([, name, labels = ''], i) => {
      assert.ok(!metrics.has(name), `${name} is there once`);
      metrics.set(name, { type: listed[i] ?? listed[0], labels });
    });
  }
  return metrics;
}

/** The same of the server; labels are undefined while there is no sample. */
async function served() {
  const metrics = new Map();
  for (const line of (await (await fanout.fetchAdmin('/metrics')).text()).split('\n')) {
    const [, declared, type] = /^# TYPE (\w+) (\w+)/.exec(line) ?? [];
    if (declared) metrics.set(declared, { type, labels: undefined });
    const [, sample = '', labels = ''] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    const metric = metrics.get(sample) ?? metrics.get(sample.replace(/_(bucket|sum|count)$/, ''));
    if (metric) metric.labels = [...labels.matchAll(/(\w+)="/g)].map((match) => match[1]).filter((name) => name !== 'le').join(',');
  }
  return metrics;
}

test('what happens is counted', async () => {
  await stand.insert('counted', 500);
  const first = stand.client({ topics: ['counted'] });
  await first.connect();
  await first.reach('counted', 500);
  assert.equal(await fanout.metric('oa_sync_reconnects_total'), 0);
  assert.equal(await fanout.metric('oa_sync_replay_seconds_count', 'source="journal"'), 1);
  const second = stand.client({ topics: ['counted'], resumeAfter: { counted: 100 } });
  await second.connect();
  await second.reach('counted', 500);
  assert.equal(await fanout.metric('oa_sync_reconnects_total'), 1);
  assert.equal(await fanout.metric('oa_sync_replay_seconds_count', 'source="page_cache"'), 1);
  const built = await fanout.metric('oa_sync_batches_encoded_total');
  assert.ok(built >= 3);
  assert.equal(await fanout.metric('oa_sync_batch_updates_count'), built);
  assert.ok(await fanout.metric('oa_sync_batch_updates_sum') >= 500);
  assert.ok(await fanout.metric('oa_sync_batch_bytes_sum') > 500 * 100);
  assert.ok(await fanout.metric('oa_sync_encode_seconds_total') > 0);
  // With each heartbeat, so the first ones may be from before they had everything.
  await waitFor(async () => (await fanout.metric('oa_sync_subscriber_lag_events_bucket', 'le="0"')) >= 2, { what: 'observations of the lag, of subscribers that have everything' });
});

test('the page names every metric, and no other', async () => {
  // So that the metrics with labels have samples.
  await fanout.fetch('/api/sync/heads?topic=x');
  const page = documented();
  // What the database says of itself comes with the first answer of the database.
  const server = await waitFor(async () => {
    const now = await served();
    return [...page.keys()].every((name) => now.has(name)) ? now : undefined;
  }, { what: 'every metric of the page' }).catch(served);
  assert.deepEqual([...server.keys()].filter((name) => !page.has(name)), [], 'on the page');
  assert.deepEqual([...page.keys()].filter((name) => !server.has(name)), [], 'on the server');
  for (const [name, { type, labels }] of server) {
    assert.equal(page.get(name).type, type, `type of ${name}`);
    if (labels !== undefined) assert.equal(page.get(name).labels, labels, `labels of ${name}`);
  }
});
