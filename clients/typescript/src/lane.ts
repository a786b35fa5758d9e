// A lane: one set of documents from either of two sources, an earlier one and OA Sync, behind a flag that can be turned
// at run time. `off`: the earlier source. `shadow`: the earlier source, and OA Sync beside it to be compared. `on`: OA Sync.
//
// What a mode does not need is not there: nothing of the earlier source is imported while the lane is `on`, nothing of
// OA Sync is connected while it is `off`.
import { Emitter } from './emitter.js';
import { messageOf } from './errors.js';
import type { SyncInteger } from './integers.js';
import { Comparison, type CompareOptions, type LaneReport, type Mismatch } from './lane_comparison.js';

export { hashOfPayload, type CompareOptions, type LaneReport, type Mismatch } from './lane_comparison.js';
export { topicSource, type TopicSourceOptions } from './lane_topic.js';

export type LaneMode = 'off' | 'shadow' | 'on';

/** What is known of a document. Hash or payload is needed to compare contents, a version to tell lag from difference. */
export interface LaneDocument {
  readonly docKey: string;
  readonly docVersion?: SyncInteger;
  /** Base64 of the SHA-256 of the canonical JSON. Computed from `payload` when left out. */
  readonly payloadHash?: string;
  readonly payload?: unknown;
}

/** Where documents come from. */
export interface LaneSource<D extends LaneDocument = LaneDocument> {
  /** The documents as they are; may be asked at any time after `start`. */
  readonly documents: ReadonlyMap<string, D>;
  /** Whether `documents` are what there is by now, as far as it knows. While one of two is not, they are not compared. */
  readonly isCurrent?: boolean;
  /** Begins. Resolves when `documents` can be shown. */
  start(): void | Promise<void>;
  /** Ends; may be started again. */
  stop(): void | Promise<void>;
  /** Calls back when documents changed, with their keys if they are known. Returns what ends it. */
  on(listener: (keys?: Iterable<string>) => void): () => void;
}

/** A flag that tells when it is turned. */
export interface LaneFlag {
  get(): LaneMode;
  subscribe(listener: () => void): () => void;
}

type Loaded<D extends LaneDocument> = LaneSource<D> | { default: LaneSource<D> | (() => LaneSource<D>) };

export interface SyncLaneOptions<D extends LaneDocument = LaneDocument> extends CompareOptions<D> {
  /** The flag: a function (asked at the beginning and by `refresh()`), or one that tells when it is turned. */
  flag: (() => LaneMode) | LaneFlag;
  /** The earlier source, or a module that exports it (or a function that makes it) as default: `() => import('./earlier')`. */
  earlier: () => Loaded<D> | Promise<Loaded<D>>;
  /** OA Sync's source: `() => topicSource({ … })`. */
  sync: () => Loaded<D> | Promise<Loaded<D>>;
}

export interface LaneEvents {
  /** The flag was turned; the documents follow when the other source has started. */
  mode: (mode: LaneMode, previous: LaneMode) => void;
  /** The documents that are shown changed. */
  documents: () => void;
  mismatch: (mismatch: Mismatch) => void;
  /** A source did not start or stop. The documents stay those of the source that works. */
  error: (error: Error) => void;
}

type Side = 'earlier' | 'sync';

const needs: Record<LaneMode, readonly Side[]> = { off: ['earlier'], shadow: ['earlier', 'sync'], on: ['sync'] };
const shownIn: Record<LaneMode, Side> = { off: 'earlier', shadow: 'earlier', on: 'sync' };

const none: ReadonlyMap<string, never> = new Map<string, never>();

/** A source that is needed: loading, starting, or started. */
interface Running<D extends LaneDocument> {
  source: LaneSource<D> | undefined;
  off: () => void;
  /** Resolves with whether it started. */
  ready: Promise<boolean>;
  isReady: boolean;
  /** No longer needed: what is still under way ends there. */
  isGone: boolean;
}

export class SyncLane<D extends LaneDocument = LaneDocument> {
  readonly #options: SyncLaneOptions<D>;
  readonly #events: Emitter<LaneEvents>;
  readonly #comparison: Comparison<D>;
  readonly #running = new Map<Side, Running<D>>();
  #mode: LaneMode;
  #shown: Side | undefined;
  #turning: Promise<void> = Promise.resolve();
  /** Ends the wait for a source: the lane was turned again. */
  #turned: () => void = () => {};
  #unsubscribe: (() => void) | undefined;
  #isClosed = false;

  constructor(options: SyncLaneOptions<D>) {
    this.#options = options;
    // A listener that throws is the application's to see; it does not stop the lane.
    this.#events = new Emitter<LaneEvents>((_event, error) => void Promise.reject(error));
    this.#comparison = new Comparison<D>(options, (mismatch) => this.#events.emit('mismatch', mismatch));
    this.#mode = this.#readFlag();
    if (typeof options.flag !== 'function') this.#unsubscribe = options.flag.subscribe(() => this.refresh());
    this.#turn();
  }

  /** What the flag says. */
  get mode(): LaneMode {
    return this.#mode;
  }

  /** Whose documents are shown; undefined before the first source has started. */
  get shown(): 'earlier' | 'sync' | undefined {
    return this.#shown;
  }

  /** The documents to show. */
  get documents(): ReadonlyMap<string, D> {
    return (this.#shown && this.#running.get(this.#shown)?.source?.documents) ?? none;
  }

  /** Asks the flag again. */
  refresh(): void {
    this.setMode(this.#readFlag());
  }

  /**
   * Turns the lane, whatever the flag says, until the flag is turned or asked again. The mode that it is in already: tries
   * again what did not start.
   */
  setMode(mode: LaneMode): void {
    if (!(mode in needs)) throw new TypeError(`a lane is off, shadow or on, not ${String(mode)}`);
    if (this.#isClosed || (mode === this.#mode && needs[mode].every((side) => this.#running.has(side)))) return;
    const previous = this.#mode;
    this.#mode = mode;
    if (mode !== previous) this.#events.emit('mode', mode, previous);
    this.#turn();
  }

  on<E extends keyof LaneEvents>(event: E, listener: LaneEvents[E]): () => void {
    return this.#events.on(event, listener);
  }

  /** What was compared so far. */
  report(): LaneReport {
    return this.#comparison.report();
  }

  /** Resolves when what the last `setMode` asked for is shown, or has failed. */
  async settled(): Promise<void> {
    for (let turning; turning !== this.#turning;) await (turning = this.#turning);
  }

  /** Stops both sources. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#unsubscribe?.();
      this.#turn();
    }
    await this.settled();
    this.#events.clear();
  }

  #readFlag(): LaneMode {
    const { flag } = this.#options;
    const mode = typeof flag === 'function' ? flag() : flag.get();
    // What a flag service answers when it has no answer: the way that was there before.
    return mode in needs ? mode : 'off';
  }

  /** One turn after the other. A turn that waits for a source ends when the lane is turned again. */
  #turn(): void {
    this.#turned();
    const turned = new Promise<'turned'>((resolve) => (this.#turned = () => resolve('turned')));
    this.#turning = this.#turning.then(() => this.#settle(turned)).catch((error: unknown) => this.#failed(error));
  }

  async #settle(turned: Promise<'turned'>): Promise<void> {
    const wanted: readonly Side[] = this.#isClosed ? [] : needs[this.#mode];
    const shown = shownIn[this.#mode];
    // What was only begun for another mode; what is shown stays until there is something else to show.
    for (const side of [...this.#running.keys()]) {
      if (!wanted.includes(side) && (this.#isClosed || side !== this.#shown)) await this.#stop(side);
    }
    if (this.#isClosed) return;
    for (const side of wanted) if (!this.#running.has(side)) this.#begin(side);
    // A source may take its time, or have no server to start from: the way to another mode stays open.
    const outcome = await Promise.race([this.#running.get(shown)?.ready ?? false, turned]);
    if (outcome !== true) return;
    this.#show(shown);
    for (const side of [...this.#running.keys()]) if (!wanted.includes(side)) await this.#stop(side);
    this.#compare();
  }

  #begin(side: Side): void {
    const running: Running<D> = { source: undefined, off: () => {}, ready: Promise.resolve(false), isReady: false, isGone: false };
    this.#running.set(side, running);
    running.ready = this.#start(side, running).catch(async (error: unknown) => {
      if (running.isGone) return false;
      this.#failed(error);
      await this.#stop(side);
      return false;
    });
  }

  async #start(side: Side, running: Running<D>): Promise<boolean> {
    const loaded = await (side === 'earlier' ? this.#options.earlier() : this.#options.sync());
    if (running.isGone) return false;
    const exported = 'default' in loaded ? loaded.default : loaded;
    const source = (running.source = typeof exported === 'function' ? exported() : exported);
    running.off = source.on((keys) => {
      this.#comparison.changed(keys);
      if (this.#shown === side) this.#events.emit('documents');
    });
    await source.start();
    if (running.isGone) return false;
    running.isReady = true;
    this.#compare();
    return true;
  }

  async #stop(side: Side): Promise<void> {
    const running = this.#running.get(side);
    if (!running) return;
    running.isGone = true;
    this.#running.delete(side);
    this.#comparison.end();
    running.off();
    if (this.#shown === side) this.#shown = undefined;
    // One that does not stop keeps neither the other from stopping nor the lane from being turned.
    try {
      await running.source?.stop();
    } catch (error) {
      this.#failed(error);
    }
  }

  #compare(): void {
    const earlier = this.#running.get('earlier');
    const sync = this.#running.get('sync');
    if (this.#mode === 'shadow' && earlier?.isReady && earlier.source && sync?.isReady && sync.source) {
      this.#comparison.begin(earlier.source, sync.source);
    } else {
      this.#comparison.end();
    }
  }

  #show(side: Side): void {
    if (this.#shown === side) return;
    this.#shown = side;
    this.#events.emit('documents');
  }

  #failed(error: unknown): void {
    this.#events.emit('error', error instanceof Error ? error : new Error(messageOf(error)));
  }
}
