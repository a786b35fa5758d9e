// A document as an application sees it: parsed when first looked at.
import type { SyncInteger } from './integers.js';
import type { HeldDocument } from './topic_state.js';
import type { SyncDocument } from './types.js';

export class Document implements SyncDocument, HeldDocument {
  readonly docKey: string;
  readonly docVersion: SyncInteger;
  readonly text: string;
  readonly payloadHash: string;
  readonly watermark: number;
  readonly updatedAt: number | null;
  readonly #parse: (text: string) => unknown;
  #parsed: { value: unknown } | undefined;

  constructor(held: HeldDocument, parse: (text: string) => unknown) {
    this.docKey = held.docKey;
    this.docVersion = held.docVersion;
    this.text = held.text;
    this.payloadHash = held.payloadHash;
    this.watermark = held.watermark;
    this.updatedAt = held.updatedAt;
    this.#parse = parse;
  }

  get payload(): unknown {
    this.#parsed ??= { value: this.#parse(this.text) };
    return this.#parsed.value;
  }

  get payloadText(): string {
    return this.text;
  }
}

/** The documents of a topic, as they are at any time. One view is another object than the next, over the same documents. */
export class DocumentsView implements ReadonlyMap<string, SyncDocument> {
  readonly #documents: ReadonlyMap<string, SyncDocument>;

  constructor(documents: ReadonlyMap<string, SyncDocument>) {
    this.#documents = documents;
  }

  get size(): number {
    return this.#documents.size;
  }

  get(key: string): SyncDocument | undefined {
    return this.#documents.get(key);
  }

  has(key: string): boolean {
    return this.#documents.has(key);
  }

  forEach(callback: (value: SyncDocument, key: string, map: ReadonlyMap<string, SyncDocument>) => void): void {
    for (const [key, value] of this.#documents) callback(value, key, this);
  }

  keys(): MapIterator<string> {
    return this.#documents.keys();
  }

  values(): MapIterator<SyncDocument> {
    return this.#documents.values();
  }

  entries(): MapIterator<[string, SyncDocument]> {
    return this.#documents.entries();
  }

  [Symbol.iterator](): MapIterator<[string, SyncDocument]> {
    return this.#documents.entries();
  }
}
