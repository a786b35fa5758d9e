// One topic while it is subscribed: takes batches in their order, fetches what they point to, keeps the store behind,
// tells listeners; and gets the topic going again when the server cannot resume it.
import type { Backoff } from './backoff.js';
import { Document, DocumentsView } from './document.js';
import { Emitter } from './emitter.js';
import { SyncError, messageOf } from './errors.js';
import { isPassing } from './http.js';
import { fetchPayloads } from './hydration.js';
import { Persister } from './persister.js';
import { sleep } from './sleep.js';
import type { Phase, TopicHost } from './topic_host.js';
import { type Cursor, type HeldDocument, TopicState } from './topic_state.js';
import type { StaleInfo, SyncDocument, SyncStatus, SyncUpdate, TopicEvents, TopicOptions } from './types.js';
import { hashOf, nullHash } from './hash.js';
import { type WireBatch, type WireUpdate } from './wire.js';

/** Batches that wait for what the first of them points to: beyond this they are dropped, and asked for again later. */
const maxQueueBytes = 16 * 1024 * 1024;
/** Resubscribing or resyncing so often without getting anywhere ends in an error. */
const maxTries = 3;

const sizeOf = (batch: WireBatch): number =>
  batch.updates.reduce((sum, update) => sum + 200 + 2 * ((update.text?.length ?? 0) + update.docKey.length), 0);

export class TopicCore {
  readonly name: string;
  readonly options: Required<TopicOptions>;
  readonly events: Emitter<TopicEvents>;
  readonly state: TopicState<Document>;
  /** How many hold it. */
  holds = 0;
  #error: SyncError | null = null;
  currentAsOf: number | null = null;
  readonly #host: TopicHost;
  readonly #persister: Persister;
  readonly #gone = new AbortController();
  #phase: Phase = 'loading';
  #status: SyncStatus;
  #view: DocumentsView;
  /** Grows with each subscription, so that batches of an earlier one are known. */
  #serial = 0;
  /** Aborts when the state is replaced, or there is no more use of it: what was under way is of the past. */
  #generation = new AbortController();
  #queue: { batch: WireBatch; serial: number; bytes: number }[] = [];
  #queueBytes = 0;
  #overflowed = false;
  #draining = false;
  /** The head at subscribe: at or past it the topic is live. */
  #goal = Infinity;
  #isLive = false;
  /** Subscribed anew, or loaded anew, without an event applied or the head reached in between. */
  #resubscribes = 0;
  #resyncs = 0;
  #loading: Promise<void> | undefined;
  readonly #backoff: Backoff;

  /** Begins when `before`, an earlier subscription of the topic, is stored. */
  constructor(host: TopicHost, name: string, options: Required<TopicOptions>, before?: Promise<void>) {
    this.#host = host;
    this.name = name;
    this.options = options;
    this.events = new Emitter<TopicEvents>((event, cause) => host.failed(new SyncError('listener_failed',
      `a listener of ${String(event)} of ${name} threw: ${messageOf(cause)}`, { topic: name, cause })));
    this.state = new TopicState<Document>(options.documents, (held: HeldDocument) =>
      held instanceof Document ? held : new Document(held, (text) => host.parse(text)));
    this.#view = new DocumentsView(this.state.documents);
    // Without documents a cursor is stored apart: it covers none.
    this.#persister = new Persister(host.store, `${options.documents ? 'documents' : 'cursor'}:${name}`, this.state,
      (error) => this.#fail(error, false));
    this.#backoff = host.newBackoff();
    this.#status = 'idle';
    this.#status = this.#statusNow();
    void this.#load(before);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get status(): SyncStatus {
    return this.#status;
  }

  /** What is wrong with it; or with the connection, when that is why it is denied. */
  get error(): SyncError | null {
    return this.#error ?? (this.#status === 'denied' ? this.#host.error : null);
  }

  get documents(): ReadonlyMap<string, SyncDocument> {
    return this.#view;
  }

  get isClosed(): boolean {
    return this.#gone.signal.aborted;
  }

  /** The client's status changed. */
  hostChanged(): void {
    this.#update();
  }

  /** Ends it; resolves when everything is stored. */
  async close(): Promise<void> {
    this.#gone.abort();
    this.#beginGeneration();
    this.#update();
    await this.#persister.close();
    this.events.clear();
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    if (phase !== 'subscribed') this.#isLive = false;
    this.#update();
    if (phase === 'ready') this.#host.reconcile();
  }

  #statusNow(): SyncStatus {
    if (this.isClosed) return 'closed';
    if (this.#phase === 'blocked') return 'denied';
    if (this.#phase === 'stale') return 'stale';
    if (!this.#host.isOnline) {
      const { status } = this.#host;
      return status === 'live' || status === 'catching_up' || status === 'stale' ? 'reconnecting' : status;
    }
    return this.#isLive ? 'live' : 'catching_up';
  }

  #update(): void {
    const previous = this.#status;
    this.#status = this.#statusNow();
    if (this.#status === previous) return;
    this.events.emit('status', this.#status, previous);
    this.#host.topicChanged();
  }

  #fail(error: SyncError, stays: boolean): void {
    if (stays) this.#error = error;
    this.#host.log(error.message, { topic: this.name, code: error.code });
    this.events.emit('error', error);
  }

  #documentsChanged(changed: ReadonlySet<string>, reset: boolean): void {
    if (!this.options.documents) return;
    this.#view = new DocumentsView(this.state.documents);
    this.events.emit('documents', { changed, reset });
  }

  // --- The beginning: the store, then documents or a place to begin from.

  async #load(before?: Promise<void>): Promise<void> {
    await before;
    const found = await this.#persister.load();
    if (this.isClosed) return;
    if (found) {
      this.state.replace(found);
      this.#documentsChanged(new Set(), true);
      return this.#enter('ready');
    }
    if (this.options.start === 'floor') return this.#enter('ready');
    this.#begin(false).catch(() => undefined);
  }

  /** Loads documents or a place to begin from, in place of what there is; then the topic is ready. */
  #begin(replacesStored: boolean, wait = 0): Promise<void> {
    this.#loading ??= this.#fetchBeginning(replacesStored, wait).finally(() => void (this.#loading = undefined));
    return this.#loading;
  }

  async #fetchBeginning(replacesStored: boolean, wait: number): Promise<void> {
    const { signal } = this.#gone;
    this.#beginGeneration();
    this.#clearQueue();
    this.#enter('waiting');
    if (wait > 0) await sleep(wait, signal);
    const backoff = this.#host.newBackoff();
    for (let refusals = 0; ;) {
      await this.#host.online(signal);
      if (signal.aborted) throw this.#closedError();
      try {
        await this.#fetchOnce(signal);
        break;
      } catch (cause) {
        if (signal.aborted) throw this.#closedError();
        const error = cause instanceof SyncError ? cause
          : new SyncError('snapshot_failed', `loading ${this.name}: ${messageOf(cause)}`, { topic: this.name, cause });
        if (error.code === 'forbidden_topic') {
          this.block(error);
          throw error;
        }
        this.#fail(error, true);
        if (!isPassing(error) && ++refusals >= maxTries) throw this.#giveUp(error);
        backoff.advise(error.retryAfterMs);
        await sleep(backoff.next(), signal);
      }
    }
    this.#error = null;
    this.#persister.replaced(replacesStored);
    this.#documentsChanged(new Set(), true);
    this.#enter('ready');
  }

  async #fetchOnce(signal: AbortSignal): Promise<void> {
    if (this.options.documents && this.options.start !== 'head') {
      try {
        const snapshot = await this.#host.api.snapshot(this.name, signal);
        if (!signal.aborted) this.state.replace(snapshot);
      } catch (error) {
        // A topic without documents of its own: everything that is retained is what can be had.
        if (!(error instanceof SyncError && error.code === 'no_snapshot_source')) throw error;
        this.state.reset();
      }
    } else if (this.options.start === 'head') {
      const cursor = await this.#host.api.head(this.name, signal);
      if (!signal.aborted) this.state.replace({ cursor, documents: [] });
    } else {
      this.state.reset();
    }
  }

  #giveUp(cause: SyncError): SyncError {
    const error = new SyncError('resync_failed',
      `${this.name} could not be loaded anew: ${cause.message}; resync() tries again`, { topic: this.name, cause });
    this.#error = error;
    this.#enter('stale');
    this.#fail(error, true);
    return error;
  }

  #closedError(): SyncError {
    return new SyncError('closed', `${this.name} was released`, { topic: this.name });
  }

  // --- Subscribing.

  /** What a subscribe says of this topic: nothing when it has no cursor. */
  resumeAfter(): Cursor | undefined {
    return this.state.cursor;
  }

  subscribing(): void {
    this.#phase = 'subscribing';
    this.#update();
  }

  /** The connection went, or the subscribe got no answer. */
  disconnected(): void {
    if (this.#phase === 'subscribing' || this.#phase === 'subscribed') this.#phase = 'ready';
    this.#isLive = false;
    this.#update();
  }

  accepted(at: Cursor, head: number): void {
    if (this.#phase !== 'subscribing') return;
    this.#serial++;
    this.#overflowed = false;
    this.state.accepted(at, head);
    this.#goal = this.state.head;
    if (this.#error?.code === 'forbidden_topic') this.#error = null;
    this.#enter('subscribed');
    this.#noteReached();
  }

  /** Not allowed, or not with so many others. */
  block(error: SyncError): void {
    this.#error = error;
    this.#enter('blocked');
    this.#fail(error, true);
  }

  /** The server may allow it now. */
  unblock(): void {
    if (this.#phase !== 'blocked') return;
    // What it has is as good as what is stored, or better.
    if (this.state.cursor) this.#enter('ready');
    else void this.#load();
  }

  /** The server cannot resume the cursor. */
  stale(info: Omit<StaleInfo, 'resyncing'>): void {
    if (this.#phase !== 'subscribing' && this.#phase !== 'subscribed') return;
    this.#beginGeneration();
    this.#clearQueue();
    const resyncing = this.options.onStale === 'resync' && this.#resyncs < maxTries;
    const error = new SyncError('stale_cursor', `${this.name} cannot be resumed after ${info.resumeAfter}: ${info.reason}` +
      (resyncing ? '; it is loaded anew' : '; resync() loads it anew'), { topic: this.name, reason: info.reason, details: info });
    this.#error = error;
    this.#enter('stale');
    this.events.emit('stale', { ...info, resyncing });
    // A listener may have asked for it already.
    if (this.phase !== 'stale') return;
    if (this.options.onStale !== 'resync') return this.#fail(error, true);
    if (!resyncing) return void this.#giveUp(error);
    const wait = this.#resyncs++ === 0 ? 0 : this.#backoff.next();
    void sleep(wait, this.#gone.signal).then(() => {
      if (this.#phase === 'stale' && !this.isClosed) this.#begin(true).catch(() => undefined);
    });
  }

  /** Loads it anew because somebody asked. */
  async resync(): Promise<void> {
    if (this.isClosed) throw this.#closedError();
    this.#resubscribes = 0;
    if (this.#loading) return await this.#loading;
    // Whoever asks whenever it is stale does not ask in a loop: without having been live in between it waits.
    await this.#begin(true, this.#resyncs++ === 0 ? 0 : this.#backoff.next());
  }

  // --- Batches.

  batch(batch: WireBatch): void {
    if (this.#phase !== 'subscribed' || this.#overflowed) return;
    const bytes = this.#draining ? sizeOf(batch) : 0;
    if (this.#queue.length > 0 && this.#queueBytes + bytes > maxQueueBytes) {
      this.#overflowed = true;
      return;
    }
    this.#queue.push({ batch, serial: this.#serial, bytes });
    this.#queueBytes += bytes;
    if (!this.#draining) this.#drain();
  }

  heartbeat(watermark: number, head: number): void {
    if (this.#phase !== 'subscribed') return;
    this.state.sawHead(head);
    if (this.#queue.length > 0) return;
    const at = this.state.cursor?.watermark ?? 0;
    // The server sent more than came: as good as a gap.
    if (watermark > at) return this.#resubscribe('gap', `the server sent ${watermark}, ${at} came`);
    if (watermark === at && head <= watermark) {
      this.state.caughtUp(head);
      this.#goal = at;
    }
    this.#noteReached();
    this.events.emit('progress');
  }

  #beginGeneration(): void {
    this.#generation.abort();
    this.#generation = new AbortController();
  }

  #clearQueue(): void {
    this.#queue = [];
    this.#queueBytes = 0;
  }

  /** Takes batches until one has to wait for what it points to; then goes on by itself. */
  #drain(): void {
    this.#draining = true;
    try {
      for (let item = this.#queue[0]; item; item = this.#queue[0]) {
        const { batch, serial } = item;
        const verdict = this.state.judge(batch);
        if (verdict === 'gap') {
          this.#clearQueue();
          if (serial === this.#serial) this.#resubscribe('gap', `a batch after ${batch.after} came at ${this.state.cursor?.watermark}`);
          break;
        }
        if (verdict === 'apply') {
          const fresh = this.state.fresh(batch);
          const wrong = fresh.find((update) => !this.#isGenuine(update));
          if (wrong) {
            this.#clearQueue();
            this.#resubscribe('hash_mismatch', `the payload of ${wrong.docKey} at ${wrong.watermark} is not what its hash says`);
            break;
          }
          if (fresh.some((update) => update.hydrationRequired)) {
            void this.#hydrate(batch, fresh);
            return;
          }
          this.#apply(batch, undefined);
        }
        this.#next();
      }
    } catch (error) {
      this.#host.failed(new SyncError('protocol_error', `${this.name}: ${messageOf(error)}`, { topic: this.name, cause: error }));
      this.#clearQueue();
    }
    this.#draining = false;
    this.#drained();
  }

  #next(): void {
    this.#queueBytes -= this.#queue.shift()?.bytes ?? 0;
  }

  #drained(): void {
    if (this.#overflowed && this.#phase === 'subscribed') {
      this.#overflowed = false;
      this.#phase = 'ready';
      return this.#host.reconcile();
    }
    this.#noteReached();
  }

  #isGenuine(update: WireUpdate): boolean {
    if (update.hydrationRequired) return true;
    return update.payloadHash === (update.text === null ? nullHash : hashOf(update.text));
  }

  async #hydrate(batch: WireBatch, fresh: WireUpdate[]): Promise<void> {
    const { signal } = this.#generation;
    const hydrated = await fetchPayloads(this.#host.api, this.name, fresh, {
      signal, backoff: () => this.#host.newBackoff(), online: (until) => this.#host.online(until),
      failed: (error) => this.#fail(error, true),
    });
    this.#draining = false;
    if (this.isClosed) return;
    // The state was replaced meanwhile: what is queued now is of the new one.
    if (!signal.aborted && hydrated && this.#queue[0]?.batch === batch) {
      if (this.state.judge(batch) === 'apply') this.#apply(batch, hydrated);
      this.#next();
    }
    this.#drain();
  }

  #apply(batch: WireBatch, hydrated: Awaited<ReturnType<typeof fetchPayloads>>): void {
    const { updates, changed, touched, truncated } = this.state.apply(batch, hydrated);
    this.#resubscribes = 0;
    if (truncated) this.#persister.replaced(false);
    else this.#persister.changed(this.options.documents ? touched : []);
    if (this.events.has('update')) {
      for (const update of updates) this.events.emit('update', this.#toPublic(update, hydrated?.get(update.watermark)?.document));
    }
    if (changed.size > 0) this.#documentsChanged(changed, false);
    this.events.emit('progress');
  }

  #toPublic(update: WireUpdate, fetched: { text: string } | null | undefined): SyncUpdate {
    const text = update.hydrationRequired ? fetched?.text ?? null : update.text;
    let payload: unknown = null;
    try {
      if (text !== null) payload = this.#host.parse(text);
    } catch (cause) {
      this.#host.failed(new SyncError('listener_failed', `parse threw for ${update.docKey} of ${this.name}: ${messageOf(cause)}`,
        { topic: this.name, docKey: update.docKey, cause }));
    }
    return {
      topic: this.name, docKey: update.docKey, docVersion: update.docVersion, op: update.op,
      payload, payloadHash: update.payloadHash,
      watermark: update.watermark, epoch: update.epoch, insertedAt: update.insertedAt, hydrated: update.hydrationRequired,
      ...(update.traceparent !== undefined && { traceparent: update.traceparent }),
    };
  }

  #noteReached(): void {
    const at = this.state.cursor?.watermark ?? 0;
    if (this.#phase !== 'subscribed' || this.#queue.length > 0 || at < this.#goal) return;
    if (this.state.lag === 0) this.currentAsOf = this.#host.now();
    this.#resyncs = 0;
    this.#resubscribes = 0;
    this.#backoff.succeeded();
    this.#error = null;
    this.#isLive = true;
    this.#update();
  }

  /** Subscribes again from the cursor: at once, then later and later, then not any more. */
  #resubscribe(code: 'gap' | 'hash_mismatch', what: string): void {
    const error = new SyncError(code, `${this.name}: ${what}; it is subscribed again`, { topic: this.name });
    this.#fail(error, code === 'hash_mismatch');
    if (code === 'hash_mismatch' && this.#resubscribes >= maxTries) {
      this.#host.unsubscribe(this.name);
      return void this.#giveUp(error);
    }
    const wait = this.#resubscribes++ === 0 ? 0 : this.#backoff.next();
    this.#enter('waiting');
    void sleep(wait, this.#gone.signal).then(() => {
      if (this.#phase === 'waiting' && !this.#loading && !this.isClosed) this.#enter('ready');
    });
  }
}
