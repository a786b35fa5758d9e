// The token of an open connection: replaced in band before it ends, so that the socket stays.
import { type Connection, NoReply, Refusal } from './connection.js';
import { SyncError } from './errors.js';
import { textOf } from './replies.js';
import type { Tokens } from './tokens.js';

/** Tokens are not replaced more often than this. */
const leastMs = 1000;
/** The longest that a timer can wait. */
const longestMs = 0x7fff_ffff;

export interface RenewalEvents {
  /** The server took the new token, which allows these scopes. */
  renewed(allowedTopics: unknown): void;
  refused(reason: string): void;
  failed(error: SyncError): void;
}

export class TokenRenewal {
  readonly #tokens: Tokens;
  readonly #connection: Connection;
  readonly #events: RenewalEvents;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Grows with each connection: what is under way for an earlier one ends. */
  #serial = 0;
  #isAsking = false;
  /** Not to be asked again before: in the time of performance.now(), which no clock turns back. */
  #notBefore = 0;

  constructor(tokens: Tokens, connection: Connection, events: RenewalEvents) {
    this.#tokens = tokens;
    this.#connection = connection;
    this.#events = events;
  }

  /** Connected, with a token that was just asked for. */
  joined(): void {
    this.stop();
    this.#notBefore = performance.now() + leastMs;
    this.#schedule(this.#tokens.replaceInMs());
  }

  /** The connection is gone. */
  stop(): void {
    this.#serial++;
    clearTimeout(this.#timer);
  }

  /** The server says that the token ends soon. One that is new and ends soon all the same is not asked for in a loop. */
  endsIn(ms: unknown): void {
    const left = typeof ms === 'number' ? ms : 0;
    this.#schedule(Math.max(0, this.#notBefore - performance.now(), left / 4 - leastMs));
  }

  #schedule(inMs: number | undefined): void {
    clearTimeout(this.#timer);
    if (inMs === undefined) return;
    const serial = this.#serial;
    this.#timer = setTimeout(() => void this.#renew(serial), Math.min(inMs, longestMs));
  }

  async #renew(serial: number): Promise<void> {
    // Still for an earlier connection.
    if (this.#isAsking) return this.#schedule(leastMs);
    this.#isAsking = true;
    this.#notBefore = performance.now() + leastMs;
    const previous = this.#tokens.current;
    try {
      const token = await this.#tokens.ask('expiring');
      if (serial !== this.#serial) return;
      let allowed: unknown;
      await this.#connection.push('sync:reauthenticate', { token }, (reply) => void (allowed = reply.allowed_topics));
      if (serial !== this.#serial) return;
      this.#tokens.accepted();
      // The same token again gains no time: ask again a little later.
      this.#schedule(token === previous ? leastMs : this.#tokens.replaceInMs());
      this.#events.renewed(allowed);
    } catch (error) {
      if (serial !== this.#serial || error instanceof NoReply) return;
      if (error instanceof Refusal) {
        this.#events.refused(textOf(error.response.reason) ?? textOf(error.response.code) ?? 'unauthorized');
      } else {
        this.#schedule(2 * leastMs);
        this.#events.failed(error as SyncError);
      }
    } finally {
      this.#isAsking = false;
    }
  }
}
