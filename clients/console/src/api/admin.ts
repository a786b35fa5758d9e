// The admin interface of a fan-out, for one service key. The key lives in this object only, and not past end().
import { requestJson, type Request } from './http';
import type { EventPage, Overview, Revocation, Revoked, SessionPage, SnapshotPage, TopicPage } from './types';

type Args = Record<string, string | number | undefined | null>;

const query = (args: Args) => {
  const text = Object.entries(args).filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
  return text ? `?${text}` : '';
};

/** Asked with a key that was forgotten. */
export class KeyForgotten extends Error {
  constructor() {
    super('The key was forgotten: enter it again.');
    this.name = 'KeyForgotten';
  }
}

export class AdminApi {
  #key: string | undefined;
  readonly #ended = new AbortController();

  constructor(key: string) {
    this.#key = key;
  }

  /** Aborts when the key is forgotten. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Forgets the key: nothing can be asked with this object any more, and what is under way comes to nothing. */
  end(): void {
    this.#key = undefined;
    this.#ended.abort();
  }

  /** Every request with the key goes through here. */
  async #ask<T>(path: string, { signal, ...request }: Omit<Request, 'bearer'> = {}): Promise<T> {
    if (this.#key === undefined) throw new KeyForgotten();
    const over = new AbortController();
    const abort = () => over.abort();
    for (const one of [this.#ended.signal, signal]) one?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    try {
      return await requestJson<T>(path, { ...request, bearer: this.#key, signal: over.signal });
    } catch (error) {
      throw this.#ended.signal.aborted ? new KeyForgotten() : error;
    } finally {
      for (const one of [this.#ended.signal, signal]) one?.removeEventListener('abort', abort);
    }
  }

  #get<T>(path: string, args: Args, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>(`/api/admin/${path}${query(args)}`, signal ? { signal } : {});
  }

  overview(signal?: AbortSignal): Promise<Overview> {
    return this.#get('overview', {}, signal);
  }

  topics(args: { prefix?: string; after?: string | null; limit?: number }, signal?: AbortSignal): Promise<TopicPage> {
    return this.#get('topics', args, signal);
  }

  events(args: { topic: string; before?: string | number | null; limit?: number }, signal?: AbortSignal): Promise<EventPage> {
    return this.#get('events', args, signal);
  }

  history(args: { topic: string; doc_key: string; before?: string | number | null; limit?: number }, signal?: AbortSignal): Promise<EventPage> {
    return this.#get('history', args, signal);
  }

  sessions(args: { topic?: string; subject?: string; limit?: number }, signal?: AbortSignal): Promise<SessionPage> {
    return this.#get('sessions', args, signal);
  }

  async revoke(what: Revocation): Promise<Revoked> {
    return (await this.#ask<{ data: Revoked }>('/api/sync/sessions/revoke', { method: 'POST', body: what })).data;
  }

  /** A short token for these topics, for live events and documents. */
  async token(scopes: string[], ttlSeconds = 300): Promise<string> {
    const { data } = await this.#ask<{ data: { token: string } }>('/api/sync/token', { method: 'POST', body: { scopes, ttl_seconds: ttlSeconds } });
    return data.token;
  }
}

/** A page of a topic's documents; the token is a sync token, as for the socket. */
export function snapshotPage(token: string, topic: string, args: { page_token?: string | null; limit?: number }, signal?: AbortSignal): Promise<SnapshotPage> {
  return requestJson(`/api/sync/snapshot${query({ topic, ...args })}`, { bearer: token, ...(signal ? { signal } : {}) });
}
