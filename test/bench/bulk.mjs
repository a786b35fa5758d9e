// One INSERT ... SELECT of many rows: the statement and its COMMIT, with and without capture.
import { performance } from 'node:perf_hooks';
import { options } from './options.mjs';
import { database } from './ground.mjs';
import { inTurn, median, ratio } from './statistics.mjs';

/** @typedef {{statementMs: number, commitMs: number, walBytesPerRow: number}} Run */

/** @param {import('./ground.mjs').Ground} ground @param {'plain' | 'sync'} way @returns {Promise<Run>} */
async function insertMany(ground, way) {
  const client = await ground.cluster.connect(database);
  try {
    const lsn = async () => (await client.query(`SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS at`)).rows[0].at;
    await client.query('CHECKPOINT');
    const before = await lsn();
    await client.query('BEGIN');
    const start = performance.now();
    await client.query(`INSERT INTO bench.${way} (run_id, kind, status, seq)
      SELECT 1, 'tool_call', 'running', i FROM generate_series(1, ${options.bulkRows}) i`);
    const done = performance.now();
    await client.query('COMMIT');
    const end = performance.now();
    return { statementMs: done - start, commitMs: end - done,
      walBytesPerRow: Math.round(((await lsn()) - before) / options.bulkRows) };
  } finally {
    await client.end();
  }
}

/** @param {import('./ground.mjs').Ground} ground @param {(line: string) => void} log */
export async function bulk(ground, log) {
  /** @type {Record<'plain' | 'sync', Run[]>} */
  const runs = { plain: [], sync: [] };
  for (let round = 0; round < options.rounds; round++) {
    for (const way of inTurn(/** @type {const} */ (['plain', 'sync']), round)) {
      runs[way].push(await insertMany(ground, way));
    }
  }
  const total = (/** @type {Run} */ run) => run.statementMs + run.commitMs;
  const totals = { plain: runs.plain.map(total), sync: runs.sync.map(total) };
  log(`bulk, ${options.bulkRows} rows: plain ${median(totals.plain).toFixed(0)} ms, oa_sync ` +
    `${median(runs.sync.map((r) => r.statementMs)).toFixed(0)} + ${median(runs.sync.map((r) => r.commitMs)).toFixed(0)} ms, ` +
    `speed ratio ${ratio(totals.plain, totals.sync).median.toFixed(3)}`);
  return { rows: options.bulkRows, runs };
}
/** @typedef {Awaited<ReturnType<typeof bulk>>} BulkResult */
