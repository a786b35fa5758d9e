// Programs that the benches need: small ones in C and C++, compiled when they are older than their source, and oa-sync.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { root } from '../harness/index.mjs';

const outputDir = `${root}/build/bench`;

/** @param {string} path */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {string} file @param {string} output @param {string[]} flags */
function compile(file, output, flags) {
  mkdirSync(outputDir, { recursive: true });
  const source = `${root}/test/bench/${file}`;
  const target = `${outputDir}/${output}`;
  if (modified(target) < modified(source)) {
    const compiler = file.endsWith('.cpp') ? ['c++', '-std=c++20'] : ['cc'];
    execFileSync(/** @type {string} */ (compiler[0]), [...compiler.slice(1), '-O2', '-Wall', '-Wextra', '-Werror', '-o',
      target, source, ...flags, '-ldl'], { stdio: ['ignore', 'inherit', 'inherit'] });
  }
  return target;
}

/** The library that makes fdatasync() slow. */
export const fsyncDelayLibrary = () => compile('fsync_delay.c', 'fsync_delay.so', ['-shared', '-fPIC']);

/** The many subscribers. */
export const receiverProgram = () => compile('receiver.c', 'receiver', []);

/** The many subscribers of the fan-out bench: `oa-sync bench`, of the ordinary build whatever fan-out is measured. */
export const loadProgram = `${root}/build/fanout/oa-sync`;

/** What delivery is compared with. */
export const bareServerProgram = () => compile('bare_server.cpp', 'bare_server', []);
