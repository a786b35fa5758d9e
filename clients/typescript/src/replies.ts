// Reading what the server says: replies and notices, in which anything may be missing.
import type { SyncErrorCode } from './errors.js';
import { readInteger } from './integers.js';

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const serverCodes: readonly string[] = ['unauthorized', 'forbidden_topic', 'bad_subscription', 'stale_cursor', 'payload_too_large',
  'rate_limited', 'internal', 'slow_consumer', 'reauth_required', 'token_expired', 'bad_topic', 'going_away'] satisfies SyncErrorCode[];
export const knownCode = (code: string): SyncErrorCode => (serverCodes.includes(code) ? code as SyncErrorCode : 'internal');

export interface Entry {
  topic: string;
  watermark: number;
  epoch: number | bigint;
  head: number | undefined;
}

/** Lists of watermarks; what is none is left out. */
export function entries(list: unknown): Entry[] {
  const found: Entry[] = [];
  for (const one of Array.isArray(list) ? list : []) {
    if (!isObject(one) || typeof one.topic !== 'string') continue;
    const watermark = readInteger(one.watermark);
    const head = readInteger(one.head_watermark);
    if (typeof watermark !== 'number') continue;
    found.push({ topic: one.topic, watermark, epoch: readInteger(one.epoch) ?? 0, head: typeof head === 'number' ? head : undefined });
  }
  return found;
}
