// What the numbers were measured on.
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { fanoutBinary, root } from '../harness/index.mjs';
import { pgBinDir } from '../harness/paths.mjs';

/** @param {string} program @param {string[]} args */
const output = (program, args) => execFileSync(program, args, { encoding: 'utf8', cwd: root }).trim();

export function machine() {
  return {
    measuredAt: new Date().toISOString(),
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    postgresql: output(`${pgBinDir}/postgres`, ['--version']),
    node: process.version,
    fanout: output(fanoutBinary, ['--version']),
  };
}
/** @typedef {ReturnType<typeof machine>} Machine */
