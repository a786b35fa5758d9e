// `make soak`'s long runs of the oracle: several schedules, longer ones, with a fan-out that a sanitizer watches.
//
//   node test/soak/run.mjs [--rounds N] [--seconds N] [--seed S]
//
// The fan-out is OA_SYNC_FANOUT_BIN, or build/fanout-tsan. Exit status 0 when no round had a problem. Round n of seed S
// replays by itself with OA_SYNC_SEED=S/n node --test test/integration/oracle.test.mjs.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';

const root = new URL('../..', import.meta.url).pathname;
process.env.OA_SYNC_FANOUT_BIN ??= `${root}build/fanout-tsan/oa-sync-fanout`;
if (!existsSync(process.env.OA_SYNC_FANOUT_BIN)) {
  console.error(`${process.env.OA_SYNC_FANOUT_BIN} is not there: \`make soak\` builds it`);
  process.exit(2);
}
const { runOracle } = await import('../integration/oracle/run.mjs');

const { values } = parseArgs({ options: {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: process.env.OA_SYNC_ORACLE_SECONDS ?? '180' },
  seed: { type: 'string', default: process.env.OA_SYNC_SEED ?? randomBytes(4).toString('hex') },
} });

const began = performance.now();
const minutes = () => `${((performance.now() - began) / 60_000).toFixed(1)} min`;
let failed = 0;
for (let round = 1; round <= Number(values.rounds); round++) {
  const seed = `${values.seed}/${round}`;
  console.log(`${minutes()}: round ${round} of ${values.rounds}, OA_SYNC_SEED=${seed}`);
  try {
    const { problems, summary } = await runOracle({ seed, seconds: Number(values.seconds), say: (text) => {
      if (process.env.OA_SYNC_ORACLE_VERBOSE) console.log(`${minutes()}: ${text}`);
    } });
    console.log(summary);
    for (const problem of problems.slice(0, 50)) console.log(`PROBLEM ${problem}`);
    if (problems.length > 0) failed++;
  } catch (error) {
    console.log(`PROBLEM ${String(error instanceof Error ? error.stack : error).slice(0, 20_000)}`);
    failed++;
  }
}
console.log(failed === 0 ? `all ${values.rounds} rounds are well` : `${failed} of ${values.rounds} rounds had problems`);
process.exit(failed === 0 ? 0 : 1);
