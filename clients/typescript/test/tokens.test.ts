// Tokens: replaced in band before they end, whatever the local clock says; refused ones cause no storm.
import { expect, test } from 'vitest';
import type { TokenRequest } from '../src/index.js';
import { ScriptedServer } from './support/scripted.js';
import { reach, Stand, waitFor } from './support/stand.js';

/**
 * The lifetime of tokens that are to be replaced, in seconds: replaced after 2, so that a machine that stands still for a
 * while does not end the connection.
 */
const short = 12;
const patient = { timeoutMs: 40_000 };

const stand = await Stand.create({ 'token-warning-ms': 30_000, 'token-grace-ms': 200 });
const token = (lifetime: number, { age = 0, scopes = ['*'], ...claims }: Record<string, any> = {}): string => {
  const now = Math.floor(Date.now() / 1000);
  return stand.keyring.token(scopes, { iat: now - age, nbf: now - age, exp: now - age + lifetime, ...claims });
};

test('a new token before the old one ends, on the same socket; the local clock is ten years off', async () => {
  const asked: TokenRequest[] = [];
  // Warned of at once, as the warning comes 30 s ahead; and not replaced at once for that.
  const client = stand.client({
    clock: () => Date.now() - 10 * 365 * 86_400_000,
    token: (request) => {
      asked.push(request);
      return token(asked.length < 4 ? short : 600);
    },
  });
  let renewed = 0;
  client.on('reauthenticated', () => renewed++);
  const topic = client.subscribe('tokens.renew');
  await topic.live();
  await waitFor(() => renewed === 3, patient);
  await stand.insert('tokens.renew', 1);
  await reach(topic, 1);
  expect(asked.map((one) => one.reason)).toEqual(['connect', 'expiring', 'expiring', 'expiring']);
  expect(asked[1]?.previous).toBeTypeOf('string');
  expect(client.wire.opened).toBe(1);
  expect(client.errors).toEqual([]);
});

test('without any notice: by the token\'s own lifetime', async () => {
  // A server that says nothing, whatever the token: a real one tells of a token's end at the latest when it is there.
  const server = await ScriptedServer.start({});
  let asked = 0;
  const client = stand.client({ url: server.url, encoding: 'json', token: () => token(asked++ < 1 ? 2 : 600) });
  let renewed = 0;
  client.on('reauthenticated', () => renewed++);
  const topic = client.subscribe('tokens.lifetime', { start: 'floor' });
  await topic.live();
  await waitFor(() => renewed === 1, patient);
  expect([client.wire.opened, asked, server.count('sync:reauthenticate')]).toEqual([1, 2, 1]);
});

test('a token that was made long ago: the server\'s notice tells', async () => {
  let asked = 0;
  const client = stand.client({ token: () => token(600, { age: asked++ === 0 ? 600 - short : 0 }) });
  let renewed = 0;
  client.on('reauthenticated', () => renewed++);
  await client.subscribe('tokens.old').live();
  await waitFor(() => renewed === 1, patient);
  expect([client.wire.opened, asked]).toEqual([1, 2]);
});

test('an expired token is refused, and another one asked for', async () => {
  const asked: TokenRequest[] = [];
  const client = stand.client({ token: (request) => {
    asked.push(request);
    return request.reason === 'refused' ? token(600) : token(10, { age: 100 });
  } });
  await client.subscribe('tokens.expired').live();
  expect(asked.map((one) => [one.reason, one.refusal])).toEqual([['connect', undefined], ['refused', 'token_expired']]);
  expect(client.errors.map((e) => [e.code, e.reason])).toEqual([['unauthorized', 'token_expired']]);
});

test('refused again and again: denied, ever longer waits, and well again when the tokens are', async () => {
  let good = false;
  const client = stand.client({ random: () => 0, backoff: { baseMs: 10, maxMs: 300, jitterMs: 0 },
    token: () => (good ? token(600) : token(600, { aud: 'another' })) });
  const topic = client.subscribe('tokens.denied');
  await expect(topic.live()).rejects.toMatchObject({ code: 'unauthorized', reason: 'claim_mismatch' });
  expect([client.status, topic.status, client.error?.code]).toEqual(['denied', 'denied', 'unauthorized']);
  await waitFor(() => client.errors.length >= 4);
  // From the second refusal on, half of the longest wait at least.
  expect(client.waits.slice(2).every((ms) => ms >= 150), String(client.waits)).toBe(true);
  expect(client.wire.opened).toBeLessThanOrEqual(client.waits.length);
  good = true;
  await waitFor(() => topic.status === 'live');
  expect([client.status, client.error]).toEqual(['live', null]);
});

test('a provider that fails, or gives nothing, is asked again later', async () => {
  let asked = 0;
  const client = stand.client({ token: async () => {
    asked++;
    if (asked === 1) throw new Error('the token service is away');
    return asked === 2 ? '' : asked === 3 ? 'ü' : token(600);
  } });
  await client.subscribe('tokens.away').live();
  expect(client.errors.map((e) => e.code)).toEqual(['token_unavailable', 'token_unavailable', 'token_unavailable']);
});

test('in band, a token of somebody else is refused; the connection is made anew', async () => {
  let asked = 0;
  const client = stand.client({ token: () => token(asked < 2 ? short : 600, { sub: asked++ === 0 ? 'user:1' : 'user:2' }) });
  const topic = client.subscribe('tokens.other');
  await waitFor(() => client.wire.opened === 2 && topic.status === 'live', patient);
  expect(client.errors.map((e) => e.reason)).toContain('claim_mismatch');
});

test('revoked: told so, and back with another token', async () => {
  let session = 0;
  const client = stand.client({ token: ({ reason }) => token(600, { oa_session_id: `s${reason === 'refused' ? ++session : session}` }) });
  const topic = client.subscribe('tokens.revoked');
  await topic.live();
  await stand.query(`SELECT runtime.sync_revoke('session', ARRAY['s0'], 'user_requested')`);
  await waitFor(() => client.wire.opened >= 2 && topic.status === 'live', { what: () => `back; ${client.status}, ${client.errors}` });
  expect(session).toBe(1);
  expect(client.errors.find((e) => e.code === 'reauth_required')?.reason).toBe('user_requested');
});

test('a topic that the token does not allow is denied, the others are not; with another token it is allowed', async () => {
  let all = false;
  await stand.insert('allowed.a', 1);
  const client = stand.client({ token: () => token(all ? 600 : short, { scopes: all ? ['*'] : ['allowed.*'] }) });
  const allowed = client.subscribe('allowed.a', { start: 'floor' });
  const forbidden = [client.subscribe('secret.a', { start: 'floor' }), client.subscribe('secret.b')];
  for (const topic of forbidden) await expect(topic.live()).rejects.toMatchObject({ code: 'forbidden_topic' });
  await allowed.live();
  expect(forbidden.map((topic) => topic.status)).toEqual(['denied', 'denied']);
  expect(client.status).toBe('denied');
  // The token is about to end all the time; the next one allows more.
  all = true;
  await Promise.all([...forbidden, allowed].map((topic) => waitFor(() => topic.status === 'live', patient)));
  expect(client.status).toBe('live');
});
