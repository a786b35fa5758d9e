// The console's files: read once, served at / with the headers that keep a page of ours ours.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import http from 'node:http';
import { Fanout } from '../harness/index.mjs';

const nowhere = 'host=/nonexistent dbname=none';
const dir = mkdtempSync('/tmp/oa-sync-console-');
after(() => rmSync(dir, { recursive: true, force: true }));
const script = `console.log(${JSON.stringify('x'.repeat(5000))});\n`;
const page = '<!doctype html><title>OA Sync</title><script type="module" src="/assets/index-1a2b3c4d.js"></script>\n';
mkdirSync(`${dir}/assets`);
writeFileSync(`${dir}/index.html`, page);
writeFileSync(`${dir}/assets/index-1a2b3c4d.js`, script);
writeFileSync(`${dir}/assets/plain.css`, 'body{}');
writeFileSync(`${dir}/sw.js`, 'self.skipWaiting();');
writeFileSync(`${dir}/manifest.webmanifest`, '{"name":"OA Sync"}');
writeFileSync(`${dir}/icon.png`, Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]));
writeFileSync(`${dir}/.hidden.txt`, 'not for you');
const outside = mkdtempSync('/tmp/oa-sync-outside-');
after(() => rmSync(outside, { recursive: true, force: true }));
writeFileSync(`${outside}/it.txt`, 'not for you either');
symlinkSync(`${outside}/it.txt`, `${dir}/link.txt`);

/** @type {Fanout[]} */
const fanouts = [];
after(async () => {
  for (const fanout of fanouts) await fanout.destroy();
});
/** @param {import('../harness/fanout.mjs').Flags} [flags] */
async function start(flags = {}) {
  const fanout = await Fanout.start({ database: nowhere, consoleDir: dir, flags });
  fanouts.push(fanout);
  return fanout;
}
const fanout = await start();

/**
 * A request with exactly these headers: fetch adds some and decompresses.
 * @param {string} path @param {{method?: string, headers?: Record<string, string>, port?: number}} [options]
 * @returns {Promise<{status: number | undefined, headers: http.IncomingHttpHeaders, body: Buffer}>}
 */
function ask(path, { method = 'GET', headers = {}, port = fanout.port } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      /** @type {Buffer[]} */
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
    request.end();
  });
}
const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

test('both listeners serve the page at / and at its own paths', async () => {
  for (const port of [fanout.port, fanout.adminPort]) {
    for (const path of ['/', '/index.html', '/topics', '/topic?name=a.b', '/sessions', '/codex', '/runs/42']) {
      const { status, headers, body } = await ask(path, { port, headers: html });
      assert.deepEqual([path, status, body.toString()], [path, 200, page]);
      assert.equal(headers['content-type'], 'text/html; charset=utf-8');
      assert.equal(headers['cache-control'], 'no-cache');
    }
  }
});

test('headers that allow nothing but the page itself', async () => {
  const { headers } = await ask('/', { headers: { ...html, host: '127.0.0.1:4400' } });
  assert.equal(headers['content-security-policy'], "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self' data:; font-src 'self'; connect-src 'self' ws://127.0.0.1:4400 wss://127.0.0.1:4400; manifest-src 'self'; " +
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  const odd = await ask('/', { headers: { ...html, host: "a;script-src 'unsafe-inline'" } });
  assert.match(String(odd.headers['content-security-policy']), /connect-src 'self'; manifest-src/);
});

test('what is hashed is kept for ever, compressed for who takes it, and asked for by its tag', async () => {
  const plain = await ask('/assets/index-1a2b3c4d.js');
  assert.equal(plain.body.toString(), script);
  assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
  const small = await ask('/assets/index-1a2b3c4d.js', { headers: { 'accept-encoding': 'gzip, br' } });
  assert.equal(small.headers['content-encoding'], 'gzip');
  assert.equal(small.headers.vary, 'accept-encoding');
  assert.equal(gunzipSync(small.body).toString(), script);
  assert.notEqual(small.headers.etag, plain.headers.etag);
  for (const etag of [plain.headers.etag, small.headers.etag]) {
    const again = await ask('/assets/index-1a2b3c4d.js', { headers: { 'if-none-match': String(etag) } });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
  }
  const head = await ask('/assets/index-1a2b3c4d.js', { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, String(script.length), 0]);
  assert.equal((await ask('/assets/plain.css')).headers['cache-control'], 'no-cache');
});

test('types of a service worker, a manifest, an image', async () => {
  /** @type {[string, string][]} */
  const types = [['/sw.js', 'text/javascript; charset=utf-8'], ['/manifest.webmanifest', 'application/manifest+json'],
    ['/icon.png', 'image/png']];
  for (const [path, type] of types) {
    const { status, headers } = await ask(path);
    assert.deepEqual([status, headers['content-type'], headers['cache-control']], [200, type, 'no-cache']);
  }
});

test('what is no file and no page is 404, and files are not written to', async () => {
  for (const path of ['/nothing.js', '/assets/none', '/.hidden.txt', '/link.txt', '/../../etc/passwd.txt', '/%2e%2e/%2e%2e/etc/hosts.allow',
    '/..%2f..%2fetc/hosts.allow', '/api/none', '/api/sync/none', '/socket', '/metrics', '/topics.json']) {
    const { status, body } = await ask(path, { headers: html });
    assert.equal(status, 404, path);
    assert.equal(JSON.parse(body.toString()).error.reason, 'no_such_path');
  }
  assert.equal((await ask('/topics')).status, 404, 'a program that asks for no HTML');
  const refused = await ask('/', { method: 'DELETE' });
  assert.deepEqual([refused.status, refused.headers.allow], [405, 'GET, HEAD, OPTIONS']);
  assert.equal((await ask('/', { method: 'OPTIONS' })).status, 204);
  assert.equal((await ask('/healthz', { headers: html })).body.toString(), 'ok\n');
});

test('--console admin, --console off, and what is refused at the start', async () => {
  const admin = await start({ console: 'admin' });
  assert.equal((await ask('/', { port: admin.port, headers: html })).status, 404);
  assert.equal((await ask('/', { port: admin.adminPort, headers: html })).status, 200);
  const off = await start({ console: 'off' });
  assert.equal((await ask('/', { port: off.adminPort, headers: html })).status, 404);
  for (const [flags, why] of [[{ 'console-dir': '/nonexistent' }, /--console-dir: \/nonexistent: No such file/],
    [{ 'console-dir': `${dir}/assets` }, /there is no index\.html/]]) {
    await assert.rejects(start(/** @type {any} */ (flags)), /** @type {RegExp} */ (why));
  }
  writeFileSync(`${dir}/large.txt`, 'x'.repeat(70_000));
  await assert.rejects(start({ 'console-max-bytes': 65536 }), /--console-max-bytes/);
});

test('a page of this very server may ask, by address; by name, or of another port, it may not', async () => {
  const own = `127.0.0.1:${fanout.port}`;
  const status = async (/** @type {string} */ origin, /** @type {string} */ host) =>
    (await ask('/api/sync/heads?topic=a', { headers: { origin, host } })).status;
  assert.equal(await status(`http://${own}`, own), 401, 'judged by its token');
  assert.equal(await status(`http://localhost:${fanout.port}`, `localhost:${fanout.port}`), 401);
  assert.equal(await status('http://[::1]:4400', '[::1]:4400'), 401);
  assert.equal(await status(`https://${own}`, own), 403, 'another scheme');
  assert.equal(await status(`http://127.0.0.1:${fanout.port + 1}`, own), 403, 'another port');
  assert.equal(await status('http://sync.example', 'sync.example'), 403, 'a name can be made to point here');
  assert.equal(await status('http://127.0.0.1.example', '127.0.0.1.example'), 403);
});
