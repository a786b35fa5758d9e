// Events that are too old go while writers run: retention drops their partition, and for comparison a DELETE of as many.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { atExit } from '../harness/index.mjs';
import { pastPartition } from '../harness/past.mjs';
import { database, insertOne } from './ground.mjs';
import { options } from './options.mjs';
import { pgbench } from './pgbench.mjs';
import { quantile } from './statistics.mjs';

/** @typedef {{tps: number, p99: number, worst: number}} Phase latencies in milliseconds */
/** @typedef {{way: 'drop' | 'delete', rows: number, bytes: number, ms: number, lockedMs?: number, walBytes: number, before: Phase, during: Phase}} Run */

const topics = 1000;
const clients = 16;
/** How long the writers are watched before; and at least, from the moment when it begins. */
const seconds = 4;

/** Puts `rows` events of 90 days ago into a partition of their own. @param {import('./ground.mjs').Ground} ground @param {number} rows */
async function load(ground, rows) {
  const name = await pastPartition((text, values) => ground.query(text, values), 24 * 100, 24 * 80);
  await ground.query(`INSERT INTO ${name}
    SELECT 'old:' || i % ${topics}, i / ${topics} + 1, (SELECT max(epoch) FROM runtime.sync_epochs), 'event:' || i, i, 'upsert',
      '{"created_at":"2026-08-22T20:00:00+00:00","id":1,"kind":"tool_call","run_id":1,"seq":1,"status":"running"}',
      decode('74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b', 'hex'), '1000', now() - interval '90 days'
    FROM generate_series(0, ${rows - 1}) i`);
  await ground.query(`VACUUM ANALYZE ${name}`);
  await ground.settle();
  return name;
}

/**
 * Writers from some seconds before the work to its end.
 * @param {import('./ground.mjs').Ground} ground @param {() => Promise<void>} work
 */
async function beside(ground, work) {
  const dir = mkdtempSync('/tmp/oa-sync-retention-');
  const forget = atExit(() => rmSync(dir, { recursive: true, force: true }));
  let done = false;
  const writers = (async () => {
    // In rounds, because nobody knows how long the work takes.
    do {
      await pgbench(ground, { script: insertOne('sync', '1'), clients, seconds: 2 * seconds, log: `${dir}/t` });
    } while (!done);
  })();
  await new Promise((resolve) => setTimeout(resolve, (seconds + 1) * 1000));
  const begin = Date.now();
  const start = performance.now();
  await work().finally(() => (done = true));
  const ms = performance.now() - start;
  await writers;
  /** @type {[number, number][]} */
  const all = readdirSync(dir).flatMap((file) => readFileSync(`${dir}/${file}`, 'utf8').trimEnd().split('\n').map((line) => {
    const field = line.split(' ');
    return /** @type {[number, number]} */ ([Number(field[4]) * 1000 + Number(field[5]) / 1000, Number(field[2]) / 1000]);
  }));
  rmSync(dir, { recursive: true });
  forget();
  /** @param {number} from @param {number} to @returns {Phase} */
  const phase = (from, to) => {
    // A transaction counts where it ended; one that was under way at the end of the work belongs to it.
    const latencies = all.filter(([at]) => at >= from && at < to).map(([, latency]) => latency);
    return { tps: latencies.length / (to - from) * 1000, p99: quantile(latencies, 0.99), worst: Math.max(...latencies) };
  };
  return { ms, before: phase(begin - (seconds - 1) * 1000, begin), during: phase(begin, begin + Math.max(ms, 1000)) };
}

/** @param {import('./ground.mjs').Ground} ground @param {'drop' | 'delete'} way @param {number} rows @returns {Promise<Run>} */
async function run(ground, way, rows) {
  const name = await load(ground, rows);
  const [{ bytes }] = await ground.query(`SELECT pg_total_relation_size('${name}') AS bytes`);
  const client = await ground.cluster.connect(database);
  const lsn = async () => (await client.query(`SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS at`)).rows[0].at;
  let walBytes = 0;
  const found = await beside(ground, async () => {
    const before = await lsn();
    if (way === 'delete') {
      await client.query(`DELETE FROM ${name}`);
    } else {
      for (let dropped = 0; dropped === 0;) {
        dropped = (await client.query('SELECT partitions_dropped FROM runtime.sync_retain()')).rows[0].partitions_dropped;
      }
    }
    walBytes = (await lsn()) - before;  // with that of the writers in this time
  });
  const lockedUs = way === 'drop' ? /** @type {RegExpMatchArray} */ ([...ground.cluster.logTail(200).matchAll(
    /removed partition \d+: (\d+) us under lock/g)].at(-1))[1] : undefined;
  // Nothing of it stays for the next one.
  await client.query(`DROP TABLE IF EXISTS ${name}`);
  await client.query(`DELETE FROM runtime.sync_topic_sequences WHERE topic LIKE 'old:%'`);
  await client.end();
  return { way, rows, bytes, walBytes, ...(lockedUs === undefined ? {} : { lockedMs: Number(lockedUs) / 1000 }), ...found };
}

/** @param {import('./ground.mjs').Ground} ground @param {(line: string) => void} log */
export async function retention(ground, log) {
  await ground.query('ALTER SYSTEM SET oa_sync.retention_interval = 0');
  await ground.query(`ALTER SYSTEM SET log_min_messages = 'debug1'`);  // tells for how long a drop held its locks
  await ground.query('SELECT pg_reload_conf()');
  /** @type {Run[]} */
  const runs = [];
  for (const [way, rows] of /** @type {const} */ ([['drop', options.retentionRows / 10], ['drop', options.retentionRows],
    ['delete', options.retentionRows]])) {
    const one = await run(ground, way, rows);
    runs.push(one);
    log(`retention, ${way} of ${rows} events: ${one.ms.toFixed(0)} ms${one.lockedMs === undefined ? '' : `, locked for ${one.lockedMs} ms`}; writers ${one.before.tps.toFixed(0)} -> ` +
      `${one.during.tps.toFixed(0)} tps, p99 ${one.before.p99.toFixed(2)} -> ${one.during.p99.toFixed(2)} ms, ` +
      `worst ${one.before.worst.toFixed(1)} -> ${one.during.worst.toFixed(1)} ms`);
  }
  await ground.query('ALTER SYSTEM RESET oa_sync.retention_interval');
  await ground.query('ALTER SYSTEM RESET log_min_messages');
  await ground.query('SELECT pg_reload_conf()');
  return { topics, clients, runs };
}
/** @typedef {Awaited<ReturnType<typeof retention>>} RetentionResult */
