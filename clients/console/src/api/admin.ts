// The admin interface of a fan-out, for one service key. The key lives in this object only.
import { requestJson } from './http';
import type { EventPage, Overview, Revocation, Revoked, SessionPage, SnapshotPage, TopicPage } from './types';

type Args = Record<string, string | number | undefined | null>;

const query = (args: Args) => {
  const text = Object.entries(args).filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
  return text ? `?${text}` : '';
};

export class AdminApi {
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  #get<T>(path: string, args: Args, signal?: AbortSignal): Promise<T> {
    return requestJson<T>(`/api/admin/${path}${query(args)}`, { bearer: this.#key, ...(signal ? { signal } : {}) });
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
    return (await requestJson<{ data: Revoked }>('/api/sync/sessions/revoke', { method: 'POST', bearer: this.#key, body: what })).data;
  }

  /** A short token for these topics, for live events and documents. */
  async token(scopes: string[], ttlSeconds = 300): Promise<string> {
    const { data } = await requestJson<{ data: { token: string } }>('/api/sync/token',
      { method: 'POST', bearer: this.#key, body: { scopes, ttl_seconds: ttlSeconds } });
    return data.token;
  }
}

/** A page of a topic's documents; the token is a sync token, as for the socket. */
export function snapshotPage(token: string, topic: string, args: { page_token?: string | null; limit?: number }, signal?: AbortSignal): Promise<SnapshotPage> {
  return requestJson(`/api/sync/snapshot${query({ topic, ...args })}`, { bearer: token, ...(signal ? { signal } : {}) });
}
