// The program under test, oa-sync, as a child process.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { after } from 'node:test';
import { atExit, fanoutBinary, patienceMs, waitFor, within } from '../harness/index.mjs';

/** Beside the fan-out, so that a sanitizer's build is tested with its own. */
export const binary = process.env.OA_SYNC_BIN ?? `${dirname(fanoutBinary)}/oa-sync`;

/** How the program ended. @typedef {{code: number | null, signal: string | null, stdout: string, stderr: string}} Ended */

/** The environment of tests: nothing of the caller's that the program would read. @param {Record<string, string>} env */
const environment = (env) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OA_SYNC_|NO_COLOR|PG[A-Z]+$)/.test(name))),
  TERM: 'xterm', ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'halt_on_error=1', ...env });

/** Those that a test which failed has left behind would keep the file's process for ever. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
after(() => running.forEach((child) => child.kill('SIGKILL')));

/** A run of the program. */
export class Run {
  stdout = '';
  stderr = '';

  /** @param {string[]} args @param {{env?: Record<string, string>, input?: string}} [options] */
  constructor(args, { env = {}, input } = {}) {
    this.args = args;
    this.child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'pipe'], env: environment(env) });
    this.child.stdin.on('error', () => {});
    if (input !== undefined) this.child.stdin.end(input);
    this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    /** @type {Promise<Ended>} */
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    });
    const forget = atExit(() => this.child.kill('SIGKILL'));
    running.add(this.child);
    const over = () => {
      forget();
      running.delete(this.child);
    };
    void this.ended.then(over, over);
  }

  /** @returns {number} */
  get pid() {
    if (!this.child.pid) throw new Error(`${binary} did not start`);
    return this.child.pid;
  }

  /** Whole lines so far. */
  get lines() {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Whole lines as JSON. @returns {any[]} */
  get events() {
    return this.lines.map((line) => JSON.parse(line));
  }

  get #state() {
    return `oa-sync ${this.args.join(' ')}\nstdout: ${this.stdout.slice(-2000)}\nstderr: ${this.stderr.slice(-2000)}`;
  }

  /** Waits until so many lines were printed. @param {number} count */
  async printed(count) {
    await waitFor(() => this.lines.length >= count, { what: () => `${count} lines of ${this.#state}` });
  }

  /** Waits until stderr has the text. @param {string | RegExp} text */
  async said(text) {
    await waitFor(() => (typeof text === 'string' ? this.stderr.includes(text) : text.test(this.stderr)),
      { what: () => `stderr has ${text}; ${this.#state}` });
  }

  /** Waits for the end. @returns {Promise<Ended>} */
  async end() {
    return await within(this.ended, patienceMs, `the end of ${this.#state}`);
  }

  /** Sends a signal and waits for the end. @param {NodeJS.Signals} signal */
  async kill(signal) {
    this.child.kill(signal);
    return await this.end();
  }
}

/** Runs the program to its end. @param {string[]} args @param {ConstructorParameters<typeof Run>[1]} [options] */
export const run = (args, options) => new Run(args, { input: '', ...options }).end();

/** A directory that goes at the end. */
export function directory() {
  const path = mkdtempSync('/tmp/oa-sync-terminal-');
  atExit(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
