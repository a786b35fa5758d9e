// Where the sync token comes from. Tokens, and what they are got with, are in this object only: not in the URL, not in
// localStorage, not in IndexedDB, not in the service worker's cache.
import type { TokenProvider } from '@openagents/sync';
import { ApiError, explain } from '../api/http';
import type { AdminApi } from '../api/admin';
import { runsTopic, workersTopic } from './topics';

export type TokenSource =
  | { kind: 'pasted'; token: string }
  /** An address of the application that gives a token to who is logged in (cookies are sent), and the first that it gave. */
  | { kind: 'url'; url: string; first?: string | undefined }
  /** The service key that the operators' pages were opened with. */
  | { kind: 'operator'; api: AdminApi };

/** Why a person has to do something. */
export type Want = { why: 'none_yet' | 'expired' | 'refused' | 'failed'; text: string };

const refusals: Record<string, string> = {
  token_expired: 'It has expired.', token_revoked: 'It was revoked.', invalid_signature: 'It was not signed with a key of this server.', unknown_kid: 'This server does not know the key that it was signed with.',
  invalid_token_format: 'It is no token, or not a whole one.', invalid_token_encoding: 'It is no token, or not a whole one.', token_not_yet_valid: 'It is not valid yet; is a clock wrong?',
};

/** Asks the application for a token: `{"data":{"token":…}}` as this server gives them, `{"token":…}`, or the token as text. */
export async function tokenFromUrl(url: string): Promise<string> {
  const response = await fetch(url, { credentials: 'include', cache: 'no-store', headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${url} answered with status ${response.status}.`);
  const body = (await response.text()).trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(body)) return body;
  const value = JSON.parse(body) as { token?: unknown; data?: { token?: unknown } };
  const token = value.data?.token ?? value.token;
  if (typeof token !== 'string' || token === '') throw new Error(`${url} gave no token: "token" or "data.token" has to be one.`);
  return token;
}

/** What a person reads when asking `url` failed. */
export function urlTrouble(url: string, error: unknown): string {
  if (error instanceof SyntaxError) return `${url} answered with something that is neither a token nor JSON.`;
  if (error instanceof TypeError) {
    const other = new URL(url, location.href).origin !== location.origin;
    return `${url} could not be asked.${other ? ' It is of another origin: this page’s content security policy allows its own only; serve both behind one address.' : ' The application may be away.'}`;
  }
  return error instanceof Error ? error.message : String(error);
}

export class TokenKeeper {
  #source: TokenSource | undefined;
  #last: string | undefined;
  #waiting: (() => void)[] = [];
  #wants: Want | null = { why: 'none_yet', text: 'No token was given yet.' };
  #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** What a person has to do, or null. */
  get wants(): Want | null {
    return this.#wants;
  }

  get source(): TokenSource['kind'] | undefined {
    return this.#source?.kind;
  }

  /** Whether tokens are made with this interface's key. */
  uses(api: AdminApi): boolean {
    return this.#source?.kind === 'operator' && this.#source.api === api;
  }

  use(source: TokenSource): void {
    this.#source = source;
    this.#set(null);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  forget(): void {
    this.#source = undefined;
    this.#last = undefined;
    this.#set({ why: 'none_yet', text: 'The token was forgotten.' });
  }

  /** The last token that was given out: for requests beside the socket. Waits for one if there is none. */
  async current(): Promise<string> {
    return this.#last ?? await this.provide({ reason: 'connect', previous: undefined, refusal: undefined });
  }

  /** The SDK's token provider. Waits for a person where only a person can help; the SDK waits with it. */
  provide: TokenProvider = async ({ reason, previous, refusal }) => {
    for (;;) {
      const source = this.#source;
      if (source === undefined) {
        await this.#person();
      } else if (source.kind === 'pasted') {
        if (reason === 'connect' || source.token !== previous) return (this.#last = source.token);
        // A pasted token can not be renewed by itself.
        this.#set(reason === 'expiring' ? { why: 'expired', text: 'Paste a new one: without it, events stop coming when it has ended.' }
          : { why: 'refused', text: `${refusals[refusal ?? ''] ?? (refusal ? `The server’s reason: ${refusal.replaceAll('_', ' ')}.` : 'The server did not take it.')} Paste a new one.` });
        this.#last = undefined;
        await this.#person();
      } else {
        const first = source.kind === 'url' ? source.first : undefined;
        if (source.kind === 'url') source.first = undefined;
        if (first !== undefined) return (this.#last = first);
        try {
          const token = source.kind === 'url' ? await tokenFromUrl(source.url) : await source.api.token([runsTopic, workersTopic]);
          // Forgotten, or another one chosen, while it was asked.
          if (source !== this.#source) continue;
          return (this.#last = token);
        } catch (error) {
          if (source !== this.#source) continue;
          const what = source.kind === 'url' ? urlTrouble(source.url, error) : `${explain(error).title}. ${explain(error).todo}`;
          this.#set({ why: 'failed', text: `A new token could not be had. ${what}` });
          // The SDK tries again by itself, with growing waits.
          throw new Error(what);
        }
      }
    }
  };

  /** What the SDK reports as good: a failure before it is over. */
  accepted(): void {
    if (this.#wants?.why === 'failed') this.#set(null);
  }

  /** A request beside the socket failed: if for its token, that one is given out no more. */
  failed(error: unknown): void {
    if (!(error instanceof ApiError) || error.trouble !== 'unauthorized') return;
    this.#last = undefined;
    if (this.#source?.kind === 'pasted') this.#set({ why: 'refused', text: `${refusals[error.reason] ?? 'The server did not take it.'} Paste a new one.` });
  }

  #person(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #set(wants: Want | null): void {
    this.#wants = wants;
    this.#changed();
  }
}
