// Promotions of a standby, and restarts of two fan-outs one after the other. Started by inside.mjs:
//
//   node test/chaos/inside.mjs run_failover.mjs [--runs N] [--only async/kill,async/cut,sync/kill,sync/cut,unconfirmed/kill,rolling] [--clients N] [--results FILE]
//
// Exit status 0 when nothing was wrong; --results appends a line of JSON for each run.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runPromotion } from './failover/promotion.mjs';
import { runRolling } from './failover/rolling.mjs';

const { values } = parseArgs({ options: {
  runs: { type: 'string', default: '1' },
  only: { type: 'string', default: 'async/kill,async/cut,sync/kill,sync/cut,unconfirmed/kill,rolling' },
  clients: { type: 'string', default: '20' },
  results: { type: 'string' },
} });

let failed = 0;
for (let run = 1; run <= Number(values.runs); run++) {
  for (const kind of values.only.split(',')) {
    const began = performance.now();
    const say = (/** @type {string} */ text) => {
      if (process.env.OA_SYNC_ORACLE_VERBOSE) console.log(`${((performance.now() - began) / 1000).toFixed(1)} s ${text}`);
    };
    /** @type {string[]} */
    let problems = [];
    try {
      const [replication, how] = /** @type {[import('./failover/promotion.mjs').Replication, import('./failover/promotion.mjs').How]} */ (kind.split('/'));
      const outcome = await (kind === 'rolling' ? runRolling({ clients: Number(values.clients), say }) : runPromotion({ replication, how, say }));
      problems = outcome.problems;
      console.log(`${kind}: ${JSON.stringify(outcome.facts)}`);
      if (values.results) appendFileSync(values.results, `${JSON.stringify({ kind, ...outcome.facts, problems })}\n`);
    } catch (error) {
      problems = [String(error instanceof Error ? error.stack : error).slice(0, 20_000)];
    }
    for (const problem of problems.slice(0, 30)) console.log(`PROBLEM ${kind}: ${problem}`);
    if (problems.length > 0) {
      failed++;
      console.log(`${problems.length} problems; to run it again: node test/chaos/inside.mjs run_failover.mjs --only ${kind}`);
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
