// `make drill`: plays docs/sync/RUNTIME_CODEX_CUTOVER_RUNBOOK.md on the demo system, and writes the report.
//
// Usage: node test/drill/run.mjs [--short] [--report build|docs] [--blind]
//   --short        some seconds for each step instead of some minutes for all
//   --report docs  writes docs/sync/status/DRILL-<date>.md; otherwise build/drill/DRILL-<date>.md
//   --blind        with gates that see no mismatch: the drill has to fail (exit code 1)
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../harness/index.mjs';
import { play, sizes } from './play.mjs';
import { Record } from './record.mjs';

const { values: args } = parseArgs({ options: { short: { type: 'boolean', default: false }, report: { type: 'string', default: 'build' },
  blind: { type: 'boolean', default: false } } });
if (!['build', 'docs'].includes(args.report)) {
  console.error('drill: --report is build or docs');
  process.exit(2);
}
const record = new Record(true);
/** @type {string | undefined} */
let failure;
try {
  await play(record, args.short ? sizes.short : sizes.full, { blind: args.blind });
} catch (error) {
  failure = /** @type {Error} */ (error).message;
  console.error(`drill: FAILED: ${/** @type {Error} */ (error).stack}`);
}
const directory = args.report === 'docs' ? `${root}/docs/sync/status` : `${root}/build/drill`;
mkdirSync(directory, { recursive: true });
const file = `${directory}/DRILL-${new Date(record.startedAt).toISOString().slice(0, 10)}.md`;
writeFileSync(file, record.report(failure));
if (args.report === 'docs') {
  // Every page is reachable: the list of reports names it.
  const list = `${directory}/README.md`;
  const name = basename(file);
  const text = readFileSync(list, 'utf8');
  if (!text.includes(`(${name})`)) writeFileSync(list, `${text.trimEnd()}\n- [${name}](${name})\n`);
}
console.log(`drill: ${failure === undefined ? 'passed' : 'FAILED'}; the report is ${file}`);
process.exit(failure === undefined ? 0 : 1);
