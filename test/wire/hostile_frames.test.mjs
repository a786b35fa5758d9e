// Frames that no decent client sends. The server answers or closes as it should, and another client notices nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import { RawTcp, Stand, clientFrame, range, sanitized, upgradeRequest, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'max-frame-bytes': 16384 } });
const { fanout } = stand;

/** The bystander: attached throughout, fed throughout, must miss nothing. */
const bystander = stand.client({ topics: ['bystander'] });
let fed = 0;
let feeding = true;
/** @type {Promise<void>} */
let feeder;
before(async () => {
  await bystander.connect();
  feeder = (async () => {
    while (feeding) await stand.insert('bystander', 1, { first: ++fed });
  })();
});

/** Completes the handshake by hand, for frames that a WebSocket library refuses to send. */
async function handshaken() {
  const tcp = await RawTcp.connect(fanout.host, fanout.port);
  tcp.send(upgradeRequest(`/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`));
  await waitFor(() => tcp.received.includes('\r\n\r\n'), { what: 'the upgrade' });
  assert.match(tcp.received.toString('latin1'), /^HTTP\/1\.1 101 /);
  tcp.received = Buffer.alloc(0);
  return tcp;
}

/** The close code in a server's close frame, if there is one at the end of what came. @param {RawTcp} tcp */
function closeCode(tcp) {
  for (let at = 0; at + 4 <= tcp.received.length;) {
    const length = /** @type {number} */ (tcp.received[at + 1]) & 127;
    const head = length === 126 ? 4 : 2;
    const size = length === 126 ? tcp.received.readUInt16BE(at + 2) : length;
    if (((tcp.received[at] ?? 0) & 15) === 8) return length >= 2 ? tcp.received.readUInt16BE(at + head) : 1005;
    at += head + size;
  }
  return undefined;
}

/**
 * Waits for the server's close frame and hangs up, as a client that keeps to the protocol would answer it; or waits for the
 * end of the connection. Returns the close code, if one was sent.
 * @param {RawTcp} tcp @param {string} what
 */
async function closedByServer(tcp, what) {
  await waitFor(() => closeCode(tcp) !== undefined || tcp.ended, { what: () =>
    `${what}: a close; came: ${tcp.received.toString('hex').slice(0, 200)}` });
  tcp.end();
  return closeCode(tcp);
}

const malformed = {
  'no JSON': 'hello', 'half JSON': '["1","1","sync:v1"', 'an object': '{}', 'a number': '5', 'null': 'null', 'empty': '',
  'too short': '["1","1","sync:v1","phx_join"]', 'too long': '["1","1","sync:v1","phx_join",{},1]',
  'topic not a string': '["1","1",5,"phx_join",{}]', 'event not a string': '["1","1","sync:v1",null,{}]',
  'ref not a string': '["1",{},"sync:v1","phx_join",{}]', 'trailing text': '["1","1","sync:v1","phx_join",{}] x',
  'NaN': '["1","1","sync:v1","phx_join",{"a":NaN}]', 'a lone surrogate': '["1","1","sync:v1","phx_join",{"a":"\\ud800"}]',
};
for (const [name, text] of Object.entries(malformed)) {
  test(`malformed: ${name}`, async () => {
    const raw = await stand.raw();
    raw.send(text);
    if (name === 'a lone surrogate') {
      // Valid JSON by its grammar: an answer is as good as a close.
      await waitFor(() => raw.frames.length > 0 || raw.closeCode !== undefined, { what: 'an answer or a close' });
      return;
    }
    const code = await raw.closed();
    assert.ok([1007, 1003].includes(code), `close code ${code}`);
  });
}

test('payload of the wrong type is an error reply or a close', async () => {
  for (const payload of [null, 5, 'x', [], true]) {
    const raw = await stand.raw();
    raw.send(['1', '1', 'sync:v1', 'phx_join', payload]);
    await waitFor(() => raw.frames.length > 0 || raw.closeCode !== undefined, { what: 'an answer or a close' });
    raw.end();
  }
});

test('deep nesting', async () => {
  const raw = await stand.raw();
  raw.send(`["1","1","sync:v1","phx_join",${'['.repeat(8000)}${']'.repeat(8000)}]`);
  await waitFor(() => raw.frames.length > 0 || raw.closeCode !== undefined, { what: 'an answer or a close' });
});

test('wrong UTF-8 closes with 1007', async () => {
  for (const bytes of [[0xff, 0xfe], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
    const tcp = await handshaken();
    tcp.send(clientFrame(1, Buffer.concat([Buffer.from('["1","1","sync:v1","'), Buffer.from(bytes), Buffer.from('",{}]')])));
    const name = Buffer.from(bytes).toString('hex');
    assert.equal(await closedByServer(tcp, name), 1007, name);
  }
});

test('binary garbage closes with 1003 or 1007', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from([0]), Buffer.from([0, 255, 255, 255, 255]), Buffer.from([9, 1, 2, 3]),
    randomBytes(1000), Buffer.from([0, 1, 1, 7, 8]), Buffer.from([1, 0, 0, 0, 0])]) {
    const raw = await stand.raw();
    raw.send(bytes);
    const code = await raw.closed();
    assert.ok([1003, 1007].includes(code), `${bytes.subarray(0, 8).toString('hex')}: close code ${code}`);
  }
});

test('an oversized frame closes with 1009', async () => {
  for (const size of [16385, 100_000, 1_000_000]) {
    const raw = await stand.raw();
    raw.send(`["1","1","sync:v1","phx_join",{"a":"${'x'.repeat(size)}"}]`);
    assert.equal(await raw.closed(), 1009, `${size} bytes`);
  }
});

test('a message at the limit is read', async () => {
  const raw = await stand.raw();
  const frame = (/** @type {number} */ n) => `["1","1","sync:v1","phx_join",{"a":"${'x'.repeat(n)}"}]`;
  raw.send(frame(16384 - frame(0).length));
  await raw.frame((f) => f[1] === '1' && f[4].status === 'ok', 'a join');
});

test('an oversized message in many fragments closes with 1009', async () => {
  const tcp = await handshaken();
  tcp.send(clientFrame(1, Buffer.from('["1","1","sync:v1","phx_join",{"a":"'), { fin: false }));
  // Not one more than it takes: what is sent to a closed connection can cost us the close frame.
  for (let sent = 0; sent <= 16384; sent += 100) tcp.send(clientFrame(0, Buffer.alloc(100, 'x'), { fin: false }));
  assert.equal(await closedByServer(tcp, 'fragments'), 1009);
});

test('a message in fragments is put together', async () => {
  const tcp = await handshaken();
  const text = Buffer.from('["1","7","sync:v1","phx_join",{"client":"ü"}]');
  for (let i = 0; i < text.length; i++) {
    tcp.send(clientFrame(i === 0 ? 1 : 0, text.subarray(i, i + 1), { fin: i === text.length - 1 }));
  }
  await waitFor(() => tcp.received.includes('"status":"ok"'), { what: 'the join reply' });
  tcp.end();
});

test('frames against the protocol end the connection', async () => {
  const bad = {
    'a continuation of nothing': clientFrame(0, Buffer.from('x')),
    'a reserved opcode': clientFrame(3, Buffer.from('x')),
    'a reserved bit': clientFrame(1, Buffer.from('x'), { rsv: 2 }),
    'a ping that is too long': clientFrame(9, Buffer.alloc(126)),
    'an announced length of 2^62': Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    const tcp = await handshaken();
    tcp.send(bytes);
    if (name.includes('2^62')) tcp.send(Buffer.alloc(40_000));
    await closedByServer(tcp, name);
  }
});

test('random bytes after the handshake', async () => {
  const rounds = sanitized ? 30 : 100;
  for (let i = 0; i < rounds; i++) {
    const tcp = await handshaken();
    tcp.send(randomBytes(1 + (i * 37) % 3000));
    tcp.end();
  }
  assert.equal((await fanout.fetch('/healthz')).status, 200);
});

test('random JSON of the right shape', async () => {
  const pick = (/** @type {any[]} */ list) => list[Math.floor(Math.random() * list.length)];
  const values = [null, 0, -1, 1e308, 2 ** 53, '', 'x', '\u0000', [], {}, [[]], { topics: [{}] }, { topics: ['a', 5] },
    { topics: ['a'], resume_after: { a: {} } }, { topics: ['a'], resume_after: [[]] }, { topics: ['*'] }, { token: {} }];
  const events = ['phx_join', 'phx_leave', 'sync:subscribe', 'sync:unsubscribe', 'sync:heartbeat', 'sync:reauthenticate', 'heartbeat', '', 'phx_reply', 'phx_error', 'phx_close'];
  for (let round = 0; round < 20; round++) {
    const raw = await stand.raw();
    for (let i = 0; i < 50; i++) {
      raw.send([pick(['1', null, '2', '']), pick([String(i), null]), pick(['sync:v1', 'phoenix', '', 'sync:v2']), pick(events), pick(values)]);
    }
    raw.send([null, 'last', 'phoenix', 'heartbeat', {}]);
    await waitFor(() => raw.closeCode !== undefined || raw.frames.some((f) => f[1] === 'last'), { what: 'an answer or a close' });
    raw.end();
  }
});

test('a flood of joins and leaves on one socket', async () => {
  const raw = await stand.raw();
  for (let i = 0; i < 3000; i++) {
    raw.send([String(i), `j${i}`, 'sync:v1', 'phx_join', { topics: ['bystander'] }]);
    if (i % 2) raw.send([String(i), `l${i}`, 'sync:v1', 'phx_leave', {}]);
  }
  raw.send([null, 'last', 'phoenix', 'heartbeat', {}]);
  await waitFor(() => raw.closeCode !== undefined || raw.frames.some((f) => f[1] === 'last'
    || f[4]?.code === 'rate_limited' || f[4]?.response?.code === 'rate_limited'), { what: 'an answer or a close' });
  raw.end();
});

test('a flood of joins from many sockets', async () => {
  const sockets = await Promise.all(Array.from({ length: sanitized ? 50 : 200 }, () => stand.raw()));
  for (let round = 0; round < 10; round++) {
    for (const raw of sockets) raw.send([String(round), String(round), 'sync:v1', 'phx_join', { topics: [`flood.${round}`, 'bystander'] }]);
  }
  await waitFor(() => sockets.every((raw) => raw.frames.length > 0 || raw.closeCode !== undefined), { what: 'answers' });
  for (const raw of sockets) raw.end();
  const before = fed;
  await bystander.reach('bystander', before);
});

test('a client that reads nothing does not hold up the others', async () => {
  const deaf = [];
  for (let i = 0; i < 5; i++) {
    const raw = await stand.raw();
    await raw.join({ topics: ['deaf.hot'] });
    raw.ws.pause();
    deaf.push(raw);
  }
  const hearing = stand.client({ topics: ['deaf.hot'] });
  await hearing.connect();
  for (let i = 0; i < 30; i++) await stand.insert('deaf.hot', 100, { first: 100 * i + 1, body: 'd'.repeat(4000) });
  await hearing.reach('deaf.hot', 3000);
  assert.deepEqual(hearing.watermarks('deaf.hot'), range(1, 3000));
  for (const raw of deaf) raw.end();
});

test('the bystander noticed nothing of all that', async () => {
  feeding = false;
  await feeder;
  await bystander.reach('bystander', fed);
  assert.deepEqual(bystander.watermarks('bystander'), range(1, fed));
  assert.equal(bystander.opened, 1, 'it was never disconnected');
  assert.equal(bystander.gaps + bystander.duplicates, 0);
});
