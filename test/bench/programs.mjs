// Small C programs that the benches need, compiled when they are older than their source.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { root } from '../harness/index.mjs';

const outputDir = `${root}/build/bench`;

/** @param {string} path */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {string} name @param {string} output @param {string[]} flags */
function compile(name, output, flags) {
  mkdirSync(outputDir, { recursive: true });
  const source = `${root}/test/bench/${name}.c`;
  const target = `${outputDir}/${output}`;
  if (modified(target) < modified(source)) {
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', ...flags, '-o', target, source, '-ldl'],
      { stdio: ['ignore', 'inherit', 'inherit'] });
  }
  return target;
}

/** The library that makes fdatasync() slow. */
export const fsyncDelayLibrary = () => compile('fsync_delay', 'fsync_delay.so', ['-shared', '-fPIC']);

/** The many subscribers. */
export const receiverProgram = () => compile('receiver', 'receiver', []);
