// The benches: `make bench`, see options.mjs for what can be set.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { root } from '../harness/index.mjs';
import { bulk } from './bulk.mjs';
import { deflate } from './deflate.mjs';
import { fanout } from './fanout.mjs';
import { Ground } from './ground.mjs';
import { ingest } from './ingest.mjs';
import { latency } from './latency.mjs';
import { longTransaction } from './long_transaction.mjs';
import { machine } from './machine.mjs';
import { help, options, quick } from './options.mjs';
import { report } from './report.mjs';
import { retention } from './retention.mjs';
import { writers } from './writers.mjs';

/** In the order in which they run and are reported. */
const benches = { writers, bulk, long_transaction: longTransaction, retention, latency, fanout, deflate, ingest };
/** @typedef {keyof typeof benches} Name */

const names = /** @type {Name[]} */ (Object.keys(benches));

// `--only NAME` is the same as NAME.
const asked = process.argv.slice(2).filter((word) => word !== '--only');
const reportOnly = asked.length === 1 && asked[0] === '--report';
if (reportOnly) asked.pop();
if (asked.includes('--help') || asked.some((name) => !names.includes(/** @type {Name} */ (name)))) {
  process.stdout.write(help);
  process.exit(asked.includes('--help') ? 0 : 2);
}

// A quick run is no measurement: it stays out of the documentation.
const rawDir = quick ? `${root}/build/bench/raw` : `${root}/docs/benchmarks/raw`;
const page = quick ? `${root}/build/bench/benchmarks.md` : `${root}/docs/benchmarks.md`;
mkdirSync(rawDir, { recursive: true });

const started = Date.now();

/** @param {string} line */
function log(line) {
  console.log(`${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s  ${line}`);
}

/** Runs benches and keeps what each one found. @param {Name[]} wanted */
async function measure(wanted) {
  const measuredOn = machine();
  const ground = await Ground.create();
  try {
    for (const name of wanted) {
      const result = await benches[name](ground, log);
      writeFileSync(`${rawDir}/${name}.json`, `${JSON.stringify({ machine: measuredOn, options, result }, null, 1)}\n`);
    }
  } finally {
    await ground.destroy();
  }
}

/** What a bench found, now or in an earlier run. @param {Name} name @returns {any} */
function found(name) {
  try {
    return JSON.parse(readFileSync(`${rawDir}/${name}.json`, 'utf8'));
  } catch {
    return undefined;
  }
}
if (!reportOnly) await measure(asked.length > 0 ? /** @type {Name[]} */ (asked) : names);
writeFileSync(page, report(Object.fromEntries(names.map((name) => [name, found(name)]))));
log(`written: ${page}`);
