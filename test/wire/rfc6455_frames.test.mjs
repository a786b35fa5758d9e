// RFC 6455 frame by frame, after the manner of Autobahn's list: what must be taken, what must fail the connection and how.
// docs/protocol/RFC6455.md lists the cases and where the server differs; the numbers in the names are the RFC's sections.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';
import { BINARY, CLOSE, CONT, FrameSocket, PING, PONG, TEXT, closeFrame, frame } from '../harness/frames.mjs';

const limit = 65536;
const stand = await Stand.create({ flags: { 'max-requests-per-second': 100000, 'max-frame-bytes': limit, 'close-timeout-ms': 40_000 } });
const { fanout } = stand;

const open = async (behind = Buffer.alloc(0)) => {
  const socket = await FrameSocket.open({ host: fanout.host, port: fanout.port, behind,
    path: `/socket/websocket?vsn=2.0.0&token=${fanout.token(['*'])}` });
  assert.equal(socket.status, 101);
  return socket;
};

/** A request that is answered at once; `pad` makes it longer. @param {string} ref */
const heartbeat = (ref, pad = 0) => JSON.stringify([null, ref, 'phoenix', 'heartbeat', pad > 0 ? { pad: 'x'.repeat(pad) } : {}]);
/** A heartbeat of exactly this many bytes. @param {string} ref @param {number} size */
const sized = (ref, size) => heartbeat(ref, size - heartbeat(ref, 1).length + 1);
/** The reply to a heartbeat. @param {FrameSocket} socket @param {string} ref */
const answered = (socket, ref) => socket.frame((one) => one.opcode === TEXT && one.payload.includes(`"${ref}"`), `the reply to ${ref}`);

/** What must be understood: the frames, and the refs that must be answered. @type {Record<string, () => {send: Buffer[], refs: string[]}>} */
const taken = {
  '5.2 a text frame': () => ({ send: [frame(TEXT, heartbeat('a'))], refs: ['a'] }),
  '5.2 a length in 7 bits, the longest': () => ({ send: [frame(TEXT, sized('a', 125))], refs: ['a'] }),
  '5.2 a length in 16 bits, the shortest': () => ({ send: [frame(TEXT, sized('a', 126))], refs: ['a'] }),
  '5.2 a length in 16 bits, the longest': () => ({ send: [frame(TEXT, sized('a', 65535))], refs: ['a'] }),
  '5.2 a length in 64 bits, the shortest': () => ({ send: [frame(TEXT, sized('a', limit))], refs: ['a'] }),
  '5.2 127 and 128 bytes': () => ({ send: [frame(TEXT, sized('a', 127)), frame(TEXT, sized('b', 128))], refs: ['a', 'b'] }),
  '5.3 a mask of zeros': () => ({ send: [frame(TEXT, heartbeat('a'), { mask: Buffer.alloc(4) })], refs: ['a'] }),
  '5.3 a new mask for every frame': () => ({ send: Array.from({ length: 20 }, (_, i) => frame(TEXT, heartbeat(`m${i}`), { mask: randomBytes(4) })),
    refs: Array.from({ length: 20 }, (_, i) => `m${i}`) }),
  '5.4 two fragments': () => ({ send: [frame(TEXT, heartbeat('a').slice(0, 10), { fin: false }), frame(CONT, heartbeat('a').slice(10))], refs: ['a'] }),
  '5.4 a fragment for each byte': () => ({ send: [...heartbeat('a')].map((c, i, all) =>
    frame(i === 0 ? TEXT : CONT, c, { fin: i === all.length - 1 })), refs: ['a'] }),
  '5.4 empty fragments before, between and after': () => ({ send: [frame(TEXT, '', { fin: false }), frame(CONT, heartbeat('a').slice(0, 5), { fin: false }),
    frame(CONT, '', { fin: false }), frame(CONT, heartbeat('a').slice(5), { fin: false }), frame(CONT, '')], refs: ['a'] }),
  '5.4 fragments up to the limit together': () => ({ send: [frame(TEXT, sized('a', limit).slice(0, 40000), { fin: false }), frame(CONT, sized('a', limit).slice(40000))], refs: ['a'] }),
  '5.5.2 a ping between fragments': () => ({ send: [frame(TEXT, heartbeat('a').slice(0, 10), { fin: false }), frame(PING, 'between'),
    frame(CONT, heartbeat('a').slice(10))], refs: ['a'] }),
  '5.5.3 pongs that nobody asked for': () => ({ send: [frame(PONG), frame(PONG, 'x'), frame(PONG, Buffer.alloc(125)), frame(TEXT, heartbeat('a'))], refs: ['a'] }),
  '5.5.3 a pong between fragments': () => ({ send: [frame(TEXT, heartbeat('a').slice(0, 10), { fin: false }), frame(PONG, 'x'),
    frame(CONT, heartbeat('a').slice(10))], refs: ['a'] }),
  '5.6 UTF-8 cut between fragments': () => {
    const bytes = Buffer.from(JSON.stringify([null, 'ü€𝄞', 'phoenix', 'heartbeat', {}]));
    return { send: [...bytes].map((byte, i) => frame(i === 0 ? TEXT : CONT, Buffer.from([byte]), { fin: i === bytes.length - 1 })), refs: ['ü€𝄞'] };
  },
  '5.6 many small messages in one write': () => ({ send: [Buffer.concat(Array.from({ length: 500 }, (_, i) => frame(TEXT, heartbeat(`s${i}`))))],
    refs: ['s0', 's250', 's499'] }),
};
for (const [name, make] of Object.entries(taken)) {
  for (const how of ['at once', 'frame by frame', 'byte by byte']) {
    const { send, refs } = make();
    const all = Buffer.concat(send);
    if (how === 'byte by byte' && all.length > 2000) continue;
    test(`taken: ${name}, ${how}`, async () => {
      const socket = await open();
      socket.socket.setNoDelay(true);
      if (how === 'at once') socket.send(all);
      else for (const part of how === 'frame by frame' ? send : [...all].map((byte) => Buffer.from([byte]))) {
        await new Promise((resolve) => socket.socket.write(part, resolve));
      }
      for (const ref of refs) await answered(socket, ref);
      assert.ok(socket.frames.every((one) => !one.masked && one.rsv === 0), '5.1: a server does not mask');
      assert.equal(socket.closeCode, undefined);
      socket.end();
    });
  }
}

test('taken: 5.5.2 a ping is answered with its payload, every length', async () => {
  const socket = await open();
  for (const size of [1, 2, 63, 124, 125]) {
    const body = Buffer.alloc(size, 0x61 + (size % 26));
    socket.send(frame(PING, body));
    await socket.frame((one) => one.opcode === PONG && one.payload.equals(body), `a pong of ${size} bytes`);
  }
  socket.end();
});

test('taken: 5.5.2 a ping of bytes that are no UTF-8', async () => {
  const socket = await open();
  const body = Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]);
  socket.send(frame(PING, body));
  await socket.frame((one) => one.opcode === PONG && one.payload.equals(body), 'a pong');
  socket.end();
});

// Deviation (docs/protocol/RFC6455.md): of pings that come while a pong waits to be sent, the first is answered, not the last.
test('taken: 5.5.2 of several pings in one write at least one is answered, and later ones are', async () => {
  const socket = await open();
  socket.send(Buffer.concat(Array.from({ length: 10 }, (_, i) => frame(PING, `ping ${i}`))));
  await socket.frame((one) => one.opcode === PONG && /^ping \d$/.test(one.payload.toString()), 'a pong');
  socket.send(frame(PING, 'later'));
  await socket.frame((one) => one.opcode === PONG && one.payload.toString() === 'later', 'the later pong');
  socket.end();
});

// Deviation: libwebsockets 4.1.6 takes frames that are not masked. They must at least be read as they are.
test('deviation: 5.1 a frame that is not masked is read as it is, or failed', async () => {
  const socket = await open();
  socket.send(Buffer.concat([frame(TEXT, heartbeat('a'), { mask: null }), frame(TEXT, heartbeat('b'))]));
  await waitFor(() => socket.closeCode === 1002 || (socket.received.includes('"a"') && socket.received.includes('"b"')),
    { what: 'both answers, or 1002' });
  socket.end();
});

/** Deviation: the connection ends, but without the close frame that 7.1.7 asks for, or not before the client hangs up. */
const ended = {
  '5.2 RSV1': frame(TEXT, heartbeat('a'), { rsv: 4 }),
  '5.2 RSV2': frame(TEXT, heartbeat('a'), { rsv: 2 }),
  '5.2 RSV3': frame(TEXT, heartbeat('a'), { rsv: 1 }),
  '5.2 all RSV bits on a ping': frame(PING, 'x', { rsv: 7 }),
  '5.2 RSV on a continuation': Buffer.concat([frame(TEXT, '[', { fin: false }), frame(CONT, ']', { rsv: 2 })]),
  '5.2 a length with its highest bit set': frame(TEXT, 'x', { form: 64, announce: 0x8000000000000001n }),
  '5.5 a ping of 126 bytes': frame(PING, Buffer.alloc(126)),
  '5.5 a pong of 126 bytes': frame(PONG, Buffer.alloc(126)),
  '5.5 a close of 126 bytes': closeFrame(1000, 'r'.repeat(124)),
};
for (const [name, bytes] of Object.entries(ended)) {
  test(`deviation: ${name} fails the connection, with 1002 or cut`, async () => {
    const socket = await open();
    socket.send(bytes);
    assert.ok([1002, undefined].includes(await socket.closeOrCut()));
    assert.ok(!socket.received.includes('"a"'), 'it was answered');
    socket.end();
  });
}

test('taken: 5.5.2 an empty ping, and what follows it', async () => {
  const socket = await open();
  socket.send(Buffer.concat([frame(PING), frame(TEXT, heartbeat('a'))]));
  await answered(socket, 'a');
  await socket.frame((one) => one.opcode === PONG && one.payload.length === 0, 'an empty pong');
  socket.end();
});

test('taken: 5.2 a length that is not the shortest form is failed or taken, never misread', async () => {
  for (const form of /** @type {const} */ ([16, 64])) {
    const socket = await open();
    socket.send(Buffer.concat([frame(TEXT, heartbeat('a'), { form }), frame(TEXT, heartbeat('b'))]));
    await waitFor(() => socket.ended || socket.closeCode !== undefined || (socket.received.includes('"a"') && socket.received.includes('"b"')),
      { what: 'both answers or a failed connection' });
    socket.end();
  }
});

/** What must fail the connection, and the close code. @type {Record<string, {send: Buffer[], code: number}>} */
const failed = {
  ...Object.fromEntries([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    [`5.2 reserved opcode ${opcode}`, { send: [frame(opcode, 'x')], code: 1002 }])),
  ...Object.fromEntries([3, 11].map((opcode) =>
    [`5.2 reserved opcode ${opcode}, empty, behind a message`, { send: [frame(TEXT, heartbeat('a')), frame(opcode)], code: 1002 }])),
  '5.4 a continuation of nothing': { send: [frame(CONT, heartbeat('a'))], code: 1002 },
  '5.4 a continuation of nothing, not final': { send: [frame(CONT, 'x', { fin: false })], code: 1002 },
  '5.4 a continuation behind a whole message': { send: [frame(TEXT, heartbeat('a')), frame(CONT, 'x')], code: 1002 },
  '5.4 a new message inside of one': { send: [frame(TEXT, '[', { fin: false }), frame(TEXT, heartbeat('a'))], code: 1002 },
  '5.4 a binary message inside of a text': { send: [frame(TEXT, '[', { fin: false }), frame(BINARY, 'x')], code: 1002 },
  '5.5 a ping in fragments': { send: [frame(PING, 'x', { fin: false }), frame(CONT, 'y')], code: 1002 },
  '5.5 a close in fragments': { send: [frame(CLOSE, Buffer.from([3, 232]), { fin: false })], code: 1002 },
  '8.1 text that is no UTF-8': { send: [frame(TEXT, Buffer.from([0x5b, 0xff, 0x5d]))], code: 1007 },
  '8.1 an overlong form': { send: [frame(TEXT, Buffer.from([0xc0, 0xaf]))], code: 1007 },
  '8.1 a surrogate': { send: [frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))], code: 1007 },
  '8.1 above U+10FFFF': { send: [frame(TEXT, Buffer.from([0xf4, 0x90, 0x80, 0x80]))], code: 1007 },
  '8.1 a character that is not finished': { send: [frame(TEXT, Buffer.from([0x22, 0xe2, 0x82]))], code: 1007 },
  '8.1 a wrong byte in the second fragment': { send: [frame(TEXT, Buffer.from([0xce, 0xba]), { fin: false }),
    frame(CONT, Buffer.from([0xed, 0xa0, 0x80]))], code: 1007 },
  '8.1 a character cut by fragments and finished wrongly': { send: [frame(TEXT, Buffer.from([0xe2]), { fin: false }),
    frame(CONT, Buffer.from([0x28, 0xa1]))], code: 1007 },
  '8.1 fail fast: a wrong byte, the message not finished': { send: [frame(TEXT, Buffer.from([0x5b, 0xff]), { fin: false })], code: 1007 },
  '8.1 fail fast: wrong in the second fragment of three': { send: [frame(TEXT, Buffer.from([0xf4]), { fin: false }),
    frame(CONT, Buffer.from([0x90]), { fin: false })], code: 1007 },
  '7.4 a text that is no Phoenix message': { send: [frame(TEXT, 'hello')], code: 1007 },
  '7.4 an empty text': { send: [frame(TEXT)], code: 1007 },
  '7.4 a binary that is no Phoenix push': { send: [frame(BINARY, 'hello')], code: 1003 },
  '7.4 an empty binary': { send: [frame(BINARY)], code: 1003 },
  '10.4 one byte over the limit': { send: [frame(TEXT, sized('a', limit + 1))], code: 1009 },
  '10.4 far over the limit': { send: [frame(TEXT, sized('a', 1_000_000))], code: 1009 },
  '10.4 over the limit in fragments': { send: [frame(TEXT, sized('a', limit).slice(0, 40000), { fin: false }), frame(CONT, 'x'.repeat(40000))], code: 1009 },
  '10.4 a length that is only announced': { send: [frame(TEXT, 'x'.repeat(100), { form: 64, announce: 0x4000000000000000n })], code: 1009 },
  '10.4 a binary over the limit': { send: [frame(BINARY, Buffer.alloc(limit + 1))], code: 1009 },
};
for (const [name, { send, code }] of Object.entries(failed)) {
  test(`failed: ${name}`, async () => {
    const socket = await open();
    socket.send(Buffer.concat(send));
    assert.equal(await socket.closeOrCut(), code);
    // 7.1.1: the server ends the connection once its close is answered.
    socket.send(closeFrame(code));
    await socket.closed();
  });
}

test('failed: 5.4 what came before the fault is answered first', async () => {
  const socket = await open();
  socket.send(Buffer.concat([frame(TEXT, heartbeat('a')), frame(TEXT, heartbeat('b'), { rsv: 2 })]));
  await socket.closeOrCut();
  assert.ok(socket.received.includes('"a"'));
  socket.end();
});

/** Close frames of a client, and the code that the server answers with. */
const closes = {
  '7.1.5 without a code': [frame(CLOSE), [1000, 1005]],
  ...Object.fromEntries([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code) =>
    [`7.4.1 with ${code}`, [closeFrame(code), [code]]])),
  '7.1.6 with a reason': [closeFrame(1000, 'bye'), [1000]],
  '7.1.6 with the longest reason': [closeFrame(1000, 'r'.repeat(123)), [1000]],
  '7.1.6 with a reason of several languages': [closeFrame(1000, 'grüße €𝄞'), [1000]],
  '7.1.5 of one byte': [frame(CLOSE, Buffer.from([3])), [1002]],
  ...Object.fromEntries([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) =>
    [`7.4.1 with ${code}, which may not be sent`, [closeFrame(code), [1002]]])),
  '8.1 with a reason that is no UTF-8': [closeFrame(1000, Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80])), [1007]],
};
for (const [name, [bytes, codes]] of Object.entries(closes)) {
  test(`close: ${name}`, async () => {
    const socket = await open();
    socket.send(/** @type {Buffer} */ (bytes));
    const code = await socket.closeOrCut();
    assert.ok(/** @type {(number | undefined)[]} */ (codes).includes(code), `close code ${code}`);
    await socket.closed();
  });
}

test('close: 5.5.1 nothing behind a close is answered', async () => {
  const socket = await open();
  socket.send(Buffer.concat([frame(TEXT, heartbeat('before')), closeFrame(1000), frame(TEXT, heartbeat('behind')), frame(PING, 'x')]));
  assert.equal(await socket.closeOrCut(), 1000);
  await socket.closed();
  assert.ok(socket.received.includes('"before"'));
  assert.ok(!socket.received.includes('"behind"'));
});

test('close: 5.5.1 in the middle of a message', async () => {
  const socket = await open();
  socket.send(Buffer.concat([frame(TEXT, heartbeat('a').slice(0, 5), { fin: false }), closeFrame(1000)]));
  assert.equal(await socket.closeOrCut(), 1000);
  await socket.closed();
});

test('10.4 over the limit while output is waiting: 1009 all the same', async () => {
  await stand.insert('big', 400, { body: 'b'.repeat(20_000) });
  const socket = await open();
  socket.socket.pause();
  // Output piles up until the kernel takes no more; only then comes the message that is too long.
  const before = await fanout.metric('oa_sync_bytes_sent_total');
  socket.send(frame(TEXT, JSON.stringify(['1', '1', 'sync:v1', 'phx_join', { topics: ['big'] }])));
  let last = before;
  let same = 0;
  await waitFor(async () => {
    const now = await fanout.metric('oa_sync_bytes_sent_total');
    same = now > before + 100_000 && now === last ? same + 1 : 0;
    last = now;
    return same >= 5;
  }, { what: 'the server can send no more', everyMs: 50 });
  const oversized = await fanout.metric('oa_sync_oversized_frames_total');
  socket.send(frame(TEXT, sized('a', limit + 1)));
  await waitFor(async () => (await fanout.metric('oa_sync_oversized_frames_total')) > oversized, { what: 'it is seen to be too long' });
  socket.socket.resume();
  assert.equal(await socket.closeOrCut(), 1009);
  socket.end();
});

test('the server lives', async () => {
  assert.equal((await fanout.fetch('/healthz')).status, 200);
});
