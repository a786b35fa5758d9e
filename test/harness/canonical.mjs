// Canonical JSON and its sha256, and a reader that keeps numbers as they were written.
//
// JSON.parse turns 1.10 into 1.1 and 9007199254740993 into 9007199254740992; a payload's hash is over the digits that
// the server wrote, so a check of hashes must not go through a double.
import { createHash } from 'node:crypto';

/** A number as it was written. */
export class RawNumber {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @param {number} unit */
const isHigh = (unit) => unit >= 0xd800 && unit <= 0xdbff;

/**
 * Orders strings by code point (JavaScript's own order is by UTF-16 unit). A surrogate alone is a code point of its own.
 * @param {string} a
 * @param {string} b
 */
export function byCodePoint(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    // The difference may be in the second half of a pair.
    const at = i > 0 && isHigh(a.charCodeAt(i - 1)) ? i - 1 : i;
    return (a.codePointAt(at) ?? 0) - (b.codePointAt(at) ?? 0) || (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
}

/** @param {unknown} value @returns {string} */
export function canonicalJson(value) {
  if (value instanceof RawNumber) return value.text;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value instanceof Map) return members([...value.entries()]);
  if (value !== null && typeof value === 'object') return members(Object.entries(value));
  return JSON.stringify(value);
}

/** @param {[string, unknown][]} entries */
function members(entries) {
  const sorted = entries.sort(([a], [b]) => byCodePoint(a, b));
  return `{${sorted.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}

/** Lower-case hex. @param {string | Uint8Array} data */
export const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** sha256("null"): the hash of an event without a payload. */
export const nullHash = sha256('null');

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;

/**
 * Parses JSON, numbers as RawNumber, objects as Map (so that no member name is special).
 * @param {string} text
 * @returns {unknown}
 */
export function parseExact(text) {
  let at = 0;
  const skip = () => {
    while (at < text.length && ' \t\n\r'.includes(/** @type {string} */ (text[at]))) at++;
  };
  /** @param {RegExp} pattern */
  const take = (pattern) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (!match) throw new SyntaxError(`bad JSON at ${at}: ${text.slice(at, at + 20)}`);
    at += match[0].length;
    return match[0];
  };
  /** @param {string} open @param {string} close @param {() => void} element */
  const list = (open, close, element) => {
    at += open.length;
    skip();
    if (text[at] === close) {
      at++;
      return;
    }
    for (;;) {
      element();
      skip();
      const next = text[at++];
      if (next === close) return;
      if (next !== ',') throw new SyntaxError(`bad JSON at ${at - 1}`);
    }
  };
  /** @returns {unknown} */
  const value = () => {
    skip();
    const first = text[at];
    if (first === '"') return JSON.parse(take(stringPattern));
    if (first === '{') {
      const object = new Map();
      list('{', '}', () => {
        skip();
        const key = JSON.parse(take(stringPattern));
        skip();
        if (text[at++] !== ':') throw new SyntaxError(`bad JSON at ${at - 1}`);
        object.set(key, value());
      });
      return object;
    }
    if (first === '[') {
      /** @type {unknown[]} */
      const array = [];
      list('[', ']', () => array.push(value()));
      return array;
    }
    for (const [word, constant] of /** @type {const} */ ([['true', true], ['false', false], ['null', null]])) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return constant;
      }
    }
    return new RawNumber(take(numberPattern));
  };
  const result = value();
  skip();
  if (at !== text.length) throw new SyntaxError(`bad JSON at ${at}`);
  return result;
}
