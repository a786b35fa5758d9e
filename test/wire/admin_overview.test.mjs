// GET /api/admin/overview: who may look, what is there, and what it says when something is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fanout, RawSocket, Stand, eventually, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ admin: true, flags: { loops: 2, 'public-url': 'wss://sync.example' } });
const { fanout } = stand;
/** Rows of overview.topic, an event each. */
let inserted = 0;

/** @param {Fanout} [of] @returns {Promise<any>} */
async function overview(of = fanout) {
  const answer = await of.observe('/api/admin/overview');
  assert.equal(answer.status, 200);
  return await answer.json();
}

/** @param {any} body */
const codes = (body) => body.health.problems.map((/** @type {any} */ problem) => problem.code);

test('only a service key that may observe, and only on the admin listener', async () => {
  const ask = async (/** @type {string | undefined} */ key) => {
    const answer = await fanout.fetchAdmin('/api/admin/overview', { headers: key ? { authorization: `Bearer ${key}` } : {} });
    return [answer.status, (await answer.json()).error?.reason, answer.headers.get('www-authenticate')];
  };
  assert.deepEqual(await ask(undefined), [401, 'missing_credentials', 'Bearer']);
  assert.deepEqual(await ask('x'.repeat(40)), [401, 'unknown_service_key', 'Bearer']);
  // A token for the socket is no service key.
  assert.deepEqual(await ask(fanout.token(['*'])), [401, 'unknown_service_key', 'Bearer']);
  assert.deepEqual(await ask(fanout.adminKey), [200, undefined, null]);
  const outside = await fanout.fetch('/api/admin/overview', { headers: { authorization: `Bearer ${fanout.adminKey}` } });
  assert.equal(outside.status, 404);
});

test('a fan-out without service keys says what to configure', async () => {
  const plain = await stand.startFanout();
  const answer = await plain.observe('/api/admin/overview');
  assert.equal(answer.status, 503);
  const { error } = await answer.json();
  assert.equal(error.code, 'admin_unavailable');
  assert.match(error.message, /--service-keys/);
});

test('everything that is promised is there, and what happens is counted', async () => {
  const before = await overview();
  const client = stand.client({ topics: ['overview.topic'] });
  await client.connect();
  // Events count as come in once the tail follows their topic, which may be after the join's answer: until then they are read
  // from the journal.
  await waitFor(async () => {
    await stand.insert('overview.topic', 20, { first: inserted + 1 });
    inserted += 20;
    await client.reach('overview.topic', inserted);
    const now = await overview();
    return now.totals.events_in >= before.totals.events_in + 20 && now.latency.count > before.latency.count;
  }, { what: 'events come in live' });
  // The counters follow what the client has seen; the slot and the worker may come after readiness, and a look at the database
  // may find it too slow.
  await eventually(async () => {
    const after = await overview();
    assert.equal(after.server.version, after.database.extension_version);
    assert.equal(after.server.loops, 2);
    assert.equal(after.server.listen, `${fanout.host}:${fanout.port}`);
    assert.equal(after.server.public_url, 'wss://sync.example');
    assert.ok(after.server.started_at <= after.server.now && after.server.now <= Date.now() + 1000);
    assert.deepEqual([after.health.status, after.health.reason], ['ready', null]);
    assert.equal(after.tail.mode, 'logical');
    assert.match(after.tail.slot.name, /^oa_sync_/);
    assert.equal(after.tail.slot.state, 'live');
    assert.ok(after.tail.changed_at >= after.server.started_at);
    assert.ok(BigInt(after.tail.epoch) > 0n);
    assert.deepEqual([after.connections.open, after.connections.joined, after.connections.admin], [1, 1, 0]);
    assert.ok(after.totals.events_out >= before.totals.events_out + inserted);
    assert.ok(after.totals.joins === before.totals.joins + 1 && after.totals.bytes_out > before.totals.bytes_out);
    for (const name of ['batches', 'replays', 'page_hits', 'page_misses', 'rate_limited', 'slow_consumers', 'stale_cursors',
      'heartbeats', 'timeouts']) {
      assert.equal(typeof after.totals[name], 'number', name);
    }
    assert.ok(after.totals.denials.unknown_service_key >= 2);
    assert.equal(after.latency.buckets_ms.length, after.latency.counts.length);
    assert.ok(after.latency.count > before.latency.count && after.latency.sum_ms > 0);
    assert.ok(after.latency.counts.every((/** @type {number} */ n, /** @type {number} */ i) => n >= (after.latency.counts[i - 1] ?? 0)));
    assert.equal(after.loops.length, 2);
    assert.equal(after.loops.reduce((/** @type {number} */ sum, /** @type {any} */ loop) => sum + loop.sockets, 0), 1);
    assert.equal(after.database.reachable, true);
    assert.ok(after.database.worker_pid > 0 && after.database.in_recovery === false);
    // The database is asked at most once a second.
    assert.ok(after.database.stats.events >= inserted);
  });
});

test('what is wrong is said in words, with what to do', async () => {
  const poor = await stand.startFanout({ 'max-connections': 1 }, { admin: true });
  await RawSocket.connect(`${poor.socketUrl}/websocket?vsn=2.0.0&token=${poor.token(['*'])}`);
  const problem = (await overview(poor)).health.problems.find((/** @type {any} */ one) => one.code === 'connections_near_limit');
  assert.equal(problem.severity, 'warning');
  assert.match(problem.what, /1 of 1 WebSockets/);
  assert.match(problem.todo, /--max-connections/);
  assert.equal(problem.doc, 'docs/operations/problems.md#connections_near_limit');
});

test('WebSockets on the admin listener: the same protocol, a limit of their own', async () => {
  const url = (/** @type {Fanout} */ of) => `${of.adminUrl('/socket/websocket', 'ws')}?vsn=2.0.0&token=${of.token(['*'])}`;
  const raw = await RawSocket.connect(url(fanout));
  assert.equal((await raw.join({ topics: ['overview.admin'] })).status, 'ok');
  await stand.insert('overview.admin', 1);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'a batch');
  const { connections } = await overview();
  assert.equal(connections.admin, 1);
  raw.end();
  await waitFor(async () => (await overview()).connections.admin === 0, { what: 'the admin socket is gone' });

  // Full outside is not full here, and here has its own end.
  const small = await stand.startFanout({ 'max-connections': 1, 'admin-max-connections': 2 }, { admin: true });
  const outside = await RawSocket.connect(`${small.socketUrl}/websocket?vsn=2.0.0&token=${small.token(['*'])}`);
  const inside = [await RawSocket.connect(url(small)), await RawSocket.connect(url(small))];
  await assert.rejects(RawSocket.connect(url(small)), (/** @type {any} */ error) =>
    error.status === 503 && JSON.parse(error.body).error.reason === 'too_many_admin_connections');
  await assert.rejects(RawSocket.connect(url(small).replace(/token=.*/, 'token=none')), (/** @type {any} */ error) => error.status === 503);
  for (const one of [outside, ...inside]) one.end();
});

test('tokens and documents are to be had on the admin listener too', async () => {
  const minted = await fanout.observe('/api/sync/token', { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ scopes: ['overview.*'], ttl_seconds: 60 }) });
  assert.equal(minted.status, 200);
  const { token } = (await minted.json()).data;
  const heads = await fanout.fetchAdmin('/api/sync/heads?topic=overview.topic', { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await heads.json()).heads[0].head_watermark, inserted);
  const refused = await fanout.fetchAdmin('/api/sync/heads?topic=other.topic', { headers: { authorization: `Bearer ${token}` } });
  assert.equal(refused.status, 403);
});

test('without its database a server still answers, and says so', async () => {
  await stand.cluster.stop();
  // The last look at the database counts for a second.
  await eventually(async () => {
    const body = await overview();
    assert.ok(codes(body).includes('tail_down'));
    assert.equal(body.database.reachable, false);
    assert.equal(body.health.status, 'not_ready');
    assert.ok(codes(body).includes('database_unreachable'));
    assert.equal(body.health.problems[0].severity, 'critical');
  });
  await stand.cluster.start();
  await fanout.ready();
  await waitFor(async () => (await overview()).database.reachable, { what: 'the database is reachable again' });
});
