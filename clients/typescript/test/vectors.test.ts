// Canonical JSON, hashes, integers and bytes: against the vectors that C++ and SQL are tested with, and against Node's own.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as harness from '../../../test/harness/canonical.mjs';
import { fromBase64, toBase64, toHex, toUtf8 } from '../src/bytes.js';
import { byCodePoint, canonicalJson, parseExact } from '../src/exact_json.js';
import { readInteger, toWire } from '../src/integers.js';
import { sha256 } from '../src/sha256.js';
import { hashOfPayload } from '../src/lane.js';
import { hashOf, nullHash } from '../src/hash.js';

interface Vectors {
  vectors: { name: string; input: string; canonical: string; sha256: string }[];
  invalid: { name: string; input: string }[];
}
const { vectors, invalid } = JSON.parse(
  readFileSync(new URL('../../../test/vectors/canonical_json.json', import.meta.url), 'utf8')) as Vectors;

test('there are vectors', () => {
  expect(vectors.length).toBeGreaterThan(50);
  expect(invalid.length).toBeGreaterThan(10);
});

test.each(vectors.map((one) => [one.name, one] as const))('canonical: %s', (_name, { input, canonical, sha256: hash }) => {
  expect(canonicalJson(parseExact(input))).toBe(canonical);
  expect(harness.canonicalJson(harness.parseExact(input)), 'that of the other tests').toBe(canonical);
  expect(toHex(sha256(toUtf8(canonical)))).toBe(hash);
  expect(toHex(fromBase64(hashOf(canonical))!)).toBe(hash);
});

test.each(invalid.map((one) => [one.name, one.input] as const))('refused: %s', (_name, input) => {
  expect(() => parseExact(input)).toThrow(SyntaxError);
});

test('digits that a double does not hold stay', () => {
  const text = '[9007199254740993,0.10,1e400,-0,1E+2,123456789012345678901234567890.123456789]';
  expect(canonicalJson(parseExact(text))).toBe(text);
});

test('sha256 is that of Node, for every length around a block and for random bytes', () => {
  for (let length = 0; length <= 200; length++) {
    const bytes = new Uint8Array(randomBytes(length));
    expect(toHex(sha256(bytes))).toBe(createHash('sha256').update(bytes).digest('hex'));
  }
  // A view into a larger buffer, and a large one.
  const large = new Uint8Array(randomBytes(300_007)).subarray(5);
  expect(toHex(sha256(large))).toBe(createHash('sha256').update(large).digest('hex'));
  expect(nullHash).toBe(createHash('sha256').update('null').digest('base64'));
});

test('base64 goes there and back, in either alphabet', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    const text = Buffer.from(bytes).toString('base64');
    expect(toBase64(bytes)).toBe(text);
    expect(fromBase64(text)).toEqual(bytes);
    expect(fromBase64(Buffer.from(bytes).toString('base64url'))).toEqual(bytes);
  }));
  for (const wrong of ['a', 'ab!=', 'äöüß', 'abcde']) expect(fromBase64(wrong)).toBeUndefined();
});

test('canonical JSON of any value is read as the same value, and hashes the same in whatever order it was written', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const canonical = canonicalJson(parseExact(JSON.stringify(value)));
    expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
    expect(canonicalJson(parseExact(canonical))).toBe(canonical);
    expect(hashOfPayload(JSON.parse(canonical))).toBe(hashOf(canonical));
  }));
});

test('members are sorted by code point, not by UTF-16 unit', () => {
  expect(['\u{1f600}', '\uffff', 'a', ''].sort(byCodePoint)).toEqual(['', 'a', '\uffff', '\u{1f600}']);
  // A pair behind a surrogate that has none.
  expect(['\ud83d\u{1f600}', '\ud83d\ue000'].sort(byCodePoint)).toEqual(['\ud83d\ue000', '\ud83d\u{1f600}']);
  const codePoints = (text: string): number[] => [...text].map((one) => one.codePointAt(0) ?? 0);
  const units = fc.array(fc.constantFrom(0x61, 0xd7ff, 0xd800, 0xd83d, 0xdc00, 0xde00, 0xe000, 0xffff), { maxLength: 6 })
    .map((list) => String.fromCharCode(...list));
  fc.assert(fc.property(units, units, (a, b) => {
    const [x, y] = [codePoints(a), codePoints(b)];
    const at = x.findIndex((one, i) => one !== y[i]);
    const expected = at < 0 ? x.length - y.length : at >= y.length ? 1 : x[at]! - y[at]!;
    expect([Math.sign(byCodePoint(a, b)), Math.sign(harness.byCodePoint(a, b))]).toEqual([Math.sign(expected), Math.sign(expected)]);
  }));
});

test('integers: exact numbers, bigints beyond, nothing else', () => {
  expect(readInteger(5)).toBe(5);
  expect(readInteger('5')).toBe(5);
  expect(readInteger('9007199254740993')).toBe(9007199254740993n);
  expect(readInteger(9007199254740991n)).toBe(9007199254740991);
  for (const wrong of [-1, 1.5, 2 ** 53, '-1', '1.5', '', ' 1', null, undefined, {}, '1'.repeat(21)]) {
    expect(readInteger(wrong), String(wrong)).toBeUndefined();
  }
  expect(toWire(9007199254740993n)).toBe('9007199254740993');
  expect(toWire(7)).toBe(7);
});
