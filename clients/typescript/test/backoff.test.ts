// Waiting: longer each time, bounded, never shorter than the server advises.
import { expect, test } from 'vitest';
import { Backoff } from '../src/backoff.js';
import { lifetimeOf } from '../src/tokens.js';

const waits = (backoff: Backoff, count: number): number[] => Array.from({ length: count }, () => backoff.next());

test('doubles to the longest, and begins again after a success', () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, jitterMs: 0 }, () => 0);
  expect(waits(backoff, 6)).toEqual([100, 200, 400, 800, 1000, 1000]);
  backoff.succeeded();
  expect(waits(backoff, 1)).toEqual([100]);
  expect(waits(backoff, 200).at(-1)).toBe(1000);
});

test('jitter is added, more of it to longer waits', () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, jitterMs: 50 }, () => 1);
  expect(waits(backoff, 4)).toEqual([150, 300, 600, 1200]);
});

test('advice is a least wait, once', () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, jitterMs: 0 }, () => 0);
  backoff.advise(5000);
  backoff.advise(20);
  expect(waits(backoff, 2)).toEqual([5000, 200]);
  for (const nonsense of [undefined, null, 'soon', NaN, -1, Infinity]) backoff.advise(nonsense);
  expect(waits(backoff, 1)).toEqual([400]);
});

test('a token\'s lifetime is from iat to exp', () => {
  const jwt = (claims: unknown): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  expect(lifetimeOf(jwt({ iat: 100, exp: 400, name: 'ü' }))).toBe(300_000);
  for (const none of [jwt({ exp: 400 }), jwt({ iat: 400, exp: 400 }), jwt({ iat: '1', exp: '2' }), jwt(null), 'x', 'a.!.c', '']) {
    expect(lifetimeOf(none), none).toBeUndefined();
  }
});
