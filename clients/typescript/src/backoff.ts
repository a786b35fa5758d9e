// How long to wait before the next try: longer each time, never the same for two clients, and as the server advises.
import type { BackoffOptions } from './types.js';

export const defaultBackoff: BackoffOptions = { baseMs: 400, maxMs: 30_000, jitterMs: 250 };

export class Backoff {
  readonly options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;
  #advice: number | undefined;
  #wasAdvised = false;

  constructor(options: Partial<BackoffOptions>, random: () => number) {
    this.options = { ...defaultBackoff, ...options };
    this.#random = random;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether the last wait is one that the server asked for: nothing but the application may cut it short. */
  get wasAdvised(): boolean {
    return this.#wasAdvised;
  }

  /** Waits begin with the shortest again. What the server advised stays: it says so as it ends a good connection. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Begins anew, as if there had been nothing. */
  reset(): void {
    this.#failures = 0;
    this.#advice = undefined;
    this.#wasAdvised = false;
  }

  /** The server says when to come back; the next wait is not shorter. */
  advise(ms: unknown): void {
    if (typeof ms === 'number' && Number.isFinite(ms) && ms >= 0) this.#advice = Math.max(this.#advice ?? 0, ms);
  }

  /** The wait after one more failure. */
  next(): number {
    const { baseMs, maxMs, jitterMs } = this.options;
    const grown = Math.min(maxMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    // What the server advises is spread over the clients already; a client alone spreads a longer wait more.
    const jitter = this.#random() * Math.max(jitterMs, this.#failures > 1 ? grown / 2 : 0);
    const wait = Math.max(this.#advice ?? 0, Math.min(maxMs, grown) + jitter);
    this.#wasAdvised = (this.#advice ?? 0) > 0;
    this.#advice = undefined;
    return wait;
  }
}
