// Which processes run where, and what they use: the server under test has one core, everything else the others.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';

const count = cpus().length;
export const serverCores = '0';
export const loadCores = count > 1 ? `1-${count - 1}` : '0';
export const allCores = `0-${count - 1}`;

/** Moves a process, all its threads, to cores. @param {number} pid @param {string} cores */
export function pin(pid, cores) {
  execFileSync('taskset', ['-a', '-p', '-c', cores, String(pid)], { stdio: 'ignore' });
}

/** CPU seconds that the living threads of a process have used. @param {number} pid */
export function cpuSeconds(pid) {
  let ns = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return ns / 1e9;
}

/** Bytes of memory that a process has for itself: anonymous pages, resident. @param {number} pid */
export function residentBytes(pid) {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
