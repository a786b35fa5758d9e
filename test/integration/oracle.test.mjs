// The oracle: parallel writers, crashes of everything, and in the end the journal equals the tables, and every
// subscriber holds every event exactly once and in order.
//
// OA_SYNC_SEED replays a schedule, OA_SYNC_ORACLE_SECONDS sets its length, OA_SYNC_ORACLE_FANOUTS=0 leaves the fan-outs
// out. (A schedule is the same for a seed; how the machine interleaves it is not.)
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { runOracle } from './oracle/run.mjs';

const seed = process.env.OA_SYNC_SEED ?? randomBytes(4).toString('hex');
const seconds = Number(process.env.OA_SYNC_ORACLE_SECONDS ?? 60);
const fanouts = Number(process.env.OA_SYNC_ORACLE_FANOUTS ?? 2);

test(`the oracle, OA_SYNC_SEED=${seed}`, { timeout: (seconds * 3 + 600) * 1000 }, async (t) => {
  const began = performance.now();
  const { problems, summary } = await runOracle({ seed, seconds, fanouts, say: (text) => {
    if (process.env.OA_SYNC_ORACLE_VERBOSE) console.log(`${((performance.now() - began) / 1000).toFixed(1)} s ${text}`);
  } });
  for (const line of summary.split('\n')) t.diagnostic(line);
  assert.equal(problems.length, 0,
    `${problems.length} problems, OA_SYNC_SEED=${seed}:\n${problems.slice(0, 20).join('\n')}\n${summary}`);
});
