// One subscriber's hold on a topic: what it listens to ends with it.
import { SyncError } from './errors.js';
import type { TopicCore } from './topic_core.js';
import type { Cursor, SyncDocument, SyncStatus, SyncTopic, SyncUpdate, TopicEvents } from './types.js';
import { UpdateQueue } from './update_queue.js';

const defaultLimit = 10_000;

export class TopicHandle implements SyncTopic {
  readonly #core: TopicCore;
  readonly #released: () => void;
  #ends = new Set<() => void>();
  #isReleased = false;

  constructor(core: TopicCore, released: () => void) {
    this.#core = core;
    this.#released = released;
  }

  get name(): string {
    return this.#core.name;
  }

  get status(): SyncStatus {
    return this.#isReleased ? 'closed' : this.#core.status;
  }

  get cursor(): Cursor | undefined {
    const { cursor } = this.#core.state;
    return cursor && { ...cursor };
  }

  get head(): number {
    return this.#core.state.head;
  }

  get lag(): number {
    return this.#core.state.lag;
  }

  get currentAsOf(): number | null {
    return this.#core.currentAsOf;
  }

  get error(): SyncError | null {
    return this.#core.error;
  }

  get documents(): ReadonlyMap<string, SyncDocument> {
    return this.#core.documents;
  }

  get(docKey: string): SyncDocument | undefined {
    return this.#core.documents.get(docKey);
  }

  on<E extends keyof TopicEvents>(event: E, listener: TopicEvents[E]): () => void {
    if (this.#isReleased) return () => {};
    const end = this.#core.events.on(event, listener);
    this.#ends.add(end);
    return () => {
      this.#ends.delete(end);
      end();
    };
  }

  live(): Promise<void> {
    return new Promise((resolve, reject) => {
      let off = (): void => {};
      const look = (status: SyncStatus): boolean => {
        if (status === 'live') resolve();
        else if (this.#isReleased || status === 'closed') reject(new SyncError('closed', `${this.name} was released`, { topic: this.name }));
        else if (status === 'denied' || (status === 'stale' && this.#core.options.onStale === 'notify') ||
            this.#core.error?.code === 'resync_failed') {
          reject(this.#core.error ?? new SyncError('unauthorized', `${this.name}: the server refused the token`, { topic: this.name }));
        } else return false;
        off();
        return true;
      };
      if (look(this.status)) return;
      const offs = [this.on('status', look), this.on('error', () => void look(this.status))];
      const ended = (): void => void look('closed');
      this.#ends.add(ended);
      off = () => {
        this.#ends.delete(ended);
        for (const one of offs) one();
      };
    });
  }

  async resync(): Promise<void> {
    if (this.#isReleased) throw new SyncError('closed', `${this.name} was released`, { topic: this.name });
    await this.#core.resync();
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const end of [...this.#ends]) end();
    this.#ends.clear();
    this.#released();
  }

  updates({ limit = defaultLimit }: { limit?: number } = {}): AsyncIterableIterator<SyncUpdate> {
    if (!(limit >= 1)) throw new SyncError('invalid_argument', `updates: limit is ${limit}; it has to be 1 or more`);
    let stop = (): void => {};
    const queue: UpdateQueue = new UpdateQueue(this.name, limit, () => stop());
    if (this.status === 'closed') {
      queue.end();
      return queue;
    }
    const end = (): void => queue.end();
    const offs = [
      this.on('update', (update) => queue.push(update)),
      // The client was closed.
      this.on('status', (status) => {
        if (status === 'closed') end();
      }),
    ];
    this.#ends.add(end);
    stop = () => {
      this.#ends.delete(end);
      for (const off of offs) off();
    };
    return queue;
  }

  [Symbol.asyncIterator](): AsyncIterator<SyncUpdate> {
    return this.updates();
  }
}
