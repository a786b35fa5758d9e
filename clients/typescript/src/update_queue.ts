// Updates that wait to be taken by `for await`: bounded, and honest about what it had to drop.
import { SyncError } from './errors.js';
import type { SyncUpdate } from './types.js';

export class UpdateQueue implements AsyncIterableIterator<SyncUpdate> {
  readonly #topic: string;
  readonly #limit: number;
  readonly #stop: () => void;
  #waiting: SyncUpdate[] = [];
  #dropped = 0;
  #ended = false;
  #takers: ((result: IteratorResult<SyncUpdate>) => void)[] = [];

  /** `stop` is called once, when the iteration ends. */
  constructor(topic: string, limit: number, stop: () => void) {
    this.#topic = topic;
    this.#limit = limit;
    this.#stop = stop;
  }

  push(update: SyncUpdate): void {
    const taker = this.#takers.shift();
    if (taker) return taker({ value: update, done: false });
    this.#waiting.push(update);
    if (this.#waiting.length <= this.#limit) return;
    this.#waiting.shift();
    this.#dropped++;
  }

  /** What waits can still be taken; then the iteration is over. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const taker of this.#takers.splice(0)) taker({ value: undefined, done: true });
    this.#stop();
  }

  async next(): Promise<IteratorResult<SyncUpdate>> {
    if (this.#dropped > 0) {
      const details = { dropped: this.#dropped };
      this.#dropped = 0;
      throw new SyncError('updates_dropped',
        `${details.dropped} updates of ${this.#topic} were dropped: they came faster than they were taken; the documents have them`,
        { topic: this.#topic, details });
    }
    const update = this.#waiting.shift();
    if (update) return { value: update, done: false };
    if (this.#ended) return { value: undefined, done: true };
    return await new Promise((resolve) => this.#takers.push(resolve));
  }

  async return(): Promise<IteratorResult<SyncUpdate>> {
    this.#waiting = [];
    this.#dropped = 0;
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
