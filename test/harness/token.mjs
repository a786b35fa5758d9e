// Tokens as an application would mint them (HS256), and broken ones for the tests of refusals.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';

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
    const now = Math.floor(Date.now() / 1000);
    const body = {
      iss: 'openagents', aud: 'oa-sync', sub: 'user:1', iat: now, nbf: now, exp: now + 300, jti: randomUUID(),
      oa_user_id: '1', oa_org_id: 'org_1', oa_sync_scopes: scopes, oa_claims_version: 'oa_sync_claims_v1', ...claims,
    };
    const key = Buffer.from(secret ?? this.keys[kid] ?? '', 'base64url');
    return sign({ alg: 'HS256', typ: 'JWT', kid, ...header }, body, key);
  }
}

/** Signs any header and body, valid or not. @param {object} header @param {unknown} body @param {Buffer} key */
export function sign(header, body, key) {
  const head = encode(JSON.stringify(header));
  const data = `${head}.${encode(typeof body === 'string' ? body : JSON.stringify(body))}`;
  return `${data}.${createHmac('sha256', key).update(data).digest('base64url')}`;
}
