// JSON with every digit: a reader that keeps numbers as they were written, and the canonical form that hashes are over.
//
// JSON.parse turns 9007199254740993 into 9007199254740992 and 1.10 into 1.1. A payload's hash is over the digits that
// the server wrote, so what is hashed never goes through a double. Canonical: members sorted by code point, no white
// space, the fewest escapes, numbers as they were written. test/vectors/canonical_json.json has examples.

/** A number as it was written. */
export class RawNumber {
  constructor(readonly text: string) {}
}

/** A JSON value; objects are Maps, so that no member's name is special. */
export type ExactJson = null | boolean | string | RawNumber | ExactJson[] | Map<string, ExactJson>;

/** As deep as the server takes it. */
const maxDepth = 1000;

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const spacePattern = /[ \t\n\r]*/y;

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): ExactJson {
    const value = this.#value(0);
    this.#skip();
    if (this.#at !== this.#text.length) throw this.#error();
    return value;
  }

  #error(): SyntaxError {
    return new SyntaxError(`bad JSON at character ${this.#at}`);
  }

  #skip(): void {
    spacePattern.lastIndex = this.#at;
    this.#at += spacePattern.exec(this.#text)?.[0].length ?? 0;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) throw this.#error();
    this.#at += match[0].length;
    return match[0];
  }

  #string(): string {
    return JSON.parse(this.#take(stringPattern)) as string;
  }

  #expect(character: string): void {
    this.#skip();
    if (this.#text[this.#at] !== character) throw this.#error();
    this.#at++;
  }

  #list(close: string, element: () => void): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      element();
      this.#skip();
      const next = this.#text[this.#at];
      if (next !== close && next !== ',') throw this.#error();
      this.#at++;
      if (next === close) return;
    }
  }

  #value(depth: number): ExactJson {
    if (depth > maxDepth) throw new SyntaxError(`JSON of more than ${maxDepth} levels`);
    this.#skip();
    switch (this.#text[this.#at]) {
      case '"':
        return this.#string();
      case '{': {
        const members = new Map<string, ExactJson>();
        this.#list('}', () => {
          this.#skip();
          const key = this.#string();
          this.#expect(':');
          members.set(key, this.#value(depth + 1));
        });
        return members;
      }
      case '[': {
        const elements: ExactJson[] = [];
        this.#list(']', () => void elements.push(this.#value(depth + 1)));
        return elements;
      }
    }
    for (const [word, constant] of [['true', true], ['false', false], ['null', null]] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return constant;
      }
    }
    return new RawNumber(this.#take(numberPattern));
  }
}

/** Parses JSON with every digit. Throws SyntaxError. */
export const parseExact = (text: string): ExactJson => new Reader(text).whole();

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/** Orders strings by code point (JavaScript's own order is by UTF-16 unit). A surrogate alone is a code point of its own. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    // The difference may be in the second half of a pair.
    const at = i > 0 && isHigh(a.charCodeAt(i - 1)) ? i - 1 : i;
    return (a.codePointAt(at) ?? 0) - (b.codePointAt(at) ?? 0) || (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
}

/** The canonical text of a value. */
export function canonicalJson(value: ExactJson): string {
  if (value instanceof RawNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value instanceof Map) {
    const sorted = [...value].sort(([a], [b]) => byCodePoint(a, b));
    return `{${sorted.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
