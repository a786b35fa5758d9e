// Snapshots, documents and heads over HTTP: what is answered, to whom, and how.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { RawTcp, Stand, eventually, patienceMs, root, waitFor } from '../harness/index.mjs';

const dir = mkdtempSync('/tmp/oa-sync-http-docs-');
after(() => rmSync(dir, { recursive: true, force: true }));
const keys = { APP_KEY: 'a'.repeat(40), ADMIN_KEY: 'r'.repeat(40) };
writeFileSync(`${dir}/service-keys.json`, JSON.stringify({ keys: [
  { id: 'app', secret: keys.APP_KEY, subject: 'service:app', scopes: ['orders:*'] }, { id: 'admin', secret: keys.ADMIN_KEY, may: ['revoke', 'observe'] }] }));
const stand = await Stand.create({ flags: { 'allowed-origin': 'https://app.example', 'http-requests-per-second': 0,
  'service-keys': `${dir}/service-keys.json` } });
const { fanout } = stand;
await stand.insert('docs:1', 5, { body: 'y'.repeat(400) });
await stand.query(`INSERT INTO app.items (topic, id, n) VALUES ('a/b', 1, 1)`);

const anyone = () => ({ authorization: `Bearer ${fanout.token(['*'])}` });
/** @param {string} path @param {Record<string, string>} [headers] @param {RequestInit} [init] */
const get = (path, headers = anyone(), init = {}) => fanout.fetch(path, { headers, ...init });

test('a snapshot page by page is the topic\'s documents, with the cursor', async () => {
  const keys = [];
  let token = '';
  for (let page = 0; page < 10; page++) {
    const response = await get(`/api/sync/topics/docs%3A1/snapshot?limit=2${token && `&page_token=${encodeURIComponent(token)}`}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('oa-sync-watermark'), '5');
    const body = await response.json();
    assert.equal(body.watermark, 5);
    keys.push(...body.documents.map((/** @type {any} */ document) => document.doc_key));
    token = body.next_page_token;
    if (!token) break;
  }
  assert.deepEqual(keys, ['item:1', 'item:2', 'item:3', 'item:4', 'item:5']);
});

test('the query form is the same resource', async () => {
  const byPath = await get('/api/sync/topics/docs%3A1/snapshot');
  const byQuery = await get('/api/sync/snapshot?topic=docs:1');
  assert.equal(await byPath.text(), await byQuery.text());
  assert.equal(byPath.headers.get('etag'), byQuery.headers.get('etag'));
});

test('a document, by path and by query; one that is not there says as of when', async () => {
  for (const path of ['/api/sync/topics/docs%3A1/documents/item%3A3', '/api/sync/documents?topic=docs%3A1&doc_key=item%3A3']) {
    const response = await get(path);
    assert.equal(response.status, 200, path);
    const body = await response.json();
    assert.equal(body.document.doc_key, 'item:3');
    assert.equal(body.watermark, 5);
  }
  assert.equal((await (await get('/api/sync/topics/a%2Fb/documents/item:1')).json()).document.doc_key, 'item:1');
  const absent = await get('/api/sync/documents?topic=docs:1&doc_key=item:99');
  assert.equal(absent.status, 404);
  const body = await absent.json();
  assert.deepEqual(body.error, { code: 'not_found', reason: 'no_such_document' });
  assert.equal(body.watermark, 5);
});

test('a document that is not new enough is asked for again; its hash makes it new enough', async () => {
  const path = '/api/sync/documents?topic=docs:1&doc_key=item:3';
  assert.equal((await get(`${path}&min_watermark=5`)).status, 200);
  const early = await get(`${path}&min_watermark=6`);
  assert.equal(early.status, 503);
  assert.equal(early.headers.get('retry-after'), '1');
  const hash = (await (await get(path)).json()).document.payload_hash;
  assert.equal((await get(`${path}&min_watermark=6&payload_hash=${encodeURIComponent(hash)}`)).status, 200);
  assert.equal((await get(`${path}&min_watermark=-1`)).status, 400);
});

test('heads', async () => {
  const response = await get('/api/sync/heads?topic=docs:1&topic=a/b&topic=unknown');
  const { heads } = await response.json();
  assert.deepEqual(heads.map((/** @type {any} */ head) => [head.topic, head.head_watermark]), [['a/b', 1], ['docs:1', 5], ['unknown', 0]]);
  assert.equal((await get('/api/sync/heads')).status, 400);
});

test('the same tokens and scopes as the socket, in the header only', async () => {
  const path = '/api/sync/topics/docs%3A1/snapshot';
  const none = await get(path, {});
  assert.equal(none.status, 401);
  assert.equal(none.headers.get('www-authenticate'), 'Bearer');
  assert.equal((await none.json()).error.reason, 'missing_token');
  assert.equal((await get(`${path}?token=${fanout.token(['*'])}`, {})).status, 401);
  assert.equal((await get(path, { authorization: `Bearer ${fanout.token(['*'], { exp: 1 })}` })).status, 401);
  assert.equal((await get(path, { authorization: `Bearer ${fanout.token(['docs:2'])}` })).status, 403);
  assert.equal((await get(path, { authorization: `Bearer ${fanout.token(['docs:*'])}` })).status, 200);
  assert.equal((await get('/api/sync/heads?topic=docs:1&topic=other', { authorization: `Bearer ${fanout.token(['docs:*'])}` })).status, 403);
  assert.equal((await get('/api/sync/snapshot?topic=oa_sync.revocations')).status, 403, 'topics of the server itself');
});

test('an answer that the client has is 304, one it accepts compressed is', async () => {
  const path = '/api/sync/snapshot?topic=docs:1';
  const first = await get(path, { ...anyone(), 'accept-encoding': 'identity' });
  const etag = first.headers.get('etag') ?? '';
  const text = await first.text();
  assert.match(etag, /^"[0-9a-f]{64}"$/);
  assert.equal(first.headers.get('cache-control'), 'private, no-cache');
  const again = await get(path, { ...anyone(), 'if-none-match': etag });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), '');
  const tcp = await RawTcp.connect(fanout.host, fanout.port);
  tcp.send(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${anyone().authorization}\r\naccept-encoding: gzip\r\n\r\n`);
  await tcp.closed();
  const end = tcp.received.indexOf('\r\n\r\n');
  const head = tcp.received.subarray(0, end).toString('latin1');
  assert.match(head, /content-encoding: gzip/);
  assert.match(head, /etag: "[0-9a-f]{64}-gz"/);
  assert.equal(gunzipSync(tcp.received.subarray(end + 4)).toString(), text);
  await stand.query(`UPDATE app.items SET n = n + 1, version = version + 1 WHERE topic = 'docs:1' AND id = 1`);
  assert.equal((await get(path, { ...anyone(), 'if-none-match': etag })).status, 200);
});

test('HEAD, OPTIONS, other methods, origins', async () => {
  const path = '/api/sync/snapshot?topic=docs:1';
  const head = await get(path, anyone(), { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.ok(Number(head.headers.get('content-length')) > 100);
  assert.equal(await head.text(), '');
  assert.equal((await get(path, anyone(), { method: 'DELETE' })).status, 405);
  assert.equal((await get(path, anyone(), { method: 'POST', body: '{}' })).status, 405);
  const preflight = await get(path, { origin: 'https://app.example', 'access-control-request-method': 'GET' }, { method: 'OPTIONS' });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example');
  const allowed = await get(path, { ...anyone(), origin: 'https://app.example' });
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example');
  assert.equal((await get(path, { ...anyone(), origin: 'https://evil.example' })).status, 403);
});

test('bad questions are told so', async () => {
  for (const [path, status, reason] of /** @type {const} */ ([
    ['/api/sync/snapshot?topic=no%20topic', 400, 'invalid_topic'],
    ['/api/sync/snapshot', 400, 'invalid_topic'],
    ['/api/sync/snapshot?topic=docs:1&limit=0', 400, 'invalid_limit'],
    ['/api/sync/snapshot?topic=docs:1&limit=1e3', 400, 'invalid_limit'],
    ['/api/sync/snapshot?topic=docs:1&page_token=xxxx', 400, 'invalid_page_token'],
    ['/api/sync/documents?topic=docs:1', 400, 'invalid_doc_key'],
    ['/api/sync/documents?topic=docs:1&doc_key=a%FFb', 400, 'invalid_doc_key'],
    ['/api/sync/topics/docs:1/documents/%C3%28', 400, 'invalid_doc_key'],
    ['/api/sync/snapshot?topic=docs:1&page_token=%FF', 400, 'invalid_page_token'],
    ['/api/sync/nothing', 404, 'no_such_path'],
    ['/metrics', 404, 'no_such_path'],
  ])) {
    const response = await get(path);
    assert.deepEqual([path, response.status, (await response.json()).error.reason], [path, status, reason]);
  }
});

test('a large page comes whole to a slow reader, and the loop serves others meanwhile', async () => {
  await stand.insert('large', 3000, { body: 'z'.repeat(1000) });
  const tcp = await RawTcp.connect(fanout.host, fanout.port);
  // More bytes than the request: they must neither be answered nor keep the loop busy.
  tcp.send(`GET /api/sync/snapshot?topic=large HTTP/1.1\r\nhost: x\r\nauthorization: ${anyone().authorization}\r\n\r\n${'GET / HTTP/1.1\r\n\r\n'.repeat(50)}`);
  tcp.socket.pause();
  for (let i = 0; i < 20; i++) assert.equal((await fanout.fetch('/healthz')).status, 200);
  tcp.socket.resume();
  await tcp.closed();
  const text = tcp.received.toString('latin1');
  const length = Number(/content-length: (\d+)/.exec(text)?.[1]);
  assert.ok(length > 1_000_000, `${length} bytes`);
  assert.equal(tcp.received.length - text.indexOf('\r\n\r\n') - 4, length);
  assert.equal(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).documents.length, 1000);
});

test('no database: 503 with retry-after, and 200 when it is back', async () => {
  await stand.cluster.stop();
  const response = await get('/api/sync/snapshot?topic=docs:1');
  assert.equal(response.status, 503);
  assert.ok(Number(response.headers.get('retry-after')) >= 1);
  await stand.cluster.start();
  await waitFor(async () => (await get('/api/sync/snapshot?topic=docs:1')).status === 200, { what: 'documents again' });
});

test('docs/operations/http.md: what it shows is so', async () => {
  await stand.query(`CREATE TABLE app.orders (shop_id int, id int, PRIMARY KEY (shop_id, id))`);
  await stand.query(`SELECT runtime.sync_publish('app.orders', topic => 'orders:{shop_id}', doc_key => 'order:{id}')`);
  await stand.query(`INSERT INTO app.orders SELECT 7, i FROM generate_series(1, 3) i`);
  await fanout.ready();
  const blocks = [...readFileSync(`${root}/docs/operations/http.md`, 'utf8').matchAll(/^```sh\n([^]*?)^```$/gm)];
  assert.ok(blocks.length >= 5);
  for (const [, block = ''] of blocks) {
    const run = () => execFileSync('bash', ['-euo', 'pipefail', '-c', block], { cwd: dir, stdio: 'pipe', timeout: patienceMs, env: {
      ...process.env, ...keys, URL: fanout.url('http'), ADMIN: fanout.adminUrl(), TOKEN: fanout.token(['*']) } });
    // What is only looked at may have been looked at in a bad moment: a server that stood still shows that.
    if (block.includes('post ')) run();
    else await eventually(run);
  }
});
