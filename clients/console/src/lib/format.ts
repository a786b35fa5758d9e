// Numbers, sizes and times as people read them. The page is English; digits are grouped so that they line up.
import type { Int } from '../api/types';

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** A count as a number: exact up to 2^53, which is enough for rates and charts. */
export const num = (value: Int | null | undefined): number => (value === null || value === undefined ? NaN : Number(value));

/** A whole number with groups; decimal strings keep every digit. */
export function count(value: Int | bigint | null | undefined): string {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return '–';
  try {
    return grouped.format(typeof value === 'string' ? BigInt(value) : value);
  } catch {
    return String(value);
  }
}

/** A rate or measure with at most three digits that matter. */
export function measure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size !== 0 && size < 0.1) return value.toPrecision(1);
  return size < 100 ? oneDigit.format(value) : grouped.format(value);
}

export function bytes(value: Int | null | undefined): string {
  let size = num(value);
  if (!Number.isFinite(size)) return '–';
  for (const unit of ['B', 'kB', 'MB', 'GB', 'TB']) {
    if (size < 1000 || unit === 'TB') return `${unit === 'B' ? grouped.format(size) : oneDigit.format(size)} ${unit}`;
    size /= 1000;
  }
  return '–';
}

/** Milliseconds as a length of time: 350 ms, 12 s, 5 min, 3 h, 2 d. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < 1000) return `${measure(ms)} ms`;
  if (ms < 10_000) return `${oneDigit.format(ms / 1000)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** How long ago, in whole seconds first: a text that changes once a second at most. */
export function ago(ms: number): string {
  if (ms < 1500) return 'just now';
  if (ms < 60_000) return `${Math.round(ms / 1000)} s ago`;
  return `${duration(ms)} ago`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dated = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** A point in time: the clock for today, the date besides for other days. */
export function time(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  const date = new Date(ms);
  return (date.toDateString() === new Date().toDateString() ? clock : dated).format(date);
}

export const fullTime = (ms: number): string => full.format(new Date(ms));

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A code of the wire as words. */
export const wordsOf = (code: string | null | undefined): string => (code ?? '').replaceAll('_', ' ');
