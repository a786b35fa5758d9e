// @openagents/sync: follows topics of OA Sync over one WebSocket, and never loses its place.
export { SyncClient } from './client.js';
export { SyncError, type SyncErrorCode, type SyncErrorDetails } from './errors.js';
export { canonicalJson, parseExact, RawNumber, type ExactJson } from './exact_json.js';
export { memoryStore } from './stores/memory.js';
export { asyncStorageStore, localStorageStore, type AsyncStorageLike, type RecordStoreOptions, type WebStorageLike } from './stores/records.js';
export { afterCommit, judgeCommit, type CommitResult, type StoreCommit, type StoredCursor, type StoredDocument, type StoredTopic,
  type SyncStore } from './stores/store.js';
export type * from './types.js';
