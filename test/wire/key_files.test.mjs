// Tokens of every algorithm, and keys that are replaced while the server runs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { KeyPairs, Keyring, RawSocket, Stand, tokenClaims, waitFor } from '../harness/index.mjs';

const pairs = new KeyPairs().add('rsa', 'RS256').add('ec', 'ES256').add('ed', 'EdDSA');
const dir = mkdtempSync('/tmp/oa-sync-jwks-');
after(() => rmSync(dir, { recursive: true, force: true }));
const jwksFile = `${dir}/jwks.json`;
writeFileSync(jwksFile, JSON.stringify(pairs));
const stand = await Stand.create({ flags: { 'jwt-jwks': jwksFile } });
const { fanout } = stand;

/** Replaces a file as one should: at once. @param {string} file @param {unknown} content */
function replace(file, content) {
  writeFileSync(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content));
  renameSync(`${file}.new`, file);
}

/** The status of an upgrade with this token, and the reason of a refusal. @param {string} token */
async function upgrade(token) {
  try {
    (await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`)).end();
    return 'accepted';
  } catch (error) {
    return JSON.parse(/** @type {any} */ (error).body).error.reason;
  }
}
/** @param {'ok' | 'failed'} result */
const reloads = (result) => fanout.metric('oa_sync_key_reloads_total', `"${result}"`);

for (const kid of ['k1', 'rsa', 'ec', 'ed']) {
  test(`a token signed with ${kid}, in each of its three places`, async () => {
    const make = () => kid === 'k1' ? fanout.token(['*']) : pairs.sign(kid, tokenClaims(['*']));
    for (const tokenIn of /** @type {const} */ (['query', 'subprotocol', 'header'])) {
      const topic = `key.${kid}.${tokenIn}`;
      const client = stand.client({ tokenIn, token: make, topics: [topic] });
      await client.connect();
      await stand.insert(topic, 1);
      await client.reach(topic, 1);
    }
  });
}

test('a token of the wrong key, and a kid of another algorithm', async () => {
  const strangers = new KeyPairs().add('rsa', 'RS256').add('ec', 'ES256').add('ed', 'EdDSA');
  for (const kid of ['rsa', 'ec', 'ed']) {
    assert.equal(await upgrade(strangers.sign(kid, tokenClaims(['*']))), 'invalid_signature', kid);
  }
  assert.equal(await upgrade(pairs.sign('ec', tokenClaims(['*']), { kid: 'rsa' })), 'unsupported_alg');
  assert.equal(await upgrade(pairs.sign('ec', tokenClaims(['*']), { kid: 'k1' })), 'unsupported_alg');
});

test('keys are rotated without a restart, and nobody is cut off', async () => {
  const client = stand.client({ topics: ['rotated.t'], token: () => pairs.sign('ec', tokenClaims(['*'])) });
  await client.connect();
  const next = new KeyPairs().add('ec2', 'ES256');
  assert.equal(await upgrade(next.sign('ec2', tokenClaims(['*']))), 'unknown_kid');
  replace(jwksFile, next);
  await waitFor(async () => (await upgrade(next.sign('ec2', tokenClaims(['*'])))) === 'accepted', { what: 'the new key counts' });
  assert.equal(await upgrade(pairs.sign('ec', tokenClaims(['*']))), 'unknown_kid', 'the old one no more');
  await stand.insert('rotated.t', 3);
  await client.reach('rotated.t', 3);
  assert.equal(client.gaps + client.duplicates, 0);
});

test('a broken file leaves the keys as they were, and says so once, without a secret', async () => {
  const failed = await reloads('failed');
  const secret = randomBytes(8).toString('base64url');
  replace(fanout.keyringFile, { current: 'k1', keys: { k1: secret } });
  await waitFor(async () => (await reloads('failed')) > failed, { what: 'the broken file is noticed' });
  assert.equal(await upgrade(fanout.token(['*'])), 'accepted');
  // What is logged takes a way of its own to us, and may come after the count.
  await waitFor(() => /the keys in use are kept: --jwt-keyring: the secret of key "k1" must be/.test(fanout.log), { what: 'it is logged' });
  assert.ok(!fanout.log.includes(secret));
  const ring = new Keyring();
  replace(fanout.keyringFile, ring);
  await waitFor(async () => (await upgrade(ring.token(['*']))) === 'accepted', { what: 'the mended file counts' });
});

test('SIGHUP reads them at any rate', async () => {
  const ok = await reloads('ok');
  process.kill(fanout.pid, 'SIGHUP');
  await waitFor(async () => (await reloads('ok')) > ok, { what: 'the files are read again' });
});
