// A child process that is spoken to in lines: commands to its standard input, answers from its standard output.
import { spawn } from 'node:child_process';
import { atExit, within } from '../harness/index.mjs';
import { pin } from './cores.mjs';

export class LineProcess {
  /** @type {string[]} */
  #lines = [];
  /** @type {((line: string) => void)[]} */
  #waiting = [];

  /** @param {string} program @param {string[]} args @param {string} cores */
  constructor(program, args, cores) {
    this.name = program;
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.forget = atExit(() => this.child.kill('SIGKILL'));
    this.child.stdin.on('error', () => {});
    pin(this.pid, cores);
    let rest = '';
    this.child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ data) => {
      const lines = (rest + data).split('\n');
      rest = /** @type {string} */ (lines.pop());
      for (const line of lines) {
        const next = this.#waiting.shift();
        if (next) next(line);
        else this.#lines.push(line);
      }
    });
  }

  /** @returns {number} */
  get pid() {
    if (!this.child.pid) throw new Error(`${this.name} did not start`);
    return this.child.pid;
  }

  /** @param {string} text */
  write(text) {
    this.child.stdin.write(text);
  }

  /** The next line that it says. @param {number} [timeoutMs] @returns {Promise<string>} */
  line(timeoutMs = 60_000) {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    return within(/** @type {Promise<string>} */ (new Promise((resolve) => this.#waiting.push(resolve))), timeoutMs,
      `${this.name} answers`);
  }

  /** A command and its answer. @param {string} command @param {number} [timeoutMs] */
  ask(command, timeoutMs) {
    const answer = this.line(timeoutMs);
    this.write(`${command}\n`);
    return answer;
  }

  stop() {
    this.forget();
    const gone = this.child.exitCode !== null || this.child.signalCode !== null ? Promise.resolve(undefined)
      : new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    return gone;
  }
}
