// How the fan-out ends, and how it refuses to begin.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Keyring, Stand, fanoutBinary, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
/** Nobody is cut who only had to wait for a processor. */
const patient = { 'close-timeout-ms': 40_000, 'shutdown-deadline-ms': 40_000 };

test('SIGTERM closes every socket with 1001 and exits 0', async () => {
  const fanout = await stand.startFanout(patient);
  await fanout.ready();
  const sockets = [];
  for (let i = 0; i < 50; i++) sockets.push(await stand.raw({ fanout }));
  for (const raw of sockets) await raw.join({ topics: ['end.t'] });
  assert.equal(await fanout.stop(), 0);
  for (const raw of sockets) assert.equal(await raw.closed(), 1001);
});

/** A second signal, and as many as it takes, during a shutdown. @param {import('../harness/index.mjs').Fanout} fanout */
const endAtOnce = (fanout) => waitFor(() => {
  if (fanout.running) process.kill(fanout.pid, 'SIGTERM');
  return !fanout.running;
}, { what: 'the end' });

test('sockets are closed one after the other', async () => {
  // Every two seconds one: many are left, however late the first is noticed here.
  const fanout = await stand.startFanout({ 'shutdown-spread-ms': 200_000, loops: 1 });
  await fanout.ready();
  const sockets = await Promise.all(Array.from({ length: 100 }, () => stand.raw({ fanout })));
  for (const raw of sockets) await raw.join();
  process.kill(fanout.pid, 'SIGTERM');
  await waitFor(() => sockets.some((raw) => raw.closeCode !== undefined), { what: 'the first is closed' });
  assert.ok(sockets.some((raw) => raw.closeCode === undefined), 'not all at once');
  await endAtOnce(fanout);
});

test('each socket is told when to come back', async () => {
  const fanout = await stand.startFanout({ 'shutdown-spread-ms': 1000, 'reconnect-backoff-base-ms': 300,
    'reconnect-backoff-jitter-ms': 1000, ...patient });
  await fanout.ready();
  const sockets = await Promise.all(Array.from({ length: 40 }, () => stand.raw({ fanout })));
  for (const raw of sockets) await raw.join();
  assert.equal(await fanout.stop(), 0);
  const advice = [];
  for (const raw of sockets) {
    assert.equal(await raw.closed(), 1001);
    const notice = (await raw.frame((f) => f[3] === 'sync:error', 'the advice'))[4];
    assert.equal(notice.code, 'going_away');
    assert.equal(notice.action, 'reconnect');
    advice.push(notice.reconnect_after_ms);
  }
  assert.ok(advice.every((ms) => ms >= 300 && ms <= 1300), String(advice));
  assert.ok(new Set(advice).size > 10);
});

test('SIGHUP does not end a shutdown that is under way', async () => {
  const fanout = await stand.startFanout({ 'shutdown-spread-ms': 500, ...patient });
  await fanout.ready();
  const raw = await stand.raw({ fanout });
  await raw.join();
  process.kill(fanout.pid, 'SIGTERM');
  await waitFor(() => fanout.log.includes('closing'), { what: 'the shutdown begins' });
  const hangups = setInterval(() => fanout.running && process.kill(fanout.pid, 'SIGHUP'), 20);
  try {
    assert.equal(await raw.closed(), 1001);
    await waitFor(() => !fanout.running, { what: 'the end' });
  } finally {
    clearInterval(hangups);
  }
  assert.equal(await fanout.stop(), 0);
});

test('a second signal ends it at once', async () => {
  const fanout = await stand.startFanout({ 'shutdown-spread-ms': 600_000 });
  await fanout.ready();
  const raw = await stand.raw({ fanout });
  await raw.join();
  process.kill(fanout.pid, 'SIGTERM');
  await waitFor(() => fanout.log.includes('closing'), { what: 'the shutdown begins' });
  await endAtOnce(fanout);
  raw.end();
});

test('a client that does not answer the close does not hold it up', async () => {
  const fanout = await stand.startFanout({ 'shutdown-deadline-ms': 1000 });
  await fanout.ready();
  const raw = await stand.raw({ fanout });
  await raw.join();
  raw.ws.pause();
  // stop() gives up after a minute; this client never answers.
  assert.equal(await fanout.stop(), 0);
  raw.end();
});

test('a stop under load loses nothing: the clients go on with the next fan-out', async () => {
  const fanout = await stand.startFanout();
  await fanout.ready();
  const client = stand.client({ fanout, topics: ['end.load'] });
  await client.connect();
  for (let i = 0; i < 10; i++) {
    await stand.insert('end.load', 20, { first: 20 * i + 1 });
    if (i === 4) {
      assert.equal(await fanout.stop(), 0);
      await fanout.launch();
    }
  }
  await client.reach('end.load', 200);
  assert.deepEqual(client.watermarks('end.load'), range(1, 200));
});

/** Runs the fan-out with arguments that it should not accept. @param {string[]} args */
function refuse(args) {
  const { status, stderr, stdout } = spawnSync(fanoutBinary, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, stderr, stdout };
}

test('a bad configuration ends with 2 and one clear line', () => {
  const dir = mkdtempSync('/tmp/oa-sync-config-');
  try {
    const keyring = `${dir}/keyring.json`;
    writeFileSync(keyring, JSON.stringify(new Keyring()));
    const broken = `${dir}/broken.json`;
    writeFileSync(broken, '{"current":"k1"');
    const keyless = `${dir}/keyless.json`;
    writeFileSync(keyless, '{"current":"k1","keys":{}}');
    const database = ['--database', stand.cluster.conninfo('test')];
    const ring = ['--jwt-keyring', keyring];
    for (const args of [
      [], database, ring, [...database, '--jwt-keyring', `${dir}/missing.json`], [...database, '--jwt-keyring', broken],
      [...database, '--jwt-keyring', keyless], [...database, ...ring, '--listen', 'nonsense'],
      [...database, ...ring, '--listen', '127.0.0.1:99999'], [...database, ...ring, '--loops', '-1'],
      [...database, ...ring, '--no-such-flag'], [...database, ...ring, '--max-batch-events', 'many'],
      [...database, ...ring, '--tail', 'sideways'], [...database, ...ring, '--log-level', 'shout'],
    ]) {
      const { status, stderr, stdout } = refuse(args);
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
      assert.ok(stderr.trim().length > 0);
      assert.ok(stderr.trim().split('\n').length <= 3, stderr);
      assert.doesNotMatch(stdout, /listening/);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('--help names every flag', () => {
  const { status, stdout } = refuse(['--help']);
  assert.equal(status, 0);
  for (const flag of ['database', 'listen', 'loops', 'jwt-keyring', 'jwt-issuer', 'jwt-audience', 'jwt-max-age-s',
    'allowed-origin', 'heartbeat-interval-ms', 'client-timeout-ms', 'handshake-timeout-ms', 'max-connections',
    'max-frame-bytes', 'max-topics-per-socket', 'max-batch-events', 'max-update-bytes', 'max-batch-bytes',
    'window-events', 'window-bytes', 'journal-readers', 'document-readers', 'max-queued-reads',
    'journal-poll-ms', 'gap-wait-ms', 'tail', 'canary-interval-ms', 'ready-within-ms',
    'loop-queue-events', 'loop-queue-bytes', 'max-slot-wal-bytes', 'reconnect-min-ms',
    'reconnect-max-ms', 'token-grace-ms', 'token-warning-ms', 'shutdown-deadline-ms', 'log-level', 'log-format', 'config']) {
    assert.match(stdout, new RegExp(`--${flag}\\b`), flag);
  }
});

test('environment and configuration file set what flags do not', async () => {
  const dir = mkdtempSync('/tmp/oa-sync-config-');
  try {
    const config = `${dir}/fanout.conf`;
    writeFileSync(config, 'heartbeat-interval-ms=777\nmax-batch-events=50\n');
    const fanout = await stand.startFanout({ config });
    await fanout.ready();
    const raw = await stand.raw({ fanout });
    assert.equal((await raw.join()).response.heartbeat_interval_ms, 777);
    await fanout.stop();
    fanout.env = { OA_SYNC_HEARTBEAT_INTERVAL_MS: '888' };
    fanout.flags = { database: stand.cluster.conninfo('test') };
    await fanout.launch();
    await fanout.ready();
    const second = await stand.raw({ fanout });
    assert.equal((await second.join()).response.heartbeat_interval_ms, 888);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
