// POST /api/sync/token and /api/sync/sessions/revoke: from a service key to a socket, and to its end.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Keyring, RawSocket, RawTcp, Stand, waitFor } from '../harness/index.mjs';

const dir = mkdtempSync('/tmp/oa-sync-service-keys-');
after(() => rmSync(dir, { recursive: true, force: true }));
const keys = { app: `oask_${'a'.repeat(40)}`, narrow: `oask_${'n'.repeat(40)}`, admin: `oask_${'r'.repeat(40)}` };
writeFileSync(`${dir}/service-keys.json`, JSON.stringify({ keys: [
  { id: 'app', secret: keys.app, subject: 'service:app', user_id: '7', org_id: 'org_1', scopes: ['http.*', 'org:{oa_org_id}:*'] },
  { id: 'narrow', secret: keys.narrow, subject: 'service:narrow', scopes: ['http.narrow'] },
  { id: 'admin', secret: keys.admin, may: ['revoke'] }] }));
const identities = new Keyring();
writeFileSync(`${dir}/identity-keyring.json`, JSON.stringify(identities));

const flags = { 'service-keys': `${dir}/service-keys.json`, 'identity-keyring': `${dir}/identity-keyring.json`,
  'identity-issuer': 'the-application', 'http-requests-per-second': 0 };
const stand = await Stand.create({ flags: { ...flags, loops: 2 } });
const { fanout } = stand;
const second = await stand.startFanout({ ...flags, tail: 'journal' });
await second.ready();

/** @param {unknown} body @param {string} [key] @param {Record<string, string>} [headers] */
const request = (body, key, headers = {}) => ({ method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers } });
/** @param {unknown} body @param {string} [key] @param {Record<string, string>} [headers] @param {typeof fanout} [from] */
const mint = (body, key, headers, from = fanout) => from.fetch('/api/sync/token', request(body, key, headers));
/** @param {unknown} body @param {string} [key] @param {typeof fanout} [from] */
const revoke = (body, key = keys.admin, from = fanout) => from.fetchAdmin('/api/sync/sessions/revoke', request(body, key));
/** @param {import('../harness/fanout.mjs').Answer} response */
const errorOf = async (response) => [response.status, (await response.json()).error.code];
/** An identity token as the application signs them. @param {Record<string, unknown>} [claims] */
const identityToken = (claims = {}) => identities.token(['http.*'], { iss: 'the-application', oa_session_id: 'login-1', ...claims });
/** @param {string} token @param {typeof fanout} [from] */
const heads = (token, from = fanout) => from.fetch('/api/sync/heads?topic=http.docs', { headers: { authorization: `Bearer ${token}` } });

test('200: the data of a token, and it opens a socket of the stock client', async () => {
  const before = Math.floor(Date.now() / 1000);
  const response = await mint({}, keys.app);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  const { data, ...rest } = await response.json();
  assert.deepEqual(rest, {});
  const { token, issued_at: issuedAt, ...others } = data;
  assert.ok(issuedAt >= before && issuedAt <= Date.now() / 1000);
  assert.deepEqual(others, { token_type: 'Bearer', expires_in: 300, expires_at: issuedAt + 300, issuer: 'openagents',
    audience: 'oa-sync', subject: 'service:app', org_id: 'org_1', claims_version: 'oa_sync_claims_v1',
    scopes: ['http.*', 'org:{oa_org_id}:*'], kid: 'k1' });
  for (const from of [fanout, second]) {
    const client = stand.client({ fanout: from, token, topics: ['http.socket', 'org:org_1:news'] });
    await client.connect();
  }
  await stand.insert('http.socket', 3);
  const client = stand.client({ token, topics: ['http.socket'] });
  await client.connect();
  await client.reach('http.socket', 3);
});

test('what is asked for narrows the token', async () => {
  const { data } = await (await mint({ scopes: ['http.one'], ttl_seconds: 60, device_id: 'phone-1' }, keys.app)).json();
  assert.deepEqual([data.scopes, data.expires_in, data.expires_at - data.issued_at], [['http.one'], 60, 60]);
  const raw = await stand.raw({ token: data.token });
  await raw.join();
  assert.equal((await raw.ask('sync:v1', 'sync:subscribe', { topics: ['http.one'] })).status, 'ok');
  assert.equal((await raw.ask('sync:v1', 'sync:subscribe', { topics: ['http.two'] })).response.code, 'forbidden_topic');
});

test('an identity token of the application is as good as a key', async () => {
  const response = await mint({}, identityToken({ sub: 'user:42' }));
  assert.equal(response.status, 200);
  const { data } = await response.json();
  assert.deepEqual([data.subject, data.scopes], ['user:42', ['http.*']]);
  assert.equal((await heads(data.token)).status, 200);
});

test('401 for who is not recognized, and says for what scheme', async () => {
  for (const key of [undefined, 'oask_wrong', keys.admin, fanout.token(['*']), identityToken({ exp: 1 }), identityToken({ iss: 'other' })]) {
    const response = await mint({}, key);
    assert.equal(response.headers.get('www-authenticate'), 'Bearer');
    assert.deepEqual(await errorOf(response), [401, 'unauthenticated'], key);
  }
  assert.equal((await fanout.fetch('/api/sync/token', request({}, undefined, { authorization: keys.app }))).status, 401);
  assert.ok(!fanout.log.includes(keys.app) && !fanout.log.includes('oask_'), 'no key in the log');
});

test('422 for scopes, times and devices that may not be', async () => {
  for (const scopes of [['other.topic'], ['*'], ['http.one', 'other'], [], 'http.one', [5], [''], ['oa_sync.revocations']]) {
    assert.deepEqual(await errorOf(await mint({ scopes }, keys.app)), [422, 'invalid_scope'], JSON.stringify(scopes));
  }
  assert.deepEqual(await errorOf(await mint({ scopes: ['http.*'] }, keys.narrow)), [422, 'invalid_scope']);
  for (const ttl of [59, 901, -1, 1e20, 60.5, '60']) {
    assert.deepEqual(await errorOf(await mint({ ttl_seconds: ttl }, keys.app)), [422, 'invalid_ttl'], String(ttl));
  }
  assert.deepEqual(await errorOf(await mint({ device_id: '' }, keys.app)), [422, 'invalid_device']);
});

test('503 where no tokens are made', async () => {
  const none = await stand.startFanout();
  assert.deepEqual(await errorOf(await mint({}, keys.app, {}, none)), [503, 'sync_token_unavailable']);
});

test('bodies, content types and methods', async () => {
  assert.equal((await fanout.fetch('/api/sync/token', { method: 'GET' })).status, 405);
  assert.equal((await fanout.fetch('/api/sync/token', { method: 'GET' })).headers.get('allow'), 'POST, OPTIONS');
  assert.equal((await mint('{}', keys.app, { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await mint('{}', keys.app, { 'content-type': 'application/json; charset=utf-8' })).status, 200);
  for (const body of ['[]', '{"ttl_seconds":60', '"x"', '{"ttl_seconds":60,"ttl_seconds":90}', '\u0000']) {
    assert.deepEqual(await errorOf(await mint(body, keys.app)), [400, 'bad_request'], body);
  }
  assert.equal((await mint('', keys.app)).status, 200, 'without a body: all that the key has');
  for (const listener of [{ port: fanout.port, path: '/api/sync/token' }, { port: fanout.adminPort, path: '/api/sync/sessions/revoke' }]) {
    const tcp = await RawTcp.connect(fanout.host, listener.port);
    tcp.send(`POST ${listener.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10000000\r\n\r\n{"`);
    assert.match(await tcp.closed(), /^HTTP\/1\.1 413 /);
    const chunked = await RawTcp.connect(fanout.host, listener.port);
    chunked.send(`POST ${listener.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`);
    assert.match(await chunked.closed(), /^HTTP\/1\.1 411 /);
  }
});

test('revoking is on the admin listener only, tokens are on both', async () => {
  assert.equal((await fanout.fetch('/api/sync/sessions/revoke', request({ jtis: ['x'] }, keys.admin))).status, 404);
  assert.equal((await fanout.fetchAdmin('/api/sync/token', request({}, keys.app))).status, 200);
});

for (const kind of /** @type {const} */ (['session_ids', 'device_ids', 'jtis'])) {
  test(`revoking ${kind} ends what lives on every fan-out, and refuses the token on the socket and over HTTP`, async () => {
    const id = `${kind}-1`;
    const asked = kind === 'session_ids' ? await mint({}, identityToken({ oa_session_id: id }))
      : await mint({ device_id: id }, keys.app);
    const { token } = (await asked.json()).data;
    const jti = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).jti;
    const client = stand.client({ token, topics: ['http.live'] });
    await client.connect();
    const raw = await stand.raw({ fanout: second, token });
    await raw.join({ topics: ['http.live'] });
    for (const from of [fanout, second]) assert.equal((await heads(token, from)).status, 200);
    const response = await revoke({ [kind]: [kind === 'jtis' ? jti : id], reason: 'security_policy' });
    assert.equal(response.status, 200);
    const { data } = await response.json();
    assert.deepEqual([data.revoked, data.reason], [1, 'security_policy']);
    assert.ok(data.expires_at > Date.now() / 1000 + 29 * 86400);
    assert.equal((await client.error('reauth_required')).reason, 'security_policy');
    assert.equal(await raw.closed(), 1008);
    for (const from of [fanout, second]) {
      const refused = await waitFor(async () => {
        const answer = await heads(token, from);
        return answer.status === 401 ? answer : undefined;
      }, { what: 'the revoked token is refused over HTTP' });
      assert.equal((await refused.json()).error.reason, 'token_revoked');
      await assert.rejects(RawSocket.connect(`${from.socketUrl}/websocket?vsn=2.0.0&token=${token}`),
        (/** @type {any} */ error) => error.status === 401 && JSON.parse(error.body).error.reason === 'token_revoked');
    }
    await client.close();
  });
}

test('no tokens for who is revoked', async () => {
  assert.equal((await revoke({ session_ids: ['login-9'] })).status, 200);
  const again = await waitFor(async () => {
    const answer = await mint({}, identityToken({ oa_session_id: 'login-9' }));
    return answer.status === 401 ? answer : undefined;
  }, { what: 'the session gets no more tokens' });
  assert.equal((await again.json()).error.reason, 'token_revoked');
});

test('revoking is refused to strangers, to keys that may not, and without something to revoke', async () => {
  const one = { jtis: ['x'] };
  assert.deepEqual(await errorOf(await revoke(one, 'wrong')), [401, 'unauthenticated']);
  assert.deepEqual(await errorOf(await revoke(one, keys.app)), [403, 'forbidden']);
  assert.deepEqual(await errorOf(await revoke(one, identityToken())), [403, 'forbidden']);
  for (const body of [{}, { jtis: [] }, { jtis: 'x' }, { jtis: [1] }, { session_ids: [''] }, { device_ids: ['x'.repeat(257)] }]) {
    assert.deepEqual(await errorOf(await revoke(body)), [422, 'invalid_value'], JSON.stringify(body));
  }
  assert.deepEqual(await errorOf(await revoke({ ...one, reason: 'because' })), [422, 'invalid_reason']);
  const many = Array.from({ length: 1001 }, (_, i) => `${i}`);
  assert.deepEqual(await errorOf(await revoke({ jtis: many })), [422, 'too_many_values']);
  assert.equal((await fanout.fetchAdmin('/api/sync/sessions/revoke')).status, 405);
  // An answer is counted when it is out.
  await waitFor(async () => await fanout.metric('oa_sync_http_requests_total', 'route="revoke",status="403"') === 2, { what: 'both are counted' });
});

test('no database: revoking says so, tokens are still made', async () => {
  await stand.cluster.stop();
  assert.deepEqual(await errorOf(await revoke({ jtis: ['later'] })), [503, 'revocation_unavailable']);
  assert.equal((await mint({}, keys.app)).status, 200);
  await stand.cluster.start();
  await waitFor(async () => (await revoke({ jtis: ['later'] })).status === 200, { what: 'revoking works again' });
});
