// Who gets a socket: where a token may travel, every reason for a refusal, and the HTTP answer to it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Keyring, RawSocket, Stand, sign } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'allowed-origin': ['https://app.example', 'http://localhost:3000'],
  'jwt-max-age-s': 600 } });
const { fanout } = stand;
const { keyring } = fanout;
const now = () => Math.floor(Date.now() / 1000);
const key = () => Buffer.from(/** @type {string} */ (keyring.keys.k1), 'base64url');
const header = { alg: 'HS256', typ: 'JWT', kid: 'k1' };

/** @param {string | undefined} token */
const urlWith = (token) => `${fanout.socketUrl}/websocket?vsn=2.0.0${token === undefined ? '' : `&token=${token}`}`;

/** The refusal of an upgrade with this token. @param {string | undefined} token @param {object} [options] */
async function refusal(token, options) {
  try {
    (await RawSocket.connect(urlWith(token), options)).end();
  } catch (error) {
    const { status, body } = /** @type {any} */ (error);
    assert.ok(status, `refused without an HTTP answer: ${error}`);
    return { status, ...JSON.parse(body).error };
  }
  return { status: 101 };
}

/** @param {string | undefined} token @param {string} reason */
async function refusedFor(token, reason) {
  assert.deepEqual(await refusal(token), { status: 401, code: 'unauthorized', reason });
}

test('a good token in each of its three places', async () => {
  for (const tokenIn of /** @type {const} */ (['query', 'subprotocol', 'header'])) {
    const client = stand.client({ tokenIn, topics: [`place.${tokenIn}`] });
    await client.connect();
    await stand.insert(`place.${tokenIn}`, 1);
    await client.reach(`place.${tokenIn}`, 1);
  }
});

test('the subprotocol answered is phoenix', async () => {
  const token = Buffer.from(fanout.token(['*'])).toString('base64').replaceAll('=', '');
  const raw = await RawSocket.connect(urlWith(undefined), { protocols: ['phoenix', `base64url.bearer.phx.${token}`] });
  assert.equal(raw.ws.protocol, 'phoenix');
  raw.end();
});

test('missing_token', async () => {
  await refusedFor(undefined, 'missing_token');
  await refusedFor('', 'missing_token');
});

test('invalid_token_format', async () => {
  for (const bad of ['x', 'a.b', 'a.b.c.d', '..', 'a..c']) await refusedFor(bad, 'invalid_token_format');
});

test('invalid_token_encoding', async () => {
  const [head, body, signature] = fanout.token(['*']).split('.');
  await refusedFor(`!!!.${body}.${signature}`, 'invalid_token_encoding');
  await refusedFor(`${head}.${body}.*`, 'invalid_token_encoding');
});

test('invalid_header', async () => {
  const junk = Buffer.from('not json').toString('base64url');
  const list = Buffer.from('[1]').toString('base64url');
  const [, body, signature] = fanout.token(['*']).split('.');
  await refusedFor(`${junk}.${body}.${signature}`, 'invalid_header');
  await refusedFor(`${list}.${body}.${signature}`, 'invalid_header');
  for (const alg of [5, null, undefined]) await refusedFor(fanout.token(['*'], {}, { header: { alg } }), 'invalid_header');
});

test('unsupported_alg: none never, nor anything else that the key is not for', async () => {
  for (const alg of ['none', 'None', 'RS256', 'HS384', 'ES256', '']) {
    await refusedFor(fanout.token(['*'], {}, { header: { alg } }), 'unsupported_alg');
  }
  const head = Buffer.from('{"alg":"none","kid":"k1"}').toString('base64url');
  const body = fanout.token(['*']).split('.')[1];
  const unsigned = await refusal(`${head}.${body}.`);
  assert.equal(unsigned.status, 401);
});

test('missing_kid and unknown_kid', async () => {
  await refusedFor(fanout.token(['*'], {}, { header: { kid: undefined } }), 'missing_kid');
  await refusedFor(fanout.token(['*'], {}, { header: { kid: '' } }), 'missing_kid');
  await refusedFor(fanout.token(['*'], {}, { header: { kid: 'k9' }, kid: 'k1' }), 'unknown_kid');
});

test('invalid_signature', async () => {
  const other = randomBytes(32).toString('base64url');
  await refusedFor(fanout.token(['*'], {}, { secret: other }), 'invalid_signature');
  const [head, , signature] = fanout.token(['*']).split('.');
  const body = fanout.token(['root:*'], { sub: 'someone else' }).split('.')[1];
  await refusedFor(`${head}.${body}.${signature}`, 'invalid_signature');
});

test('invalid_claims', async () => {
  await refusedFor(sign(header, 'not json', key()), 'invalid_claims');
  await refusedFor(sign(header, '[]', key()), 'invalid_claims');
  for (const claims of [{ exp: 'soon' }, { exp: undefined }, { iat: undefined }, { iat: 'x' }, { sub: undefined },
    { oa_sync_scopes: 5 }, { oa_sync_scopes: [1] }]) {
    await refusedFor(fanout.token(['*'], claims), 'invalid_claims');
  }
});

test('token_expired has no leeway', async () => {
  await refusedFor(fanout.token(['*'], { exp: now() }), 'token_expired');
  await refusedFor(fanout.token(['*'], { exp: now() - 1, iat: now() - 100 }), 'token_expired');
});

test('token_not_yet_valid after 30 s of leeway', async () => {
  await refusedFor(fanout.token(['*'], { nbf: now() + 60 }), 'token_not_yet_valid');
  await refusedFor(fanout.token(['*'], { iat: now() + 60 }), 'token_not_yet_valid');
  assert.equal((await refusal(fanout.token(['*'], { nbf: now() + 20, iat: now() + 20 }))).status, 101);
});

test('claim_mismatch', async () => {
  for (const claims of [{ iss: 'other' }, { iss: undefined }, { aud: 'other' }, { aud: ['x', 'y'] }, { aud: undefined },
    { oa_claims_version: 'oa_sync_claims_v2' }]) {
    await refusedFor(fanout.token(['*'], claims), 'claim_mismatch');
  }
  assert.equal((await refusal(fanout.token(['*'], { aud: ['x', 'oa-sync'] }))).status, 101);
});

test('missing_jti', async () => {
  await refusedFor(fanout.token(['*'], { jti: undefined }), 'missing_jti');
  await refusedFor(fanout.token(['*'], { jti: '' }), 'missing_jti');
});

test('token_too_old by its iat, whatever its exp', async () => {
  await refusedFor(fanout.token(['*'], { iat: now() - 700, nbf: now() - 700 }), 'token_too_old');
  assert.equal((await refusal(fanout.token(['*'], { iat: now() - 500 }))).status, 101);
});

test('the previous key of the keyring still counts', async () => {
  const rotated = new Keyring();
  rotated.keys = { ...rotated.keys, k2: randomBytes(32).toString('base64url') };
  rotated.current = 'k2';
  const second = await stand.startFanout();
  await second.stop();
  const { writeFileSync } = await import('node:fs');
  writeFileSync(second.keyringFile, JSON.stringify(rotated));
  await second.launch();
  for (const kid of ['k1', 'k2']) {
    const raw = await RawSocket.connect(`${second.socketUrl}/websocket?vsn=2.0.0&token=${rotated.token(['*'], {}, { kid })}`);
    raw.end();
  }
});

test('origins: a missing one is allowed, a present one must be on the list', async () => {
  const token = fanout.token(['*']);
  const from = (/** @type {string} */ origin) => refusal(token, { headers: { origin } });
  assert.equal((await from('https://app.example')).status, 101);
  assert.equal((await from('HTTPS://APP.example')).status, 101, 'hosts have no case');
  assert.equal((await from('http://localhost:3000')).status, 101);
  for (const origin of ['https://evil.example', 'https://app.example.evil', 'http://app.example', 'null', 'https://app.example:8443']) {
    const answer = await from(origin);
    assert.equal(answer.status, 403, origin);
    assert.ok(answer.code === 'origin_not_allowed' || answer.reason === 'origin_not_allowed', JSON.stringify(answer));
  }
});

test('an unknown path is 404 and needs no token', async () => {
  const answer = await fetch(fanout.url('http', '/nothing/here'));
  assert.equal(answer.status, 404);
});

test('no token is ever logged', async () => {
  const marked = fanout.token(['*'], { sub: 'logged?' });
  const raw = await RawSocket.connect(urlWith(marked));
  raw.end();
  await refusal(fanout.token(['*'], { exp: now() - 5 }));
  await fanout.metric('oa_sync_up');
  assert.ok(!fanout.log.includes(marked.slice(0, 30)), 'a token is in the log');
  assert.ok(!fanout.log.includes('eyJ'), 'something like a token is in the log');
});

test('who asked for a WebSocket, and who was refused for the token or origin, is counted apart from what comes by HTTP', async () => {
  const count = (/** @type {string} */ result) => fanout.metric('oa_sync_upgrades_total', `result="${result}"`);
  const results = ['accepted', 'unauthorized', 'refused'];
  const before = await Promise.all(results.map(count));
  (await RawSocket.connect(urlWith(fanout.token(['*'])))).end();
  await refusedFor('nonsense', 'invalid_token_format');
  assert.equal((await refusal(fanout.token(['*']), { headers: { origin: 'https://elsewhere.example' } })).status, 403);
  await assert.rejects(RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=1.0.0&token=${fanout.token(['*'])}`));
  await fanout.fetch('/healthz');
  assert.equal((await fanout.fetch('/api/sync/heads?topic=t', { headers: { authorization: 'Bearer nonsense' } })).status, 401);
  assert.deepEqual(await Promise.all(results.map(async (result, i) => await count(result) - (before[i] ?? 0))), [1, 2, 1]);
});
