// What a run measures, and for how long: set by BENCH_* variables and the command line.

export const help = `Usage: make bench [BENCH_ARGS='writers latency ...']   or: node test/bench/run.mjs [bench ...]

Benches: writers bulk long_transaction retention latency fanout deflate ingest (default: all, about 38 minutes; fanout alone 8).
Results go to docs/benchmarks/raw/*.json, and docs/benchmarks.md is written anew from all of them.

--report                measure nothing, only write the page anew from the raw results that are there

BENCH_QUICK=1           a two-minute run to see that the benches work; results go to build/bench/, not to docs/
BENCH_SECONDS=3         length of one measurement of the writers
BENCH_ROUNDS=3          rounds of each comparison (the variants take turns in every round)
BENCH_BULK_ROWS=1000000 rows of the bulk loads
BENCH_ONE_ROW_TRANSACTIONS=20000  transactions of one row whose bytes are counted
BENCH_LONG_SECONDS=20   how long a transaction stays open in the long_transaction bench; 600 is the target's ten
                        minutes, and takes twelve
BENCH_RETENTION_ROWS=10000000     events that retention drops beside writers; a tenth of it for comparison
BENCH_LATENCY_SECONDS=5 length of one latency measurement, of the fan-out bench's too; its others take BENCH_SECONDS
`;

export const quick = process.env.BENCH_QUICK === '1';

/** @param {string} name @param {number} full @param {number} short */
function number(name, full, short) {
  const text = process.env[name];
  if (text === undefined || text === '') return quick ? short : full;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${name}: not a positive number: ${text}`);
  return value;
}

export const options = {
  seconds: number('BENCH_SECONDS', 3, 1),
  rounds: number('BENCH_ROUNDS', 3, 1),
  bulkRows: number('BENCH_BULK_ROWS', 1_000_000, 100_000),
  oneRowTransactions: number('BENCH_ONE_ROW_TRANSACTIONS', 20_000, 2_000),
  longSeconds: number('BENCH_LONG_SECONDS', 20, 6),
  retentionRows: number('BENCH_RETENTION_ROWS', 10_000_000, 100_000),
  latencySeconds: number('BENCH_LATENCY_SECONDS', 5, 2),
  eventsPerSecond: 200,
  clients: quick ? [1, 64] : [1, 16, 64],
  slowSyncUs: 1000,
};
