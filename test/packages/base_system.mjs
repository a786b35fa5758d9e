// A clean Debian 12 on disk: debootstrap's minbase with systemd, and a repository of packages to install in it without a
// network. What was downloaded is kept in a cache, so that a second run downloads nothing.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { root as top } from '../harness/paths.mjs';

const codename = 'bookworm';
/** The packages of the clean system, and its archive. Without it, a run takes a download and some 30 s more. */
const cacheDir = process.env.OA_SYNC_DEB_CACHE ?? `${top}/build/check-deb`;
const maxAgeMs = 30 * 24 * 3_600_000;

/** @param {string} command @param {string[]} args @param {{timeout?: number, cwd?: string}} [options] its output */
function run(command, args, { timeout = 600_000, cwd } = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout, cwd, maxBuffer: 1 << 28,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' } });
  if (done.status === 0) return done.stdout;
  throw new Error(`${command} ${args.join(' ')}: ${done.error ?? `exit ${done.status ?? done.signal}`}\n${done.stdout}\n${done.stderr}`);
}

/** Where this machine gets Debian's packages from. */
function mirror() {
  const targets = execFileSync('apt-get', ['indextargets', '--format', '$(CREATED_BY) $(CODENAME) $(COMPONENT) $(SITE)'], { encoding: 'utf8' });
  const site = targets.split('\n').map((line) => line.split(' ')).find((words) => words[0] === 'Packages' && words[1] === codename && words[2] === 'main')?.[3];
  if (!site) throw new Error(`apt's sources have no ${codename} main: this test runs on Debian 12`);
  return site;
}

/** The archive of the base system, made when there is none or it is old. */
function baseArchive() {
  const archive = `${cacheDir}/base-${codename}-${process.arch}.tar`;
  if (existsSync(archive) && Date.now() - statSync(archive).mtimeMs < maxAgeMs) return archive;
  mkdirSync(`${cacheDir}/archives/partial`, { recursive: true });
  const work = mkdtempSync('/tmp/oa-sync-base-');
  try {
    run('debootstrap', ['--variant=minbase', '--include=systemd,systemd-sysv', `--cache-dir=${cacheDir}/archives`, codename, `${work}/root`, mirror()]);
    rmSync(`${work}/root/var/cache/apt/archives`, { recursive: true });
    mkdirSync(`${work}/root/var/cache/apt/archives/partial`, { recursive: true });
    rmSync(`${work}/root/etc/resolv.conf`, { force: true });
    run('tar', ['--numeric-owner', '--xattrs', '-C', `${work}/root`, '-cf', `${archive}.${process.pid}`, '.']);
    renameSync(`${archive}.${process.pid}`, archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return archive;
}

/**
 * Unpacks the base system into `root`, with a repository at /srv/debian in it that has `debs` (files of this machine) and
 * everything that installing them takes, and nothing else.
 * @param {string} root @param {string[]} debs
 */
export function makeSystem(root, debs) {
  const archive = baseArchive();
  mkdirSync(root, { recursive: true });
  run('tar', ['--numeric-owner', '--xattrs', '-C', root, '-xf', archive]);
  const repository = `${root}/srv/debian`;
  mkdirSync(repository, { recursive: true });
  const archives = `${cacheDir}/archives`;
  // This machine's apt, with its sources, for the other system's packages.
  const asOther = [`Dir::State::status=${root}/var/lib/dpkg/status`, `Dir::State::extended_states=${root}/var/lib/apt/extended_states`,
    `Dir::Cache::archives=${archives}/`, 'APT::Keep-Downloaded-Packages=true', 'APT::Install-Recommends=false',
    'Dir::Cache::pkgcache=', 'Dir::Cache::srcpkgcache=', 'Debug::NoLocking=true'].flatMap((option) => ['-o', option]);
  const download = () => run('apt-get', [...asOther, '-q', '-y', '--download-only', 'install', ...debs]);
  try {
    download();
  } catch {
    // Most likely the lists are older than the mirror, or not there.
    run('apt-get', ['update', '-q']);
    download();
  }
  for (const [, name, version = ''] of run('apt-get', [...asOther, '-q', '-y', '--simulate', 'install', ...debs]).matchAll(/^Inst (\S+)(?: \[\S+\])? \((\S+)/gm)) {
    const file = readdirSync(archives).find((entry) => entry.startsWith(`${name}_${version.replaceAll(':', '%3a')}_`));
    if (file) cpSync(`${archives}/${file}`, `${repository}/${file}`);
  }
  const index = run('dpkg-scanpackages', ['--multiversion', '.'], { cwd: repository });
  writeFileSync(`${repository}/Packages`, index);
  for (const file of readdirSync(`${root}/etc/apt/sources.list.d`)) rmSync(`${root}/etc/apt/sources.list.d/${file}`);
  writeFileSync(`${root}/etc/apt/sources.list`, 'deb [trusted=yes] file:/srv/debian ./\n');
  writeFileSync(`${root}/etc/apt/apt.conf.d/90test`, 'APT::Install-Recommends "false";\nDPkg::Options { "--force-confdef"; "--force-confold"; "--force-unsafe-io"; };\n');
  run('chroot', [root, 'apt-get', '-q', 'update']);
  // By sudo: whoever called it can remove it (make clean).
  if (process.env.SUDO_UID) run('chown', ['-R', `${process.env.SUDO_UID}:${process.env.SUDO_GID}`, cacheDir]);
}

/**
 * The same package with another version, and `change` made to its files before it is packed.
 * @param {string} deb @param {string} version @param {string} outDir @param {(files: string) => void} [change]
 */
export function reversion(deb, version, outDir, change = () => {}) {
  const files = mkdtempSync('/tmp/oa-sync-repack-');
  try {
    run('dpkg-deb', ['--raw-extract', deb, files]);
    run('sed', ['-i', `s/^Version: .*/Version: ${version}/`, `${files}/DEBIAN/control`]);
    change(files);
    run('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', files, outDir]);
  } finally {
    rmSync(files, { recursive: true, force: true });
  }
}

export { run };
