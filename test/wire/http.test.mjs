// /healthz, /readyz, /metrics.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fanout, Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { fanout } = stand;

test('/healthz and /readyz', async () => {
  assert.equal((await fanout.fetch('/healthz')).status, 200);
  assert.equal((await fanout.fetch('/readyz')).status, 200);
});

test('without a database: alive, listening, not ready', async () => {
  const lonely = await Fanout.start({ database: 'host=/nonexistent dbname=none' });
  try {
    assert.equal((await lonely.fetch('/healthz')).status, 200);
    assert.equal((await lonely.fetch('/readyz')).status, 503);
    assert.equal(await lonely.stop(), 0);
  } finally {
    await lonely.destroy();
  }
});

test('/metrics is Prometheus text, counts what happens, and names no topic or token', async () => {
  const client = stand.client({ topics: ['metrics.topic'] });
  await client.connect();
  await stand.insert('metrics.topic', 25);
  await client.reach('metrics.topic', 25);
  const response = await fanout.fetchAdmin('/metrics');
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
  const text = await response.text();
  for (const line of text.split('\n')) {
    assert.match(line, /^(|# (HELP|TYPE) oa_sync_\w+ .*|oa_sync_\w+(\{[^}]*\})? (-?[\d.e+-]+|[+-]Inf|NaN))$/i, line);
  }
  assert.ok(text.split('\n').filter((line) => line.startsWith('# TYPE')).length >= 5, 'at least five metrics');
  assert.ok(!text.includes('metrics.topic'), 'topics are not labels');
});

test('methods and queries that are not expected do no harm', async () => {
  for (const [path, method] of [['/healthz?x=y', 'GET'], ['/healthz', 'HEAD'], ['/metrics', 'POST'], ['/readyz', 'DELETE']]) {
    const response = await fanout.fetch(/** @type {string} */ (path), { method: /** @type {string} */ (method) });
    assert.ok(response.status < 500 || response.status === 503, `${method} ${path}: ${response.status}`);
  }
  assert.equal((await fanout.fetch('/healthz')).status, 200);
});

test('many requests on one connection and on many', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => fanout.fetch('/healthz')));
  for (const answer of answers) assert.equal(await answer.text().then(() => answer.status), 200);
});

test('readiness follows the database', async () => {
  await stand.cluster.stop();
  await waitFor(async () => (await fanout.fetch('/readyz')).status === 503, { what: '/readyz is 503' });
  assert.equal((await fanout.fetch('/healthz')).status, 200);
  await stand.cluster.start();
  await fanout.ready();
});
