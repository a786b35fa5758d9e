// Many rows in one transaction, by INSERT … SELECT and by COPY of a file, and one row in each of many transactions:
// how long it takes and how many bytes it leaves, without capture, with oa_sync, and with its peers.
import { performance } from 'node:perf_hooks';
import { options } from './options.mjs';
import { database, insertOne } from './ground.mjs';
import { logTables } from './peers.mjs';
import { inTurn, median, ratio } from './statistics.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {'plain' | 'sync' | import('./peers.mjs').Peer} BulkWay */
/** @typedef {'insert' | 'copy'} Load */
/**
 * Per row: what was written to WAL, and what the way's own log grew by (table, indexes, TOAST).
 * @typedef {{walBytesPerRow: number, logBytesPerRow: number}} Bytes
 */
/** @typedef {Bytes & {statementMs: number, commitMs: number}} Run */
/** @typedef {{way: BulkWay, runs: Run[]}} WayRuns */

/** @param {BulkWay} way @param {string} file @returns {Record<Load, string>} */
const statements = (way, file) => ({
  insert: `INSERT INTO bench.${way} (run_id, kind, status, seq)
    SELECT 1, 'tool_call', 'running', i FROM generate_series(1, ${options.bulkRows}) i`,
  copy: `COPY bench.${way} (run_id, kind, status, seq) FROM '${file}'`,
});

/** Runs `write`, and says what it cost in bytes for each of its rows. @param {import('pg').Client} client @param {BulkWay} way @param {number} rows @param {() => Promise<void>} write @returns {Promise<Bytes>} */
async function bytesOf(client, way, rows, write) {
  const look = async () => (await client.query(`SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal,
    ${way === 'plain' ? '0' : `(SELECT sum(pg_total_relation_size(t.oid)) FROM (${logTables[way]}) t (oid))`}::bigint AS log`)).rows[0];
  const before = await look();
  await write();
  const after = await look();
  return { walBytesPerRow: Math.round((after.wal - before.wal) / rows), logBytesPerRow: Math.round((after.log - before.log) / rows) };
}

/** Empties a way's table, and its log where that is a plain table, so that the disk stays the same. @param {import('pg').Client} client @param {BulkWay} way */
async function empty(client, way) {
  // No event of it: the journal is read by nobody here.
  await client.query(`SET session_replication_role = replica; TRUNCATE bench.${way}; RESET session_replication_role`);
  if (way === 'plain' || way === 'sync') return;
  for (const { name } of (await client.query(`SELECT t.oid::regclass AS name FROM (${logTables[way]}) t (oid)`)).rows) {
    await client.query(`TRUNCATE ${name}`);
  }
}

/** @param {Ground} ground @param {BulkWay} way @param {Load} load @param {string} file @returns {Promise<Run>} */
async function loadMany(ground, way, load, file) {
  const client = await ground.cluster.connect(database);
  try {
    await client.query('CHECKPOINT');
    let [start, done, end] = [0, 0, 0];
    const bytes = await bytesOf(client, way, options.bulkRows, async () => {
      await client.query('BEGIN');
      start = performance.now();
      await client.query(statements(way, file)[load]);
      done = performance.now();
      await client.query('COMMIT');
      end = performance.now();
    });
    await empty(client, way);
    return { statementMs: done - start, commitMs: end - done, ...bytes };
  } finally {
    await client.end();
  }
}

/** One row in each of many transactions: only the bytes. @param {Ground} ground @param {BulkWay} way @returns {Promise<Bytes>} */
async function oneRowEach(ground, way) {
  const client = await ground.cluster.connect(database);
  try {
    // Waiting for the disk changes no byte.
    await client.query('SET synchronous_commit = off');
    const write = async (/** @type {number} */ rows) => void await client.query(`DO $$ BEGIN
      FOR i IN 1..${rows} LOOP ${insertOne(way, '1')} COMMIT; END LOOP; END $$`);
    // The pages that the first rows touch are logged whole after a checkpoint: not a row's share.
    await client.query('CHECKPOINT');
    await write(options.oneRowTransactions / 10);
    const bytes = await bytesOf(client, way, options.oneRowTransactions, () => write(options.oneRowTransactions));
    await empty(client, way);
    return bytes;
  } finally {
    await client.end();
  }
}

/** @param {Run} run */
export const totalMs = (run) => run.statementMs + run.commitMs;

/** The speed of a way against no capture. @param {WayRuns[]} ways @param {BulkWay} way */
export function speedOf(ways, way) {
  const runs = (/** @type {BulkWay} */ of) => (ways.find((w) => w.way === of)?.runs ?? []).map(totalMs);
  return ratio(runs('plain'), runs(way));
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function bulk(ground, log) {
  /** @type {BulkWay[]} */
  const ways = ['plain', 'sync', ...ground.peers];
  if (!ground.peers.includes('pgq')) log('bulk: PgQ is not installed in this PostgreSQL, and is left out');
  const file = `${ground.cluster.dir}/rows.copy`;
  await ground.query(`COPY (SELECT 1, 'tool_call', 'running', i FROM generate_series(1, ${options.bulkRows}) i) TO '${file}'`);
  /** @type {Record<Load, WayRuns[]>} */
  const loads = { insert: ways.map((way) => ({ way, runs: [] })), copy: ways.map((way) => ({ way, runs: [] })) };
  for (const load of /** @type {const} */ (['insert', 'copy'])) {
    for (let round = 0; round < options.rounds; round++) {
      for (const { way, runs } of inTurn(loads[load], round)) runs.push(await loadMany(ground, way, load, file));
    }
    for (const { way, runs } of loads[load]) {
      log(`bulk by ${load}, ${options.bulkRows} rows, ${way}: ${median(runs.map((r) => r.statementMs)).toFixed(0)} + ` +
        `${median(runs.map((r) => r.commitMs)).toFixed(0)} ms, speed ratio ${speedOf(loads[load], way).median.toFixed(3)}, ` +
        `a row ${median(runs.map((r) => r.walBytesPerRow))} B of WAL, ${median(runs.map((r) => r.logBytesPerRow))} B of log`);
    }
  }
  /** @type {{way: BulkWay, bytes: Bytes}[]} */
  const oneRow = [];
  for (const way of ways) oneRow.push({ way, bytes: await oneRowEach(ground, way) });
  log(`one row in a transaction: ${oneRow.map(({ way, bytes }) =>
    `${way} ${bytes.walBytesPerRow} B of WAL, ${bytes.logBytesPerRow} B of log`).join('; ')}`);
  const [{ payload }] = await ground.query(
    `SELECT avg(octet_length(payload::text))::float8 AS payload FROM runtime.sync_replay('run:1:events', 0, 1000)`);
  return { rows: options.bulkRows, loads, oneRowTransactions: options.oneRowTransactions, oneRow,
    payloadBytes: Math.round(payload) };
}
/** @typedef {Awaited<ReturnType<typeof bulk>>} BulkResult */
