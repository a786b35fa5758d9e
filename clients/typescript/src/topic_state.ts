// One topic's state: where it is, what it has, and what a batch does to that. No socket, no clock, no promise.
//
// The rule of the wire: a batch covers every watermark in (after, through]. It is applied when it begins at the cursor
// or before it; what is at or below the cursor is dropped; one that begins beyond is a gap, and changes nothing. So the
// cursor moves only over watermarks that were applied, each once.
import type { SyncInteger } from './integers.js';
import type { WireBatch, WireUpdate } from './wire.js';

/** A place in a topic's history. */
export interface Cursor {
  /** The history that the watermark belongs to. */
  epoch: SyncInteger;
  /** The last watermark applied; 0 is before the first. */
  watermark: number;
}

/** A document as it is held. */
export interface HeldDocument {
  docKey: string;
  docVersion: SyncInteger;
  /** Canonical JSON. */
  text: string;
  /** Base64. */
  payloadHash: string;
  /** The watermark that it reflects: later updates change it, earlier ones do not. */
  watermark: number;
  /** When the update was appended, milliseconds since 1970; null when it came by a snapshot. */
  updatedAt: number | null;
}

/** What a fetch over HTTP said of a document: as it is at `watermark`, or that it is not there. */
export interface Hydrated {
  watermark: number;
  document: { docVersion: SyncInteger; text: string; payloadHash: string } | null;
}

/** Documents and the cursor from which events go on. */
export interface Snapshot {
  cursor: Cursor;
  documents: readonly HeldDocument[];
}

/** What a batch would do. */
export type Verdict = 'apply' | 'duplicate' | 'gap';

export interface Applied {
  /** In their order; those that were applied before are not among them. */
  updates: WireUpdate[];
  /** Keys of documents that are new, changed or gone. */
  changed: Set<string>;
  /**
   * Keys that were spoken of, changed here or not. Where a document was fetched in a later state than the event's, another
   * tab at the same cursor may hold an earlier one: what is stored has to be brought to the same.
   */
  touched: Set<string>;
  /** Documents were spoken of that may not be held here, by the beginning of their keys. */
  truncated: boolean;
}

export class TopicState<D extends HeldDocument = HeldDocument> {
  /** Undefined before the first subscribe or snapshot. */
  cursor: Cursor | undefined;
  /** The last watermark that the server is known to have. */
  head = 0;
  readonly documents = new Map<string, D>();
  readonly #make: (document: HeldDocument) => D;
  readonly #keepsDocuments: boolean;

  constructor(keepsDocuments: boolean, make: (document: HeldDocument) => D) {
    this.#keepsDocuments = keepsDocuments;
    this.#make = make;
  }

  /** How many events behind the head. */
  get lag(): number {
    return Math.max(0, this.head - (this.cursor?.watermark ?? 0));
  }

  /** A head that the server told of. Heads only grow within an epoch. */
  sawHead(watermark: number): void {
    this.head = Math.max(this.head, watermark);
  }

  /**
   * The server says that nothing is left to send and where the head is. That may be less than was known: voids at the end
   * of a topic are sent to nobody.
   */
  caughtUp(head: number): void {
    this.head = Math.max(head, this.cursor?.watermark ?? 0);
  }

  /** The server accepted a subscription that stands here: the cursor it was asked for, or where it begins without one. */
  accepted(at: Cursor, head: number): void {
    if (this.cursor === undefined) this.cursor = { ...at };
    // What lies before the cursor belongs to the server's history now, whichever epoch wrote it.
    else if (at.epoch > this.cursor.epoch) this.cursor = { epoch: at.epoch, watermark: this.cursor.watermark };
    this.head = Math.max(head, this.cursor.watermark);
  }

  /** Takes documents and cursor for all that there was. */
  replace(snapshot: Snapshot): void {
    this.cursor = { ...snapshot.cursor };
    this.head = snapshot.cursor.watermark;
    this.documents.clear();
    if (this.#keepsDocuments) for (const one of snapshot.documents) this.documents.set(one.docKey, this.#make(one));
  }

  /** Forgets everything: the topic begins anew. */
  reset(): void {
    this.cursor = undefined;
    this.head = 0;
    this.documents.clear();
  }

  judge(batch: WireBatch): Verdict {
    const at = this.cursor?.watermark;
    if (at === undefined || batch.after > at) return 'gap';
    return batch.through <= at ? 'duplicate' : 'apply';
  }

  /** The updates of a batch that are still to be applied. */
  fresh(batch: WireBatch): WireUpdate[] {
    const at = this.cursor?.watermark ?? 0;
    return batch.updates.filter((update) => update.watermark > at);
  }

  /** Applies a batch that `judge` said to apply. `hydrated` has what was fetched, by watermark of the update. */
  apply(batch: WireBatch, hydrated?: ReadonlyMap<number, Hydrated>): Applied {
    const cursor = this.cursor;
    if (cursor === undefined || this.judge(batch) !== 'apply') throw new Error(`apply: ${this.judge(batch)}`);
    const updates = this.fresh(batch);
    const changed = new Set<string>();
    const touched = new Set<string>();
    let truncated = false;
    let epoch = cursor.epoch;
    for (const update of updates) {
      if (update.epoch > epoch) epoch = update.epoch;
      if (update.op === 'truncate') truncated = true;
      else touched.add(update.docKey);
      if (this.#keepsDocuments) this.#applyToDocuments(update, hydrated?.get(update.watermark), changed);
    }
    this.cursor = { epoch, watermark: batch.through };
    this.sawHead(batch.through);
    for (const head of batch.heads) if (head.topic === batch.topic) this.sawHead(head.watermark);
    return { updates, changed, touched, truncated };
  }

  #applyToDocuments(update: WireUpdate, hydrated: Hydrated | undefined, changed: Set<string>): void {
    if (update.op === 'truncate') {
      for (const [key, held] of this.documents) {
        if (!key.startsWith(update.docKey) || held.watermark >= update.watermark) continue;
        this.documents.delete(key);
        changed.add(key);
      }
      return;
    }
    const held = this.documents.get(update.docKey);
    if (held && isOldNews(held, update)) return;
    if (update.op === 'delete' || hydrated?.document === null) {
      if (this.documents.delete(update.docKey)) changed.add(update.docKey);
      return;
    }
    const content = hydrated?.document ?? { docVersion: update.docVersion, text: update.text ?? 'null', payloadHash: update.payloadHash };
    this.documents.set(update.docKey, this.#make({
      docKey: update.docKey, docVersion: content.docVersion, text: content.text, payloadHash: content.payloadHash,
      watermark: Math.max(update.watermark, hydrated?.watermark ?? 0), updatedAt: update.insertedAt,
    }));
    changed.add(update.docKey);
  }
}

/**
 * Whether a document that is held is newer than an update of it. Its watermark says so when it was fetched or came by a
 * snapshot; otherwise the version does. A deleted document is not held, so that one made again may begin at version 1.
 */
function isOldNews(held: HeldDocument, update: WireUpdate): boolean {
  return update.watermark <= held.watermark || update.docVersion < held.docVersion;
}
