// The token: asked of the provider, replaced before it ends.
//
// When it ends is reckoned from the moment it came: exp - iat later, whatever the local clock says. A token that was made
// long before it came ends earlier than that; the server's notice (`token_expired` with `expires_in_ms`) tells.
import { fromBase64 } from './bytes.js';
import { SyncError, messageOf } from './errors.js';
import type { TokenProvider, TokenRequest } from './types.js';

/** A provider that takes longer gives none. */
const providerMs = 30_000;
/** When this part of a token's life is over it is replaced. */
const replaceAfter = 0.75;

/** How long a token lives by its own claims, in milliseconds. Undefined when it does not say. */
export function lifetimeOf(token: string): number | undefined {
  const bytes = fromBase64(token.split('.')[1] ?? '');
  if (!bytes) return undefined;
  try {
    const claims = JSON.parse(String.fromCharCode(...bytes)) as { exp?: unknown; iat?: unknown };
    if (typeof claims.exp !== 'number' || typeof claims.iat !== 'number' || claims.exp <= claims.iat) return undefined;
    return (claims.exp - claims.iat) * 1000;
  } catch {
    return undefined;
  }
}

export class Tokens {
  readonly #provider: TokenProvider;
  readonly #withinMs: number;
  #current: string | undefined;
  /** Why the present token was refused. */
  #refusal: string | undefined;
  #asking: Promise<string> | undefined;

  constructor(provider: TokenProvider, withinMs = providerMs) {
    this.#provider = provider;
    this.#withinMs = withinMs;
  }

  get current(): string | undefined {
    return this.#current;
  }

  /** The server did not take this token. */
  refused(token: string | undefined, reason: string): void {
    if (token === this.#current) this.#refusal = reason;
  }

  /** The server took it. */
  accepted(): void {
    this.#refusal = undefined;
  }

  /** One that was not refused, as far as known; the provider is asked when there is none. */
  async usable(): Promise<string> {
    return this.#current !== undefined && this.#refusal === undefined ? this.#current : await this.ask('connect');
  }

  /** Asks the provider; askers at the same time share one answer. */
  ask(reason: 'connect' | 'expiring'): Promise<string> {
    this.#asking ??= this.#ask({
      reason: this.#refusal === undefined ? reason : 'refused', previous: this.#current, refusal: this.#refusal,
    }).finally(() => void (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(request: TokenRequest): Promise<string> {
    let token: unknown;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${this.#withinMs / 1000} s`)), this.#withinMs);
      });
      token = await Promise.race([this.#provider(request), late]);
    } catch (cause) {
      throw new SyncError('token_unavailable', `the token provider failed: ${messageOf(cause)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
      throw new SyncError('token_unavailable', 'the token provider gave no token; it has to return a JWT, without `Bearer`');
    }
    if (token !== this.#current) this.#refusal = undefined;
    this.#current = token;
    return token;
  }

  /** After how long the present token should be replaced. */
  replaceInMs(): number | undefined {
    const lifetime = this.#current === undefined ? undefined : lifetimeOf(this.#current);
    return lifetime === undefined ? undefined : lifetime * replaceAfter;
  }
}
