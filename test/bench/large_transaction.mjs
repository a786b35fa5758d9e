// One transaction of very many rows on one topic: whose memory it takes, what others notice of it.
// Usage: node test/bench/large_transaction.mjs [--rows 10000000] [--out file.json] [ways: plain empty sync]
//   plain: no trigger. empty: an AFTER trigger in C that does nothing. sync: published.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Cluster, atExit, pause } from '../harness/index.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true,
  options: { rows: { type: 'string', default: '10000000' }, out: { type: 'string' }, 'work-mem': { type: 'string', default: '4MB' } } });
const rows = Number(values.rows);
const ways = positionals.length > 0 ? positionals : ['plain', 'empty', 'sync'];

const dir = mkdtempSync('/tmp/oa-sync-large-');
atExit(() => rmSync(dir, { recursive: true, force: true }));
chmodSync(dir, 0o755);

/** An AFTER trigger in C that does nothing: what remains is PostgreSQL's own queue. */
function emptyTrigger() {
  writeFileSync(`${dir}/empty.c`, `#include "postgres.h"
#include "fmgr.h"
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(empty);
Datum empty(PG_FUNCTION_ARGS) { return PointerGetDatum(NULL); }
`);
  const include = execFileSync(process.env.PG_CONFIG ?? 'pg_config', ['--includedir-server'], { encoding: 'utf8' }).trim();
  execFileSync('cc', ['-O2', '-shared', '-fPIC', `-I${include}`, `${dir}/empty.c`, '-o', `${dir}/empty.so`]);
  return `${dir}/empty.so`;
}

const cluster = await Cluster.create({ settings: { shared_buffers: '512MB', max_wal_size: '32GB', checkpoint_timeout: '30min',
  work_mem: values['work-mem'], log_min_messages: 'warning' } });
await cluster.createDatabase('large');
cluster.psql('large', ['plain', 'empty', 'sync', 'other'].map((name) => `CREATE TABLE ${name} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id int NOT NULL, kind text NOT NULL, status text NOT NULL,
  seq bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp());`).join('\n') + `
CREATE FUNCTION empty() RETURNS trigger LANGUAGE c AS '${emptyTrigger()}', 'empty';
CREATE TRIGGER empty AFTER INSERT ON empty FOR EACH ROW EXECUTE FUNCTION empty();
SELECT runtime.sync_publish('sync', topic => 'large', doc_key => 'event:{id}', doc_version => 'seq');
SELECT runtime.sync_publish('other', topic => 'other', doc_key => 'event:{id}', doc_version => 'seq');`);

const rowOf = `(run_id, kind, status, seq) VALUES (1, 'tool_call', 'running', 1)`;
const quantile = (/** @type {number[]} */ sorted, /** @type {number} */ q) =>
  sorted.length === 0 ? null : Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0).toFixed(2));
const summary = (/** @type {number[]} */ all) => {
  const sorted = [...all].sort((a, b) => a - b);
  return { n: all.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) };
};

/** Commits one row after the other in `table`; the milliseconds of each, with the time it began. @param {string} table */
async function writer(table) {
  const client = await cluster.connect('large');
  /** @type {{at: number, ms: number}[]} */
  const commits = [];
  let running = true;
  const done = (async () => {
    while (running) {
      const at = performance.now();
      await client.query(`INSERT INTO ${table} ${rowOf}`);
      commits.push({ at, ms: performance.now() - at });
      await pause(5);
    }
    await client.end();
  })();
  return { commits, stop: async () => { running = false; await done; } };
}

/**
 * A follower of the topic `large` and a writer of single rows on it: how long a committed event waits until a follower can
 * have it, that is, until nothing before it is missing.
 */
async function follower() {
  const write = await cluster.connect('large');
  const read = await cluster.connect('large');
  /** @type {number[]} */
  const waits = [];
  let running = true;
  const done = (async () => {
    while (running) {
      await write.query(`INSERT INTO sync ${rowOf}`);
      const start = performance.now();
      // The row's own watermark: the newest single one. Everything up to it has to be there.
      const own = (await write.query(`SELECT max(watermark) AS w FROM runtime.sync_stream_events
        WHERE topic = 'large' AND txid = (SELECT xmin::text::bigint::text::xid8 FROM sync ORDER BY id DESC LIMIT 1)`)).rows[0].w;
      if (own !== null) {
        // sync_replay gives nothing while the first event after the cursor is missing.
        while (running && (await read.query(`SELECT 1 FROM runtime.sync_replay('large', $1, 1)`, [own - 2])).rowCount === 0) await pause(5);
        waits.push(performance.now() - start);
      }
      await pause(20);
    }
    await write.end();
    await read.end();
  })();
  return { waits, stop: async () => { running = false; await done; } };
}

/** @param {number} pid @returns {Record<string, number>} kB */
const memory = (pid) => Object.fromEntries(readFileSync(`/proc/${pid}/status`, 'utf8').split('\n')
  .filter((line) => /^(VmHWM|RssAnon|RssShmem):/.test(line)).map((line) => [line.split(':')[0], Number(line.match(/\d+/)?.[0])]));

/** @param {string} way */
async function measure(way) {
  const watch = await cluster.connect('large');
  const client = await cluster.connect('large');
  const pid = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  await client.query('CHECKPOINT');
  await client.query(`INSERT INTO ${way} ${rowOf}`);  // what a backend loads once
  const before = memory(pid);
  const other = await writer('other');
  await pause(3000);
  const quiet = other.commits.length;
  const follow = way === 'sync' ? await follower() : undefined;
  /** @type {Record<string, number>} */
  const peak = {};
  let phase = 'statement';
  /** @type {any[]} */
  const progress = [];
  let running = true;
  const sampling = (async () => {
    while (running) {
      const key = `${phase} RssAnon`;
      peak[key] = Math.max(peak[key] ?? 0, memory(pid).RssAnon ?? 0);
      const seen = (await watch.query(`SELECT phase, topics, events_total, events_appended, spilled_bytes FROM runtime.sync_progress_append WHERE pid = $1`, [pid])).rows[0];
      if (seen) progress.push({ at: performance.now(), ...seen });
      await pause(50);
    }
  })();
  await client.query('BEGIN');
  const start = performance.now();
  await client.query(`INSERT INTO ${way} (run_id, kind, status, seq) SELECT 1, 'tool_call', 'running', i FROM generate_series(1, ${rows}) i`);
  const written = performance.now();
  const contexts = (await client.query(`SELECT name, used_bytes, total_bytes FROM pg_backend_memory_contexts
    WHERE total_bytes > 500000 ORDER BY total_bytes DESC LIMIT 8`)).rows;
  phase = 'COMMIT';
  const committing = performance.now();
  await client.query('COMMIT');
  const end = performance.now();
  const after = memory(pid);
  running = false;
  await sampling;
  await pause(2000);
  await other.stop();
  await follow?.stop();
  const during = other.commits.slice(quiet).filter(({ at }) => at >= start && at <= end).map(({ ms }) => ms);
  const inCommit = other.commits.filter(({ at, ms }) => at + ms >= committing && at <= end).map(({ ms }) => ms);
  const result = { way, rows, statementMs: Math.round(written - start), commitMs: Math.round(end - committing),
    rssAnonBeforeKb: before.RssAnon, peakKb: peak, rssAnonAfterKb: after.RssAnon, vmHwmKb: after.VmHWM, contexts,
    otherTopic: { quiet: summary(other.commits.slice(0, quiet).map(({ ms }) => ms)), during: summary(during), duringCommit: summary(inCommit) },
    followerWaitMs: follow && summary(follow.waits),
    progress: progress.filter((_, i) => i % Math.ceil(progress.length / 24) === 0).map(({ at, ...rest }) => ({ ms: Math.round(at - start), ...rest })) };
  await client.end();
  await watch.end();
  cluster.psql('large', `TRUNCATE ${way === 'sync' ? 'plain' : way}`);
  return result;
}

const results = [];
try {
  for (const way of ways) {
    const result = await measure(way);
    results.push(result);
    process.stderr.write(`${JSON.stringify(result, null, 1)}\n`);
  }
  if (values.out) writeFileSync(values.out, `${JSON.stringify({ measuredAt: new Date().toISOString(), workMem: values['work-mem'], results }, null, 1)}\n`);
} finally {
  await cluster.destroy();
}
