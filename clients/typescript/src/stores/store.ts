// What a store is: cursors and documents, kept together so that a cursor never runs ahead of what it covers.

/** A cursor as it is stored. */
export interface StoredCursor {
  /** Decimal digits: epochs may exceed 2^53. */
  epoch: string;
  watermark: number;
}

/** A document as it is stored: its canonical text, so that no digit is lost. */
export interface StoredDocument {
  docKey: string;
  docVersion: string;
  text: string;
  payloadHash: string;
  watermark: number;
  updatedAt: number | null;
}

export interface StoredTopic {
  cursor: StoredCursor;
  documents: StoredDocument[];
}

export interface StoreCommit {
  /** The cursor from which `puts` and `deletes` lead to `cursor`; null when they are everything there is. */
  base: StoredCursor | null;
  cursor: StoredCursor;
  puts: StoredDocument[];
  deletes: string[];
  /** Takes the place of whatever is stored, newer or not: the server said that the stored cursor is no good. */
  force?: boolean;
}

/**
 * What came of a commit. 'stored'. 'newer': another tab has stored a later state of the same epoch, or a later epoch;
 * nothing was written. 'apart': what is stored is no place between `base` and `cursor`; nothing was written, and the whole
 * topic has to be committed (with base null).
 */
export type CommitResult = 'stored' | 'newer' | 'apart';

/**
 * Where cursors and documents outlive the client. `topic` is a key of the client's making. A store is shared by tabs or
 * clients of one user: each method has to be atomic against the same methods elsewhere, `commit` with the comparison that
 * `judgeCommit` makes in it.
 */
export interface SyncStore {
  load(topic: string): Promise<StoredTopic | undefined>;
  commit(topic: string, change: StoreCommit): Promise<CommitResult>;
  /** Forgets a topic. */
  remove(topic: string): Promise<void>;
  /** Forgets everything: when a user logs out. */
  clear(): Promise<void>;
  /** Ends what the store holds open. */
  close?(): Promise<void>;
  /** Least time between two commits of a topic. More for stores that write a whole topic each time. Default 0. */
  readonly commitIntervalMs?: number;
}

const before = (a: StoredCursor, b: StoredCursor): boolean =>
  a.epoch === b.epoch ? a.watermark < b.watermark : BigInt(a.epoch) < BigInt(b.epoch);

/** Whether a commit may be written over what is stored. Every store asks this within its own transaction. */
export function judgeCommit(stored: StoredCursor | undefined, change: StoreCommit): CommitResult {
  if (change.force) return 'stored';
  if (stored === undefined) return change.base === null ? 'stored' : 'apart';
  if (!before(stored, change.cursor)) {
    const same = stored.epoch === change.cursor.epoch && stored.watermark === change.cursor.watermark;
    return same && change.base === null ? 'stored' : 'newer';
  }
  if (change.base === null) return 'stored';
  // In another epoch the same watermark may be another event.
  const sameHistory = stored.epoch === change.base.epoch && stored.epoch === change.cursor.epoch;
  return sameHistory && !before(stored, change.base) ? 'stored' : 'apart';
}

/** What a topic is after a commit that may be written. */
export function afterCommit(stored: StoredTopic | undefined, change: StoreCommit): StoredTopic {
  const documents = new Map(change.base === null ? [] : stored?.documents.map((one) => [one.docKey, one]));
  for (const key of change.deletes) documents.delete(key);
  for (const one of change.puts) documents.set(one.docKey, one);
  return { cursor: change.cursor, documents: [...documents.values()] };
}
