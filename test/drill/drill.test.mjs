// The drill in its short form, and a drill whose gates are blind: that one has to fail.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { RawSocket, SyncClient, root, waitFor } from '../harness/index.mjs';
import { bucketOf, cohortOf, readRunbook } from './cohorts.mjs';
import { Gates, Scrape } from './gates.mjs';
import { lanesSql, play, sizes } from './play.mjs';
import { Record } from './record.mjs';
import { System } from './system.mjs';

test('a user\'s bucket stays, and buckets are even', () => {
  assert.equal(bucketOf('user-1'), bucketOf('user-1'));
  const { cohorts } = readRunbook();
  const users = Array.from({ length: 10_000 }, (_, i) => `u${i}`);
  const limited = users.filter((user) => cohortOf(cohorts, user) === 'limited').length;
  assert.ok(limited > 800 && limited < 1200, `${limited} of 10000 are in buckets 0 to 9`);
  assert.equal(cohortOf(cohorts, 'staff-1'), 'internal');
});

test('a quantile is of what was observed between two scrapes, and a metric that is not there is an error', () => {
  const scrape = (/** @type {number[]} */ [low, high, all]) => new Scrape(`# TYPE oa_sync_lag histogram
oa_sync_lag_bucket{le="25"} ${low}\noa_sync_lag_bucket{le="250"} ${high}\noa_sync_lag_bucket{le="+Inf"} ${all}\n`);
  const before = scrape([100, 100, 100]);
  assert.equal(scrape([100, 100, 100]).quantile('oa_sync_lag', 0.95, before), null, 'nothing was observed');
  assert.equal(scrape([195, 200, 200]).quantile('oa_sync_lag', 0.95, before), 25);
  assert.equal(scrape([194, 200, 200]).quantile('oa_sync_lag', 0.95, before), 250);
  assert.equal(scrape([110, 194, 200]).quantile('oa_sync_lag', 0.95, before), Infinity);
  assert.throws(() => before.quantile('oa_sync_lags', 0.95, before), /no oa_sync_lags/);
  assert.throws(() => before.sum('oa_sync_lags'), /no oa_sync_lags/);
});

test('gates without data are closed, and each closes at what it is there for', { timeout: 900_000 }, async () => {
  const system = await System.start({ pollMs: 400 });
  try {
    await system.stopWriting();
    system.cluster.psql('demo', lanesSql(system.api.url('/parity')));
    const gates = new Gates(system, { limits: readRunbook().limits, window: '10s', minSamples: 10 });
    const read = async () => new Map((await gates.read()).map((reading) => [reading.gate, reading]));
    // The fan-out's canary is a transaction of the journal too: not one that comes between these two looks.
    const first = await waitFor(async () => {
      await gates.begin();
      const readings = await read();
      return readings.get('write_failures')?.value === null ? readings : undefined;
    }, { timeoutMs: 60_000, what: 'a moment without a transaction' });
    for (const gate of ['parity', 'auth_failures', 'projection_lag_p95', 'write_failures', 'rollback']) {
      assert.deepEqual([first.get(gate)?.value, first.get(gate)?.open], [null, false], `${gate}: ${JSON.stringify(first.get(gate))}`);
    }
    assert.deepEqual([first.get('ready')?.value, first.get('ready')?.open], [200, true]);

    // 51 cursors of another history, by one client.
    const topics = Array.from({ length: 51 }, (_, i) => `run:none-${i}:events`);
    const client = new SyncClient({ url: system.fanout.socketUrl, token: () => system.fanout.token(['*']), topics,
      resumeAfter: Object.fromEntries(topics.map((topic) => [topic, 7])) });
    await client.connect();
    await waitFor(() => client.joinReplies.some((reply) => reply.stale), { what: 'the client is told that it is stale' });
    await client.close();
    for (let i = 0; i < 2; i++) await assert.rejects(RawSocket.connect(`${system.fanout.socketUrl}/websocket?vsn=2.0.0&token=a.b.c`), { status: 401 });
    // One write, and one that fails.
    await gates.sample();
    system.cluster.psql('demo', `ALTER TABLE app.runs ADD CONSTRAINT no_more CHECK (run_id <> 'probe') NOT VALID`);
    await gates.sample();
    gates.rollbackSeconds = 301;
    const then = await read();
    for (const [gate, least] of /** @type {[string, number][]} */ ([['stale_cursors', 51], ['auth_failures', 4], ['write_failures', 2], ['rollback', 301]])) {
      const reading = then.get(gate);
      assert.ok((reading?.value ?? 0) >= least && reading?.open === false, `${gate}: ${JSON.stringify(reading)}`);
    }
    assert.deepEqual([then.get('projection_lag_p95')?.value, then.get('projection_lag_p95')?.open], [0, true]);
  } finally {
    await system.destroy();
  }
});

test('the runbook is played: a lie blocks, a rollback is quick, nothing is lost', { timeout: 900_000 }, async () => {
  const record = new Record(false);
  /** @type {unknown} */
  let failure;
  try {
    await play(record, sizes.short);
  } catch (error) {
    failure = error;
  }
  mkdirSync(`${root}/build/drill`, { recursive: true });
  writeFileSync(`${root}/build/drill/short.md`, record.report(failure === undefined ? undefined : String(failure)));
  if (failure !== undefined) throw failure;
});

test('with gates that see no mismatch the drill fails', { timeout: 900_000 }, async () => {
  const record = new Record(false);
  await assert.rejects(play(record, { ...sizes.short, lieMs: 5000, soakMs: 500 }, { blind: true }), /a gate that should block is open/);
  assert.match(record.report('x'), /FAILED/);
});
