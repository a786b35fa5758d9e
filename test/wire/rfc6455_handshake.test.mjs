// The opening handshake of RFC 6455, section 4: variants that must be taken, and requests that must not become a WebSocket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';
import { FrameSocket, TEXT, frame } from '../harness/frames.mjs';

const stand = await Stand.create();
const { fanout } = stand;
const path = () => `/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`;
const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const heartbeat = (/** @type {string} */ ref) => frame(TEXT, JSON.stringify([null, ref, 'phoenix', 'heartbeat', {}]));

/** Sends a request as it stands. @param {string} text @param {Buffer} [behind] */
const ask = (text, behind) => FrameSocket.open({ host: fanout.host, port: fanout.port, path: '', request: text, ...(behind ? { behind } : {}) });
/** A request from lines. @param {string[]} headers @param {string} [first] */
const request = (headers, first = `GET ${path()} HTTP/1.1`) => [first, ...headers, '', ''].join('\r\n');
const plain = ['Host: x', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'];
/** The headers with one replaced, or left out. @param {string} name @param {string} [value] */
const withHeader = (name, value) => plain.filter((line) => !line.startsWith(`${name}:`)).concat(value === undefined ? [] : [`${name}: ${value}`]);

const taken = {
  'as in the RFC': plain,
  'names in lower case': plain.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())),
  'names in upper case': plain.map((line) => line.replace(/^[^:]+/, (name) => name.toUpperCase())),
  'Upgrade: WebSocket': withHeader('Upgrade', 'WebSocket'),
  'Connection: upgrade': withHeader('Connection', 'upgrade'),
  'Connection: keep-alive, Upgrade, as Firefox sends it': withHeader('Connection', 'keep-alive, Upgrade'),
  'no space behind the colon': plain.map((line) => line.replace(': ', ':')),
  'more space before a value': withHeader('Sec-WebSocket-Version', '  13'),
  'an offer of permessage-deflate, which is off': [...plain, 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'],
  'an extension that nobody knows': [...plain, 'Sec-WebSocket-Extensions: x-unheard-of; a=1, foo'],
  'the subprotocol phoenix': [...plain, 'Sec-WebSocket-Protocol: phoenix'],
  'headers of a browser': [...plain, 'User-Agent: Mozilla/5.0', 'Accept-Language: de', 'Cache-Control: no-cache', 'Pragma: no-cache', 'Cookie: a=b; c=d'],
};
for (const [name, headers] of Object.entries(taken)) {
  test(`taken: ${name}`, async () => {
    const socket = await ask(request(headers));
    assert.equal(socket.status, 101, socket.handshake);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    assert.equal(/^sec-websocket-accept: *(\S+)/im.exec(socket.handshake)?.[1], accept, '4.2.2: the accept value');
    assert.match(socket.handshake, /^upgrade: *websocket\r?$/im);
    assert.match(socket.handshake, /^connection: *upgrade\r?$/im);
    assert.doesNotMatch(socket.handshake, /^sec-websocket-extensions:/im, 'no extension is agreed on');
    socket.send(heartbeat('a'));
    await socket.frame((one) => one.payload.includes('"a"'), 'a reply');
    socket.end();
  });
}

test('taken: frames right behind the handshake, in the same write', async () => {
  const many = Buffer.concat(Array.from({ length: 50 }, (_, i) => heartbeat(`p${i}`)));
  const socket = await ask(request(plain), many);
  assert.equal(socket.status, 101);
  for (const ref of ['p0', 'p25', 'p49']) await socket.frame((one) => one.payload.includes(`"${ref}"`), `the reply to ${ref}`);
  socket.end();
});

test('taken: half of a frame right behind the handshake', async () => {
  const bytes = heartbeat('half');
  const socket = await ask(request(plain), bytes.subarray(0, 9));
  assert.equal(socket.status, 101);
  socket.send(bytes.subarray(9));
  await socket.frame((one) => one.payload.includes('"half"'), 'the reply');
  socket.end();
});

const refused = {
  'without Sec-WebSocket-Key': request(withHeader('Sec-WebSocket-Key')),
  'without Sec-WebSocket-Version': request(withHeader('Sec-WebSocket-Version')),
  'version 8': request(withHeader('Sec-WebSocket-Version', '8')),
  'version 14': request(withHeader('Sec-WebSocket-Version', '14')),
  'version 13, 8': request(withHeader('Sec-WebSocket-Version', '13, 8')),
  'without Upgrade': request(withHeader('Upgrade')),
  'Upgrade: h2c': request(withHeader('Upgrade', 'h2c')),
  'POST': request(plain, `POST ${path()} HTTP/1.1`),
  'another path': request(plain, 'GET /other HTTP/1.1'),
  'a wrong token': request(plain, 'GET /socket/websocket?vsn=2.0.0&token=x HTTP/1.1'),
  'no request line': request(plain, 'hello'),
};
for (const [name, text] of Object.entries(refused)) {
  test(`refused: ${name}`, async () => {
    const socket = await ask(text);
    assert.notEqual(socket.status, 101, socket.handshake);
    if (name.startsWith('version')) {
      assert.equal(socket.status, 426);
      assert.match(socket.handshake, /^sec-websocket-version: *13\r?$/im, '4.4: the version that would do');
    }
    await waitFor(() => socket.ended, { what: 'the end of the connection' });
  });
}

// What libwebsockets 4.1.6 lets pass although the RFC has it refused; docs/protocol/RFC6455.md. No harm comes of it.
const lenient = {
  'space behind a value': request(withHeader('Sec-WebSocket-Version', '13  ')),
  'HTTP/1.0': request(plain, `GET ${path()} HTTP/1.0`),
  'without Host': request(withHeader('Host')),
  'without Connection': request(withHeader('Connection')),
  'a key that is not 16 bytes': request(withHeader('Sec-WebSocket-Key', 'x')),
  'two keys': request([...plain, `Sec-WebSocket-Key: ${key}`]),
};
for (const [name, text] of Object.entries(lenient)) {
  test(`refused, or a WebSocket that works: ${name}`, async () => {
    const socket = await ask(text);
    if (socket.status === 101) {
      socket.send(heartbeat('a'));
      await socket.frame((one) => one.payload.includes('"a"'), 'a reply');
      console.log(`# deviation: taken: ${name}`);
    } else await waitFor(() => socket.ended, { what: 'the end of the connection' });
    socket.end();
  });
}
