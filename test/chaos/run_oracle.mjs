// The oracle in a network, once or in rounds. Started by inside.mjs:
//
//   node test/chaos/inside.mjs run_oracle.mjs [--seed S] [--seconds N] [--rounds N] [--long] [--results FILE]
//
// Exit status 0 when nothing was wrong. Round n of seed S is seed S/n; --results appends a line of JSON for each round.
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runChaos } from './oracle/run.mjs';

const { values } = parseArgs({ options: {
  seed: { type: 'string', default: process.env.OA_SYNC_SEED ?? randomBytes(4).toString('hex') },
  seconds: { type: 'string', default: process.env.OA_SYNC_CHAOS_SECONDS ?? '40' },
  rounds: { type: 'string', default: '1' },
  long: { type: 'boolean', default: false },
  results: { type: 'string' },
} });

const began = performance.now();
const rounds = Number(values.rounds);
let failed = 0;
for (let round = 1; round <= rounds; round++) {
  const seed = rounds === 1 ? values.seed : `${values.seed}/${round}`;
  const again = `node test/chaos/inside.mjs run_oracle.mjs --seed ${seed} --seconds ${values.seconds}${values.long ? ' --long' : ''}`;
  console.log(`seed ${seed}; to run it again: ${again}`);
  /** @type {string[]} */
  let problems = [];
  try {
    const outcome = await runChaos({ seed, seconds: Number(values.seconds), short: !values.long, say: (text) => {
      if (process.env.OA_SYNC_ORACLE_VERBOSE) console.log(`${((performance.now() - began) / 1000).toFixed(1)} s ${text}`);
    } });
    problems = outcome.problems;
    console.log(outcome.summary);
    if (values.results) appendFileSync(values.results, `${JSON.stringify({ ...outcome.facts, problems })}\n`);
  } catch (error) {
    problems = [String(error instanceof Error ? error.stack : error).slice(0, 20_000)];
  }
  for (const problem of problems.slice(0, 30)) console.log(`PROBLEM ${problem}`);
  if (problems.length > 0) {
    failed++;
    console.log(`${problems.length} problems; to run it again: ${again}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
