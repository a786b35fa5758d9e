// What the numbers were measured on.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fanoutBinary, root } from '../harness/index.mjs';
import { pgBinDir } from '../harness/paths.mjs';

/** @param {string} program @param {string[]} args */
const output = (program, args) => execFileSync(program, args, { encoding: 'utf8', cwd: root }).trim();

/** Call it before the benches load the machine themselves. */
export function machine() {
  return {
    startedAt: new Date().toISOString(),
    /** What else ran: processes that wanted a core in the minute before. */
    loadBefore: Math.round(/** @type {number} */ (loadavg()[0]) * 10) / 10,
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    postgresql: output(`${pgBinDir}/postgres`, ['--version']),
    node: process.version,
    fanout: output(fanoutBinary, ['--version']),
  };
}
/** @typedef {ReturnType<typeof machine>} Machine */
