// Writes docs/benchmarks.md from the raw results.
import { speedOf, totalMs } from './bulk.mjs';
import { speedWhileOpen } from './long_transaction.mjs';
import { fanoutSection, fanoutSummary } from './fanout_report.mjs';
import { deflateSection } from './deflate_report.mjs';
import { ingestSection, ingestSummary } from './ingest_report.mjs';
import { peerNames } from './peers.mjs';
import { middle, ms, reached, row, spread, whole } from './report_text.mjs';
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
 * @property {Raw<import('./retention.mjs').RetentionResult>} [retention]
 * @property {Raw<import('./latency.mjs').LatencyResult>} [latency]
 * @property {Raw<import('./fanout.mjs').FanoutResult>} [fanout]
 * @property {Raw<import('./deflate.mjs').DeflateResult>} [deflate]
 * @property {Raw<import('./ingest.mjs').IngestResult>} [ingest]
 */

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
  return `${text}\n${peerWriters(result)}`;
}

/** The writers' table of the peers, where they were measured. @param {import('./writers.mjs').WritersResult} result */
function peerWriters({ results }) {
  let text = '';
  for (const r of results) {
    for (const peer of /** @type {const} */ (['pgq', 'outbox', 'outbox_statement'])) {
      const tps = r.tps[peer];
      if (!tps) continue;
      text += row(r.sync, r.clients, nameOf(peer), whole(median(tps)), spread(ratio(tps, r.tps.plain)),
        spread(ratio(r.tps.sync, tps)));
    }
  }
  if (text === '') return '';
  return `The peers (see below), in the same rounds:

| fdatasync | clients | | tps | peer : no capture | oa_sync : peer |
|---|--:|---|--:|--:|--:|
${text}
`;
}

/** What the tables call a way. @param {string} way */
const nameOf = (way) => ({ plain: 'no capture', sync: 'oa_sync', ...peerNames })[way] ?? way;

/** @param {NonNullable<Found['bulk']>} raw */
function bulkSection({ options, result }) {
  let text = `## Bulk loads

${whole(result.rows)} rows in one transaction, by \`INSERT … SELECT\` and by \`COPY\` of a file on the server, ${options.rounds} rounds in turns,
medians. oa_sync writes its events at COMMIT, so that takes time of its own. Speed is that of no capture divided by the
time taken (lowest to highest). The peers keep a log of the same rows: PgQ's C trigger \`pgq.logutriga\` (URL-encoded rows; a
ticker cuts batches, no order by topic), and a table with a \`bigserial\` and the row as jsonb, filled by a PL/pgSQL trigger for
each row, or for each statement from its transition table. Their numbers have holes and become visible out of order,
so a reader can't tell a missing event from a late one; none of them holds a hash of the payload.

| load | | statement, ms | COMMIT, ms | together, ms | speed |
|---|---|--:|--:|--:|--:|
`;
  for (const [load, name] of /** @type {const} */ ([['insert', 'INSERT … SELECT'], ['copy', 'COPY']])) {
    for (const { way, runs } of result.loads[load]) {
      text += row(name, nameOf(way), whole(middle(runs, (r) => r.statementMs)), whole(middle(runs, (r) => r.commitMs)),
        whole(middle(runs, totalMs)), way === 'plain' ? 1 : spread(speedOf(result.loads[load], way)));
    }
  }
  return `${text}
## Bytes of an event

What a row costs beyond the application's own: WAL (\`pg_current_wal_insert_lsn()\` before and after, less what the same rows
took without capture) and the log itself (\`pg_total_relation_size\`: table, indexes, TOAST). In bulk as above, and with one row in
each of ${whole(result.oneRowTransactions)} transactions, after a checkpoint and some rows of warming up. The payload is ${result.payloadBytes} bytes of JSON.

| | WAL in bulk | WAL, one row in a transaction | log in bulk | log, one row in a transaction |
|---|--:|--:|--:|--:|
${bytesRows(result)}
`;
}

/** @param {import('./bulk.mjs').BulkResult} result */
function bytesRows({ loads, oneRow }) {
  const inBulk = (/** @type {string} */ way) => {
    const runs = loads.insert.find((w) => w.way === way)?.runs ?? [];
    return { wal: middle(runs, (r) => r.walBytesPerRow), log: middle(runs, (r) => r.logBytesPerRow) };
  };
  const inOne = (/** @type {string} */ way) => oneRow.find((w) => w.way === way)?.bytes.walBytesPerRow ?? NaN;
  let text = row('the row itself', whole(inBulk('plain').wal), whole(inOne('plain')), '', '');
  for (const { way, bytes } of oneRow) {
    if (way === 'plain') continue;
    text += row(nameOf(way), `+ ${whole(inBulk(way).wal - inBulk('plain').wal)}`, `+ ${whole(inOne(way) - inOne('plain'))}`,
      whole(inBulk(way).log), whole(bytes.logBytesPerRow));
  }
  return text;
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

/** @param {NonNullable<Found['retention']>} raw */
function retentionSection({ result }) {
  let text = `## Retention

One partition of the journal with events of ${whole(result.topics)} topics goes while ${result.clients} writers insert one-row transactions: by
\`sync_retain()\`, which persists the topics' heads and floors and drops the partition, and for comparison by a DELETE of the
events, after which the space is not free yet. Times and latencies in milliseconds; "under lock" is how long a reader
could have had to wait, the rest is mostly the file system's work of unlinking, behind the commit. "during" is from the
beginning of it to its end, a second at least; WAL is with that of the writers.

| | events | MB | it took | under lock | WAL, MB | writers before, tps | during | p99 before | during | worst before | during |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`;
  for (const r of result.runs) {
    text += row(r.way === 'drop' ? 'retention' : 'DELETE', whole(r.rows), whole(r.bytes / 1e6), whole(r.ms),
      r.lockedMs === undefined ? '—' : ms(r.lockedMs), whole(r.walBytes / 1e6),
      whole(r.before.tps), whole(r.during.tps), ms(r.before.p99), ms(r.during.p99), ms(r.before.worst), ms(r.during.worst));
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
    const { loads, rows } = found.bulk.result;
    for (const [load, name, target] of /** @type {const} */ ([['insert', 'INSERT … SELECT', 0.4], ['copy', 'COPY', 0]])) {
      const speed = speedOf(loads[load], 'sync');
      text += row(`${whole(rows)} rows by ${name}`, 'no capture', target > 0 ? `>= ${target.toFixed(2)}` : '', spread(speed),
        target > 0 ? reached(speed.median >= target) : '');
      for (const { way, runs } of loads[load]) {
        if (way === 'plain' || way === 'sync') continue;
        const ours = loads[load].find((w) => w.way === 'sync')?.runs ?? [];
        text += row('the same', nameOf(way), '', `${spread(ratio(runs.map(totalMs), ours.map(totalMs)), 1)}x as fast`, '');
      }
    }
  }
  if (found.long_transaction) {
    const { phases, seconds } = found.long_transaction.result;
    const tps = speedWhileOpen(phases);
    const added = middle(phases.open, (p) => p.latency.p50) - middle(phases.closed, (p) => p.latency.p50);
    const tail = middle(phases.open, (p) => p.latency.p99) - middle(phases.closed, (p) => p.latency.p99);
    const signed = (/** @type {number} */ n) => `${n >= 0 ? '+' : ''}${n.toFixed(2)} ms`;
    text += row(`a transaction open for ${seconds} s on the topic`, 'none', 'no added wait',
      `writers at ${spread(tps)} of their speed; subscribers' p50 ${signed(added)}, p99 ${signed(tail)}`,
      // Two rounds tell a wait for the transaction (seconds) from none, and nothing finer.
      reached(tps.median >= 0.9 && added <= 1 && tail <= 5));
  }
  for (const r of found.retention?.result.runs ?? []) {
    if (r.way !== 'drop') continue;
    text += row(`${whole(r.rows)} events go by retention, ${whole(found.retention?.result.topics ?? 0)} topics`, 'writers before it',
      'no added wait', `${whole(r.ms)} ms, ${ms(r.lockedMs ?? NaN)} of it under lock; writers ${whole(r.before.tps)} to ${whole(r.during.tps)} tps, p99 ${
        ms(r.before.p99)} to ${ms(r.during.p99)} ms`, reached(r.during.tps >= 0.8 * r.before.tps && r.during.p99 <= r.before.p99 + 10));
  }
  for (const { subscribers, perSecond, rounds } of found.latency?.result.results ?? []) {
    const ours = middle(rounds.sync, (r) => r.p99);
    const theirs = middle(rounds.notify, (r) => r.p99);
    const isTarget = subscribers === 1000 && perSecond === 200;
    text += row(`commit to socket, ${whole(subscribers)} subscribers, ${perSecond} events/s, p99`, 'NOTIFY + Node ws',
      isTarget ? '<= 10 ms and <= half' : '', `${ms(ours)} ms against ${ms(theirs)} ms`,
      isTarget ? reached(ours <= 10 && ours <= theirs / 2) : '');
  }
  if (found.fanout) text += fanoutSummary(found.fanout.result);
  if (found.ingest) text += ingestSummary(found.ingest.result);
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
    found.long_transaction ? longSection(found.long_transaction) : ''}${found.retention ? retentionSection(found.retention) : ''}${
    found.latency ? latencySection(found.latency) : ''}${found.fanout ? fanoutSection(found.fanout) : ''}${found.deflate ? deflateSection(found.deflate) : ''}${found.ingest ? ingestSection(found.ingest) : ''}## Reading them

- A captured row costs a second heap insert, an index insert, and its share of WAL, all in the transaction that wrote it.
  That is CPU, not waiting: at one client and on a slow disk it disappears in the wait for the disk; where writers
  saturate the cores it is the whole difference. The cheaper the statement itself, the larger the share, so the one-row
  prepared INSERT without any other index is the worst case.
- A profile of a published \`INSERT … SELECT\` (perf, by hand): 45 % is appending to the journal, 26 of them heap pages with their WAL
  and 18 the entries of its index; 4 % is the extension's own code and 3 % sha256. A third of the whole is the kernel, which grows files and
  writes WAL. So what is left to gain is in bytes, not in code. Sampled waits of 64 writers on one topic: 7 % are for the last page
  of the journal's index and 3 % for a place in WAL, against 1 % and 1 % without capture.
- The peers run a statement for each event, or one for all, through the executor; the journal is appended in batches, without it. They
  write one index entry to an ever growing number, the journal one to (topic, watermark), and a hash: more bytes, less time.
- An entry of the journal's index takes 40 bytes for the topic that is last in byte order and 73 for others, with 40 more bytes of
  WAL: nbtree splits pages after an ascending entry only where entries have at most 24 bytes. The bulk loads above run on one topic; after
  the writers' bench, in the same database, others follow it.
- A counter row is held to the end of the commit, so a topic's writers take turns at the disk. Watermarks taken at
  PRE_COMMIT by an atomic addition are held by nobody.
- With many events pending a delivery is a copy of bytes by the kernel, and several frames share a system call, so the fan-out is
  near the bare loop. In the trickle it is a system call, which takes most of it. With a topic for each subscriber
  every delivery is also an event that is received from PostgreSQL, decoded and turned into JSON for nobody else. A profile of that
  (perf, by hand): 44 % is send(), 12 of them waking the subscribers' process; 6 % is receiving from PostgreSQL, 4 % page faults for
  windows that grow, 10 % malloc and free, some 7 % finding the topic by its name three times; decoding is 0.3 µs of 9.
- Bytes of an event with this payload, frame and all: 708 alone and 526 in a batch of 200 as JSON, 427 and 362 with
  \`"encoding":"proto"\`, which costs the server nothing: stored bytes are spliced. A frame of 200
  updates costs the server some 15 µs for each subscriber, because all share its bytes.
- permessage-deflate is off unless \`--deflate\` is on. Compressed bytes are shared as plain ones are, so what it takes is per batch and not per
  subscriber; libwebsockets' own extension would compress for each connection again, with some 300 kB of zlib state for each.
  Level 1 gets nearly all there is. [When to turn it on](protocol/RFC6455.md#extensions).
- Other work on the same cores shows as a wide spread between rounds, and as a longer tail of the latencies: both sides of a
  comparison have it, so it blurs ratios more than it shifts them.
- Measure again on the machine that matters: \`make bench\`. \`node test/bench/run.mjs --help\` lists what can be set.
`;
}
