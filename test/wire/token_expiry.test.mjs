// A socket outlives its token by a grace period only; a new token keeps it going. The times are long enough for a machine
// that stands still for some seconds between the warning and what is done about it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'token-warning-ms': 12_000, 'token-grace-ms': 1000 } });
const { fanout } = stand;
/** @param {number} seconds @param {Record<string, unknown>} [claims] */
const expiringIn = (seconds, claims = {}) => fanout.token(['*'], { exp: Math.floor(Date.now() / 1000) + seconds, ...claims });

test('a warning before, service until the end, then a close; a new token in time: no close, and the stream goes on', async () => {
  const end = Math.floor(Date.now() / 1000) + 15;
  const raw = await stand.raw({ token: fanout.token(['*'], { exp: end }) });
  await raw.join({ topics: ['expiry.t'] });
  const renewed = await stand.raw({ token: fanout.token(['*'], { exp: end - 1 }) });
  await renewed.join({ topics: ['expiry.renewed'] });
  const warning = await raw.frame((f) => f[3] === 'sync:error', 'a warning');
  assert.deepEqual(warning.slice(0, 3), [null, null, 'sync:v1']);
  assert.equal(warning[4].code, 'token_expired');
  assert.ok(warning[4].expires_in_ms > 0 && warning[4].expires_in_ms <= 12_100, String(warning[4].expires_in_ms));
  await stand.insert('expiry.t', 1);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'an update while warned');
  await renewed.frame((f) => f[3] === 'sync:error', 'a warning');
  const { status } = await renewed.ask('sync:v1', 'sync:reauthenticate', { token: fanout.token(['*']) });
  assert.equal(status, 'ok');
  assert.equal(await raw.closed(), 1008);
  assert.ok(Date.now() >= (end + 1) * 1000 - 10, 'not before the grace is over');
  // Its contemporary is gone, whose token lasted longer; this one lives.
  assert.equal(renewed.closeCode, undefined);
  await stand.insert('expiry.renewed', 1);
  await renewed.frame((f) => f[3] === 'sync:update_batch', 'an update after the first token ended');
});

test('a bad new token is refused and changes nothing', async () => {
  const raw = await stand.raw();
  await raw.join({ topics: ['expiry.bad'] });
  for (const payload of [{ token: 'x' }, {}, { token: 5 }, { token: expiringIn(-5) }]) {
    const { status, response } = await raw.ask('sync:v1', 'sync:reauthenticate', payload);
    assert.equal(status, 'error');
    assert.equal(response.code, 'unauthorized');
  }
  await stand.insert('expiry.bad', 1);
  await raw.frame((f) => f[3] === 'sync:update_batch', 'an update');
});

test('a new token of somebody else is refused', async () => {
  const raw = await stand.raw();
  await raw.join();
  const { status } = await raw.ask('sync:v1', 'sync:reauthenticate', { token: fanout.token(['*'], { sub: 'user:2' }) });
  assert.equal(status, 'error');
});

test('topics that the new token does not grant end', async () => {
  const raw = await stand.raw({ token: fanout.token(['narrow.*']) });
  await raw.join({ topics: ['narrow.a', 'narrow.b'] });
  await raw.ask('sync:v1', 'sync:reauthenticate', { token: fanout.token(['narrow.a']) });
  await stand.insert('narrow.b', 1);
  await stand.insert('narrow.a', 1);
  await raw.frame((f) => f[3] === 'sync:update_batch' && f[4].updates[0].topic === 'narrow.a', 'narrow.a goes on');
  const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['narrow.b'] });
  assert.equal(status, 'error');
  assert.equal(response.code, 'forbidden_topic');
  assert.equal(raw.frames.filter((f) => f[3] === 'sync:update_batch' && f[4].updates[0].topic === 'narrow.b').length, 0);
});
