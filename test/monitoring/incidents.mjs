// What can go wrong, made on real servers: record.mjs keeps what /metrics said of it.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Fanout, RawSocket, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';

/**
 * @typedef {object} Scene
 * @property {Fanout} fanout
 * @property {() => Promise<unknown>} [settled] until it is quiet
 * @property {() => unknown} act the incident; scraped until it returns, and then some
 * @property {() => unknown} [end]
 */
/**
 * @typedef {object} Incident
 * @property {string} what
 * @property {string[]} fires alerts that fire at its end
 * @property {string[]} [may] that may fire too
 * @property {string[]} [from] that already fire when it begins
 * @property {number} [after] scrapes after it
 * @property {() => Promise<Scene>} prepare
 */

/** A cluster, a published table, a fan-out. @param {import('../harness/fanout.mjs').Flags} [flags] @param {Record<string, string | number>} [settings] */
async function stand(flags = {}, settings = {}) {
  const cluster = await Cluster.create({ settings });
  await cluster.createDatabase('test');
  cluster.psql('test', `CREATE TABLE public.docs (id bigint PRIMARY KEY, body text); SELECT runtime.sync_publish('public.docs', topic => 'docs');
    SELECT runtime.sync_maintain_partitions();`);
  const fanout = await Fanout.start({ database: cluster.conninfo('test'), admin: true,
    flags: { 'statistics-interval-ms': 200, 'heartbeat-interval-ms': 500, ...flags } });
  await fanout.ready();
  const sockets = /** @type {RawSocket[]} */ ([]);
  let rows = 0;
  return {
    cluster, fanout, sockets,
    sql: (/** @type {string} */ text) => cluster.psql('test', text).trim(),
    insert: (/** @type {number} */ count, body = 'x') => {
      cluster.psql('test', `INSERT INTO docs SELECT i, repeat('${body}', ${body === 'x' ? 1 : 60_000}) FROM generate_series(${rows + 1}, ${rows + count}) i`);
      rows += count;
    },
    socket: async (token = fanout.token(['*'])) => {
      const raw = await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`);
      sockets.push(raw);
      return raw;
    },
    settled: async () => {
      await waitFor(async () => (await fanout.metric('oa_sync_worker_recovered')) === 1 && (await fanout.metric('oa_sync_tail_mode', 'logical')) === 1
        && (await fanout.metric('oa_sync_default_partition_used')) === 0, { timeoutMs: 60_000, what: 'all is well' });
    },
    end: async () => {
      for (const raw of sockets) raw.ws.terminate();
      await (fanout.running ? fanout.kill9() : undefined);
      await cluster.destroy();
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof stand>>} Stand */

/**
 * @param {Omit<Incident, 'prepare'> & {flags?: import('../harness/fanout.mjs').Flags, settings?: Record<string, string | number>,
 *   settled?: (s: Stand) => Promise<unknown>, act: (s: Stand) => unknown}} about
 * @returns {Incident}
 */
const on = ({ flags, settings, settled, act, ...about }) => ({ ...about, prepare: async () => {
  const s = await stand(flags, settings);
  return { fanout: s.fanout, settled: settled ? () => settled(s) : s.settled, act: () => act(s), end: s.end };
} });

/** Holds every commit that writes events while it lasts. @param {Stand} s @param {() => Promise<unknown>} during */
async function withJournalLocked(s, during) {
  const blocker = await s.cluster.connect('test');
  await blocker.query('BEGIN');
  for (const { partition } of (await blocker.query('SELECT partition::text FROM runtime.sync_journal_partitions')).rows) {
    await blocker.query(`LOCK TABLE ${partition} IN SHARE MODE`);
  }
  try {
    await during();
  } finally {
    await blocker.query('COMMIT');
    await blocker.end();
  }
}

/** Commits that hang on the locked journal, and are cancelled there. @param {Stand} s @param {number} count */
async function cancelCommits(s, count) {
  const [writer, other] = [await s.cluster.connect('test'), await s.cluster.connect('test')];
  const { rows: [{ pid }] } = await writer.query('SELECT pg_backend_pid() AS pid');
  for (let i = 0; i < count; i++) {
    const hanging = writer.query(`SELECT runtime.sync_emit('docs', 'k', NULL, '1')`).catch(() => {});
    await waitFor(async () => (await other.query('SELECT FROM pg_locks WHERE NOT granted AND pid = $1', [pid])).rowCount, { what: 'it hangs' });
    await other.query('SELECT pg_cancel_backend($1)', [pid]);
    await hanging;
  }
  await Promise.all([writer.end(), other.end()]);
}

/** @type {Record<string, Incident>} */
export const incidents = {
  quiet_traffic: on({ what: 'Nothing is wrong: subscribers come, follow, go and come back; rows are written.', fires: [], after: 20,
    async act(s) {
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 5; i++) {
          const raw = await s.socket();
          await raw.join({ topics: ['docs'] });
        }
        s.insert(200);
        await sleep(500);
        for (const raw of s.sockets.splice(0)) raw.ws.close();
      }
    } }),
  auth_failures: on({ what: 'Clients come with tokens of another key.', fires: ['OaSyncAuthFailures'], async act(s) {
    for (let i = 0; i < 30; i++) await s.socket();
    const wrong = s.fanout.token(['*']).replace(/.{8}$/, 'AAAAAAAA');
    for (let i = 0; i < 20; i++) {
      await s.socket(wrong).catch(() => {});
      await sleep(50);
    }
  } }),
  stale_cursors: on({ what: 'Many clients come back with cursors that the topic does not have.', fires: ['OaSyncStaleCursors'], async act(s) {
    s.insert(10);
    const raw = await s.socket();
    await raw.join();
    for (let i = 0; i < 80; i++) {
      await raw.ask('sync:v1', 'sync:subscribe', { topics: ['docs'], resume_after: { docs: 1000 + i } }).catch(() => {});
      await sleep(60);
    }
  } }),
  replay_lag: on({ what: 'A subscriber stops reading while much is written.', fires: ['OaSyncReplayLag'], may: ['OaSyncLoopBusy'], flags: { 'stall-ms': 600_000 },
    async act(s) {
      const raw = await s.socket();
      await raw.join({ topics: ['docs'] });
      raw.ws.pause();
      s.insert(200, 'y');
      s.insert(3000);
      await sleep(6000);
    } }),
  projection_lag: on({ what: 'A transaction with forty documents of a read model hangs in its commit.', fires: ['OaSyncProjectionLag'],
    may: ['OaSyncCanaryLate', 'OaSyncSlotBehind'], async act(s) {
      await withJournalLocked(s, async () => {
        const writer = await s.cluster.connect('test');
        const hanging = writer.query(`SELECT runtime.sync_upsert_document('runtime.sync_run_summaries', 'runtime/run_summary:' || i, 1, '{}') FROM generate_series(1, 40) i`);
        await sleep(9000);
        void hanging.then(() => writer.end());
      });
    }, after: 0 }),
  write_failures: on({ what: 'The journal cannot be written: commits that have to fail, and say so.', fires: ['OaSyncWriteFailures'],
    may: ['OaSyncVoidsPending', 'OaSyncCanaryLate'], async act(s) {
      for (let i = 0; i < 20; i++) s.insert(1);
      await withJournalLocked(s, () => cancelCommits(s, 10));
    } }),
  tail_down: on({ what: 'PostgreSQL is stopped.', fires: ['OaSyncTailDown', 'OaSyncDatabaseUnreachable', 'OaSyncCanaryLate'], may: ['OaSyncJournalErrors'],
    async act(s) {
      await s.cluster.stop('fast');
      await waitFor(async () => (await s.fanout.metric('oa_sync_canary_age_seconds')) > 15, { timeoutMs: 60_000, what: 'no canary for long' });
      await sleep(1500);
    } }),
  tail_on_journal: on({ what: 'Somebody takes every replication slot, and the fan-out loses its own.', fires: ['OaSyncTailOnJournal', 'OaSyncSlotsTaken'],
    settings: { max_replication_slots: 2, max_wal_senders: 10 }, after: 26, async act(s) {
      s.sql(`SELECT pg_create_physical_replication_slot('one')`);
      s.sql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active`);
      await waitFor(() => {
        try {
          return s.sql(`SELECT pg_create_physical_replication_slot('two')`);
        } catch {
          s.sql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active`);
          return false;
        }
      }, { timeoutMs: 60_000, everyMs: 5, what: 'the last slot is taken' });
    } }),
  slow_consumers: on({ what: 'Subscribers stop reading, and are closed.', fires: ['OaSyncSlowConsumers'], may: ['OaSyncReplayLag'],
    flags: { 'stall-ms': 300, 'stall-strikes': 2, 'close-timeout-ms': 500 }, async act(s) {
      for (let i = 0; i < 15; i++) {
        const raw = await s.socket();
        await raw.join({ topics: ['docs'] });
        raw.ws.pause();
      }
      s.insert(200, 'y');
      await waitFor(async () => (await s.fanout.metric('oa_sync_slow_closed_total')) >= 15, { timeoutMs: 60_000, what: 'they are closed' });
    } }),
  slot_wal: on({ what: 'A transaction stays open while much is written: PostgreSQL keeps the WAL for the slot.', fires: ['OaSyncSlotWal'],
    may: ['OaSyncTailOnJournal'], flags: { 'max-slot-wal-bytes': 60_000_000 }, async act(s) {
      const old = await s.cluster.connect('test');
      await old.query(`BEGIN; SELECT pg_current_xact_id()`);
      s.sql('CREATE TABLE ballast (t text)');
      await waitFor(async () => {
        if ((await s.fanout.metric('oa_sync_pg_slot_retained_wal_bytes')) > 50_000_000) return true;
        if ((await s.fanout.metric('oa_sync_pg_slot_retained_wal_bytes')) < 48_500_000) s.sql(`INSERT INTO ballast SELECT repeat(md5(i::text), 30) FROM generate_series(1, 2000) i; SELECT pg_switch_wal()`);
        await sleep(2100);
        return (await s.fanout.metric('oa_sync_pg_slot_retained_wal_bytes')) > 48_500_000;
      }, { timeoutMs: 120_000, what: 'WAL is kept' });
      await sleep(2500);
      void old.query('ROLLBACK').then(() => old.end());
    }, after: 0 }),
  worker_not_running: on({ what: 'The server has no place for the worker (max_worker_processes), and commits fail.', settings: { max_worker_processes: 2 },
    fires: ['OaSyncWorkerNotRunning', 'OaSyncVoidsPending'], from: ['OaSyncWorkerNotRunning'],
    may: ['OaSyncDefaultPartitionUsed', 'OaSyncWriteFailures', 'OaSyncRetentionStopped'], settled: async (s) => {
      await waitFor(async () => (await s.fanout.metric('oa_sync_worker_running')) === 0, { timeoutMs: 30_000, what: 'the database has answered' });
    }, async act(s) {
      await withJournalLocked(s, () => cancelCommits(s, 1));
    } }),
  reconnect_storm: on({ what: 'More clients come than the server lets join at once.', fires: ['OaSyncReconnectStorm'], flags: { 'max-joins-per-second': 1 }, after: 4,
    async act(s) {
      const sockets = await Promise.all(Array.from({ length: 30 }, () => s.socket()));
      for (let round = 0; round < 10; round++) {
        await Promise.all(sockets.map((raw) => raw.join().catch(() => {})));
        await sleep(300);
      }
    } }),
  turned_away: on({ what: 'One address opens more connections than it may.', fires: ['OaSyncTurnedAway'], flags: { 'max-connections-per-address': 8 }, after: 4,
    async act(s) {
      for (let i = 0; i < 50; i++) {
        await s.socket().catch(() => {});
        await sleep(60);
      }
    } }),
  connections_near_limit: on({ what: 'Nearly all WebSockets are taken.', fires: ['OaSyncConnectionsNearLimit'], flags: { 'max-connections': 10 },
    async act(s) {
      for (let i = 0; i < 10; i++) await s.socket();
    } }),
  descriptors: on({ what: 'The process has nearly no descriptor left.', fires: ['OaSyncDescriptorsNearLimit'], async act(s) {
    const open = await s.fanout.metric('oa_sync_open_descriptors');
    execFileSync('prlimit', ['--pid', String(s.fanout.pid), `--nofile=${open + 2}:`]);
    await sleep(1000);
  } }),
  keys_not_read: on({ what: 'The keyring is replaced by something that is none.', fires: ['OaSyncKeysNotRead'], async act(s) {
    writeFileSync(s.fanout.keyringFile, '{"keys": [');
    await waitFor(async () => (await s.fanout.metric('oa_sync_key_reloads_total', 'failed')) > 0, { timeoutMs: 30_000, what: 'it is read' });
  } }),
  revocations_forgotten: on({ what: 'More is revoked than --max-revocations.', fires: ['OaSyncRevocationsForgotten'], flags: { 'max-revocations': 100 }, async act(s) {
    for (let i = 0; i < 12; i++) {
      await s.fanout.observe('/api/sync/sessions/revoke', { method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ session_ids: Array.from({ length: 10 }, (_, n) => `s${i}-${n}`), reason: 'admin_revoked' }) });
    }
    await waitFor(async () => (await s.fanout.metric('oa_sync_revocations_forgotten_total')) > 0, { timeoutMs: 30_000, what: 'they are forgotten' });
  } }),
  new_epoch: on({ what: 'The database begins a new epoch.', fires: ['OaSyncEpochChanged'], act: (s) => s.sql(`SELECT runtime.sync_new_epoch('a test')`), after: 16 }),
  delivery_slow: on({ what: 'The fan-out stands still for seconds, again and again, while rows are written.', fires: ['OaSyncDeliverySlow'],
    may: ['OaSyncReplayLag', 'OaSyncCanaryLate', 'OaSyncFanoutDown'], async act(s) {
      const raw = await s.socket();
      await raw.join({ topics: ['docs'] });
      for (let i = 0; i < 5; i++) {
        process.kill(s.fanout.pid, 'SIGSTOP');
        s.insert(5);
        await sleep(1800);
        process.kill(s.fanout.pid, 'SIGCONT');
        await sleep(700);
      }
    }, after: 4 }),
  fanout_down: on({ what: 'The fan-out is killed.', fires: ['OaSyncFanoutDown'], async act(s) {
    await s.fanout.kill9();
  }, after: 8 }),
  certificate: { what: 'A certificate that ends within two days.', fires: ['OaSyncCertificateExpires', 'OaSyncCertificateExpiresNow'],
    from: ['OaSyncCertificateExpires', 'OaSyncCertificateExpiresNow'], after: 2, prepare: async () => {
      const { cert, key } = new Authority().issue('127.0.0.1');
      const cluster = await Cluster.create();
      await cluster.createDatabase('test');
      const fanout = await Fanout.start({ database: cluster.conninfo('test'), flags: { 'tls-cert': cert, 'tls-key': key } });
      const scene = Object.assign(Object.create(fanout), { fetchAdmin: () => {
        const text = execFileSync('curl', ['-sk', `https://127.0.0.1:${fanout.adminPort}/metrics`], { encoding: 'utf8' });
        // promtool plays at the beginning of 1970.
        return Promise.resolve({ text: () => Promise.resolve(text.replace(/^(oa_sync_tls_certificate_expires_seconds) (\S+)$/m,
          (_, name, at) => `${name} ${Math.round(Number(at) - Date.now() / 1000)}`)) });
      } });
      return { fanout: scene, act: () => {}, end: async () => {
        await fanout.kill9();
        await cluster.destroy();
      } };
    } },
};
