// permessage-deflate (RFC 7692), which is off unless --deflate is on: one compression for all subscribers, none of the
// connection's memory, and nothing that a compressed message can do that a plain one cannot.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import WebSocket from 'ws';
import zlib from 'node:zlib';
import { RawSocket, RawTcp, Stand, clientFrame, upgradeRequest, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';

const stand = await Stand.create({ flags: { deflate: 'on', 'max-frame-bytes': 65536, loops: 1 } });
const { fanout } = stand;
const path = () => `/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`;
const compressible = 'a sentence that comes again and again; '.repeat(100);

/** The upgrade's answer. @param {string | undefined} extensions @param {import('../harness/index.mjs').Fanout} [server] */
async function handshake(extensions, server = fanout) {
  const tcp = await RawTcp.connect(server.host, server.port);
  tcp.send(upgradeRequest(`/socket/websocket?vsn=2.0.0&token=${server.token(['*'])}`,
    extensions === undefined ? {} : { 'sec-websocket-extensions': extensions }));
  await waitFor(() => tcp.received.includes('\r\n\r\n'), { what: 'an answer' });
  const head = tcp.received.toString('latin1').split('\r\n\r\n')[0] ?? '';
  assert.match(head, /^HTTP\/1.1 101 /);
  return { tcp, granted: /^sec-websocket-extensions: (.*)$/im.exec(head)?.[1] };
}

/** As a client sends a compressed message. @param {string | Buffer} text */
const deflated = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
/** @param {RawTcp} tcp @param {string} text */
const says = (tcp, text) => waitFor(() => tcp.received.includes(text), { what: `the server says ${text}` });
/** The code of the close frame that ends what came. @param {RawTcp} tcp */
async function closeCode(tcp) {
  const close = await waitFor(() => {
    const at = tcp.received.lastIndexOf(Buffer.from([0x88]));
    return at >= 0 && tcp.received.length >= at + 4 ? tcp.received.subarray(at) : undefined;
  }, { what: 'a close frame' });
  return close.readUInt16BE(2);
}
const heartbeat = JSON.stringify([null, '7', 'phoenix', 'heartbeat', {}]);

test('what is offered and what is granted', async () => {
  const granted = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
  for (const [offer, answer] of /** @type {[string | undefined, string | undefined][]} */ ([
    [undefined, undefined],
    ['permessage-deflate', granted],
    ['permessage-deflate; client_max_window_bits', granted],
    ['x-unknown, permessage-deflate; server_no_context_takeover; client_max_window_bits=11', granted],
    ['permessage-deflate; client_max_window_bits, permessage-deflate', granted],
    ['permessage-deflate; server_max_window_bits=10', undefined],
    ['permessage-deflate; unknown=1', undefined],
    ['x-unknown', undefined],
  ])) {
    const { tcp, granted: got } = await handshake(offer);
    assert.equal(got, answer, `offered ${offer}`);
    tcp.send(clientFrame(1, Buffer.from(heartbeat)));
    await says(tcp, '"status":"ok"');
    tcp.end();
  }
  const off = await stand.startFanout();
  const { tcp, granted: none } = await handshake('permessage-deflate', off);
  assert.equal(none, undefined, 'off is the default');
  tcp.end();
});

test('a batch is compressed once for all, and is what was written', async () => {
  const clients = Array.from({ length: 12 }, (_, i) =>
    stand.client({ topics: ['deflate.live'], encoding: i < 10 ? 'json' : 'proto' }));
  for (const client of clients) await client.connect();
  const before = await fanout.metric('oa_sync_batches_deflated_total');
  await stand.insert('deflate.live', 20, { body: compressible });
  for (const client of clients) await client.reach('deflate.live', 20);
  // Every payload's hash has been compared by the client.
  const made = await fanout.metric('oa_sync_batches_deflated_total') - before;
  // Into how many batches 20 events go is for the clock to say. What is shared is shared within an event loop; this
  // server has one.
  const got = clients.reduce((sum, client) => sum + client.batches.length, 0);
  assert.ok(made >= 2 && made <= got / 3, `${made} batches were compressed, ${got} were received by 12 clients in two encodings`);
  const [into, out] = [await fanout.metric('oa_sync_deflate_input_bytes_total'), await fanout.metric('oa_sync_deflate_output_bytes_total')];
  assert.ok(out < into / 5, `${into} bytes became ${out}`);
  assert.ok(await fanout.metric('oa_sync_deflate_seconds_total') > 0);
});

test('who did not ask gets the same events plain', async () => {
  await stand.insert('deflate.both', 30, { body: compressible });
  const ws = new WebSocket(fanout.url('ws', path()), { perMessageDeflate: false });
  const raw = new RawSocket(ws);
  await new Promise((resolve) => ws.once('open', resolve));
  assert.equal(ws.extensions, '');
  await raw.join({ topics: ['deflate.both'] });
  await waitFor(() => raw.frames.some((f) => f[3] === 'sync:update_batch' && f[4].through_watermark === 30), { what: 'all events' });
  raw.end();
});

test('a reader that stops gets compressed frames whole, in order, and a pong in between', async () => {
  const noise = () => Array.from({ length: 100 }, () => Math.random().toString(36)).join('');
  for (let i = 0; i < 10; i++) {
    await stand.query(`INSERT INTO app.items (topic, id, n, body) SELECT 'deflate.slow', i, i, $1 || i || repeat($2, 6)
      FROM generate_series($3::int, $3::int + 199) i`, [noise(), noise(), i * 200 + 1]);
  }
  const raw = await stand.raw();
  await raw.join();
  raw.ws.pause();
  raw.send(['1', 'go', 'sync:v1', 'sync:subscribe', { topics: ['deflate.slow'], replay_batch_size: 2 }]);
  let last = -1;
  await waitFor(async () => {
    const sent = await fanout.metric('oa_sync_bytes_sent_total');
    const same = sent === last;
    last = sent;
    return same;
  }, { everyMs: 200, what: 'the server sends no more' });
  let pongs = 0;
  raw.ws.on('pong', () => pongs++);
  raw.ws.ping('x');
  raw.ws.resume();
  await waitFor(() => raw.frames.some((f) => f[3] === 'sync:update_batch' && f[4].through_watermark === 2000), { what: 'all events' });
  let at = 0;
  for (const [, , , event, batch] of raw.frames) {
    if (event !== 'sync:update_batch') continue;
    assert.equal(batch.after_watermark, at);
    at = batch.through_watermark;
  }
  await waitFor(() => pongs === 1, { what: 'the pong' });
});

test('compressed messages of clients: whole, in pieces with a ping between, plain ones among them', async () => {
  const { tcp } = await handshake('permessage-deflate');
  tcp.send(clientFrame(1, deflated(heartbeat.replace('"7"', '"one"')), { rsv: 4 }));
  await says(tcp, '"one"');
  const bytes = deflated(heartbeat.replace('"7"', '"two"'));
  tcp.send(Buffer.concat([clientFrame(1, bytes.subarray(0, 5), { fin: false, rsv: 4 }), clientFrame(9, Buffer.from('hi')),
    clientFrame(0, bytes.subarray(5))]));
  await says(tcp, '"two"');
  tcp.send(clientFrame(1, Buffer.from(heartbeat.replace('"7"', '"three"'))));
  await says(tcp, '"three"');
  tcp.send(clientFrame(8, Buffer.from([3, 232])));
  assert.equal(await closeCode(tcp), 1000);
});

test('what is no compressed message, or is too big once it is inflated', async () => {
  for (const [payload, code] of /** @type {[Buffer, number][]} */ ([
    [Buffer.from('not deflated at all'), 1007],
    [deflated(Buffer.from([0x22, 0xff, 0xfe, 0x22])), 1007],  // inflated, no UTF-8
    [deflated('['.repeat(65537)), 1009],
    [deflated(Buffer.alloc(20_000_000)), 1009],
    [deflated('no JSON'), 1007],
  ])) {
    const { tcp } = await handshake('permessage-deflate');
    tcp.send(clientFrame(1, payload, { rsv: 4 }));
    assert.equal(await closeCode(tcp), code, `${payload.length} bytes`);
    tcp.end();
  }
});

test('only the first frame of a message says that it is compressed', async () => {
  const bytes = deflated(heartbeat);
  const { tcp } = await handshake('permessage-deflate');
  tcp.send(Buffer.concat([clientFrame(1, bytes.subarray(0, 5), { fin: false, rsv: 4 }), clientFrame(0, bytes.subarray(5), { rsv: 4 })]));
  assert.equal(await closeCode(tcp), 1002);
  tcp.end();
});

test('over TLS too', async () => {
  const authority = new Authority();
  const pair = authority.issue('server');
  const secure = await stand.startFanout({ deflate: 'on', 'tls-cert': pair.cert, 'tls-key': pair.key });
  const ws = new WebSocket(`wss://127.0.0.1:${secure.port}/socket/websocket?vsn=2.0.0&token=${secure.token(['*'])}`,
    { ca: readFileSync(authority.file), checkServerIdentity: () => /** @type {any} */ (undefined) });
  const raw = new RawSocket(ws);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  assert.match(ws.extensions, /permessage-deflate/);
  await raw.join({ topics: ['deflate.both', 'deflate.slow'] });
  for (const [topic, through] of [['deflate.both', 30], ['deflate.slow', 2000]]) {
    await waitFor(() => raw.frames.some((f) => f[3] === 'sync:update_batch' && f[4].updates[0].topic === topic && f[4].through_watermark === through),
      { what: `all events of ${topic}` });
  }
  raw.end();
});
