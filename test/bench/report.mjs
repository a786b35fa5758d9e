// Writes docs/benchmarks.md from the raw results.
import { median, ratio } from './statistics.mjs';

/**
 * @template T
 * @typedef {{machine: import('./machine.mjs').Machine, options: typeof import('./options.mjs').options, result: T}} Raw
 */
/**
 * @typedef {object} Found
 * @property {Raw<import('./writers.mjs').WritersResult>} [writers]
 * @property {Raw<import('./bulk.mjs').BulkResult>} [bulk]
 * @property {Raw<import('./long_transaction.mjs').LongTransactionResult>} [long_transaction]
 * @property {Raw<import('./latency.mjs').LatencyResult>} [latency]
 */

const whole = (/** @type {number} */ n) => Math.round(n).toLocaleString('en-US').replaceAll(',', ' ');
const ms = (/** @type {number} */ n) => n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0);
const spread = (/** @type {import('./statistics.mjs').Ratio} */ r, digits = 2) =>
  `${r.median.toFixed(digits)} (${r.min.toFixed(digits)} to ${r.max.toFixed(digits)})`;
const row = (/** @type {(string | number)[]} */ ...cells) => `| ${cells.join(' | ')} |\n`;
const reached = (/** @type {boolean} */ yes) => (yes ? 'reached' : '**not reached**');
/** @template T @param {T[]} list @param {(one: T) => number} value */
const middle = (list, value) => median(list.map(value));

/** @param {NonNullable<Found['writers']>} raw */
function writersSection({ options, result }) {
  let text = `## One-row writers

\`pgbench\`, one \`INSERT\` of one row per transaction, ${options.seconds} s each, at least ${options.rounds} rounds in
which the three take turns. "counter row" is a PL/pgSQL trigger that takes the watermark by \`UPDATE … RETURNING\` on the
topic's row and inserts into a journal table. Ratios are medians over the rounds (lowest to highest). "prepared" and
"simple" are pgbench's protocols; with "simple", its default, the server parses and plans every statement.

| fdatasync | topics | clients | protocol | no capture, tps | oa_sync, tps | counter row, tps | oa_sync : no capture | oa_sync : counter row |
|---|---|--:|---|--:|--:|--:|--:|--:|
`;
  for (const r of result.results) {
    text += row(r.sync, r.topics, r.clients, r.protocol, whole(median(r.tps.plain)), whole(median(r.tps.sync)),
      whole(median(r.tps.counter)), spread(ratio(r.tps.sync, r.tps.plain)), spread(ratio(r.tps.sync, r.tps.counter), 1));
  }
  return `${text}\n`;
}

/** @param {NonNullable<Found['bulk']>} raw */
function bulkSection({ result }) {
  let text = `## Bulk insert

\`INSERT … SELECT\` of ${whole(result.rows)} rows in one transaction. Events are written at COMMIT, so it takes time of
its own.

| | statement, ms | COMMIT, ms | together, ms | WAL, bytes a row |
|---|--:|--:|--:|--:|
`;
  for (const [way, name] of /** @type {const} */ ([['plain', 'no capture'], ['sync', 'oa_sync']])) {
    const runs = result.runs[way];
    text += row(name, whole(middle(runs, (r) => r.statementMs)), whole(middle(runs, (r) => r.commitMs)),
      whole(middle(runs, (r) => r.statementMs + r.commitMs)), whole(middle(runs, (r) => r.walBytesPerRow)));
  }
  return `${text}\n`;
}

/** @param {import('./bulk.mjs').BulkResult} result */
function bulkRatio(result) {
  const total = (/** @type {import('./bulk.mjs').Run} */ r) => r.statementMs + r.commitMs;
  return ratio(result.runs.plain.map(total), result.runs.sync.map(total));
}

/** @param {NonNullable<Found['long_transaction']>} raw */
function longSection({ options, result }) {
  let text = `## A long open transaction

A transaction with uncommitted events on both topics stays open for ${result.seconds} s or more, while 16 writers use the
one and 100 subscribers follow the other at ${options.eventsPerSecond} events/s. (BENCH_LONG_SECONDS=600 is the ten minutes of the
target.)${result.counterRowWaits ? ' With the counter row, a second writer of the topic waited until its timeout.' : ''}

| transaction | writers, tps | commit to socket p50, ms | p99, ms |
|---|--:|--:|--:|
`;
  for (const [key, name] of /** @type {const} */ ([['closed', 'none'], ['open', 'open']])) {
    const phases = result.phases[key];
    text += row(name, phases.map((p) => whole(p.tps)).join(', '), phases.map((p) => ms(p.latency.p50)).join(', '),
      phases.map((p) => ms(p.latency.p99)).join(', '));
  }
  return `${text}\n`;
}

/** @param {NonNullable<Found['latency']>} raw */
function latencySection({ options, result }) {
  let text = `## Commit to socket

One writer inserts at a steady rate; every subscriber gets every event. "commit" counts from the moment the writer had
the server's answer to its COMMIT, so it can be below zero; "insert" from before it sent the row. Subscribers are sockets of
one small C program that both systems share (\`test/bench/receiver.c\`). "NOTIFY" is \`pg_notify\` in a trigger, and one Node
process that LISTENs and sends to every \`ws\` socket. ${result.seconds} s each, ${options.rounds} rounds in turns; values are medians over the
rounds, in milliseconds. CPU is of the fan-out or the Node process, in cores.

| subscribers | events/s | | commit p50 | commit p99 | insert p50 | insert p99 | worst | CPU | lost | duplicates |
|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|
`;
  for (const { subscribers, perSecond, rounds } of result.results) {
    for (const [way, name] of /** @type {const} */ ([['sync', 'oa-sync-fanout'], ['notify', 'NOTIFY + ws']])) {
      const list = rounds[way];
      text += row(whole(subscribers), perSecond, name, ms(middle(list, (r) => r.p50)), ms(middle(list, (r) => r.p99)),
        ms(middle(list, (r) => r.insertP50)), ms(middle(list, (r) => r.insertP99)), ms(Math.max(...list.map((r) => r.max))),
        middle(list, (r) => r.serverCpu).toFixed(2), list.reduce((n, r) => n + r.lost, 0),
        list.reduce((n, r) => n + r.duplicates, 0));
    }
  }
  return `${text}\n`;
}

/** The targets, and what was reached. @param {Found} found */
function summary(found) {
  let text = `| what | against | target | measured | |\n|---|---|---|---|---|\n`;
  for (const r of found.writers?.result.results ?? []) {
    if (r.clients !== 64 || r.topics !== 'one topic') continue;
    const plain = ratio(r.tps.sync, r.tps.plain);
    text += row(`one-row writers, 64 clients, one hot topic, fdatasync ${r.sync}, ${r.protocol} protocol`, 'no capture', '>= 0.90',
      spread(plain), reached(plain.median >= 0.9));
    if (r.sync !== '+1 ms') continue;
    const counter = ratio(r.tps.sync, r.tps.counter);
    text += row('the same', 'counter row', '>= 25x', `${spread(counter, 1)}x`, reached(counter.median >= 25));
  }
  if (found.bulk) {
    const speed = bulkRatio(found.bulk.result);
    text += row(`bulk insert, ${whole(found.bulk.result.rows)} rows`, 'no capture', '>= 0.40', spread(speed), reached(speed.median >= 0.4));
  }
  if (found.long_transaction) {
    const { phases, seconds } = found.long_transaction.result;
    const tps = ratio(phases.open.map((p) => p.tps), phases.closed.map((p) => p.tps));
    const added = middle(phases.open, (p) => p.latency.p50) - middle(phases.closed, (p) => p.latency.p50);
    const tail = middle(phases.open, (p) => p.latency.p99) - middle(phases.closed, (p) => p.latency.p99);
    const signed = (/** @type {number} */ n) => `${n >= 0 ? '+' : ''}${n.toFixed(2)} ms`;
    text += row(`a transaction open for ${seconds} s on the topic`, 'none', 'no added wait',
      `writers at ${spread(tps)} of their speed; subscribers' p50 ${signed(added)}, p99 ${signed(tail)}`,
      // Two rounds tell a wait for the transaction (seconds) from none, and nothing finer.
      reached(tps.median >= 0.9 && added <= 1 && tail <= 5));
  }
  for (const { subscribers, perSecond, rounds } of found.latency?.result.results ?? []) {
    const ours = middle(rounds.sync, (r) => r.p99);
    const theirs = middle(rounds.notify, (r) => r.p99);
    const isTarget = subscribers === 1000 && perSecond === 200;
    text += row(`commit to socket, ${whole(subscribers)} subscribers, ${perSecond} events/s, p99`, 'NOTIFY + Node ws',
      isTarget ? '<= 10 ms and <= half' : '', `${ms(ours)} ms against ${ms(theirs)} ms`,
      isTarget ? reached(ours <= 10 && ours <= theirs / 2) : '');
  }
  return `${text}\n`;
}

/** @param {Found} found @returns {string} the page */
export function report(found) {
  const raws = /** @type {Raw<unknown>[]} */ (Object.values(found).filter(Boolean));
  const machine = /** @type {Raw<unknown>} */ (raws[raws.length - 1]).machine;
  const runs = Object.entries(found).flatMap(([name, raw]) => (raw ? [`${name.replace('_', ' ')} ${
    raw.machine.startedAt.slice(0, 16).replace('T', ' ')} UTC, load ${raw.machine.loadBefore ?? 'not noted'}`] : [])).join('; ');
  return `# Benchmarks

Written by \`make bench\` (\`test/bench/\`); the raw results are in [benchmarks/raw](benchmarks/raw). What is compared was
measured in one run on one private cluster, in turns, so a ratio says more than a rate: rates are those of this machine,
where server, clients and load generator share the cores.

Measured on ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ${machine.postgresql}, Node ${machine.node}.
\`fsync\` and \`synchronous_commit\` on; "+1 ms" makes every \`fdatasync()\` 1 ms longer by a preloaded library. When, and what
else ran at that time (load average before the start): ${runs}.

${summary(found)}${found.writers ? writersSection(found.writers) : ''}${found.bulk ? bulkSection(found.bulk) : ''}${
    found.long_transaction ? longSection(found.long_transaction) : ''}${found.latency ? latencySection(found.latency) : ''}## Reading them

- A captured row costs a second heap insert, an index insert, and its share of WAL, all in the transaction that wrote it.
  That is CPU, not waiting: at one client and on a slow disk it disappears in the wait for the disk; where writers
  saturate the cores it is the whole difference. The cheaper the statement itself, the larger the share, so the one-row
  prepared INSERT without any other index is the worst case.
- A counter row is held to the end of the commit, so a topic's writers take turns at the disk. Watermarks taken at
  PRE_COMMIT by an atomic addition are held by nobody.
- Other work on the same cores shows as a wide spread between rounds, and as a longer tail of the latencies: both sides of a
  comparison have it, so it blurs ratios more than it shifts them.
- Measure again on the machine that matters: \`make bench\`. \`node test/bench/run.mjs --help\` lists what can be set.
`;
}
