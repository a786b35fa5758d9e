// One request, one typed outcome: a value, or an ApiError that says what happened in words that a person can act on.
import { parseJson } from '../lib/json';

/** What kind of trouble it is: what a page shows follows from it. */
export type Trouble = 'unreachable' | 'timeout' | 'unauthorized' | 'forbidden' | 'not_found' | 'unavailable' | 'limited' | 'refused' | 'broken';

export class ApiError extends Error {
  constructor(readonly trouble: Trouble, readonly status: number, readonly code: string, readonly reason: string, message = '') {
    super(message || `${code || trouble}${reason ? `: ${reason}` : ''}`);
    this.name = 'ApiError';
  }

  /** Whether asking again later can help without anybody doing something. */
  get passing(): boolean {
    return ['unreachable', 'timeout', 'unavailable', 'limited', 'broken'].includes(this.trouble) && this.code !== 'admin_unavailable';
  }
}

const troubleOf = (status: number): Trouble =>
  status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : status === 404 ? 'not_found' : status === 429 ? 'limited'
    : status === 503 ? 'unavailable' : status === 504 ? 'timeout' : status >= 500 ? 'broken' : 'refused';

export type Request = { method?: 'GET' | 'POST'; bearer?: string; body?: unknown; signal?: AbortSignal; timeoutMs?: number };

/** Asks for JSON. The answer's shape is the caller's knowledge of the interface. */
export async function requestJson<T>(path: string, { method = 'GET', bearer, body, signal, timeoutMs = 15_000 }: Request = {}): Promise<T> {
  const ended = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    ended.abort();
  }, timeoutMs);
  const forward = () => ended.abort();
  signal?.addEventListener('abort', forward);
  if (signal?.aborted) ended.abort();
  try {
    const response = await fetch(path, {
      method, cache: 'no-store', credentials: 'omit', redirect: 'error', signal: ended.signal,
      headers: { accept: 'application/json', ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      throw new ApiError(response.ok ? 'broken' : troubleOf(response.status), response.status, 'no_json', `status ${response.status}`);
    }
    if (response.ok) return value as T;
    const error = (value as { error?: { code?: string; reason?: string; message?: string } } | null)?.error ?? {};
    // A key that is known but may not is 401 where tokens are made; for a person that is a matter of rights, too.
    const trouble = error.reason === 'key_may_not' ? 'forbidden' : troubleOf(response.status);
    throw new ApiError(trouble, response.status, error.code ?? `status_${response.status}`, error.reason ?? '', error.message);
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    throw new ApiError(late ? 'timeout' : 'unreachable', 0, late ? 'timeout' : 'unreachable', '');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', forward);
  }
}

/** An error in plain words: what happened, and what to do about it. */
export function explain(error: unknown): { title: string; todo: string } {
  if (!(error instanceof ApiError)) {
    return { title: 'Something went wrong in this page', todo: error instanceof Error ? error.message : String(error) };
  }
  switch (error.trouble) {
    case 'unreachable':
      return { title: 'The server does not answer', todo: 'It may be restarting, or the network is away. This page asks again by itself.' };
    case 'timeout':
      return { title: 'The server took too long to answer', todo: 'It may be overloaded, or its database is slow. This page asks again by itself.' };
    case 'unauthorized':
      return error.reason === 'missing_credentials' || error.reason === 'missing_token'
        ? { title: 'No key was given', todo: 'Enter a service key.' }
        : { title: 'The server does not know this key', todo: 'Check that it is whole and has not been taken out of the service keys file (--service-keys), then enter it again.' };
    case 'forbidden':
      return error.reason === 'origin_not_allowed'
        ? { title: 'The server does not accept requests of this page’s address', todo: 'Open the console by the server’s own address, or add this one to --allowed-origin.' }
        : { title: 'This key may not do that', todo: 'Its entry in the service keys file needs "observe" in "may" for these pages, "token" for live events and documents, "revoke" to end sessions.' };
    case 'not_found':
      return { title: 'There is no such thing here', todo: 'The operators’ pages work on the admin listener (--admin-listen) only: open the console there.' };
    case 'unavailable':
      return error.code === 'admin_unavailable' || error.code === 'sync_token_unavailable'
        ? { title: 'The server is not set up for this', todo: words(error.reason || error.message) }
        : { title: 'The server can not answer at the moment', todo: `${words(error.reason) || 'Its database may be away.'} This page asks again by itself.` };
    case 'limited':
      return { title: 'Too many requests', todo: 'The server limits requests of one address. This page asks again more slowly.' };
    case 'broken':
      return { title: 'The server answered with an error of its own', todo: `Its log says more. (${error.message})` };
    case 'refused':
      return { title: 'The server refused the request', todo: words(error.message) };
  }
}

/** A reason of the wire as a sentence: codes get spaces, sentences stay as they are. */
function words(reason: string): string {
  if (!reason) return '';
  const text = reason.includes(' ') ? reason : reason.replaceAll('_', ' ');
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
