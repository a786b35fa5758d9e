// The public shapes.
import type { SyncError } from './errors.js';
import type { SyncInteger } from './integers.js';
import type { SyncStore } from './stores/store.js';
import type { Cursor } from './topic_state.js';
import type { UpdateOp } from './wire.js';

export type { SyncInteger } from './integers.js';
export type { Cursor } from './topic_state.js';
export type { UpdateOp } from './wire.js';

/** Of the client as a whole, and of each topic. docs/clients/typescript.md has what each means. */
export type SyncStatus =
  | 'idle' | 'connecting' | 'catching_up' | 'live' | 'reconnecting' | 'stale' | 'denied' | 'closed';

/** A document as it is now. Immutable: a change makes another object. */
export interface SyncDocument {
  readonly docKey: string;
  /** Orders the document's states. A number up to 2^53 - 1, a bigint beyond. */
  readonly docVersion: SyncInteger;
  /** The parsed payload (JSON.parse, or the client's `parse`). Parsed when first looked at. */
  readonly payload: unknown;
  /** The payload's canonical JSON, every digit as the database has it. */
  readonly payloadText: string;
  /** Base64 of the SHA-256 of `payloadText`; verified. */
  readonly payloadHash: string;
  /** The place in the topic's history that this state reflects. */
  readonly watermark: number;
  /** When the change was written, milliseconds since 1970; null for a document that came by a snapshot. */
  readonly updatedAt: number | null;
}

/** One event of a topic. */
export interface SyncUpdate {
  readonly topic: string;
  /** Names the document; for `truncate`, the beginning of the keys that are gone. */
  readonly docKey: string;
  readonly docVersion: SyncInteger;
  readonly op: UpdateOp;
  /** Parsed; null without one (`delete`, `truncate`, or a document that was gone when it was fetched). */
  readonly payload: unknown;
  /** Base64; what the event's own payload hashes to. */
  readonly payloadHash: string;
  readonly watermark: number;
  readonly epoch: SyncInteger;
  /** Milliseconds since 1970. */
  readonly insertedAt: number;
  /** The payload was fetched over HTTP, and may be of a later state than the event's. */
  readonly hydrated: boolean;
  /** The W3C traceparent that was in force where the row was written (`oa_sync.traceparent`); absent without one. */
  readonly traceparent?: string;
}

/** Why a topic cannot be resumed. */
export interface StaleInfo {
  readonly topic: string;
  readonly reason: 'retention_floor_breach' | 'replay_budget_exceeded' | 'cursor_ahead_of_head' | 'epoch_diverged' | string;
  readonly resumeAfter: number;
  readonly retentionFloor: number;
  readonly headWatermark: number;
  /** Whether the client loads the topic anew by itself (`onStale: 'resync'`), or waits for `resync()`. */
  readonly resyncing: boolean;
}

/** What the documents event tells. */
export interface DocumentsChange {
  /** Keys of documents that are new, changed or gone. Empty when all were replaced. */
  readonly changed: ReadonlySet<string>;
  /** All documents were replaced: loaded from the store, or from a snapshot. */
  readonly reset: boolean;
}

export interface TopicOptions {
  /**
   * Keep the topic's documents (default true). False: updates only, and a cursor; right for a log of events that an
   * application keeps itself.
   */
  documents?: boolean;
  /**
   * What to do when the cursor cannot be resumed. 'resync' loads a snapshot over HTTP and goes on from it; 'notify'
   * emits `stale` and waits for `resync()`. Default: 'resync' with documents, 'notify' without.
   */
  onStale?: 'resync' | 'notify';
  /**
   * Where to begin without a stored cursor. 'snapshot': with the documents as they are (default with documents);
   * 'floor': with every event that is retained (default without); 'head': with what comes from now on.
   */
  start?: 'snapshot' | 'floor' | 'head';
}

/** Why a token is asked for. */
export interface TokenRequest {
  /** 'connect': to connect. 'expiring': the present one ends soon. 'refused': the server did not take `previous`. */
  reason: 'connect' | 'expiring' | 'refused';
  /** The token before this one. */
  previous: string | undefined;
  /** Why the server refused it: `token_expired`, `token_revoked`, …; undefined when it did not. */
  refusal: string | undefined;
}

export type TokenProvider = (request: TokenRequest) => string | Promise<string>;

/** What of `fetch` is used. */
export type FetchLike = (url: string, init: { method: string; headers: Record<string, string>; signal?: AbortSignal }) =>
  Promise<{ status: number; ok: boolean; headers: { get(name: string): string | null }; text(): Promise<string> }>;

/** A WebSocket constructor: the browser's, React Native's, or that of npm's `ws`. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => object;

export interface SyncClientOptions {
  /** The socket endpoint without `/websocket`: `wss://sync.example.com/socket`. */
  url: string;
  /** The HTTP base; derived from `url` when left out (`https://sync.example.com`). */
  httpUrl?: string;
  /** Gives a token, or promises one. Called for every connection, and before the token ends. */
  token: TokenProvider;
  /** Where cursors and documents are kept. Default: `memoryStore()`. */
  store?: SyncStore;
  /** Names the application in the server's list of sessions. */
  client?: string;
  /** For servers with a compatibility gate: `YYYYMMDDTHHMMSSZ`. */
  clientBuildId?: string;
  protocolVersion?: string;
  schemaVersion?: number;
  /** How updates travel: 'proto' (default) is smaller and quicker to read, 'json' is easier to look at. */
  encoding?: 'proto' | 'json';
  /** Default: the platform's `WebSocket`. Node before 22 has none: give `ws`'s. */
  transport?: WebSocketConstructor;
  /** Default: the platform's `fetch`. */
  fetch?: FetchLike;
  /** How a payload's text becomes `payload`. Default: JSON.parse, which rounds what a double cannot hold. */
  parse?: (text: string) => unknown;
  /** Most updates in a replayed batch; the server's limit when left out. */
  replayBatchSize?: number;
  /** A socket that takes longer to open is given up, and tried again (15 000). */
  connectTimeoutMs?: number;
  /** Bounds of waiting before the next try. The server's advice replaces `baseMs` and `jitterMs`. */
  backoff?: Partial<BackoffOptions>;
  /** Milliseconds since 1970. Default: Date.now. */
  clock?: () => number;
  /** From 0 to 1. Default: Math.random. */
  random?: () => number;
  /** Gets what happens, for debugging; never tokens or payloads. */
  log?: (message: string, details?: Record<string, unknown>) => void;
}

export interface BackoffOptions {
  /** The first wait (400). */
  baseMs: number;
  /** The longest (30 000). */
  maxMs: number;
  /** Up to so much more, at random (250). */
  jitterMs: number;
}

export interface ClientEvents {
  status: (status: SyncStatus, previous: SyncStatus) => void;
  error: (error: SyncError) => void;
  /** The server accepted a new token on the open socket. */
  reauthenticated: () => void;
}

export interface TopicEvents {
  /** Every event, in order. */
  update: (update: SyncUpdate) => void;
  /** Documents changed: once for each batch. */
  documents: (change: DocumentsChange) => void;
  status: (status: SyncStatus, previous: SyncStatus) => void;
  /** Cursor, head, lag or "current as of" changed: once for each batch and heartbeat. */
  progress: () => void;
  /** The cursor cannot be resumed. */
  stale: (info: StaleInfo) => void;
  error: (error: SyncError) => void;
}

/** One subscriber's hold on a topic. Several share one subscription; the last `release()` ends it. */
export interface SyncTopic {
  readonly name: string;
  readonly status: SyncStatus;
  /** The last place that was applied; undefined before the first. */
  readonly cursor: Cursor | undefined;
  /** The last watermark that the server is known to have. */
  readonly head: number;
  /** How many events behind the head. */
  readonly lag: number;
  /** When the client last knew that it had everything, milliseconds since 1970; null before. */
  readonly currentAsOf: number | null;
  /** What is wrong now; null when nothing is. */
  readonly error: SyncError | null;
  /** The documents by key. Another object after each change, so that it can be compared with ===. */
  readonly documents: ReadonlyMap<string, SyncDocument>;
  get(docKey: string): SyncDocument | undefined;
  on<E extends keyof TopicEvents>(event: E, listener: TopicEvents[E]): () => void;
  /** Resolves when the topic is live; rejects when it cannot become so (denied, stale and waiting, released, closed). */
  live(): Promise<void>;
  /** Loads the topic anew. Resolves when it is subscribed again from there. */
  resync(): Promise<void>;
  /** Ends this hold. What was subscribed with it gets no more. */
  release(): void;
  /** Updates as they come; `updates()` with its default limit. */
  [Symbol.asyncIterator](): AsyncIterator<SyncUpdate>;
  /**
   * Updates as they come. Those that wait to be taken are bounded: beyond `limit` (default 10 000) the oldest are
   * dropped, and the next step throws a SyncError `updates_dropped` that says how many; iterating again goes on.
   */
  updates(options?: { limit?: number }): AsyncIterableIterator<SyncUpdate>;
}
