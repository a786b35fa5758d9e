// A system booted by systemd-nspawn, in namespaces of its own and without a network but its loopback: what a unit says is
// what systemd does. Everything of it ends with stop(), or with this process.
//
// What is run in it installs packages and deletes files, as root, so it must never run anywhere else. The container's root
// has a file with a random name; before each command the entered process is looked at from here (its namespaces, its root),
// and the shell that runs the command first looks for that file, by an absolute path. Without it: exit 99, and nothing ran.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { atExit } from '../harness/cleanup.mjs';
import { Hopeless, waitFor } from '../harness/wait.mjs';

/** Processes by their parents. @returns {Map<number, number[]>} */
function children() {
  const map = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      map.set(parent, [...(map.get(parent) ?? []), Number(pid)]);
    } catch {
      // It has ended.
    }
  }
  return map;
}

/** Removes a control group and those in it. @param {string} dir */
function removeGroup(dir) {
  for (const entry of existsSync(dir) ? readdirSync(dir, { withFileTypes: true }) : []) {
    if (entry.isDirectory()) removeGroup(`${dir}/${entry.name}`);
  }
  try {
    rmdirSync(dir);
  } catch {
    // Gone already, or a process of it is still ending: the kernel takes no more than a name for it.
  }
}

const namespaces = ['mnt', 'pid', 'net', 'uts', 'ipc'];
/** What a shell in the container does first. $1: the marker, $2: the directory, $3: the command. */
export const guard = '[ -f "$1" ] || { echo "not in the container: nothing was run" >&2; exit 99; }; cd "$2"; exec bash -euo pipefail -c "$3"';

export class Container {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #leader = 0;
  /** @type {string[]} */
  #groups = [];

  /** @param {string} root the system's directory */
  constructor(root) {
    this.root = root;
    this.name = `oasyncdeb${process.pid}`;
    this.log = `${root}.console`;
    this.marker = `/.container-${randomUUID()}`;
    this.forget = atExit(() => {
      if (this.running) this.#kill('SIGKILL');
      this.#tidy();
    });
  }

  get running() {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async boot() {
    writeFileSync(`${this.root}${this.marker}`, '');
    if (existsSync(this.marker)) throw new Error(`${this.root} is this machine's root`);
    // Where systemd runs this machine it gives the container a control group; elsewhere we do, so that nothing is left.
    const managed = existsSync('/run/systemd/system');
    if (!managed) {
      this.#groups = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd'].filter((dir) => existsSync(`${dir}/cgroup.procs`))
        .map((dir) => `${dir}/${this.name}`);
      for (const dir of this.#groups) mkdirSync(dir);
    }
    const enter = this.#groups.map((dir) => `echo $$ > ${dir}/cgroup.procs; `).join('');
    const log = openSync(this.log, 'w');
    this.#process = spawn('sh', ['-c', `${enter} exec setpriv --pdeathsig TERM systemd-nspawn --quiet --boot --directory="$0" --machine="$1" \
      --register=no ${managed ? '' : '--keep-unit'} --private-network --resolv-conf=off --timezone=off --link-journal=no`, this.root, this.name], {
      stdio: ['ignore', log, log], env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' } });
    closeSync(log);
    await waitFor(() => {
      if (!this.running) throw new Hopeless(`systemd-nspawn ended; it said:\n${readFileSync(this.log, 'utf8')}`);
      return this.#findLeader();
    }, { what: 'the container has a first process', timeoutMs: 60_000 });
    await waitFor(() => {
      if (!this.running) throw new Hopeless(`the container ended; its console:\n${readFileSync(this.log, 'utf8')}`);
      return /running|degraded/.test(this.try('systemctl is-system-running').stdout);
    }, { everyMs: 200, timeoutMs: 240_000, what: () => `the container is up; its console:\n${readFileSync(this.log, 'utf8')}` });
  }

  /** The process that is 1 in the container: systemd itself, not the half-made container that is to become it. */
  #findLeader() {
    const map = children();
    const open = [this.#process?.pid ?? 0];
    for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
      open.push(...(map.get(pid) ?? []));
      try {
        const ids = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.split(/\s+/) ?? [];
        const isFirst = ids.length > 1 && ids.at(-1) === '1' && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd';
        if (isFirst && this.#whyNotInside(pid) === '') return (this.#leader = pid);
      } catch {
        // It has ended.
      }
    }
    return 0;
  }

  /** Why a process is not one of the container; '' if it is. @param {number} pid */
  #whyNotInside(pid) {
    const shared = namespaces.filter((name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`));
    if (shared.length > 0) return `its namespaces are ours: ${shared}`;
    const [its, container] = [statSync(`/proc/${pid}/root/`), statSync(this.root)];
    if (its.dev !== container.dev || its.ino !== container.ino) return `its root is not ${this.root}`;
    return existsSync(`/proc/${pid}/root${this.marker}`) ? '' : `its root has no ${this.marker}`;
  }

  /** Runs a shell command in the container, whatever comes out. @param {string} command @param {{cwd?: string, timeoutMs?: number}} [options] */
  try(command, { cwd = '/root', timeoutMs = 300_000 } = {}) {
    if (!this.running || this.#leader === 0) throw new Error('the container does not run');
    const why = this.#whyNotInside(this.#leader);
    if (why !== '') throw new Hopeless(`process ${this.#leader} is not the container's: ${why}`);
    const done = spawnSync('nsenter', [`--target=${this.#leader}`, '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wdns=/', '--',
      'bash', '-euc', guard, 'guard', this.marker, cwd, command], {
      encoding: 'utf8', timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'pipe'],
      env: { HOME: '/root', USER: 'root', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' } });
    if (done.status === 99) throw new Hopeless(`nsenter did not come into the container: ${done.stderr}`);
    return done;
  }

  /** Runs a shell command in the container; its output. @param {string} command @param {{cwd?: string, timeoutMs?: number}} [options] */
  run(command, options) {
    const done = this.try(command, options);
    if (done.status === 0) return done.stdout.trim();
    throw new Error(`${command}\n${done.error ?? `exit ${done.status ?? done.signal}`}\n${done.stdout}\n${done.stderr}`);
  }

  /** @param {NodeJS.Signals} signal */
  #kill(signal) {
    try {
      if (signal === 'SIGKILL' && this.#leader) process.kill(this.#leader, signal);
    } catch {
      // It has ended.
    }
    this.#process?.kill(signal);
  }

  async stop() {
    if (this.running) {
      // systemd-nspawn has the system shut down.
      this.#kill('SIGTERM');
      await waitFor(() => !this.running, { timeoutMs: 60_000, what: 'the container shuts down' }).catch(async () => {
        this.#kill('SIGKILL');
        await waitFor(() => !this.running, { what: 'the container is dead' });
      });
    }
    this.#tidy();
    this.forget();
  }

  #tidy() {
    for (const dir of this.#groups) removeGroup(dir);
    for (const dir of [`/run/systemd/nspawn/propagate/${this.name}`, `/run/systemd/nspawn/unix-export/${this.name}`]) {
      if (existsSync(dir)) rmdirSync(dir);
    }
    const mounted = readFileSync('/proc/mounts', 'utf8').split('\n').some((line) => line.split(' ')[1]?.startsWith(`${this.root}/`));
    if (mounted) throw new Error(`something is mounted below ${this.root}, which is left`);
    rmSync(this.root, { recursive: true, force: true });
    rmSync(this.log, { force: true });
  }
}
