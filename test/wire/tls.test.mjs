// TLS on both listeners: versions, certificates read again without a connection lost, client certificates.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { RawSocket, Stand, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';

const authority = new Authority();
const ca = readFileSync(authority.file);
const [first, second, client] = ['first', 'second', 'client'].map((name) => authority.issue(name));
const files = { cert: `${authority.dir}/server.pem`, key: `${authority.dir}/server.key` };
const stranger = new Authority().issue('stranger');

/** @param {{cert: string, key: string} | undefined} pair */
function install(pair) {
  if (!pair) throw new Error('no pair');
  copyFileSync(pair.key, files.key);
  copyFileSync(pair.cert, files.cert);
}
install(first);
const stand = await Stand.create();
const fanout = await stand.startFanout({ 'tls-cert': files.cert, 'tls-key': files.key, 'admin-client-ca': authority.file, loops: 2 });

/** @param {number} port @param {string} path @param {https.RequestOptions} [options] @returns {Promise<{status: number, body: string}>} */
const get = (port, path, options = {}) => new Promise((resolve, reject) => {
  https.get({ host: '127.0.0.1', port, path, ca, agent: false, ...options }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    response.on('error', reject);
  }).on('error', reject);
});
const withCertificate = { cert: readFileSync(client?.cert ?? ''), key: readFileSync(client?.key ?? '') };

/** The common name that a new connection is shown. @param {tls.ConnectionOptions} [options] @returns {Promise<string>} */
const shown = (options = {}) => new Promise((resolve, reject) => {
  const socket = tls.connect({ host: '127.0.0.1', port: fanout.port, ca, ...options }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on('error', reject);
});

/** A WebSocket over TLS, joined. */
async function join() {
  const { default: WebSocket } = await import('ws');
  const ws = new WebSocket(`wss://127.0.0.1:${fanout.port}/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`, { ca });
  const raw = new RawSocket(ws);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  after(() => raw.end());
  return raw;
}

test('HTTP and WebSockets over TLS, updates of any size', async () => {
  assert.equal((await get(fanout.port, '/healthz')).body, 'ok\n');
  const raw = await join();
  assert.equal((await raw.join({ topics: ['tls'] })).status, 'ok');
  await stand.insert('tls', 300, { body: 'b'.repeat(3000) });
  await waitFor(() => raw.frames.flatMap((f) => (f[3] === 'sync:update_batch' ? f[4].updates : [])).length === 300, { what: 'all 300 updates' });
  await waitFor(async () => (await get(fanout.port, '/readyz')).status === 200, { what: 'ready' });
  const page = await get(fanout.port, '/api/sync/snapshot?topic=tls', { headers: { authorization: `Bearer ${fanout.token(['*'])}` } });
  assert.equal(JSON.parse(page.body).documents.length, 300);
});

test('TLS 1.2 and 1.3, nothing older, and no plain HTTP', async () => {
  for (const version of /** @type {const} */ (['TLSv1.2', 'TLSv1.3'])) {
    assert.equal(await shown({ minVersion: version, maxVersion: version }), 'first');
  }
  await assert.rejects(shown({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
  await assert.rejects(fanout.fetch('/healthz'));
  assert.equal((await get(fanout.port, '/healthz')).status, 200);
});

test('the admin listener asks for a certificate of its authority', async () => {
  const answer = await get(fanout.adminPort, '/metrics', withCertificate);
  assert.equal(answer.status, 200);
  assert.match(answer.body, /^oa_sync_tls_handshakes_total [1-9]/m);
  await assert.rejects(get(fanout.adminPort, '/metrics'));
  await assert.rejects(get(fanout.adminPort, '/metrics', { cert: readFileSync(stranger.cert), key: readFileSync(stranger.key) }));
});

test('a new certificate is used by who comes, and disturbs nobody who is there', async () => {
  const inside = await join();
  assert.equal((await inside.join({ topics: ['reload'] })).status, 'ok');
  install(second);
  await waitFor(async () => (await shown()) === 'second', { what: 'the new certificate is shown' });
  await stand.insert('reload', 1);
  await inside.frame((f) => f[3] === 'sync:update_batch', 'an update on the connection from before');
  assert.equal(inside.closeCode, undefined);
});

test('a pair that does not go together is refused, SIGHUP or not; the next good one is taken', async () => {
  writeFileSync(files.key, readFileSync(stranger.key));
  process.kill(fanout.pid, 'SIGHUP');
  await waitFor(async () => /tls_reloads_total\{result="failed"\} [1-9]/.test((await get(fanout.adminPort, '/metrics', withCertificate)).body), { what: 'a failure is counted' });
  assert.equal(await shown(), 'second');
  install(first);
  await waitFor(async () => (await shown()) === 'first', { what: 'the pair that fits' });
});

test('a pair that OpenSSL does not take, for its key is too weak, is refused', async () => {
  const failures = async () => Number(/tls_reloads_total\{result="failed"\} (\d+)/.exec((await get(fanout.adminPort, '/metrics', withCertificate)).body)?.[1]);
  const expiry = async () => /oa_sync_tls_certificate_\w+ .*/.exec((await get(fanout.adminPort, '/metrics', withCertificate)).body)?.[0];
  const [before, expires] = [await failures(), await expiry()];
  install(authority.issue('weak', ['rsa:1024']));
  process.kill(fanout.pid, 'SIGHUP');
  await waitFor(async () => (await failures()) > before, { what: 'a failure is counted' });
  assert.equal(await shown(), 'first');
  assert.equal(await expiry(), expires);
  install(first);
});

test('a handshake that stalls is ended, and others are served meanwhile', async () => {
  const quick = await stand.startFanout({ 'tls-cert': files.cert, 'tls-key': files.key, 'handshake-timeout-ms': 700 });
  const { RawTcp } = await import('../harness/index.mjs');
  const silent = await Promise.all(Array.from({ length: 10 }, () => RawTcp.connect(quick.host, quick.port)));
  for (const tcp of silent) tcp.send('\x16\x03\x01\x02\x00\x01');
  // This one's handshake has no more time than theirs, and is cut as well when the machine stands still meanwhile.
  await waitFor(async () => (await get(quick.port, '/healthz')).status === 200, { what: 'somebody else is served' });
  for (const tcp of silent) await tcp.closed();
});
