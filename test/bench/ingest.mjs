// How fast the tail takes in a backlog, against pg_recvlogical on a slot of the same plugin, in the same run.
//
// Both begin when the whole backlog is in the WAL: pg_recvlogical with a slot that was made before it, the fan-out by
// standing still (SIGSTOP) from before the backlog on. Its one subscriber follows every topic and reads nothing after the
// join, so that what is measured is the tail and not a client.
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { Fanout, RawSocket, waitFor } from '../harness/index.mjs';
import { pgBinDir } from '../harness/paths.mjs';
import { database } from './ground.mjs';
import { options, quick } from './options.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {{recvlogicalPerSecond: number, fanoutPerSecond: number}} Round */

const events = quick ? 20_000 : 500_000;
const topics = 10;
/** Events of one transaction. */
const perCommit = 1000;
const names = Array.from({ length: topics }, (_, i) => `ingest:${i}`);
const slot = 'bench_ingest';

/** Seconds that pg_recvlogical takes from the slot's begin to the end of the WAL. @param {Ground} ground */
function recvlogical({ cluster }) {
  const end = cluster.psql(database, 'SELECT pg_current_wal_flush_lsn()').trim();
  const start = performance.now();
  const { status, stderr } = spawnSync(`${pgBinDir}/pg_recvlogical`, ['-d', cluster.conninfo(database), '-S', slot, '--start',
    '-f', '/dev/null', '-F', '0', '-E', end, '-o', 'protocol_version=1', '-o', 'format=binary'], { encoding: 'utf8', timeout: 300_000 });
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

/** @param {Ground} ground @returns {Promise<Round>} */
async function round(ground) {
  const { cluster } = ground;
  const fanout = await Fanout.start({ database: cluster.conninfo(database),
    flags: { loops: 1, 'client-timeout-ms': 3_600_000, 'canary-interval-ms': 0 } });
  let raw;
  try {
    await fanout.ready();
    raw = await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`, { autoPong: true });
    await raw.join({ topics: names });
    await waitFor(async () => (await fanout.metric('oa_sync_tail_mode', 'logical')) === 1, { what: 'a slot' });
    await waitFor(async () => (await fanout.metric('oa_sync_pg_followed_topics')) >= topics, { what: 'every topic is followed' });
    raw.ws.pause();
    const before = await fanout.metric('oa_sync_tail_events_total');
    cluster.psql(database, `SELECT pg_create_logical_replication_slot('${slot}', 'oa_sync')`);
    process.kill(fanout.pid, 'SIGSTOP');
    cluster.psql(database, 'CALL bench.ingest_backlog()');
    const theirs = recvlogical(ground);
    return { recvlogicalPerSecond: events / theirs, fanoutPerSecond: events / await tail(fanout, before) };
  } finally {
    raw?.end();
    await fanout.destroy();
    cluster.psql(database, `SELECT pg_drop_replication_slot('${slot}') FROM pg_replication_slots WHERE slot_name = '${slot}'`);
  }
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function ingest(ground, log) {
  ground.cluster.psql(database, `
    CREATE OR REPLACE PROCEDURE bench.ingest_backlog() LANGUAGE plpgsql AS $$
    BEGIN
      FOR i IN 1..${events / perCommit} LOOP
        PERFORM runtime.sync_emit('ingest:' || g % ${topics}, 'doc:' || g % 1000, NULL,
          '{"created_at":"2026-08-22T20:00:00+00:00","id":1,"kind":"tool_call","run_id":1,"seq":1,"status":"running"}')
          FROM generate_series(1, ${perCommit}) g;
        COMMIT;
      END LOOP;
    END $$`);
  /** @type {Round[]} */
  const rounds = [];
  for (let i = 0; i < options.rounds; i++) {
    const found = await round(ground);
    rounds.push(found);
    log(`ingest: tail ${Math.round(found.fanoutPerSecond)} events/s, pg_recvlogical ${Math.round(found.recvlogicalPerSecond)}`);
  }
  return { events, topics, perCommit, rounds };
}
/** @typedef {Awaited<ReturnType<typeof ingest>>} IngestResult */
