// Payload hashes: SHA-256 over a document's canonical JSON.
import { fromBase64, toBase64, toUtf8 } from './bytes.js';
import { sha256 } from './sha256.js';

/** The hash of a document's canonical JSON, in base64. */
export const hashOf = (text: string): string => toBase64(sha256(toUtf8(text)));

/** Base64 of sha256("null"): the hash of an update without a payload. */
export const nullHash = hashOf('null');

/** Base64 in the one form that hashes are compared in. Undefined when it is no SHA-256. */
export function readHash(value: unknown): string | undefined {
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
  return bytes?.length === 32 ? toBase64(bytes) : undefined;
}
