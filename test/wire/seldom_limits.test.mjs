// Limits and states that a server seldom meets: memory, a database that does not answer, one that takes no writes,
// revocations that are not known, subscribers behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { Fanout, RawSocket, Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const bearer = (/** @type {Fanout} */ fanout) => ({ headers: { authorization: `Bearer ${fanout.token(['*'])}` } });

test('above --memory-limit-mb newcomers are refused, and those inside served', async () => {
  const fanout = await stand.startFanout({ 'memory-limit-mb': 1 });
  await fanout.ready();
  const url = `${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`;
  await waitFor(() => RawSocket.connect(url).then((socket) => socket.end(), (error) => error.status === 503), { what: 'the process is seen to be larger' });
  await assert.rejects(RawSocket.connect(url), (/** @type {any} */ error) => {
    assert.equal(error.status, 503);
    return true;
  });
  assert.ok(await fanout.metric('oa_sync_denials_total', 'reason="memory_pressure"') >= 1);
  assert.equal((await fanout.fetch('/api/sync/heads?topic=memory.t', bearer(fanout))).status, 200, 'HTTP goes on');
});

test('a database that does not answer in time is 504, and asked again later', async () => {
  const fanout = await stand.startFanout({ 'http-timeout-ms': 1000 });
  await fanout.ready();
  await stand.insert('slow_http.t', 1);
  const locker = new pg.Client(stand.db.options);
  await locker.connect();
  try {
    await locker.query('BEGIN; LOCK TABLE app.items IN ACCESS EXCLUSIVE MODE');
    const answer = await fanout.fetch('/api/sync/snapshot?topic=slow_http.t', bearer(fanout));
    assert.equal(answer.status, 504);
    assert.deepEqual((await answer.json()).error, { code: 'unavailable', reason: 'timeout' });
    assert.ok(answer.headers.get('retry-after'));
    await locker.query('ROLLBACK');
  } finally {
    await locker.end();
  }
  await waitFor(async () => (await fanout.fetch('/api/sync/snapshot?topic=slow_http.t', bearer(fanout))).status === 200, { what: 'the snapshot' });
});

test('where no canary can be written, the tail decides about readiness', async () => {
  // In a database of its own: the canaries of other fan-outs count as well.
  const database = 'readonly';
  await stand.cluster.createDatabase(database);
  const fanout = await stand.startFanout({ 'canary-interval-ms': 100,
    database: `${stand.cluster.conninfo(database)} options='-c default_transaction_read_only=on'` });
  await waitFor(async () => (await fanout.metric('oa_sync_canary_errors_total')) >= 2, { what: 'canaries are refused' });
  await fanout.ready();
  assert.equal(await fanout.metric('oa_sync_canary_age_seconds'), -1);
});

test('--require-revocations holds for reads over HTTP', async () => {
  const database = 'older';
  stand.cluster.psql('postgres', `CREATE DATABASE ${database}`);
  stand.cluster.psql(database, `CREATE EXTENSION oa_sync VERSION '0.2.0'`);
  const fanout = await stand.startFanout({ 'require-revocations': 'on', database: stand.cluster.conninfo(database) });
  const read = async () => (await fanout.fetch('/api/sync/heads?topic=strict.t', bearer(fanout))).status;
  await waitFor(async () => (await fanout.fetchAdmin('/readyz')).status === 200, { what: 'the database is followed' });
  assert.equal(await read(), 503);
  stand.cluster.psql(database, 'ALTER EXTENSION oa_sync UPDATE');
  await waitFor(async () => await read() === 200, { what: 'what is revoked is known' });
});

test('subscribers behind are seen in the metrics of lag', async () => {
  const fanout = await stand.startFanout({ 'heartbeat-interval-ms': 1000, 'stall-ms': 60_000 });
  assert.equal(await fanout.metric('oa_sync_subscriber_lag_events_max'), 0);
  for (let i = 0; i < 10; i++) await stand.insert('lag.t', 100, { first: 100 * i + 1, body: 'x'.repeat(60_000) });
  const raw = await stand.raw({ fanout });
  await raw.join();
  raw.send(['1', '50', 'sync:v1', 'sync:subscribe', { topics: ['lag.t'] }]);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'the first batch');
  raw.ws.pause();
  await waitFor(async () => await fanout.metric('oa_sync_subscriber_lag_events_max') > 0, { what: 'lag in events' });
  await waitFor(async () => await fanout.metric('oa_sync_subscriber_lag_seconds_max') > 0, { what: 'lag in seconds' });
  raw.ws.resume();
  await waitFor(() => raw.frames.some((f) => f[3] === 'sync:update_batch' && f[4].through_watermark >= 1000),
    { timeoutMs: 60_000, what: 'the end of the topic' });
  await waitFor(async () => await fanout.metric('oa_sync_subscriber_lag_events_max') === 0, { what: 'none behind any more' });
});
