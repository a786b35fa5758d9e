// The fan-out under test, as a child process.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { atExit } from './cleanup.mjs';
import { fanoutBinary, root } from './paths.mjs';
import { holdPort } from './ports.mjs';
import { Keyring } from './token.mjs';
import { Hopeless, patienceMs, waitFor, within } from './wait.mjs';

// A second signal ends it without waiting for its threads.
const tsanOptions = `halt_on_error=0:exitcode=98:report_thread_leaks=0:suppressions=${root}/fanout/test/tsan.supp`;
/** What a sanitizer says when it found something. */
const sanitizerReport = /(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error: /;

/** @typedef {Record<string, string | number | boolean | string[]>} Flags flag names without dashes in front */
/** @typedef {Omit<Response, 'json'> & {json(): Promise<any>}} Answer a response whose JSON a test takes as it is */

/** @typedef {{host?: string, netns?: string}} Where the address that it listens on, and the file of its network namespace (root only) */

export class Fanout {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #stderr = '';
  /** @type {Awaited<ReturnType<typeof holdPort>>[]} */
  #held = [];

  /**
   * Use Fanout.start.
   * @param {Flags} flags @param {Keyring} keyring @param {Record<string, string>} env @param {Where} [where]
   */
  constructor(flags, keyring, env, { host = '127.0.0.1', netns } = {}) {
    this.flags = flags;
    this.keyring = keyring;
    this.env = env;
    this.host = host;
    this.netns = netns;
    this.port = 0;
    /** Of the admin listener. */
    this.adminPort = 0;
    this.dir = mkdtempSync('/tmp/oa-sync-fanout-');
    this.keyringFile = `${this.dir}/keyring.json`;
    /** What operators show: a key that may observe and revoke, and mint tokens of every scope. */
    this.adminKey = `oask_${randomBytes(32).toString('hex')}`;
    this.serviceKeysFile = `${this.dir}/service-keys.json`;
    writeFileSync(this.serviceKeysFile, JSON.stringify({ keys: [{ id: 'admin', secret: this.adminKey,
      subject: 'service:admin', scopes: ['*'], may: ['token', 'revoke', 'observe'] }] }), { mode: 0o600 });
    writeFileSync(this.keyringFile, JSON.stringify(keyring), { mode: 0o600 });
    this.forget = atExit(() => {
      this.#process?.kill('SIGKILL');
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  /** What it listens on. */
  async #takePorts() {
    if (this.#held.length > 0) return;
    this.#held = [await holdPort(this.host), await holdPort(this.host)];
    [this.port, this.adminPort] = /** @type {[number, number]} */ (this.#held.map(({ port }) => port));
  }

  /**
   * Starts a fan-out on a free port and waits until it accepts connections (not until it is ready).
   * @param {{database: string, flags?: Flags, keyring?: Keyring, env?: Record<string, string>, admin?: boolean,
   *   consoleDir?: string, where?: Where}} options
   *   database: libpq connection string. admin: with `adminKey` among the service keys. consoleDir: the console's files.
   */
  static async start({ database, flags = {}, keyring = new Keyring(), env = {}, admin = false, consoleDir, where }) {
    const fanout = new Fanout({ database, ...(consoleDir ? { 'console-dir': consoleDir } : {}), ...flags }, keyring, env, where);
    if (admin) fanout.flags = { 'service-keys': fanout.serviceKeysFile, ...fanout.flags };
    await fanout.launch();
    return fanout;
  }

  /** Starts the process: the first time on a free port, later on the same one. */
  async launch() {
    await this.#takePorts();
    /** @type {Flags} */
    const flags = { 'jwt-keyring': this.keyringFile, listen: `${this.host}:${this.port}`,
      'admin-listen': `${this.host}:${this.adminPort}`, ...this.flags };
    const args = Object.entries(flags).flatMap(([name, value]) =>
      value === true ? [`--${name}`] : [value].flat().flatMap((one) => [`--${name}`, String(one)]));
    const inside = this.netns === undefined ? [] : ['nsenter', `--net=${this.netns}`, '--'];
    const [program = fanoutBinary, ...before] = [...inside, fanoutBinary];
    const child = spawn(program, [...before, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: {
      ...process.env, ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0:exitcode=99',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1', TSAN_OPTIONS: tsanOptions, ...this.env } });
    this.#process = child;
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (this.#stderr = (this.#stderr + text).slice(-2_000_000)));
    child.on('error', (error) => (this.#stderr += String(error)));
    const gone = this.#gone(child);
    await waitFor(async () => {
      // What it said last comes after the word of its end.
      if (!this.running) await within(gone, patienceMs, 'its output ends');
      if (!this.running) throw new Hopeless(`the fan-out ended: ${child.exitCode ?? child.signalCode}`);
      const match = /^oa-sync-fanout listening on (\S+):(\d+)$/m.exec(stdout);
      if (match) {
        this.port = Number(match[2]);
        // Said before it; nothing when it has none.
        this.adminPort = Number(/^oa-sync-fanout admin on \S+:(\d+)$/m.exec(stdout)?.[1] ?? 0);
      }
      return match;
    }, { what: () => `the fan-out listens; its log:\n${this.logTail()}` });
  }

  get running() {
    const child = this.#process;
    return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** @returns {number} */
  get pid() {
    if (!this.#process?.pid) throw new Error('the fan-out is not running');
    return this.#process.pid;
  }

  /** @param {'http' | 'ws'} scheme @param {string} [path] */
  url(scheme, path = '') {
    return `${scheme}://${this.host}:${this.port}${path}`;
  }

  /** The URL for the phoenix client, which adds /websocket itself. */
  get socketUrl() {
    return this.url('ws', '/socket');
  }

  /** A token of this fan-out's keyring. @type {Keyring['token']} */
  token(scopes, claims, options) {
    return this.keyring.token(scopes, claims, options);
  }

  /** @param {string} path @param {RequestInit} [init] @returns {Promise<Answer>} */
  fetch(path, init) {
    return /** @type {any} */ (fetch(this.url('http', path), { signal: AbortSignal.timeout(patienceMs), ...init }));
  }

  /** A request to the admin listener. @param {string} path @param {RequestInit} [init] @returns {Promise<Answer>} */
  fetchAdmin(path, init) {
    return /** @type {any} */ (fetch(this.adminUrl(path), { signal: AbortSignal.timeout(patienceMs), ...init }));
  }

  /**
   * What an operator asks of the admin listener, with `adminKey` (start with `admin: true`).
   * @param {string} path @param {RequestInit} [init] @returns {Promise<Answer>}
   */
  observe(path, init) {
    return this.fetchAdmin(path, { ...init, headers: { authorization: `Bearer ${this.adminKey}`, ...init?.headers } });
  }

  /** @param {string} [path] @param {'http' | 'ws'} [scheme] */
  adminUrl(path = '', scheme = 'http') {
    return `${scheme}://${this.host}:${this.adminPort}${path}`;
  }

  /** Waits for /readyz to say 200. */
  async ready({ timeoutMs = patienceMs } = {}) {
    await waitFor(async () => (await this.fetch('/readyz')).status === 200,
      { timeoutMs, what: () => `/readyz is 200; the fan-out's log:\n${this.logTail()}` });
  }

  /** The value of a metric, all label sets added up. @param {string} name @param {string} [label] part of the labels */
  async metric(name, label = '') {
    const text = await (await this.fetchAdmin('/metrics')).text();
    let sum = 0;
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z0-9_:]+)(\{[^}]*\})? (\S+)$/.exec(line);
      if (match?.[1] === name && (match[2] ?? '').includes(label)) sum += Number(match[3]);
    }
    return sum;
  }

  /** SIGTERM; returns the exit code. Throws when a sanitizer reported something. */
  async stop({ timeoutMs = patienceMs } = {}) {
    const child = this.#process;
    if (!child || !this.running) return child?.exitCode ?? null;
    const gone = this.#gone(child);
    child.kill('SIGTERM');
    await within(gone, timeoutMs, `the fan-out ended after SIGTERM; its log:\n${this.logTail()}`);
    this.assertClean();
    return child.exitCode;
  }

  async kill9() {
    const child = this.#process;
    if (!child || !this.running) throw new Error('kill9: the fan-out is not running');
    const gone = this.#gone(child);
    child.kill('SIGKILL');
    await gone;
  }

  /** @param {import('node:child_process').ChildProcess} child @returns {Promise<void>} */
  #gone(child) {
    return new Promise((resolve) => child.once('close', () => resolve()));
  }

  /** Everything on stderr (its end, when it is very long). */
  get log() {
    return this.#stderr;
  }

  logTail(lines = 40) {
    return this.#stderr.split('\n').slice(-lines).join('\n');
  }

  /** Throws when a sanitizer reported something, or a signal that no test sent ended the process. */
  assertClean() {
    if (sanitizerReport.test(this.#stderr)) {
      throw new Error(`a sanitizer found something:\n${this.#stderr.slice(this.#stderr.search(sanitizerReport) - 500)}`);
    }
    const signal = this.#process?.signalCode;
    if (signal && signal !== 'SIGKILL') throw new Error(`the fan-out died of ${signal}:\n${this.logTail()}`);
  }

  /** Stops it in whatever state it is, removes its files, and fails when it had crashed. */
  async destroy() {
    const unexpected = !this.running && this.#process?.exitCode !== 0 && this.#process?.signalCode !== 'SIGKILL'
      ? this.#process?.exitCode : null;
    try {
      await this.stop();
      this.assertClean();
      if (unexpected !== null && unexpected !== undefined) {
        throw new Error(`the fan-out had ended with ${unexpected}:\n${this.logTail()}`);
      }
    } finally {
      this.#process?.kill('SIGKILL');
      for (const { release } of this.#held) release();
      this.forget();
      rmSync(this.dir, { recursive: true, force: true });
    }
  }
}
