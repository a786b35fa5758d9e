// The other commands of oa-sync against a real server: snapshot, token, status, bench.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { Stand, range, root, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';
import { Run, binary, directory, run } from './program.mjs';

const dir = directory();
const keys = { app: 'oask_app_0123456789abcdef0123456789abcdef', watcher: 'oask_watch_0123456789abcdef0123456789ab' };
const sha256 = (/** @type {string} */ text) => createHash('sha256').update(text).digest('hex');
const keyFile = (/** @type {keyof typeof keys} */ name) => `${dir}/${name}.key`;
for (const name of /** @type {(keyof typeof keys)[]} */ (['app', 'watcher'])) writeFileSync(keyFile(name), `${keys[name]}\n`);
writeFileSync(`${dir}/service-keys.json`, JSON.stringify({ keys: [
  { id: 'app', sha256: sha256(keys.app), subject: 'service:app', org_id: 'org_1', scopes: ['commands.*', 'orders:*'] },
  { id: 'watcher', sha256: sha256(keys.watcher), may: ['observe'] }] }));

const stand = await Stand.create({ flags: { 'service-keys': `${dir}/service-keys.json` } });
const { fanout } = stand;
const server = ['--url', fanout.socketUrl, '--keyring', fanout.keyringFile];
/** @param {string} text @returns {any[]} */
const parsed = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('snapshot: every document, over pages, digits as they were written; tail goes on from its cursor', async () => {
  const topic = 'commands.snapshot';
  await stand.insert(topic, 7);
  await stand.query('UPDATE app.items SET n = 1.000000000000000000000001 WHERE topic = $1 AND id = 7', [topic]);
  const file = `${dir}/snapshot.cursor`;
  const ended = await run(['snapshot', ...server, '--limit', '2', '--json', '--cursor', file, topic]);
  assert.equal(ended.code, 0, ended.stderr);
  const documents = parsed(ended.stdout);
  assert.deepEqual(documents.map((document) => document.doc_key), range(1, 7).map((id) => `item:${id}`));
  assert.ok(documents.every((document) => document.op === 'snapshot' && document.watermark === 8));
  assert.match(ended.stdout, /"n":1\.000000000000000000000001/);
  await stand.insert(topic, 1, { first: 8 });
  const tail = await run(['tail', ...server, '--json', '--no-follow', '--cursor', file, topic]);
  assert.deepEqual(parsed(tail.stdout).map((event) => event.watermark), [9]);
});

test('snapshot: one document, or exit code 1; refusals are exit code 4', async () => {
  const topic = 'commands.one';
  await stand.insert(topic, 2);
  const one = await run(['snapshot', ...server, '--json', '--key', 'item:2', topic]);
  assert.deepEqual(parsed(one.stdout).map((document) => document.payload.id), [2]);
  const none = await run(['snapshot', ...server, '--key', 'item:3', topic]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no document item:3/);
  const forbidden = await run(['snapshot', '--url', fanout.socketUrl, topic], { env: { OA_SYNC_TOKEN: fanout.token(['other']) } });
  assert.equal(forbidden.code, 4);
  assert.match(forbidden.stderr, /not_in_scope/);
});

test('token: minted with a keyring, and made by the fan-out for a service key; both open what they say', async () => {
  await stand.insert('commands.token', 1);
  const minted = await run(['token', '--keyring', fanout.keyringFile, '--scope', 'commands.token', '--org', 'org_9', '--ttl', '60', '--json']);
  const about = JSON.parse(minted.stdout);
  const claims = JSON.parse(Buffer.from(about.token.split('.')[1], 'base64url').toString());
  assert.equal(claims.exp - claims.iat, 60);
  assert.equal(claims.oa_org_id, 'org_9');
  const asked = await run(['token', '--url', fanout.socketUrl, '--key-file', keyFile('app'), '--scope', 'commands.token']);
  assert.equal(asked.code, 0, asked.stderr);
  for (const token of [about.token, asked.stdout.trim()]) {
    const file = `${dir}/token`;
    writeFileSync(file, token);
    const ended = await run(['tail', '--url', fanout.socketUrl, '--token-file', file, '--no-follow', '--json', 'commands.token']);
    assert.equal(parsed(ended.stdout).length, 1, ended.stderr);
  }
  const refused = await run(['token', '--url', fanout.socketUrl, '--key-file', keyFile('app'), '--scope', 'secret']);
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /invalid_scope/);
  assert.equal((await run(['token', '--url', fanout.socketUrl, '--key-file', `${dir}/none`])).code, 2);
  const tail = await run(['tail', '--url', fanout.socketUrl, '--key-file', keyFile('app'), '--no-follow', '--json', 'commands.token']);
  assert.equal(parsed(tail.stdout).length, 1, tail.stderr);
});

test('status: health, the overview, heads', async () => {
  await stand.insert('commands.status', 3);
  const plain = await run(['status', ...server, 'commands.status']);
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(plain.stdout, / ready /);
  assert.match(plain.stdout, /commands\.status {2}3 {2}floor 0/);
  const look = () => run(['status', '--admin-url', fanout.adminUrl(), '--key-file', keyFile('watcher'), ...server, 'commands.status']);
  // What the fan-out knows of the database may be some seconds old.
  const admin = await waitFor(async () => {
    const now = await look();
    return /worker runs/.test(now.stdout) ? now : undefined;
  }, { what: 'the worker is seen' }).catch(look);
  assert.equal(admin.code, 0, admin.stdout);
  assert.match(admin.stdout, /tail +(logical|journal)/);
  assert.match(admin.stdout, /connections +\d+ of 20\.0 k, \d+ joined/);
  assert.match(admin.stdout, /database +PostgreSQL 1\d.*, oa_sync \d+\.\d+\.\d+, worker runs/);
  const json = await run(['status', '--json', '--admin-url', fanout.adminUrl()], { env: { OA_SYNC_SERVICE_KEY: keys.watcher } });
  const overview = JSON.parse(json.stdout);
  assert.equal(overview.ready, true);
  assert.equal(overview.overview.server.version, (await run(['--version'])).stdout.trim().split(' ')[1]);
  const denied = await run(['status', '--admin-url', fanout.adminUrl(), '--key-file', keyFile('app')]);
  assert.equal(denied.code, 4, denied.stdout);
});

test('status --watch appends lines when piped, with rates, until it is interrupted', async () => {
  const watch = new Run(['status', '--watch', '--interval', '0.1', '--admin-url', fanout.adminUrl(), '--key-file', keyFile('watcher')]);
  await watch.printed(3);
  const ended = await watch.kill('SIGTERM');
  assert.equal(ended.code, 143);
  assert.doesNotMatch(ended.stdout, /\u001b/);
  assert.match(/** @type {string} */ (watch.lines[1]), /ready {2}tail \w+ {2}connections \d+ {2}in [\d.]+ ?k? events\/s/);
});

test('status: a server that is not ready is exit code 1, one that is not there 3', async () => {
  const lost = await stand.startFanout({ database: 'host=/nonexistent dbname=none' });
  const down = await run(['status', '--url', lost.socketUrl]);
  assert.equal(down.code, 1, down.stdout);
  assert.match(down.stdout, /not ready/);
  const why = await run(['status', '--admin-url', lost.adminUrl()]);
  assert.equal(why.code, 1);
  assert.match(why.stdout, /not ready: tail_down/);
  assert.equal((await run(['status', '--url', 'http://127.0.0.1:9'])).code, 3);
});

test('bench by a script: as many deliveries as there are subscribers and events, and not one more', async () => {
  const topic = 'commands.bench';
  const bench = new Run(['bench', '--script', `127.0.0.1:${fanout.port}`]);
  const script = { connections: 20, target: `/socket/websocket?vsn=2.0.0&token=${fanout.token([topic])}`, count: 'watermarks', ready: '"status":"ok"',
    hello: JSON.stringify(['1', '1', 'sync:v1', 'phx_join', { topics: [topic] }]) };
  bench.child.stdin.write(`${Object.entries(script).map(([name, value]) => `${name}=${value}\n`).join('')}\n`);
  await bench.printed(1);
  assert.deepEqual(bench.lines, ['ready']);
  bench.child.stdin.write('wait 1000\n');
  await stand.insert(topic, 50);
  await bench.printed(2);
  bench.child.stdin.write('report\n');
  await bench.printed(3);
  const { deliveries, gaps, closed } = JSON.parse(/** @type {string} */ (bench.lines[2]));
  assert.deepEqual({ deliveries, gaps, closed }, { deliveries: 1000, gaps: 0, closed: 0 });
  bench.child.stdin.end();
  assert.equal((await bench.end()).code, 0);
});

test('bench by options, and what it cannot do', async () => {
  const short = await run(['bench', ...server, '--connections', '20', '--seconds', '0.2', 'commands.bench']);
  assert.equal(short.code, 0, short.stderr);
  assert.equal(JSON.parse(short.stdout).gaps, 0);
  const refused = new Run(['bench', '--script', `127.0.0.1:${fanout.port}`]);
  refused.child.stdin.write('target=/none\n\n');
  assert.equal((await refused.end()).code, 3);
  assert.match(refused.stderr, /upgrade refused/);
  assert.equal((await run(['bench', '--script', '127.0.0.1:1'], { input: 'no=thing\n\n' })).code, 2);
});

test('TLS: believed with the right authority and address, refused with any other', async () => {
  const authority = new Authority();
  const { cert, key } = authority.issue('fanout');
  const tls = await stand.startFanout({ 'tls-cert': cert, 'tls-key': key });
  await stand.insert('commands.tls', 2);
  const args = ['tail', '--json', '--no-follow', '--url', `wss://127.0.0.1:${tls.port}/socket`, '--keyring', tls.keyringFile, 'commands.tls'];
  const good = await run([...args, '--ca-file', authority.file, '--since', '0']);
  assert.equal(good.code, 0, good.stderr);
  assert.equal(parsed(good.stdout).length, 2);
  const heads = await run([...args, '--ca-file', authority.file, '--since', 'now']);
  assert.equal(heads.code, 0, heads.stderr);
  for (const since of ['0', 'now']) {
    const stranger = await run([...args, '--since', since]);
    assert.equal(stranger.code, 3, stranger.stderr);
    // The certificate is of 127.0.0.1 only.
    const other = await run([...args, '--ca-file', authority.file, '--since', since, '--url', `wss://localhost:${tls.port}/socket`].filter((word, i) => i !== 3 && i !== 4));
    assert.equal(other.code, 3, other.stderr);
  }
});

test('the commands of docs/clients/terminal.md do what it says', async () => {
  await stand.query(`CREATE TABLE app.orders (id int PRIMARY KEY, state text);
    SELECT runtime.sync_publish('app.orders', topic => 'orders:7', doc_key => 'order:{id}');
    INSERT INTO app.orders VALUES (1, 'new'), (2, 'paid'), (3, 'new')`);
  // The worker makes the journal's partitions some moments after the extension was created; doctor misses them before.
  await waitFor(async () => (await stand.query('SELECT FROM runtime.sync_journal_partitions WHERE upper > now()')).length > 0, { what: 'partitions' });
  const place = directory();
  copyFileSync(fanout.keyringFile, `${place}/keyring.json`);
  copyFileSync(keyFile('app'), `${place}/app.key`);
  copyFileSync(keyFile('watcher'), `${place}/observer.key`);
  // Nor does the fan-out see all of its health at once.
  await waitFor(async () => (await run(['doctor', '--database', stand.cluster.conninfo(stand.database), ...server, '--admin-url', fanout.adminUrl(),
    '--key-file', keyFile('watcher')])).code === 0, { what: 'doctor finds no problem' });
  const text = readFileSync(`${root}/docs/clients/terminal.md`, 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block ?? '');
  assert.ok(blocks.length >= 6);
  for (const block of blocks) {
    execFileSync('bash', ['-euo', 'pipefail', '-c', block], { cwd: place, stdio: 'pipe', timeout: 120_000, env: {
      PATH: `${dirname(binary)}:${process.env.PATH}`, URL: fanout.socketUrl, ADMIN: fanout.adminUrl(), DATABASE: stand.cluster.conninfo(stand.database) } });
  }
});
