// What goes wrong has a code to act on and a message that says what happened, to what, and what to do.

/** What a `SyncError` can be about. */
export type SyncErrorCode =
  // The server's own codes (docs/protocol/OA_SYNC_WS_MAPPING.md).
  | 'unauthorized' | 'forbidden_topic' | 'bad_subscription' | 'stale_cursor' | 'payload_too_large' | 'rate_limited'
  | 'internal' | 'slow_consumer' | 'reauth_required' | 'token_expired' | 'bad_topic' | 'going_away'
  // The server does not take this client's build or protocol; `details` says which it takes.
  | 'incompatible_client'
  // This client's own.
  | 'origin_not_allowed' | 'token_unavailable' | 'connection_failed' | 'protocol_error' | 'hash_mismatch' | 'gap'
  | 'hydration_failed' | 'snapshot_failed' | 'no_snapshot_source' | 'resync_failed' | 'store_failed' | 'updates_dropped'
  | 'listener_failed' | 'invalid_argument' | 'no_transport' | 'closed';

export interface SyncErrorDetails {
  /** The topic that it is about. */
  topic?: string;
  /** The document that it is about. */
  docKey?: string;
  /** A second, finer code: of a refused token (`token_expired`, …), a stale cursor, an HTTP answer. */
  reason?: string;
  /** What the server asked to wait. */
  retryAfterMs?: number;
  /** The HTTP status, where there was one. */
  httpStatus?: number;
  /** What the server sent. Never a token. */
  details?: unknown;
  cause?: unknown;
}

export class SyncError extends Error {
  readonly code: SyncErrorCode;
  readonly topic: string | undefined;
  readonly docKey: string | undefined;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly httpStatus: number | undefined;
  readonly details: unknown;

  constructor(code: SyncErrorCode, message: string, more: SyncErrorDetails = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'SyncError';
    this.code = code;
    this.topic = more.topic;
    this.docKey = more.docKey;
    this.reason = more.reason;
    this.retryAfterMs = more.retryAfterMs;
    this.httpStatus = more.httpStatus;
    this.details = more.details;
  }
}

/** Whatever was thrown, as text. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
