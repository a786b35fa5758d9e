// Connections that never become a socket: slow, oversized, half, or not HTTP at all.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { RawTcp, Stand, range, sanitized, upgradeRequest, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { fanout } = stand;
// For those who are too slow on purpose. Nobody else connects to it: who is not may be held up for a second.
const hasty = await stand.startFanout({ 'handshake-timeout-ms': 1000 });
const bystanders = [fanout, hasty].map((one) => stand.client({ fanout: one, topics: ['bystander'] }));
for (const bystander of bystanders) await bystander.connect();
let fed = 0;

/** Runs `work` while the bystanders are fed; they must miss nothing. @param {() => Promise<unknown>} work */
async function unnoticed(work) {
  let done = false;
  const feeding = (async () => {
    while (!done) await stand.insert('bystander', 1, { first: ++fed });
  })();
  try {
    await work();
  } finally {
    done = true;
    await feeding;
  }
  for (const bystander of bystanders) {
    await bystander.reach('bystander', fed);
    assert.deepEqual(bystander.watermarks('bystander'), range(1, fed));
    assert.equal(bystander.opened, 1);
  }
}

const path = () => `/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`;

test('a connection that says nothing is ended', () => unnoticed(async () => {
  const timeouts = () => hasty.metric('oa_sync_handshake_timeouts_total');
  const { count: before } = await waitFor(async () => ({ count: await timeouts() }));
  const silent = await Promise.all(Array.from({ length: 20 }, () => RawTcp.connect(hasty.host, hasty.port)));
  for (const tcp of silent) await tcp.closed();
  // Each by the deadline, for no other reason; who asks may have met it as well.
  await waitFor(async () => await timeouts() - before >= 20, { what: 'each is counted as one that said nothing' });
}));

test('a handshake that trickles in is ended by the same deadline', () => unnoticed(async () => {
  const tcp = await RawTcp.connect(hasty.host, hasty.port);
  const text = upgradeRequest(path());
  let at = 0;
  const timer = setInterval(() => tcp.send(text.slice(at, ++at)), 50);
  try {
    await tcp.closed();
  } finally {
    clearInterval(timer);
  }
  assert.ok(at < text.length, 'it was let in');
}));

test('half a handshake and silence', () => unnoticed(async () => {
  const tcp = await RawTcp.connect(hasty.host, hasty.port);
  tcp.send(upgradeRequest(path()).slice(0, 60));
  await tcp.closed();
}));

test('oversized headers, paths and tokens', () => unnoticed(async () => {
  const requests = [
    upgradeRequest(path(), { 'x-large': 'h'.repeat(100_000) }),
    upgradeRequest(`/socket/websocket?vsn=2.0.0&token=${'t'.repeat(100_000)}`),
    upgradeRequest(`/${'p'.repeat(100_000)}`),
    upgradeRequest(path(), Object.fromEntries(range(1, 2000).map((i) => [`x-${i}`, 'v']))),
    upgradeRequest(path(), { cookie: 'c'.repeat(100_000) }),
    upgradeRequest(path(), { 'sec-websocket-protocol': `phoenix, ${'s'.repeat(60_000)}` }),
  ];
  for (const request of requests) {
    const tcp = await RawTcp.connect(fanout.host, fanout.port);
    tcp.send(request);
    const answer = await tcp.closed();
    assert.doesNotMatch(answer, /^HTTP\/1\.1 101 /, request.slice(0, 60));
  }
}));

test('things that are not a WebSocket handshake', () => unnoticed(async () => {
  const requests = ['\r\n\r\n', 'GET\r\n\r\n', '\u0000\u0000\u0000\u0000', 'SSH-2.0-x\r\n', 'GET / HTTP/9.9\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'POST /socket/websocket HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n',
    'GET /%zz%00%ff/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n', `GET ${path()} HTTP/1.1\r\nhost: x\r\n\r\n`,
    upgradeRequest(path(), { 'sec-websocket-version': '99' }), upgradeRequest(path(), { 'sec-websocket-key': 'x' }),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'];
  for (const request of requests) {
    const tcp = await RawTcp.connect(fanout.host, fanout.port);
    tcp.send(request);
    await waitFor(() => tcp.ended || tcp.received.length > 0, { what: `an answer to ${JSON.stringify(request.slice(0, 40))}` });
    tcp.end();
  }
}));

test('random bytes', () => unnoticed(async () => {
  for (let i = 0; i < (sanitized ? 50 : 200); i++) {
    const tcp = await RawTcp.connect(fanout.host, fanout.port);
    tcp.send(randomBytes(1 + (i * 53) % 4000));
    tcp.end();
  }
  assert.equal((await fanout.fetch('/healthz')).status, 200);
}));

test('connections that come and go', () => unnoticed(async () => {
  for (let round = 0; round < 5; round++) {
    const many = await Promise.all(Array.from({ length: 100 }, () => RawTcp.connect(fanout.host, fanout.port)));
    for (const [i, tcp] of many.entries()) {
      if (i % 3 === 0) tcp.send(upgradeRequest(path()));
      tcp.end();
    }
  }
}));

test('a lower Phoenix serializer version is refused in words', async () => {
  const tcp = await RawTcp.connect(fanout.host, fanout.port);
  tcp.send(upgradeRequest(`/socket/websocket?vsn=1.0.0&token=${fanout.token(['*'])}`));
  await waitFor(() => tcp.ended || tcp.received.length > 0, { what: 'an answer' });
  assert.doesNotMatch(tcp.received.toString('latin1'), /^HTTP\/1\.1 5/);
  tcp.end();
});
