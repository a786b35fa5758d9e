// 64-bit integers: a number where it is exact, a bigint beyond.
//
// doc_version and epoch are such `SyncInteger`s. Both compare with < and with ===, because a value has one form only.
// Watermarks are plain numbers: 2^53 events of one topic are 285 years of a million a second.

/** A number where that is exact (up to 2^53 - 1), a bigint beyond. Compares with `<`, `===` and with each other. */
export type SyncInteger = number | bigint;

const decimal = /^\d{1,20}$/;

/** Reads an integer >= 0 of the wire: a number, a bigint, or decimal digits. Undefined when it is none. */
export function readInteger(value: unknown): SyncInteger | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value === 'bigint') return value < 0n ? undefined : fromBigInt(value);
  if (typeof value === 'string' && decimal.test(value)) return fromBigInt(BigInt(value));
  return undefined;
}

export function fromBigInt(value: bigint): SyncInteger {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** As `resume_after` takes it: a number, or decimal digits beyond 2^53. */
export const toWire = (value: SyncInteger): number | string => (typeof value === 'bigint' ? value.toString() : value);
