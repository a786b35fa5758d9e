// How fast the tail takes in a backlog, against pg_recvlogical on a slot of the same plugin, in the same run.
//
// Both begin when the whole backlog is in the WAL: pg_recvlogical with a slot that was made before it, the fan-out by
// standing still (SIGSTOP) from before the backlog on. Its one subscriber follows every topic and reads nothing after the
// join, so that what is measured is the tail and not a client.
//
// Usage: node test/bench/ingest.mjs [--events N] [--rounds N] [--topics N]   prints JSON
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Cluster, Fanout, RawSocket, waitFor } from '../harness/index.mjs';
import { pgBinDir } from '../harness/paths.mjs';
import { machine } from './machine.mjs';
import { median } from './statistics.mjs';

const { values } = parseArgs({ options: {
  events: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '3' },
  topics: { type: 'string', default: '10' } } });
const events = Number(values.events);
const rounds = Number(values.rounds);
const topics = Number(values.topics);
/** Events of one transaction. */
const perCommit = 1000;
const database = 'test';

/** @typedef {{recvlogicalPerSecond: number, fanoutPerSecond: number}} Round */

const report = machine();
const cluster = await Cluster.create({ settings: { fsync: 'off', wal_sender_timeout: 0, max_wal_size: '8GB',
  shared_buffers: '256MB' } });
await cluster.createDatabase(database);
cluster.psql(database, `
  CREATE PROCEDURE backlog() LANGUAGE plpgsql AS $$
  BEGIN
    FOR i IN 1..${events / perCommit} LOOP
      PERFORM runtime.sync_emit('ingest:' || g % ${topics}, 'doc:' || g % 1000, NULL,
        '{"created_at":"2026-08-22T20:00:00+00:00","id":1,"kind":"tool_call","run_id":1,"seq":1,"status":"running"}')
        FROM generate_series(1, ${perCommit}) g;
      COMMIT;
    END LOOP;
  END $$`);
const names = Array.from({ length: topics }, (_, i) => `ingest:${i}`);

/** Seconds that pg_recvlogical takes from the slot's begin to the end of the WAL. */
function recvlogical() {
  const end = cluster.psql(database, 'SELECT pg_current_wal_flush_lsn()').trim();
  const start = performance.now();
  const { status, stderr } = spawnSync(`${pgBinDir}/pg_recvlogical`, ['-d', cluster.conninfo(database), '-S', 'bench',
    '--start', '-f', '/dev/null', '-F', '0', '-E', end, '-o', 'protocol_version=1', '-o', 'format=binary'], { encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - start) / 1000;
}

/** Seconds that the fan-out takes from its continuation on. @param {Fanout} fanout @param {number} before */
async function tail(fanout, before) {
  const start = performance.now();
  process.kill(fanout.pid, 'SIGCONT');
  await waitFor(async () => (await fanout.metric('oa_sync_tail_events_total')) - before >= events,
    { timeoutMs: 300_000, what: 'the tail has the backlog' });
  return (performance.now() - start) / 1000;
}

/** @type {Round[]} */
const runs = [];
try {
  for (let round = 0; round < rounds; round++) {
    const fanout = await Fanout.start({ database: cluster.conninfo(database),
      flags: { loops: 1, 'client-timeout-ms': 3_600_000, 'canary-interval-ms': 0 } });
    await fanout.ready();
    const url = `${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`;
    const raw = await RawSocket.connect(url, { autoPong: true });
    await raw.join({ topics: names });
    await waitFor(async () => (await fanout.metric('oa_sync_tail_mode', 'logical')) === 1, { what: 'a slot' });
    await waitFor(async () => (await fanout.metric('oa_sync_pg_followed_topics')) >= topics, { what: 'every topic is followed' });
    raw.ws.pause();
    const before = await fanout.metric('oa_sync_tail_events_total');
    cluster.psql(database, `SELECT pg_create_logical_replication_slot('bench', 'oa_sync')`);
    process.kill(fanout.pid, 'SIGSTOP');
    cluster.psql(database, 'CALL backlog()');
    const seconds = recvlogical();
    const ours = await tail(fanout, before);
    runs.push({ recvlogicalPerSecond: events / seconds, fanoutPerSecond: events / ours });
    console.error(`round ${round + 1}: pg_recvlogical ${(events / seconds).toFixed(0)}/s, tail ${(events / ours).toFixed(0)}/s, ` +
      `ratio ${(seconds / ours).toFixed(2)}`);
    cluster.psql(database, `SELECT pg_drop_replication_slot('bench')`);
    raw.end();
    await fanout.destroy();
  }
} finally {
  await cluster.destroy();
}
console.log(JSON.stringify({ machine: report, events, topics, perCommit, runs,
  ratio: median(runs.map((run) => run.fanoutPerSecond / run.recvlogicalPerSecond)) }, null, 1));
