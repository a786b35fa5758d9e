// docs/operations/authentication.md: its commands make keys that the server takes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign as signBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { RawSocket, Stand, root, tokenClaims } from '../harness/index.mjs';

const text = readFileSync(`${root}/docs/operations/authentication.md`, 'utf8');
const blocks = (/** @type {string} */ kind) =>
  [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter((match) => match[1] === kind).map((match) => match[2]);
const dir = mkdtempSync('/tmp/oa-sync-auth-docs-');
after(() => rmSync(dir, { recursive: true, force: true }));
execFileSync('bash', ['-euo', 'pipefail', '-c', blocks('sh').join('\n')], { cwd: dir, stdio: 'pipe' });

const stand = await Stand.create({ flags: { 'jwt-keyring': `${dir}/keyring.json`, 'jwt-jwks': `${dir}/jwks.json`,
  'service-keys': `${dir}/service-keys.json` } });

for (const [file, kid, alg] of [['ed25519', 'ed-1', 'EdDSA'], ['p256', 'ec-1', 'ES256'], ['rsa', 'rsa-1', 'RS256']]) {
  test(`a token of ${file}.pem is accepted`, async () => {
    const encode = (/** @type {object} */ part) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const data = `${encode({ alg, kid })}.${encode(tokenClaims(['*']))}`;
    const key = createPrivateKey(readFileSync(`${dir}/${file}.pem`));
    const signature = signBytes(alg === 'EdDSA' ? null : 'sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' });
    const token = `${data}.${signature.toString('base64url')}`;
    (await RawSocket.connect(`${stand.fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`)).end();
  });
}

test('the SQL runs', async () => {
  for (const block of blocks('sql')) await stand.query(/** @type {string} */ (block));
  assert.equal((await stand.query('SELECT * FROM runtime.sync_active_revocations()')).length, 3);
});
