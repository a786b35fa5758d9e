// Clocks that are wrong for a while: set years ahead, and set right again. The server's clock is a library that is
// loaded before it, which adds what a file says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const dir = mkdtempSync('/tmp/oa-sync-clock-');
chmodSync(dir, 0o755);
const offset = `${dir}/offset`;
/** @param {number} seconds */
const setClock = (seconds) => writeFileSync(offset, String(seconds), { mode: 0o644 });
setClock(0);
writeFileSync(`${dir}/clock.c`, `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int gettimeofday(struct timeval* restrict tv, void* restrict zone) {
  struct timespec now;
  char text[32] = "";
  clock_gettime(CLOCK_REALTIME, &now);
  int file = open("${offset}", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, text, sizeof(text) - 1) < 0) text[0] = 0;
    close(file);
  }
  tv->tv_sec = now.tv_sec + atol(text);
  tv->tv_usec = now.tv_nsec / 1000;
  return 0;
}
`);
execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', `${dir}/clock.so`, `${dir}/clock.c`]);

const cluster = await Cluster.create({ start: false,
  settings: { 'oa_sync.retention_interval': '1s', 'oa_sync.checkpoint_interval': '1s', 'oa_sync.log_retention': 'none' } });
after(async () => {
  await cluster.destroy();
  rmSync(dir, { recursive: true });
});
process.env.LD_PRELOAD = `${dir}/clock.so`;
await cluster.start();
delete process.env.LD_PRELOAD;
await cluster.createDatabase('test');
const db = cluster.pool('test', 4);
const query = async (/** @type {string} */ text, /** @type {unknown[]} */ values = []) => (await db.query(text, values)).rows;
const cycles = async () => (await query('SELECT retention_cycles AS n FROM runtime.sync_stats'))[0].n;
const persisted = async (/** @type {string} */ topic) =>
  (await query('SELECT next_watermark AS n FROM runtime.sync_topic_sequences WHERE topic = $1', [topic]))[0]?.n;

test('a clock that was ten years ahead for a while stops nothing', async () => {
  await query(`SELECT runtime.sync_set_policy('*', horizon => '0')`);  // or nothing would outlive the ten years
  await query(`SELECT runtime.sync_emit('t', 'k', 1, '1')`);
  await waitFor(async () => (await persisted('t')) === 2, { what: 'heads are persisted' });
  const years = 3653 * 86_400;
  setClock(years);
  await query(`SELECT runtime.sync_emit('t', 'k', 2, '2')`);
  await waitFor(async () => (await persisted('t')) === 3, { what: 'heads are persisted ten years on' });
  await waitFor(async () => (await query('SELECT FROM runtime.sync_journal_partitions WHERE lower > now()')).length === 3,
    { timeoutMs: 90_000, what: 'partitions are made there' });
  setClock(0);

  await query(`SELECT runtime.sync_emit('t', 'k', 3, '3')`);
  await waitFor(async () => (await persisted('t')) === 4, { what: 'heads are persisted when the clock is right again' });
  const before = await cycles();
  await waitFor(async () => (await cycles()) > before + 1, { what: 'retention goes on' });

  // The worker is started again when it ends, and the present gets its partitions, whatever there is ten years ahead.
  const [{ pid }] = await query('SELECT worker_pid AS pid FROM runtime.sync_stats');
  await query('SELECT pg_terminate_backend($1)', [pid]);
  await waitFor(async () => (await query('SELECT worker_pid IS NOT NULL AND worker_pid <> $1 AS other FROM runtime.sync_stats', [pid]))[0].other,
    { timeoutMs: 30_000, what: 'there is another worker' });
  await query('DROP TABLE ' + (await query(`SELECT string_agg(partition::text, ', ') AS names FROM runtime.sync_journal_partitions
    WHERE lower > now() AND lower < now() + interval '1 year'`))[0].names);
  // A call gives way to who has the default partition open, the worker for one.
  await waitFor(async () => (await query('SELECT runtime.sync_maintain_partitions()')) &&
    (await query(`SELECT FROM runtime.sync_journal_partitions WHERE lower > now() AND lower < now() + interval '4 days'`)).length >= 3,
  { timeoutMs: 60_000, what: 'the present has its partitions' });
  assert.deepEqual((await query(`SELECT watermark FROM runtime.sync_replay('t', 0)`)).map((r) => r.watermark), [1, 2, 3]);
});
