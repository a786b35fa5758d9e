// Asks for something again and again: every `everyMs` while the page is visible, more slowly while it fails, not at all
// in a hidden tab. What was last known stays, with the time it is from.
import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { ApiError } from '../api/http';

export type Polled<T> = {
  data: T | undefined;
  /** When `data` arrived (this machine's clock); 0 before. */
  dataAt: number;
  error: unknown;
  /** When it is asked for again after a failure; 0 when it goes on as usual. */
  retryAt: number;
};

const slowestMs = 15_000;

export class Poller<T> {
  #state: Polled<T> = { data: undefined, dataAt: 0, error: undefined, retryAt: 0 };
  #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;
  #failures = 0;

  constructor(private readonly ask: (signal: AbortSignal) => Promise<T>, private readonly everyMs: number, private readonly onData?: (data: T) => void) {}

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#begin();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#end();
    };
  };

  getSnapshot = (): Polled<T> => this.#state;

  /** Asks at once. */
  refresh = (): void => {
    if (this.#asking || this.#listeners.size === 0) return;
    clearTimeout(this.#timer);
    void this.#once();
  };

  #begin(): void {
    document.addEventListener('visibilitychange', this.#seen);
    addEventListener('online', this.refresh);
    this.#seen();
  }

  #end(): void {
    document.removeEventListener('visibilitychange', this.#seen);
    removeEventListener('online', this.refresh);
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = undefined;
  }

  #seen = (): void => {
    if (document.visibilityState === 'visible') this.refresh();
    else clearTimeout(this.#timer);
  };

  async #once(): Promise<void> {
    const asking = (this.#asking = new AbortController());
    let wait = this.everyMs;
    try {
      const data = await this.ask(asking.signal);
      if (asking.signal.aborted) return;
      this.#failures = 0;
      this.#set({ data, dataAt: Date.now(), error: undefined, retryAt: 0 });
      this.onData?.(data);
    } catch (error) {
      if (asking.signal.aborted) return;
      // What only a person can mend (a wrong key, a missing right) is asked for rarely, and at once by "try again".
      const passing = error instanceof ApiError && error.passing;
      wait = passing ? Math.min(this.everyMs * 2 ** Math.min(this.#failures++, 3), slowestMs) : slowestMs;
      this.#set({ ...this.#state, error, retryAt: Date.now() + wait });
    } finally {
      if (this.#asking === asking) this.#asking = undefined;
    }
    if (this.#listeners.size > 0 && document.visibilityState === 'visible') this.#timer = setTimeout(this.refresh, wait);
  }

  #set(state: Polled<T>): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }
}

/**
 * Polls while the component is there. `ask` is taken afresh when one of `keys` changes; what was answered before stays
 * until there is an answer to that, so that nothing on the page jumps.
 */
export function usePoll<T>(ask: (signal: AbortSignal) => Promise<T>, everyMs: number, keys: readonly unknown[]): Polled<T> & { refresh: () => void } {
  // `ask` is new with every render; `keys` says when it means another thing.
  const poller = useMemo(() => new Poller(ask, everyMs), [everyMs, ...keys]);
  const state = useSyncExternalStore(poller.subscribe, poller.getSnapshot);
  const last = useRef(state);
  const answered = state.data !== undefined || state.error !== undefined;
  useEffect(() => {
    if (answered) last.current = state;
  });
  return { ...(answered ? state : last.current), refresh: poller.refresh };
}

/** The time, once a second, one timer for all who ask; stands still in a hidden tab. */
const ticker = { listeners: new Set<() => void>(), now: Date.now(), timer: undefined as ReturnType<typeof setInterval> | undefined };
const tick = () => {
  if (document.visibilityState === 'hidden') return;
  ticker.now = Date.now();
  for (const listener of [...ticker.listeners]) listener();
};
const subscribeTicker = (listener: () => void) => {
  ticker.listeners.add(listener);
  ticker.timer ??= setInterval(tick, 1000);
  return () => {
    ticker.listeners.delete(listener);
    if (ticker.listeners.size > 0) return;
    clearInterval(ticker.timer);
    ticker.timer = undefined;
  };
};

export function useNow(): number {
  return useSyncExternalStore(subscribeTicker, () => ticker.now);
}
