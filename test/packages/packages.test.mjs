// The Debian packages in a clean Debian, booted: docs/operations/packages.md is run as it stands, from the installation to
// the first event, the upgrade and the removal. Run by `make check-deb`, as root, on what `make deb` has put into dist/.
// systemd is process 1 there, in namespaces: units run as they are written, watchdog, sandbox and system calls included.
//
// There are no packages of an earlier version, so the upgrade begins with what was built, under a lower version, and with
// 0.4.0 as the extension's version: its objects are 0.4.0's, its library is new.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, renameSync, cpSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test as nodeTest } from 'node:test';
import { atExit } from '../harness/cleanup.mjs';
import { root as top } from '../harness/paths.mjs';
import { waitFor } from '../harness/wait.mjs';
import { makeSystem, reversion, run } from './base_system.mjs';
import { Container, guard } from './container.mjs';

const dist = process.env.DEB_DIR ?? `${top}/dist`;
const names = ['postgresql-15-oa-sync', 'oa-sync-fanout', 'oa-sync-client'];
const version = /^VERSION := (\S+)$/m.exec(readFileSync(`${top}/Makefile`, 'utf8'))?.[1] ?? '';
const page = 'docs/operations/packages.md';
/** What `systemd-analyze security` may find at most: 0 is a service that can do nothing, 10 one that may do everything. */
const mostExposure = 1.5;

/** The file of a package. @param {string} name */
function fileOf(name) {
  const file = readdirSync(dist).find((entry) => entry.startsWith(`${name}_${version}-`) && entry.endsWith('.deb'));
  if (!file) throw new Error(`${dist} has no ${name} ${version}: make deb`);
  return `${dist}/${file}`;
}

/** The page's blocks by the heading that they stand under. @returns {Map<string, string[]>} */
function blocks() {
  const sections = new Map();
  for (const section of readFileSync(`${top}/${page}`, 'utf8').split(/^## /m).slice(1)) {
    sections.set(section.slice(0, section.indexOf('\n')), [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map((match) => match[1] ?? ''));
  }
  return sections;
}

const work = mkdtempSync('/tmp/oa-sync-check-deb-');
const forget = atExit(() => rmSync(work, { recursive: true, force: true }));
const system = new Container(`${work}/root`);
const pageBlocks = blocks();

let broken = false;
/** A step: each stands on those before it, so that after a failure no further one is begun. @param {string} name @param {() => unknown} body */
const test = (name, body) => nodeTest(name, async () => {
  assert.equal(broken, false, 'a step before this one failed');
  broken = true;
  await body();
  broken = false;
});

/** The blocks that were run, "Section 0". @type {Set<string>} */
const ran = new Set();
/**
 * Runs the blocks of a section, or one of them, in the system; what they print.
 * @param {string} section @param {{cwd?: string, only?: number}} [options]
 */
function runSection(section, { cwd = '/root', only } = {}) {
  const found = pageBlocks.get(section) ?? [];
  assert.notEqual(found.length, 0, `${page} has blocks under "${section}"`);
  return found.flatMap((block, i) => {
    if (only !== undefined && only !== i) return [];
    ran.add(`${section} ${i}`);
    return [system.run(block, { cwd, timeoutMs: 600_000 })];
  });
}

/** A property of a unit. @param {string} property @param {string} [unit] */
const show = (property, unit = 'oa-sync-fanout') => system.run(`systemctl show --value --property=${property} ${unit}`);
/** Waits until another process serves. @param {string} pid the one before @param {string} [unit] */
const anotherThan = (pid, unit = 'oa-sync-fanout') => waitFor(() => {
  const now = system.run(`systemctl show --property=ActiveState,MainPID ${unit}`);
  return /^ActiveState=active$/m.test(now) && !now.includes(`MainPID=${pid}\n`) && !now.endsWith(`MainPID=${pid}`);
}, { everyMs: 200, timeoutMs: 180_000, what: () => `${unit} serves by another process than ${pid}; it says:\n${system.try(`systemctl status --no-pager ${unit}`).stdout}` });
/** @param {string} sql */
const ask = (sql) => system.run(`runuser -u postgres -- psql --no-psqlrc -tA --set ON_ERROR_STOP=1 --dbname shop <<'EOF_SQL'\n${sql}\nEOF_SQL`);
/** @param {string} path */
const modeOf = (path) => system.run(`stat -c '%a %U:%G' ${path}`);

before(() => {
  if (process.getuid?.() !== 0) throw new Error('this test makes and boots a system: run it as root, or by `make check-deb`');
  const debs = names.map(fileOf);
  mkdirSync(`${work}/old`);
  reversion(fileOf('postgresql-15-oa-sync'), '0.4.0-1', `${work}/old`, (files) => {
    const extension = `${files}/usr/share/postgresql/15/extension`;
    run('sed', ['-i', `s/^default_version = .*/default_version = '0.4.0'/`, `${extension}/oa_sync.control`]);
    for (const script of [`oa_sync--0.4.0--${version}.sql`, `oa_sync--${version}.sql`]) rmSync(`${extension}/${script}`);
  });
  for (const name of ['oa-sync-fanout', 'oa-sync-client']) {
    reversion(fileOf(name), '0.4.0-1', `${work}/old`, (files) => {
      // The older file of settings, so that dpkg has to tell the administrator's changes from the package's.
      const settings = `${files}/etc/oa-sync/fanout.conf`;
      if (existsSync(settings)) writeFileSync(settings, readFileSync(settings, 'utf8').replace('# The settings of', '# Settings of'));
      run('bash', ['-c', 'find . -type f ! -path "./DEBIAN/*" -printf "%P\\0" | LC_ALL=C sort -z | xargs -0 md5sum > DEBIAN/md5sums', files], { cwd: files });
    });
  }
  makeSystem(system.root, debs);
  for (const [dir, files] of /** @type {[string, string[]][]} */ ([['new', debs], ['old', readdirSync(`${work}/old`).map((file) => `${work}/old/${file}`)]])) {
    mkdirSync(`${system.root}/srv/${dir}`);
    for (const file of files) cpSync(file, `${system.root}/srv/${dir}/${file.slice(file.lastIndexOf('/') + 1)}`);
  }
});

after(async () => {
  await system.stop();
  rmSync(work, { recursive: true, force: true });
  forget();
});

test('the packages have their version, no word of lintian against them, and the files that they should', () => {
  for (const name of names) {
    const field = (/** @type {string} */ one) => run('dpkg-deb', ['--field', fileOf(name), one]).trim();
    assert.equal(field('Package'), name);
    assert.equal(field('Version').split('-')[0], version);
    assert.match(field('Depends'), /libc6/);
  }
  run('lintian', ['--allow-root', '--fail-on', 'error,warning', '--suppress-tags', 'initial-upload-closes-no-bugs', ...names.map(fileOf)]);
  const contents = names.map((name) => run('env', ['TZ=UTC', 'dpkg-deb', '--contents', fileOf(name)])).join('');
  for (const file of ['/usr/lib/postgresql/15/lib/oa_sync.so', '/usr/share/postgresql/15/extension/oa_sync.control', '/usr/bin/oa-sync-fanout',
    '/usr/bin/oa-sync', '/usr/share/oa-sync/console/index.html', '/lib/systemd/system/oa-sync-fanout.service', '/lib/systemd/system/oa-sync-fanout@.service',
    '/lib/systemd/system/oa-sync-parity.service', '/usr/share/man/man1/oa-sync.1.gz', '/usr/share/bash-completion/completions/oa-sync',
    '/etc/oa-sync/fanout.conf']) {
    assert.ok(contents.includes(` .${file}\n`), `${file} is in a package`);
  }
  // Also that of a file which is older than the commit.
  const changed = run('bash', ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/share/doc/oa-sync-fanout/changelog.Debian.gz | zcat | sed -n "s/^ -- .*>  //p"', fileOf('oa-sync-fanout')]);
  const [date, time = ''] = new Date(changed).toISOString().split('T');
  assert.deepEqual([...new Set(contents.match(/\d{4}-\d\d-\d\d \d\d:\d\d/g))], [`${date} ${time.slice(0, 5)}`], 'files have one date, the commit\'s');
});

test('fanout.conf names settings that exist, with their defaults', () => {
  const files = `${work}/fanout`;
  run('dpkg-deb', ['--extract', fileOf('oa-sync-fanout'), files]);
  const text = readFileSync(`${files}/etc/oa-sync/fanout.conf`, 'utf8');
  assert.doesNotMatch(text.replace(/^#.*$/gm, ''), /\S/, 'nothing is set: there is no default for a database or keys');
  /** @type {{name: string, default: string}[]} */
  const settings = JSON.parse(run(`${files}/usr/bin/oa-sync-fanout`, ['--print-settings=json']));
  const defaults = new Map(settings.map((setting) => [setting.name.replace(/^--/, ''), String(setting.default)]));
  let compared = 0;
  for (const paragraph of text.split('\n\n')) {
    for (const [, name = '', value = ''] of paragraph.matchAll(/^#([a-z-]+) = (.*)$/gm)) {
      assert.ok(defaults.has(name), `fanout.conf names ${name}`);
      if (/^# Example: /m.test(paragraph)) continue;
      assert.equal(value.replaceAll('"', ''), defaults.get(name)?.replaceAll('`', ''), `the default of ${name}`);
      compared += 1;
    }
  }
  assert.ok(compared >= 10, `${compared} defaults compared`);
  // As the program reads it, with everything set that can be set at once.
  const set = text.replace(/^#([a-z-]+ = )/gm, '$1').replace(/^database = "host=db1.*$/m, '');
  writeFileSync(`${work}/all.conf`, set);
  run(`${files}/usr/bin/oa-sync-fanout`, ['--config', `${work}/all.conf`, '--print-settings=json']);
});

test('a command runs in the container, or nowhere', async () => {
  await system.boot();
  assert.notEqual(system.run('readlink /proc/self/ns/mnt'), readlinkSync('/proc/self/ns/mnt'));
  const file = `${work}/ran`;
  // Here, the shell that would run it finds no marker.
  const here = spawnSync('bash', ['-euc', guard, 'guard', system.marker, '/', `touch ${file}`]);
  assert.equal(here.status, 99);
  assert.equal(existsSync(file), false);
  // Not even with a process of the container: its root has to have the marker too.
  renameSync(`${system.root}${system.marker}`, `${system.root}/elsewhere`);
  assert.throws(() => system.try(`touch ${file}`), /its root has no/);
  renameSync(`${system.root}/elsewhere`, `${system.root}${system.marker}`);
  assert.equal(system.run('cat /proc/1/comm'), 'systemd');
});

test('installed, nothing is configured, enabled or started', () => {
  const [output = ''] = runSection('Install', { cwd: '/srv/old' });
  assert.match(output, /^oa-sync-fanout is not started yet: .*README\.Debian/m);
  assert.match(output, /^postgresql-15-oa-sync: to use it, preload it/m);
  for (const unit of ['oa-sync-fanout', 'oa-sync-parity']) {
    assert.equal(system.try(`systemctl is-enabled ${unit}`).stdout.trim(), 'disabled');
    assert.equal(show('ActiveState', unit), 'inactive');
  }
  assert.doesNotMatch(system.run('cat /etc/postgresql/15/main/postgresql.conf /etc/postgresql/15/main/conf.d/* 2>/dev/null || true'), /oa_sync/);
  assert.equal(modeOf('/etc/oa-sync'), '750 root:oa-sync');
  assert.equal(modeOf('/etc/oa-sync/fanout.conf'), '640 root:oa-sync');
  assert.equal(modeOf('/etc/default/oa-sync-parity'), '600 root:root');
  // Started all the same, it says what is missing, and is not tried again and again.
  assert.notEqual(system.try('systemctl start oa-sync-fanout').status, 0);
  assert.equal(`${show('Result')} ${show('ExecMainStatus')} ${show('NRestarts')}`, 'exit-code 2 0');
  assert.match(system.run('journalctl -u oa-sync-fanout -o cat'), /oa-sync-fanout: --database is required/);
  system.run('systemctl reset-failed');
});

test('the units are valid, and leave a service little that it could do', () => {
  for (const unit of ['oa-sync-fanout.service', 'oa-sync-fanout@second.service', 'oa-sync-parity.service']) {
    const verified = system.try(`systemd-analyze verify --man=no ${unit}`);
    assert.equal(verified.status, 0, verified.stderr);
    assert.doesNotMatch(verified.stderr, /oa-sync/, 'no warning');
    const security = system.try(`systemd-analyze security --offline=true --threshold=${mostExposure * 10} --no-pager ${unit}`);
    assert.equal(security.status, 0, `${security.stdout}\n${security.stderr}`);
  }
  // What the unit of the parity auditor runs is there, as far as this build has the command.
  const hasParity = /^ +parity /m.test(system.run('oa-sync --help'));
  if (hasParity) assert.match(system.run('oa-sync parity run --help'), /--database[^]*--every|--every[^]*--database/);
});

test('packages.md, from PostgreSQL to the first event', async () => {
  runSection('PostgreSQL');
  assert.equal(ask(`SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'`), '0.4.0');
  runSection('The fan-out');
  // `systemctl` came back, so it listens.
  assert.equal(show('ActiveState'), 'active');
  assert.match(show('StatusText'), /^listening on 127\.0\.0\.1:4400$/);
  assert.equal(system.try('systemctl is-enabled oa-sync-fanout').stdout.trim(), 'enabled');
  for (const file of ['keyring.json', 'service-keys.json', 'fanout.conf']) assert.equal(modeOf(`/etc/oa-sync/${file}`), '640 root:oa-sync');
  await ready();
  const [first = ''] = runSection('The first event', { only: 0 });
  assert.match(first, /shop:7:orders.*order:1/);
  // This extension is old, which is all that is to be said against the system.
  await doctorSays(['fanout.health.extension_old', 'versions']);
});

/**
 * Runs the page's doctor until that is what is not right, and there is nothing that it could not look at. It may take a
 * moment: what the fan-out says of the database it has read some seconds ago.
 * @param {string[]} findings
 */
async function doctorSays(findings) {
  const block = pageBlocks.get('The first event')?.[1] ?? '';
  assert.match(block, /oa-sync doctor/);
  ran.add('The first event 1');
  let said = '';
  await waitFor(() => {
    const done = system.try(block);
    said = done.stdout + done.stderr;
    const found = [...said.matchAll(/^(?:warning|problem|skipped) +(\S+)/gm)].map((match) => match[1]);
    return done.status === 0 && found.join() === findings.join() && said.includes(`\n0 problems, ${findings.length} warnings`);
  }, { everyMs: 500, timeoutMs: 120_000, what: () => `the doctor finds no more than [${findings}]; it says:\n${said}` });
}

/** Waits until the fan-out says that events come through. */
const ready = () => waitFor(() => system.try('oa-sync status --url ws://127.0.0.1:4400/socket').status === 0, {
  everyMs: 200, timeoutMs: 60_000, what: () => `the fan-out is ready; its journal:\n${system.try('journalctl -u oa-sync-fanout -o cat -n 50').stdout}` });

test('it runs as the unit says: its account, no rights, a log in the journal, restarts', async () => {
  const pid = show('MainPID');
  const status = system.run(`cat /proc/${pid}/status`);
  const uid = system.run('id -u oa-sync');
  assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s`, 'm'));
  assert.match(status, /^CapEff:\s+0+$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^Seccomp:\s+2$/m);
  assert.match(system.run('journalctl -u oa-sync-fanout -o cat'), /listening on 127\.0\.0\.1:4400/);
  // The slot is there: by peer authentication, as the role of the account.
  await waitFor(() => ask(`SELECT count(*) FROM pg_replication_slots WHERE plugin = 'oa_sync' AND active`) === '1', { everyMs: 200, timeoutMs: 60_000, what: 'it follows by a slot' });
  system.run('systemctl reload oa-sync-fanout');
  assert.equal(show('MainPID'), pid);

  system.run(`kill -KILL ${pid}`);
  await anotherThan(pid);
});

test('it is ended when it gives no sign of life, and started again', async () => {
  system.run(`mkdir -p /run/systemd/system/oa-sync-fanout.service.d
    printf '[Service]\\nWatchdogSec=10s\\nTimeoutAbortSec=1s\\n' > /run/systemd/system/oa-sync-fanout.service.d/short.conf
    systemctl daemon-reload; systemctl restart oa-sync-fanout`);
  // It is fed, again and again.
  const fed = () => Number(show('WatchdogTimestampMonotonic'));
  for (let signs = 0; signs < 3; signs += 1) {
    const last = fed();
    await waitFor(() => fed() > last, { everyMs: 200, timeoutMs: 60_000, what: 'another sign of life' });
  }
  const pid = show('MainPID');
  system.run(`kill -STOP ${pid}`);
  await anotherThan(pid);
  assert.match(system.run('journalctl -u oa-sync-fanout -o cat -t systemd'), /Watchdog timeout/);
  system.run('rm -r /run/systemd/system/oa-sync-fanout.service.d; systemctl daemon-reload; systemctl restart oa-sync-fanout');
  await ready();
});

test('packages.md, the service: an instance beside it', () => {
  const [output = ''] = runSection('The service');
  assert.match(output, /order:1/);
  assert.equal(show('ActiveState', 'oa-sync-fanout@second'), 'inactive');
  assert.equal(show('Result', 'oa-sync-fanout@second'), 'success');
});

test('packages.md, the upgrade: a client goes on, settings stay, the extension gets its new objects', async () => {
  // An instance, and a client that is there all the time.
  system.run(`install -m 640 -g oa-sync /etc/oa-sync/fanout.conf /etc/oa-sync/fanout-third.conf
    printf 'listen = "127.0.0.1:4420"\\nadmin-listen = "127.0.0.1:4421"\\n' >> /etc/oa-sync/fanout-third.conf
    systemctl start oa-sync-fanout@third`);
  system.run(`systemd-run --quiet --unit=follower --property=StandardOutput=file:/root/follower.json --property=StandardError=journal -- \
    oa-sync tail --keyring /etc/oa-sync/keyring.json --json --since beginning shop:7:orders`);
  const followed = () => system.run('cat /root/follower.json').split('\n').filter(Boolean).map((line) => JSON.parse(line).watermark);
  await waitFor(() => followed().length === 1, { everyMs: 200, timeoutMs: 60_000, what: 'the client has the first event' });
  const before = { pid: show('MainPID'), third: show('MainPID', 'oa-sync-fanout@third'), postgres: system.run('head -1 /var/lib/postgresql/15/main/postmaster.pid'),
    settings: system.run('cat /etc/oa-sync/fanout.conf') };
  // The package alone restarts the fan-outs, and no PostgreSQL.
  const output = system.run((pageBlocks.get('Upgrade')?.[0] ?? '').split('\n')[0] ?? '', { cwd: '/srv/new', timeoutMs: 300_000 });
  assert.match(output, /running servers keep the library of 0\.4\.0-1 until they are restarted/);
  assert.equal(system.run('head -1 /var/lib/postgresql/15/main/postmaster.pid'), before.postgres);
  await anotherThan(before.pid);
  await anotherThan(before.third, 'oa-sync-fanout@third');
  assert.equal(show('ActiveState', 'oa-sync-parity'), 'inactive');
  assert.equal(system.run('cat /etc/oa-sync/fanout.conf'), before.settings);
  assert.equal(modeOf('/etc/oa-sync/fanout.conf'), '640 root:oa-sync');
  assert.match(system.run('cat /etc/oa-sync/fanout.conf.dpkg-dist'), /^# The settings of/);

  runSection('Upgrade', { cwd: '/srv/new' });
  assert.equal(ask(`SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'`), version);
  for (const name of names) assert.equal(system.run(`dpkg-query -W -f '\${Version}' ${name}`).split('-')[0], version);
  ask(`INSERT INTO orders (shop_id, state) VALUES (7, 'after'); UPDATE orders SET state = 'paid'`);
  await waitFor(() => followed().length >= 4, { everyMs: 200, timeoutMs: 60_000, what: () => `the client has all events; it has ${followed()}` });
  assert.deepEqual(followed(), [1, 2, 3, 4]);
  system.run('systemctl stop follower oa-sync-fanout@third; rm /root/follower.json /etc/oa-sync/fanout-third.conf');

  // And nothing is wrong with what runs now: not even a warning.
  await ready();
  await doctorSays([]);
});

test('packages.md, removal: what is left is what the page says', async () => {
  assert.equal(pageBlocks.get('Remove')?.length, 3);
  runSection('Remove', { only: 0 });
  assert.equal(system.try('systemctl is-active oa-sync-fanout').stdout.trim(), 'inactive');
  assert.equal(system.try('pgrep -u oa-sync || ls /proc/*/exe 2>/dev/null | xargs -n1 readlink | grep oa-sync').stdout, '');
  assert.equal(show('ActiveState', 'postgresql@15-main'), 'active');
  for (const gone of ['/usr/bin/oa-sync-fanout', '/usr/bin/oa-sync', '/usr/lib/postgresql/15/lib/oa_sync.so', '/usr/share/oa-sync']) {
    assert.equal(existsSync(`${system.root}${gone}`), false, `${gone} is gone`);
  }
  assert.match(system.run('cat /etc/oa-sync/fanout.conf'), /dbname=shop/);
  runSection('Remove', { only: 1 });
  assert.equal(system.run('ls /etc/oa-sync').split(/\s+/).join(), 'keyring.json,service-keys.json');
  assert.equal(existsSync(`${system.root}/etc/default/oa-sync-parity`), false);
  runSection('Remove', { only: 2 });
  const left = system.run(`find / -xdev \\( -path /proc -o -path /sys -o -path /srv -o -path /run/udev -o -path /var/log/journal -o -path /run/log \\) -prune \
    -o \\( -name '*oa-sync*' -o -name '*oa_sync*' \\) -print`);
  assert.equal(left, '');
  assert.equal(system.try('getent passwd oa-sync oa-sync-parity').stdout, '');
  // The whole page was run.
  assert.deepEqual([...ran].sort(), [...pageBlocks].flatMap(([section, found]) => found.map((_, i) => `${section} ${i}`)).sort());
});

test('installed again, all of it new: packages.md to the first event, and the doctor finds nothing', async () => {
  system.run('runuser -u postgres -- dropdb shop');
  runSection('Install', { cwd: '/srv/new' });
  runSection('PostgreSQL');
  assert.equal(ask(`SELECT extversion FROM pg_extension WHERE extname = 'oa_sync'`), version);
  runSection('The fan-out');
  await ready();
  const [first = ''] = runSection('The first event', { only: 0 });
  assert.match(first, /shop:7:orders.*order:1/);
  await doctorSays([]);
});
