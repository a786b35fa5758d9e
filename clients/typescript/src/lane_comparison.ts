// Compares the two sources of a lane while both run. A difference counts when it has lasted: one source is always a
// little behind the other. Memory is bounded: only keys that differ are remembered, and only so many of them.
import { canonicalJson, parseExact } from './exact_json.js';
import type { SyncInteger } from './integers.js';
import type { LaneDocument, LaneSource } from './lane.js';
import { hashOf } from './hash.js';

/** How a document differs. A custom `compare` may give reasons of its own. */
export type MismatchReason = 'missing_in_sync' | 'missing_in_earlier' | 'version' | 'hash' | string;

/** A difference that lasted. Never has payloads: it may be logged. */
export interface Mismatch {
  readonly docKey: string;
  readonly reason: MismatchReason;
  readonly earlier: { version: string | null; hash: string | null } | null;
  readonly sync: { version: string | null; hash: string | null } | null;
}

export interface LaneReport {
  /** Since when it compares, milliseconds since 1970; null when it does not. */
  comparingSince: number | null;
  /** Comparisons of single documents that were made. */
  compared: number;
  /** Differences that lasted, each counted once until it is gone. */
  mismatches: number;
  byReason: Record<MismatchReason, number>;
  /** Documents that differ now and may just be behind. */
  pending: number;
  /** Documents that differ now, and have for longer than that. */
  differing: number;
  /** Differences that were not remembered because there were too many; they are found again later. */
  overflowed: number;
  /** The latest mismatches, newest last. */
  latest: readonly Mismatch[];
}

export interface CompareOptions<D extends LaneDocument = LaneDocument> {
  /** Says how two documents differ: a reason, or null when they do not. Default: by version where both have one, then by hash. */
  compare?: (earlier: D, sync: D) => MismatchReason | null;
  onMismatch?: (mismatch: Mismatch) => void;
  /** How long one source may be behind the other (default 5000). */
  toleranceMs?: number;
  /** Most keys that are remembered as differing (default 1000). */
  maxPending?: number;
  /** Milliseconds since 1970. Default: Date.now. */
  clock?: () => number;
}

const keptMismatches = 100;

/** The hash that OA Sync would have for a payload: of a value as JSON.parse gives it, so of numbers that a double holds. */
export const hashOfPayload = (payload: unknown): string => hashOf(canonicalJson(parseExact(JSON.stringify(payload ?? null))));

const hashOfDocument = (document: LaneDocument): string | undefined =>
  document.payloadHash ?? (document.payload === undefined ? undefined : hashOfPayload(document.payload));

function compareByHash(earlier: LaneDocument, sync: LaneDocument): MismatchReason | null {
  // By value: one side may have 5 where the other has 5n.
  if (earlier.docVersion !== undefined && sync.docVersion !== undefined && earlier.docVersion != sync.docVersion) return 'version';
  const [a, b] = [hashOfDocument(earlier), hashOfDocument(sync)];
  return a !== undefined && b !== undefined && a !== b ? 'hash' : null;
}

/** The versions of a document on both sides as they were when they differed; undefined where it was missing, or has none. */
interface Seen {
  earlier: SyncInteger | undefined;
  sync: SyncInteger | undefined;
  isMissing: boolean;
}

const seenOf = (earlier: LaneDocument | undefined, sync: LaneDocument | undefined): Seen =>
  ({ earlier: earlier?.docVersion, sync: sync?.docVersion, isMissing: !earlier || !sync });

/** Whether the side that was behind has moved on since: then it is still on its way, to something that is newer by now. */
function hasAdvanced(before: Seen, now: Seen): boolean {
  if (before.isMissing && !now.isMissing) return true;
  if (before.earlier === undefined || before.sync === undefined || now.earlier === undefined || now.sync === undefined) return false;
  return before.earlier < before.sync ? now.earlier > before.earlier : before.sync < before.earlier && now.sync > before.sync;
}

interface Difference {
  reason: MismatchReason;
  /** Since when it lasts, without the side that is behind having moved on. */
  since: number;
  seen: Seen;
  counted: boolean;
}

export class Comparison<D extends LaneDocument> {
  readonly #options: CompareOptions<D>;
  readonly #emit: (mismatch: Mismatch) => void;
  #earlier: LaneSource<D> | undefined;
  #sync: LaneSource<D> | undefined;
  #differing = new Map<string, Difference>();
  /** One side was not current when it was looked last: what differs since then may have changed meanwhile. */
  #wasApart = false;
  /** Keys to look at, or everything. */
  #queue: Set<string> | 'all' = new Set();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #since: number | null = null;
  #compared = 0;
  #mismatches = 0;
  #byReason: Record<string, number> = {};
  #overflowed = 0;
  #latest: Mismatch[] = [];

  constructor(options: CompareOptions<D>, emit: (mismatch: Mismatch) => void) {
    this.#options = options;
    this.#emit = emit;
  }

  get #tolerance(): number {
    return this.#options.toleranceMs ?? 5000;
  }

  /** Until it looks again at what may have passed. */
  get #pause(): number {
    return Math.max(10, this.#tolerance / 2);
  }

  get #limit(): number {
    return this.#options.maxPending ?? 1000;
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }

  begin(earlier: LaneSource<D>, sync: LaneSource<D>): void {
    if (this.#earlier === earlier && this.#sync === sync) return;
    this.end();
    this.#earlier = earlier;
    this.#sync = sync;
    this.#since = this.#now();
    this.changed();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#earlier = this.#sync = undefined;
    this.#since = null;
    this.#differing.clear();
    this.#wasApart = false;
    this.#queue = new Set();
  }

  /** Documents of either source changed: these, or any. */
  changed(keys?: Iterable<string>): void {
    if (this.#since === null) return;
    if (keys === undefined) this.#queue = 'all';
    else if (this.#queue !== 'all') for (const key of keys) this.#queue.add(key);
    if (this.#queue !== 'all' && this.#queue.size > this.#limit) this.#queue = 'all';
    this.#schedule(0);
  }

  report(): LaneReport {
    let differing = 0;
    for (const one of this.#differing.values()) if (one.counted) differing++;
    return { comparingSince: this.#since, compared: this.#compared, mismatches: this.#mismatches, byReason: { ...this.#byReason },
      pending: this.#differing.size - differing, differing, overflowed: this.#overflowed, latest: [...this.#latest] };
  }

  #schedule(inMs: number): void {
    if (this.#timer !== undefined && inMs > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, inMs);
  }

  #look(): void {
    const earlier = this.#earlier?.documents;
    const sync = this.#sync?.documents;
    if (!earlier || !sync) return;
    if (this.#earlier?.isCurrent === false || this.#sync?.isCurrent === false) {
      this.#wasApart = true;
      return this.#schedule(this.#pause);
    }
    if (this.#wasApart) {
      this.#wasApart = false;
      for (const one of this.#differing.values()) if (!one.counted) one.since = this.#now();
    }
    const overflowed = this.#overflowed;
    const queue = this.#queue;
    this.#queue = new Set();
    if (queue === 'all') {
      for (const key of earlier.keys()) this.#compare(key, earlier.get(key), sync.get(key));
      for (const key of sync.keys()) if (!earlier.has(key)) this.#compare(key, undefined, sync.get(key));
      for (const key of [...this.#differing.keys()]) if (!earlier.has(key) && !sync.has(key)) this.#differing.delete(key);
    } else {
      for (const key of queue) this.#compare(key, earlier.get(key), sync.get(key));
    }
    const now = this.#now();
    for (const [key, one] of [...this.#differing]) {
      if (one.counted || now - one.since < this.#tolerance) continue;
      this.#compare(key, earlier.get(key), sync.get(key));
      if (this.#differing.get(key) === one && now - one.since >= this.#tolerance) this.#count(key, one, earlier.get(key), sync.get(key));
    }
    if (this.#overflowed > overflowed) this.#queue = 'all';
    const waits = [...this.#differing.values()].some((one) => !one.counted) || this.#queue === 'all';
    if (waits) this.#schedule(this.#pause);
  }

  #compare(key: string, earlier: D | undefined, sync: D | undefined): void {
    this.#compared++;
    const reason = this.#reason(earlier, sync);
    const before = this.#differing.get(key);
    if (reason === null) return void this.#differing.delete(key);
    // One that was counted is counted once, until it is gone.
    if (before?.counted) return;
    const seen = seenOf(earlier, sync);
    if (before) {
      if (hasAdvanced(before.seen, seen)) before.since = this.#now();
      Object.assign(before, { reason, seen });
      return;
    }
    if (this.#differing.size >= this.#limit) return void this.#overflowed++;
    this.#differing.set(key, { reason, since: this.#now(), seen, counted: false });
  }

  #reason(earlier: D | undefined, sync: D | undefined): MismatchReason | null {
    if (!earlier && !sync) return null;
    if (!sync) return 'missing_in_sync';
    if (!earlier) return 'missing_in_earlier';
    return (this.#options.compare ?? compareByHash)(earlier, sync);
  }

  #count(docKey: string, one: Difference, earlier: D | undefined, sync: D | undefined): void {
    one.counted = true;
    this.#mismatches++;
    this.#byReason[one.reason] = (this.#byReason[one.reason] ?? 0) + 1;
    const side = (document: D | undefined) =>
      document ? { version: document.docVersion?.toString() ?? null, hash: hashOfDocument(document) ?? null } : null;
    const mismatch: Mismatch = { docKey, reason: one.reason, earlier: side(earlier), sync: side(sync) };
    this.#latest.push(mismatch);
    if (this.#latest.length > keptMismatches) this.#latest.shift();
    this.#options.onMismatch?.(mismatch);
    this.#emit(mismatch);
  }
}
