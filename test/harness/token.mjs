// Tokens as an application would mint them (HS256), and broken ones for the tests of refusals.
import { createHmac, generateKeyPairSync, randomBytes, randomUUID, sign as signBytes } from 'node:crypto';

const encode = (/** @type {string | Buffer} */ value) => Buffer.from(value).toString('base64url');

/** A keyring as in --jwt-keyring: {"current": kid, "keys": {kid: base64url secret}}. */
export class Keyring {
  constructor() {
    /** @type {Record<string, string>} */
    this.keys = { k1: randomBytes(32).toString('base64url') };
    this.current = 'k1';
  }

  /** The file's text. */
  toJSON() {
    return { current: this.current, keys: this.keys };
  }

  /**
   * A token. Claims set to undefined are left out.
   * @param {string[] | string} scopes
   * @param {Record<string, unknown>} [claims]
   * @param {{kid?: string, header?: Record<string, unknown>, secret?: string}} [options]
   */
  token(scopes, claims = {}, { kid = this.current, header = {}, secret } = {}) {
    const body = tokenClaims(scopes, claims);
    const key = Buffer.from(secret ?? this.keys[kid] ?? '', 'base64url');
    return sign({ alg: 'HS256', typ: 'JWT', kid, ...header }, body, key);
  }
}

/** The claims of a good token. @param {string[] | string} scopes @param {Record<string, unknown>} [claims] */
export function tokenClaims(scopes, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  return { iss: 'openagents', aud: 'oa-sync', sub: 'user:1', iat: now, nbf: now, exp: now + 300, jti: randomUUID(),
    oa_user_id: '1', oa_org_id: 'org_1', oa_sync_scopes: scopes, oa_claims_version: 'oa_sync_claims_v1', ...claims };
}

/** Signs any header and body, valid or not. @param {object} header @param {unknown} body @param {Buffer} key */
export function sign(header, body, key) {
  const head = encode(JSON.stringify(header));
  const data = `${head}.${encode(typeof body === 'string' ? body : JSON.stringify(body))}`;
  return `${data}.${createHmac('sha256', key).update(data).digest('base64url')}`;
}

/** How each algorithm of public keys makes its keys and signatures. */
const asymmetric = {
  RS256: { make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    sign: (/** @type {Buffer} */ data, /** @type {import('node:crypto').KeyObject} */ key) => signBytes('sha256', data, key) },
  ES256: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    sign: (/** @type {Buffer} */ data, /** @type {import('node:crypto').KeyObject} */ key) =>
      signBytes('sha256', data, { key, dsaEncoding: 'ieee-p1363' }) },
  EdDSA: { make: () => generateKeyPairSync('ed25519'),
    sign: (/** @type {Buffer} */ data, /** @type {import('node:crypto').KeyObject} */ key) => signBytes(null, data, key) },
};
/** @typedef {keyof typeof asymmetric} PublicAlgorithm */

/** Key pairs, as an application that signs its tokens itself would have them. */
export class KeyPairs {
  constructor() {
    /** @type {Map<string, {alg: PublicAlgorithm, pair: import('node:crypto').KeyPairKeyObjectResult}>} */
    this.pairs = new Map();
  }

  /** Makes a key. @param {string} kid @param {PublicAlgorithm} alg */
  add(kid, alg) {
    this.pairs.set(kid, { alg, pair: /** @type {any} */ (asymmetric[alg].make()) });
    return this;
  }

  /** The public keys, as in --jwt-jwks. */
  toJSON() {
    return { keys: [...this.pairs].map(([kid, { alg, pair }]) =>
      ({ ...pair.publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' })) };
  }

  /** Signs with a key. @param {string} kid @param {object} claims @param {object} [header] */
  sign(kid, claims, header = {}) {
    const { alg, pair } = /** @type {any} */ (this.pairs.get(kid));
    const data = `${encode(JSON.stringify({ alg, typ: 'JWT', kid, ...header }))}.${encode(JSON.stringify(claims))}`;
    return `${data}.${encode(asymmetric[/** @type {PublicAlgorithm} */ (alg)].sign(Buffer.from(data), pair.privateKey))}`;
  }
}
