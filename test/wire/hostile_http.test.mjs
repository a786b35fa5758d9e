// HTTP requests that lie, trickle or do not end; nothing of it reaches those inside.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawTcp, Stand, patienceMs, waitFor, within } from '../harness/index.mjs';

const flags = { 'http-max-body-bytes': 1000 };
const stand = await Stand.create({ flags });
const { fanout } = stand;

/** Sends bytes; everything the server says until it closes. @param {string} text @param {number} [port] */
async function exchange(text, port = fanout.port) {
  const tcp = await RawTcp.connect(fanout.host, port);
  tcp.send(text);
  await tcp.closed();
  return tcp.received.toString('latin1');
}
/** @param {string} answer */
const status = (answer) => Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1] ?? 0);
/** @param {string} head @param {string} [body] */
const post = (head, body = '') => `POST /api/sync/heads HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${head}\r\n${body}`;

test('lengths that cannot be trusted', async () => {
  assert.equal(status(await exchange(post('content-length: 5000\r\n', 'x'.repeat(5000)))), 413);
  assert.equal(status(await exchange(post('content-length: 99999999999999999999\r\n'))), 400);
  assert.equal(status(await exchange(post('content-length: -1\r\n'))), 400);
  assert.equal(status(await exchange(post('content-length: +5\r\n', 'xxxxx'))), 400);
  assert.equal(status(await exchange(post('content-length: 5\r\ncontent-length: 6\r\n', 'xxxxxx'))), 400);
  assert.equal(status(await exchange(post(''))), 411);
  assert.equal(status(await exchange(post('transfer-encoding: chunked\r\n', '0\r\n\r\n'))), 411);
  assert.equal(status(await exchange(post('content-length: 4\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'))), 411);
  assert.equal(status(await exchange('GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc')), 400);
});

test('what follows a request is not another one', async () => {
  for (const first of ['GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', post('content-length: 2\r\n', '{}'),
    post('content-length: 0\r\n'), post('content-length: 2\r\n', '{}smuggled')]) {
    const answer = await exchange(`${first}GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n`);
    assert.equal(answer.split('HTTP/1.1 ').length - 1, 1, answer);
    assert.match(answer, /connection: close/);
  }
});

test('a body that does not come ends with the deadline', async () => {
  // Its own server: who is in time elsewhere may be held up for longer than that.
  const hasty = await stand.startFanout({ ...flags, 'handshake-timeout-ms': 1000 });
  assert.equal(status(await exchange(post('content-length: 100\r\n', '{'), hasty.port)), 0);
  await waitFor(async () => await hasty.metric('oa_sync_handshake_timeouts_total') >= 1, { what: 'it is counted' });
});

test('a body in small pieces is taken whole', async () => {
  const tcp = await RawTcp.connect(fanout.host, fanout.port);
  for (const piece of [post('content-length: 4\r\n'), '{', '"', '"', '}']) {
    tcp.send(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await tcp.closed();
  assert.equal(status(tcp.received.toString('latin1')), 405);
});

test('an answer counts, though the client hangs up with its last byte', async () => {
  // No limit of requests is on probes.
  const counted = () => fanout.metric('oa_sync_http_requests_total', 'route="healthz",status="405"');
  for (let i = 0; i < 200; i++) {
    const tcp = await RawTcp.connect(fanout.host, fanout.port);
    const gone = new Promise((resolve) => tcp.socket.once('close', resolve));
    // In the moment in which it comes: the server has no turn in between.
    tcp.socket.once('data', () => tcp.end());
    tcp.send(post('content-length: 2\r\n', '{}').replace('/api/sync/heads', '/healthz'));
    await within(gone, patienceMs, 'the end of the connection');
  }
  await waitFor(async () => await counted() === 200, { what: 'all are counted' });
});

test('encodings and paths that mean nothing', async () => {
  for (const path of ['/%', '/%zz', '/%00', '/api/sync/topics/%ff%fe/snapshot', '/a&b', '/a;b', '/../../etc/passwd', '/api/sync/snapshot?%=%&&&==']) {
    const answer = await exchange(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    assert.doesNotMatch(answer, /^HTTP\/1\.1 [25]/, `${path}: ${answer}`);
  }
  const many = `GET /api/sync/heads?${'topic=a&'.repeat(500)} HTTP/1.1\r\nhost: x\r\n\r\n`;
  assert.doesNotMatch(await exchange(many), /^HTTP\/1\.1 [25]/);
});

test('bytes after a request do not keep a loop busy', async () => {
  const open = await Promise.all(Array.from({ length: 20 }, async () => {
    const tcp = await RawTcp.connect(fanout.host, fanout.port);
    tcp.send('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    tcp.send('x'.repeat(100_000));
    return tcp;
  }));
  for (const tcp of open) await tcp.closed();
  assert.equal((await fanout.fetch('/healthz')).status, 200);
});

test('too many requests of one address are 429, probes never', async () => {
  const limited = await stand.startFanout({ 'http-requests-per-second': 1 });
  // As quickly as this machine can at the moment: sooner or later that is more than one a second.
  await waitFor(async () => (await limited.fetch('/api/sync/heads?topic=x')).status === 429, { everyMs: 0, what: 'too many requests' });
  assert.equal((await limited.fetch('/healthz')).status, 200);
  await waitFor(async () => (await limited.fetch('/api/sync/heads?topic=x')).status === 401, { what: 'a request is taken again' });
});

test('the admin listener: sockets and documents for tokens only; metrics, and why', async () => {
  assert.equal((await fanout.fetchAdmin('/api/sync/heads?topic=x')).status, 401);
  assert.equal((await fanout.fetchAdmin('/socket/websocket')).status, 426);
  assert.match(await exchange('GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n', fanout.adminPort), /^HTTP\/1\.1 401 /);
  assert.equal((await (await fanout.fetchAdmin('/readyz')).json()).status, 'ready');
  assert.equal((await (await fanout.fetchAdmin('/healthz')).json()).stalled_loops, 0);
  assert.equal((await fanout.fetch('/metrics')).status, 404);
  const open = await stand.startFanout({ 'public-metrics': 'on', 'admin-listen': 'off' });
  assert.equal((await open.fetch('/metrics')).status, 200);
});
