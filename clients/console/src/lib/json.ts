// JSON as it was written: numbers that JavaScript would change keep their digits.

/** A number whose text is not what JavaScript makes of it. */
export class ExactNumber {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
  toJSON(): string {
    return this.text;
  }
}

type SourceReviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown;

/** JSON.parse, but a number past 2^53, or with digits that a double does not hold, becomes an ExactNumber where the browser can tell. */
export function parseJson(text: string): unknown {
  const reviver: SourceReviver = (_key, value, context) =>
    typeof value === 'number' && context?.source !== undefined && context.source.length > 15 && String(value) !== context.source
      ? new ExactNumber(context.source) : value;
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

/** Indented JSON with sorted keys, one member a line: what people read and what is compared. */
export function prettyJson(value: unknown, indent = ''): string {
  if (value === undefined) return '';
  if (value instanceof ExactNumber || typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    return value.length === 0 ? '[]' : `[\n${value.map((item) => deeper + prettyJson(item, deeper)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? '{}'
    : `{\n${entries.map(([key, item]) => `${deeper}${JSON.stringify(key)}: ${prettyJson(item, deeper)}`).join(',\n')}\n${indent}}`;
}

/** A payload on one line, cut to `limit` characters. */
export function briefJson(value: unknown, limit = 160): string {
  const text = prettyJson(value).replace(/\n\s*/g, ' ');
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
