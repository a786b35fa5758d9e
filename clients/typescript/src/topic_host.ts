// What a topic is doing, and what it needs of its client for that.
import type { Backoff } from './backoff.js';
import type { SyncError } from './errors.js';
import type { HttpApi } from './http.js';
import type { SyncStore } from './stores/store.js';
import type { SyncStatus } from './types.js';

/**
 * loading: from the store. waiting: for documents or a place to begin from, over HTTP. ready: to be subscribed.
 * subscribing: asked for. subscribed. stale: waits for resync(). blocked: the server does not allow it.
 */
export type Phase = 'loading' | 'waiting' | 'ready' | 'subscribing' | 'subscribed' | 'stale' | 'blocked';

/** What a topic needs of its client. */
export interface TopicHost {
  readonly store: SyncStore;
  readonly api: HttpApi;
  readonly status: SyncStatus;
  readonly error: SyncError | null;
  /** Joined: subscriptions and requests make sense. */
  readonly isOnline: boolean;
  now(): number;
  newBackoff(): Backoff;
  parse(text: string): unknown;
  /** Resolves when joined, or when the signal aborts. */
  online(signal: AbortSignal): Promise<void>;
  /** Some topic became ready. */
  reconcile(): void;
  unsubscribe(topic: string): void;
  topicChanged(): void;
  log(message: string, details?: Record<string, unknown>): void;
  failed(error: SyncError): void;
}
