// `make soak`'s part of test/chaos: long runs of the oracle in a network, promotions and rolling restarts; what came out goes into
// docs/reliability.md, and below docs/reliability/ as it came. When something was wrong nothing is written there.
//
//   node test/soak/chaos.mjs [--rounds 3] [--seconds 300] [--runs 5] [--seed S] [--no-write]
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { root } from '../harness/index.mjs';
import { write } from '../chaos/document.mjs';

const { values } = parseArgs({ options: {
  rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '300' }, runs: { type: 'string', default: '5' },
  seed: { type: 'string', default: process.env.OA_SYNC_SEED ?? randomBytes(4).toString('hex') }, 'no-write': { type: 'boolean', default: false },
} });

const dir = mkdtempSync('/tmp/oa-sync-soak-');
const inside = (/** @type {string[]} */ ...args) =>
  spawnSync(process.execPath, [`${root}/test/chaos/inside.mjs`, ...args], { stdio: 'inherit', cwd: root }).status === 0;
const oracle = inside('run_oracle.mjs', '--long', '--rounds', values.rounds, '--seconds', values.seconds, '--seed', values.seed,
  '--results', `${dir}/oracle.jsonl`);
const failover = inside('run_failover.mjs', '--runs', values.runs, '--results', `${dir}/failover.jsonl`);
// A run that broke off has left no figures: the page would not know of it.
if (!oracle || !failover) {
  console.error(`something was wrong: docs/reliability.md is left as it was; the figures of the runs that came to an end are in ${dir}`);
  process.exit(1);
}
if (!values['no-write']) write(`${dir}/oracle.jsonl`, `${dir}/failover.jsonl`);
rmSync(dir, { recursive: true });
