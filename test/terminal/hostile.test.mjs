// Servers that are none, or broken: oa-sync ends with a reason, and never crashes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createTcp } from 'node:net';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { atExit, sha256, waitFor } from '../harness/index.mjs';
import { Run, directory, run } from './program.mjs';

/** @typedef {import('ws').WebSocket} WebSocket */

/** A server on a free port, gone at the end. @param {import('node:net').Server} server @returns {Promise<string>} HOST:PORT */
async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  server.unref();
  atExit(() => server.close());
  return `127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/**
 * A WebSocket server that does the same to everybody.
 * @param {(socket: WebSocket, message: any[]) => void} onMessage
 * @param {import('node:http').RequestListener} [onRequest]
 */
async function fake(onMessage, onRequest = (_, response) => response.writeHead(404).end()) {
  const http = createServer(onRequest);
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => 'phoenix' });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => onMessage(socket, JSON.parse(String(data))));
  });
  return await listening(http);
}

/** What oa-sync makes of it. @param {string} place @param {...string} args */
const tail = (place, ...args) => run(['tail', '--url', `ws://${place}/socket`, '--since', '0', '--retries', '0', ...args, 't'],
  { env: { OA_SYNC_TOKEN: 'x.y.z' } });

/** @param {any[]} join @param {object} [more] */
const joined = ([joinRef, ref], more = {}) => JSON.stringify([joinRef, ref, 'sync:v1', 'phx_reply', { status: 'ok', response: {
  subscription_id: 'sub_1', topics: ['t'], current_watermarks: [{ topic: 't', watermark: 0, epoch: 1 }],
  head_watermarks: [{ topic: 't', watermark: 9 }], heartbeat_interval_ms: 15000, ...more } }]);

/** A page of a snapshot. @param {string} payload @param {string} [next] */
const page = (payload, next) => JSON.stringify({ topic: 't', epoch: 1, watermark: 5, ...(next && { next_page_token: next }), documents: [
  { doc_key: 'k', doc_version: 1, payload_hash: Buffer.from(sha256(payload), 'hex').toString('base64'), payload: 0 }] }).replace('"payload":0', `"payload":${payload}`);

/** The place is gone, the documents are the way back. @param {WebSocket} socket @param {any[]} message */
const stale = (socket, message) => socket.send(joined(message, { topics: [], current_watermarks: [], stale: { code: 'stale_cursor',
  stale_topics: [{ topic: 't', reason: 'retention_floor_breach' }], snapshot_plan: { topics: [] } } }));

test('text that no server of this protocol sends is a bad answer, before and after the join', async () => {
  for (const text of ['', 'no json', '{}', '[1,2]', '[null,null,"sync:v1","x",{"a":1,"a":2}]', '['.repeat(50_000)]) {
    const before = await tail(await fake((socket) => socket.send(text)));
    assert.equal(before.code, 7, `${text.slice(0, 50)}: ${before.code} ${before.signal} ${before.stderr}`);
    const after = await tail(await fake((socket, message) => {
      socket.send(joined(message));
      socket.send(text);
    }));
    assert.equal(after.code, 7, `${text.slice(0, 50)}: ${after.code} ${after.signal} ${after.stderr}`);
    assert.match(after.stderr, /the server sent a text frame/);
  }
});

test('binary frames that are no batch, and bytes that are no frames', async () => {
  const head = Buffer.from([2, 7, 17, ...Buffer.from('sync:v1sync:update_batch')]);
  for (const bytes of [Buffer.alloc(0), Buffer.from([2, 255, 255]), head, Buffer.concat([head, Buffer.from('junk')])]) {
    const ended = await tail(await fake((socket, message) => {
      socket.send(joined(message));
      socket.send(bytes);
    }));
    assert.equal(ended.code, 7, `${bytes.toString('hex')}: ${ended.code} ${ended.signal} ${ended.stderr}`);
  }
  const raw = await tail(await fake((socket, message) => {
    socket.send(joined(message));
    /** @type {any} */ (socket)._socket.write(Buffer.alloc(200, 0xff));
  }));
  assert.ok(raw.code === 6 || raw.code === 7, `${raw.code} ${raw.signal} ${raw.stderr}`);
});

test('text that is no UTF-8', async () => {
  const ended = await tail(await fake((socket, message) => {
    socket.send(joined(message));
    socket.send(Buffer.from([0x5b, 0xff, 0x5d]), { binary: false });
  }));
  assert.ok(ended.code === 6 || ended.code === 7, `${ended.code} ${ended.signal} ${ended.stderr}`);
});

test('a message beyond the limit, in one frame and in many', async () => {
  for (const fragments of [1, 40]) {
    const ended = await tail(await fake((socket, message) => {
      socket.send(joined(message));
      for (let i = 1; i <= fragments; i++) socket.send('x'.repeat(120_000 / fragments), { fin: i === fragments });
    }), '--max-message-bytes', '65536');
    assert.equal(ended.code, 7, `${ended.code} ${ended.signal} ${ended.stderr}`);
    assert.match(ended.stderr, /--max-message-bytes/);
  }
});

test('answers that make no sense are survived', async () => {
  for (const response of [null, [], 'x', { current_watermarks: 5, head_watermarks: [null, 1, { topic: 't', watermark: -5 }] },
    { reconnect_backoff_ms: { base: -1, jitter: 'x' }, heartbeat_interval_ms: 1e300 }]) {
    const ended = await tail(await fake((socket, [joinRef, ref]) => {
      socket.send(JSON.stringify([joinRef, ref, 'sync:v1', 'phx_reply', { status: 'ok', response }]));
      socket.send(JSON.stringify([null, null, 'sync:v1', 'sync:heartbeat', { watermarks: response }]));
      socket.close(1001);
    }));
    assert.equal(ended.code, 6, `${JSON.stringify(response)}: ${ended.code} ${ended.signal} ${ended.stderr}`);
  }
});

test('a refusal is exit code 4, and its words cannot command a terminal', async () => {
  const ended = await tail(await fake((socket, [joinRef, ref]) => socket.send(JSON.stringify([joinRef, ref, 'sync:v1', 'phx_reply',
    { status: 'error', response: { code: 'forbidden_topic', message: '\u001b]0;owned\u0007\nsecond line' } }]))));
  assert.equal(ended.code, 4);
  assert.doesNotMatch(ended.stderr, /[\u001b\u0007]/);
  assert.equal(ended.stderr.split('\n').length, 2, 'one line');
});

test('a server that is stale at every beginning is not asked for ever', async () => {
  let joins = 0;
  const stale = { code: 'stale_cursor', stale_topics: [{ topic: 't', reason: 'epoch_diverged' }],
    snapshot_plan: { topics: [{ topic: 't', snapshot: { source: 'journal', resume_after: 0, epoch: 1 } }] } };
  const ended = await tail(await fake((socket, message) => {
    if (message[3] !== 'phx_join') return;
    joins++;
    socket.send(joined(message, { topics: [], current_watermarks: [], stale }));
  }), '--resync');
  assert.equal(ended.code, 5, ended.stderr);
  assert.ok(joins <= 5, `${joins} joins`);
});

test('a gap is asked about from the cursor, and nothing behind it is printed before', async () => {
  /** @param {number} after @param {number[]} watermarks */
  const batch = (after, watermarks) => {
    const through = /** @type {number} */ (watermarks.at(-1));
    const varint = (/** @type {number} */ n) => n < 128 ? [n] : [n & 127 | 128, n >> 7];
    const field = (/** @type {number} */ number, /** @type {Buffer | string} */ bytes) => Buffer.from([number << 3 | 2, ...varint(bytes.length), ...Buffer.from(bytes)]);
    const number = (/** @type {number} */ f, /** @type {number} */ value) => Buffer.from([f << 3, ...varint(value)]);
    const hash = Buffer.from(sha256('{}'), 'hex');
    const updates = watermarks.map((w) => field(1, Buffer.concat([field(1, 't'), field(2, 'k'), number(3, 1), field(4, '{}'), number(5, w), field(6, hash), number(8, 1)])));
    return Buffer.concat([Buffer.from([2, 7, 17, ...Buffer.from('sync:v1sync:update_batch')]), ...updates, number(4, after), number(5, through)]);
  };
  /** @type {any[]} */
  const asked = [];
  const ended = await tail(await fake((socket, message) => {
    const [joinRef, ref, , event, payload] = message;
    if (event === 'phx_join') {
      socket.send(joined(message));
      socket.send(batch(0, [1, 2]));
      socket.send(batch(4, [5, 6]));
      socket.send(batch(6, [7]));
    } else if (event === 'sync:subscribe') {
      asked.push(payload);
      socket.send(JSON.stringify([joinRef, ref, 'sync:v1', 'phx_reply', { status: 'ok', response: {
        current_watermarks: [{ topic: 't', watermark: 2, epoch: 1 }], head_watermarks: [{ topic: 't', watermark: 9 }] } }]));
      socket.send(batch(2, [3, 4, 5]));
      socket.send(batch(3, [4, 5, 6]));
      socket.send(batch(6, [7, 8, 9]));
    }
  }), '--json', '--no-follow');
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(ended.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).watermark), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(asked, [{ topics: ['t'], resume_after: [{ topic: 't', watermark: 2, epoch: 1 }] }]);
});

test('connections that die without a word: half closed, cut, silent', async () => {
  for (const end of [(/** @type {any} */ tcp) => tcp.end(), (/** @type {any} */ tcp) => tcp.destroy(), (/** @type {any} */ tcp) => tcp.resetAndDestroy?.() ?? tcp.destroy()]) {
    const ended = await tail(await fake((socket, message) => socket.send(joined(message), () => end(/** @type {any} */ (socket)._socket))));
    assert.equal(ended.code, 6, `${ended.code} ${ended.signal} ${ended.stderr}`);
  }
  const silent = await tail(await fake((socket, message) => {
    if (message[3] === 'phx_join') socket.send(joined(message, { heartbeat_interval_ms: 100 }));
  }));
  assert.equal(silent.code, 6, silent.stderr);
  assert.match(silent.stderr, /nothing was heard of the server/);
});

test('bench: an answer to the upgrade that does not end is not collected', async () => {
  const place = await listening(createTcp((socket) => {
    socket.on('error', () => {}).write('HTTP/1.1 101 Switching Protocols\r\n');
    for (let i = 0; i < 64; i++) socket.write(Buffer.alloc(65_536, 'a'));
  }));
  const bench = new Run(['bench', '--script', place]);
  bench.child.stdin.write('target=/\n\n');
  const ended = await bench.end();
  assert.equal(ended.code, 3, `${ended.code} ${ended.signal} ${ended.stderr}`);
  assert.match(ended.stderr, /does not end/);
});

test('a reader that goes away in the middle of a --resync: the place stays, and nobody connects again', async () => {
  const file = `${directory()}/cursor`;
  const before = JSON.stringify({ version: 1, cursors: [{ topic: 't', epoch: 1, watermark: 2 }] });
  writeFileSync(file, before);
  let joins = 0;
  /** @type {import('node:http').ServerResponse | undefined} */
  let held;
  const place = await fake((socket, message) => {
    if (message[3] !== 'phx_join') return;
    joins++;
    stale(socket, message);
  }, (request, response) => {
    if (!request.url?.includes('page_token')) response.end(page('{"n":1}', 'second'));
    else held = response;
  });
  const tail = new Run(['tail', '--url', `ws://${place}/socket`, '--json', '--resync', '--cursor', file, 't'], { env: { OA_SYNC_TOKEN: 'x.y.z' } });
  await tail.printed(2);
  await waitFor(() => held, { what: 'the second page is asked for' });
  const gone = once(tail.child.stdout, 'close');
  tail.child.stdout.destroy();
  await gone;
  held?.end(page('{"n":2}'));
  const ended = await tail.end();
  assert.equal(ended.code, 0, `${ended.code} ${ended.signal} ${ended.stderr}`);
  assert.equal(readFileSync(file, 'utf8'), before);
  assert.equal(joins, 1);
});

test('a join whose answer comes after the token wants to be renewed is still heard', async () => {
  const file = `${directory()}/token`;
  writeFileSync(file, `x.${Buffer.from('{"exp":1}').toString('base64url')}.z`);
  const place = await fake((socket, message) => {
    // Longer than the second after which such a token is looked at again.
    setTimeout(() => socket.send(joined(message), () => socket.close(1001)), 1500);
  });
  const ended = await run(['tail', '--url', `ws://${place}/socket`, '--since', '0', '--retries', '0', '--token-file', file, 't']);
  assert.equal(ended.code, 6, `${ended.code} ${ended.signal} ${ended.stderr}`);
});

test('a message that cannot be taken is not fetched for ever', async () => {
  let joins = 0;
  const place = await fake((socket, message) => {
    joins++;
    socket.send(joined(message, { reconnect_backoff_ms: { base: 1, jitter: 1 } }));
    socket.send('poison');
  });
  const ended = await run(['tail', '--url', `ws://${place}/socket`, '--since', '0', '--retries', '2', 't'], { env: { OA_SYNC_TOKEN: 'x.y.z' } });
  assert.equal(ended.code, 7, `${ended.code} ${ended.signal} ${ended.stderr}`);
  assert.equal(joins, 3);
});

test('documents that are nested deeply are documents', async () => {
  const payload = `${'[{"a":'.repeat(40)}7${'}]'.repeat(40)}`;
  const place = await fake(() => {}, (_, response) => response.end(page(payload)));
  const ended = await run(['snapshot', '--url', `http://${place}`, '--json', 't'], { env: { OA_SYNC_TOKEN: 'x.y.z' } });
  assert.equal(ended.code, 0, `${ended.code} ${ended.signal} ${ended.stderr}`);
  assert.ok(ended.stdout.includes(payload));
});

test('a server that goes away during the documents of a --resync is one that is lost: it goes on when it is back', async () => {
  let joins = 0;
  let pages = 0;
  const place = await fake((socket, message) => {
    if (++joins < 3) return stale(socket, message);
    socket.send(JSON.stringify([message[0], message[1], 'sync:v1', 'phx_reply', { status: 'error', response: { code: 'forbidden_topic' } }]));
  }, (request, response) => ++pages === 1 ? request.socket.destroy() : response.end(page('{}')));
  const ended = await run(['tail', '--url', `ws://${place}/socket`, '--json', '--resync', '--since', '0', 't'], { env: { OA_SYNC_TOKEN: 'x.y.z' } });
  assert.equal(ended.code, 4, `${ended.code} ${ended.signal} ${ended.stderr}`);
  assert.deepEqual(ended.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).op), ['resync', 'snapshot']);
  assert.deepEqual([joins, pages], [3, 2]);
});

test('tokens of a server: refused is 4, not there or busy is 3', async () => {
  const file = `${directory()}/key`;
  writeFileSync(file, 'oask_key');
  let status = 0;
  const place = await fake(() => {}, (_, response) => response.writeHead(status).end());
  for (const command of [['token'], ['tail', '--since', '0', 't'], ['tail', '--since', 'now', 't'], ['bench', '--seconds', '0.1', 't'], ['snapshot', 't']]) {
    const [name = '', ...rest] = command;
    const code = async (/** @type {string} */ at) => (await run([name, '--url', `ws://${at}/socket`, '--key-file', file, ...rest])).code;
    assert.equal(await code('127.0.0.1:9'), 3, `${command}: nobody`);
    status = 503;
    assert.equal(await code(place), 3, `${command}: 503`);
    status = 401;
    assert.equal(await code(place), 4, `${command}: 401`);
  }
});

test('a follow lives through a server that makes no tokens for the moment, and through a file without one', async () => {
  const dir = directory();
  writeFileSync(`${dir}/key`, 'oask_key');
  writeFileSync(`${dir}/token`, 'x.y.z');
  for (const source of ['--key-file', '--token-file']) {
    let joins = 0;
    let asked = 0;
    const place = await fake((socket, message) => {
      if (message[3] !== 'phx_join') return;
      socket.send(joined(message, { reconnect_backoff_ms: { base: 1, jitter: 1 } }));
      if (++joins > 1) return;
      if (source === '--token-file') writeFileSync(`${dir}/token`, '');
      socket.close(1001);
    }, (_, response) => ++asked === 2 ? response.writeHead(503).end() : response.end('{"data":{"token":"x.y.z"}}'));
    const tail = new Run(['tail', '--url', `ws://${place}/socket`, '--since', '0', '--retries', '1000000', source, `${dir}/${source.slice(2, -5)}`, 't']);
    await tail.said(source === '--key-file' ? /not connected: no token from .*503/ : /not connected: .*is empty/);
    writeFileSync(`${dir}/token`, 'x.y.z');
    await tail.said('connected again');
    assert.equal((await tail.kill('SIGINT')).code, 130);
  }
});

test('what is no WebSocket server', async () => {
  const http = await listening(createServer((_, response) => response.writeHead(200).end('hello')));
  const wrong = await tail(http);
  assert.equal(wrong.code, 4, `${wrong.code} ${wrong.stderr}`);
  const other = await listening(createTcp((socket) => socket.on('error', () => {}).end('SSH-2.0-x\r\n')));
  const ssh = await tail(other);
  assert.equal(ssh.code, 3, `${ssh.code} ${ssh.stderr}`);
  const closing = await tail(await listening(createTcp((socket) => socket.on('error', () => {}).destroy())));
  assert.equal(closing.code, 3, `${closing.code} ${closing.stderr}`);
  const status = await run(['status', '--url', `http://${other}`]);
  assert.equal(status.code, 7, status.stdout);
});

test('no redirect is followed: the token stays with the server that was named', async () => {
  /** @type {(string | undefined)[]} */
  const got = [];
  const thief = await listening(createServer((request, response) => {
    got.push(request.headers.authorization);
    response.end();
  }).on('upgrade', (request, socket) => {
    got.push(request.headers.authorization);
    socket.destroy();
  }));
  const redirect = await listening(createServer((_, response) => response.writeHead(302, { location: `http://${thief}/socket/websocket` }).end())
    .on('upgrade', (_, socket) => socket.end(`HTTP/1.1 302 Found\r\nLocation: http://${thief}/socket/websocket\r\nContent-Length: 0\r\n\r\n`)));
  const ended = await tail(redirect);
  assert.equal(ended.code, 4, `${ended.code} ${ended.stderr}`);
  const snapshot = await run(['snapshot', '--url', `http://${redirect}`, 't'], { env: { OA_SYNC_TOKEN: 'x.y.z' } });
  assert.notEqual(snapshot.code, 0);
  assert.deepEqual(got, []);
});
