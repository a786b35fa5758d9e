// A private PostgreSQL cluster in a temporary directory, reachable by a unix socket in it only.
//
// PostgreSQL refuses to run as root, so a root caller's cluster belongs to user postgres. Every cluster is started as
// a direct child, so that its end is seen, and is killed and removed with this process.
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync,
  rmSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { atExit } from './cleanup.mjs';
import { pgBinDir } from './paths.mjs';
import { Hopeless, patienceMs, waitFor, within } from './wait.mjs';

// A bigint is a number where it fits one exactly; the journal's never leave that range in a test.
pg.types.setTypeParser(20, (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)));

/** The account that runs a root caller's cluster. @returns {{uid?: number, gid?: number}} */
function serverAccount() {
  if (process.getuid?.() !== 0) return {};
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/**
 * Settings that only some minor versions have: newer minors let a logical slot load an
 * output plugin only when it is listed.
 * @returns {Record<string, string>}
 */
function settingsOfThisVersion() {
  const known = execFileSync(`${pgBinDir}/postgres`, ['--describe-config'], { encoding: 'utf8', maxBuffer: 1 << 24 });
  return /^output_plugin_libraries\t/m.test(known) ? { output_plugin_libraries: 'oa_sync' } : {};
}

/** Process ids of the direct children of `parent`. @param {number} parent @returns {number[]} */
export function childrenOf(parent) {
  const found = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === parent && fields[0] !== 'Z') found.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** @param {number} pid */
const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

/**
 * Where and how a server runs.
 * @typedef {object} Place
 * @property {string} [netns] file of the network namespace to run in (root only); its unix socket is reachable as ever
 * @property {Record<string, string>} [env] more environment
 * @property {string[]} [hba] lines for pg_hba.conf
 */

/** Server log lines that no test may cause: a crash of PostgreSQL itself, or of the extension in it. */
const crashPattern = /was terminated by signal (6|11)|PANIC:|AddressSanitizer|TRAP: /;

export class Cluster {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  /** @type {Set<pg.Pool>} */
  #pools = new Set();
  #stopped = false;

  /**
   * Use Cluster.create.
   * @param {string} dir @param {Record<string, string | number | boolean>} settings @param {Place} [place]
   */
  constructor(dir, settings, place = {}) {
    this.place = place;
    this.dir = dir;
    this.dataDir = `${dir}/data`;
    this.socketDir = dir;
    this.logFile = `${dir}/postgres.log`;
    this.settings = settings;
    this.account = serverAccount();
    this.superuser = 'postgres';
    this.forget = atExit(() => this.#destroyNow());
  }

  /**
   * Makes and starts a cluster.
   * @param {{settings?: Record<string, string | number | boolean>, encoding?: string, start?: boolean, place?: Place}} [options]
   *   settings: postgresql.conf values over the defaults below (fsync is on, as in production).
   * @returns {Promise<Cluster>}
   */
  static async create({ settings = {}, encoding = 'UTF8', start = true, place = {} } = {}) {
    const dir = mkdtempSync('/tmp/oa-sync-');
    const cluster = new Cluster(dir, {
      listen_addresses: '',
      unix_socket_directories: dir,
      port: 5432,
      shared_preload_libraries: 'oa_sync',
      wal_level: 'logical',
      ...settingsOfThisVersion(),
      max_wal_senders: 20,
      max_replication_slots: 20,
      max_connections: 150,
      shared_buffers: '64MB',
      max_wal_size: '1GB',
      timezone: 'UTC',
      log_min_messages: 'info',
      log_line_prefix: '%m [%p] %q%a ',
      ...settings,
    }, place);
    const { uid, gid } = cluster.account;
    chmodSync(dir, 0o755);
    mkdirSync(cluster.dataDir, { mode: 0o700 });
    if (uid !== undefined && gid !== undefined) for (const path of [dir, cluster.dataDir]) chownSync(path, uid, gid);
    try {
      cluster.#run(`${pgBinDir}/initdb`, ['-D', cluster.dataDir, '-U', cluster.superuser, '-E', encoding, '--locale=C',
        '--auth=trust', '--no-instructions']);
      cluster.configure(cluster.settings);
      appendFileSync(`${cluster.dataDir}/pg_hba.conf`, (place.hba ?? []).map((line) => `${line}\n`).join(''));
      if (start) await cluster.start();
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  /**
   * A base backup of this running cluster as a cluster of its own, started unless `start` is false.
   * @param {{standby?: boolean, settings?: Record<string, string | number | boolean>, start?: boolean, place?: Place}} [options]
   *   standby: follows this cluster by streaming, over its unix socket unless `settings` have a primary_conninfo;
   *   otherwise `settings` say how to recover (restore_command, recovery_target_...), and it recovers when one of
   *   them is there.
   * @returns {Promise<Cluster>}
   */
  async backup({ standby = false, settings = {}, start = true, place = {} } = {}) {
    const dir = mkdtempSync('/tmp/oa-sync-');
    const copy = new Cluster(dir, { ...this.settings, unix_socket_directories: dir, ...settings }, place);
    const { uid, gid } = this.account;
    chmodSync(dir, 0o755);
    if (uid !== undefined && gid !== undefined) chownSync(dir, uid, gid);
    try {
      copy.#run(`${pgBinDir}/pg_basebackup`, ['-d', this.conninfo('postgres'), '-D', copy.dataDir, '-c', 'fast', '-X', 'stream']);
      if (standby) copy.settings.primary_conninfo ??= this.conninfo('postgres');
      const signal = standby ? 'standby.signal' : Object.keys(settings).some((s) => s.startsWith('recovery_') || s === 'restore_command')
        ? 'recovery.signal' : undefined;
      if (signal) {
        writeFileSync(`${copy.dataDir}/${signal}`, '');
        if (uid !== undefined && gid !== undefined) chownSync(`${copy.dataDir}/${signal}`, uid, gid);
      }
      copy.configure(copy.settings);
      if (start) await copy.start();
    } catch (error) {
      await copy.destroy();
      throw error;
    }
    return copy;
  }

  /** Ends recovery: the standby becomes a primary with a time line of its own. */
  async promote() {
    const client = await this.connect('postgres');
    await client.query('SELECT pg_promote()');
    await client.end();
  }

  /** Runs a program as the server's account. @param {string} program @param {string[]} args */
  #run(program, args) {
    try {
      return execFileSync(program, args, { ...this.account, cwd: this.dir, encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: this.dir, LC_ALL: 'C' } });
    } catch (error) {
      throw new Error(`${program} failed: ${/** @type {{stderr?: string}} */ (error).stderr ?? error}`);
    }
  }

  /** Writes settings to postgresql.conf; they are in force after a reload or restart. @param {Cluster['settings']} s */
  configure(s) {
    const lines = Object.entries(s).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`);
    appendFileSync(`${this.dataDir}/postgresql.conf`, lines.join(''));
  }

  /** Starts the server and waits until it takes connections (after crash recovery, when there is some). */
  async start({ timeoutMs = 2 * patienceMs } = {}) {
    const log = openSync(this.logFile, 'a', 0o644);
    const { netns, env } = this.place;
    const { uid, gid } = this.account;
    /** @type {[string, string[], {uid?: number, gid?: number}]} */
    const [program, args, account] = netns === undefined ? [`${pgBinDir}/postgres`, [], this.account]
      // Replaces itself by the server, so the process is the postmaster in the end.
      : ['nsenter', [`--net=${netns}`, `--setuid=${uid}`, `--setgid=${gid}`, '--', `${pgBinDir}/postgres`], {}];
    const child = spawn(program, [...args, '-D', this.dataDir], { ...account, cwd: this.dir,
      // Out of the terminal's reach: Ctrl-C is ours to answer.
      detached: true, stdio: ['ignore', log, log], env: { ...process.env, HOME: this.dir, LC_ALL: 'C', ...env } });
    closeSync(log);
    this.#process = child;
    this.#stopped = false;
    await waitFor(async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Hopeless('the server ended');
      const client = new pg.Client(this.connectOptions('postgres'));
      client.on('error', () => {});
      await client.connect();
      await client.end();
      return true;
    }, { timeoutMs, everyMs: 30, what: () => `PostgreSQL takes connections; its log:\n${this.logTail()}` });
  }

  /** @param {'smart' | 'fast' | 'immediate'} [mode] */
  async stop(mode = 'fast') {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const signal = /** @type {const} */ ({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' })[mode];
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await within(gone, 2 * patienceMs, `PostgreSQL stopped (${mode}); its log:\n${this.logTail()}`);
    this.#process = undefined;
  }

  async restart({ mode = /** @type {'fast' | 'immediate'} */ ('fast') } = {}) {
    await this.stop(mode);
    await this.start();
  }

  /**
   * SIGKILL to the postmaster and every child, as a power cut would; with children: false to the postmaster only,
   * whose children then see that and end by themselves. Returns when all of them are gone.
   */
  async kill9({ children: too = true } = {}) {
    const child = this.#process;
    if (!child?.pid) throw new Error('kill9: the server is not running');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    // No more children while we count them.
    child.kill('SIGSTOP');
    const children = childrenOf(child.pid);
    child.kill('SIGKILL');
    await gone;
    for (const pid of too ? children : []) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    }
    await waitFor(() => !children.some(alive), { what: 'all PostgreSQL processes are gone' });
    this.#process = undefined;
  }

  /** The postmaster's process id. @returns {number} */
  get pid() {
    if (!this.#process?.pid) throw new Error('the server is not running');
    return this.#process.pid;
  }

  /** Options for the npm package `pg`. @param {string} database */
  connectOptions(database) {
    return { host: this.socketDir, port: 5432, user: this.superuser, database, application_name: 'oa-sync-test' };
  }

  /** libpq connection string. @param {string} database */
  conninfo(database) {
    return `host=${this.socketDir} port=5432 user=${this.superuser} dbname=${database}`;
  }

  /** A connection of its own; the caller ends it. @param {string} database @returns {Promise<pg.Client>} */
  async connect(database) {
    const client = new pg.Client(this.connectOptions(database));
    // A killed backend is an 'error' event as well as a rejected query; the query is what tests look at.
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** A pool, ended with the cluster. @param {string} database @param {number} [max] @returns {pg.Pool} */
  pool(database, max = 4) {
    const pool = new pg.Pool({ ...this.connectOptions(database), max, idleTimeoutMillis: 0 });
    pool.on('error', () => {});
    this.#pools.add(pool);
    return pool;
  }

  /**
   * Runs psql with a script; returns its unaligned output. Stops at the first error.
   * @param {string} database @param {string} script
   */
  psql(database, script) {
    return execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', this.conninfo(database)],
      { encoding: 'utf8', input: script, maxBuffer: 1 << 28 });
  }

  /**
   * Makes a database with the extension in it.
   * @param {string} database @param {string} [schema] @param {string} [version] an earlier one
   */
  async createDatabase(database, schema, version) {
    this.psql('postgres', `CREATE DATABASE "${database}";`);
    this.psql(database, `CREATE EXTENSION oa_sync${schema ? ` SCHEMA "${schema}"` : ''}${version ? ` VERSION '${version}'` : ''};`);
  }

  /** The end of the server's log. @param {number} [lines] */
  logTail(lines = 60) {
    try {
      return readFileSync(this.logFile, 'utf8').split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }

  /** Throws when the log tells of a crash. `allow` is for tests that cause one on purpose. @param {RegExp} [allow] */
  assertNoCrash(allow) {
    const lines = readFileSync(this.logFile, 'utf8').split('\n');
    const bad = lines.filter((line) => crashPattern.test(line) && !allow?.test(line));
    if (bad.length > 0) {
      const at = lines.indexOf(/** @type {string} */ (bad[0]));
      throw new Error(`PostgreSQL crashed:\n${lines.slice(Math.max(0, at - 15), at + 15).join('\n')}`);
    }
  }

  /** Stops and removes the cluster. Throws when its log tells of a crash. */
  async destroy() {
    if (this.#stopped) return;
    this.#stopped = true;
    await Promise.all([...this.#pools].map((pool) => within(pool.end(), 10_000, 'pool closed').catch(() => {})));
    await this.stop('fast').catch(() => {});
    try {
      try {
        readFileSync(this.logFile);
      } catch {
        return;
      }
      this.assertNoCrash();
    } finally {
      this.#destroyNow();
    }
  }

  #destroyNow() {
    this.forget();
    if (this.#process?.pid && this.#process.exitCode === null) {
      const children = childrenOf(this.#process.pid);
      for (const pid of [this.#process.pid, ...children]) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Already gone.
        }
      }
    }
    if (process.env.OA_SYNC_KEEP) {
      process.stderr.write(`kept ${this.dir}\n`);
      return;
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
