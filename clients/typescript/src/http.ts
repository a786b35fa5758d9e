// The fan-out's HTTP: snapshots, documents, heads, and whether a token is good.
import { SyncError, messageOf, type SyncErrorCode } from './errors.js';
import { canonicalJson, type ExactJson, parseExact, RawNumber } from './exact_json.js';
import { readInteger, type SyncInteger } from './integers.js';
import type { Tokens } from './tokens.js';
import type { Cursor, HeldDocument, Hydrated, Snapshot } from './topic_state.js';
import type { FetchLike } from './types.js';
import { hashOf, readHash } from './hash.js';
import { readWatermark } from './wire.js';

/** A request that takes longer is given up. */
const timeoutMs = 30_000;
/** Connecting waits for this one. */
const probeTimeoutMs = 5_000;
/** Requests at the same time: a client of many topics is no storm. */
const atOnce = 6;

const member = (value: ExactJson | undefined, name: string): ExactJson | undefined =>
  value instanceof Map ? value.get(name) : undefined;
const textOf = (value: ExactJson | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

function integerOf(value: ExactJson | undefined): SyncInteger {
  const integer = readInteger(value instanceof RawNumber ? value.text : value);
  if (integer === undefined) throw new SyncError('protocol_error', 'the server answered without an integer where one belongs');
  return integer;
}

/** An answer that is no success: its code, reason and what to do about it. */
function errorOf(status: number, body: ExactJson | undefined, retryAfter: string | null, what: string): SyncError {
  const reason = textOf(member(member(body, 'error'), 'reason'));
  const code = textOf(member(member(body, 'error'), 'code'));
  const seconds = retryAfter === null ? NaN : Number(retryAfter);
  const kind: SyncErrorCode = reason === 'origin_not_allowed' ? 'origin_not_allowed' : status === 401 ? 'unauthorized'
    : status === 403 ? 'forbidden_topic' : status === 409 ? 'no_snapshot_source' : status === 410 ? 'stale_cursor'
      : status === 429 ? 'rate_limited' : 'connection_failed';
  return new SyncError(kind, `${what}: the server answered ${status}${code ? ` ${code}` : ''}${reason ? ` (${reason})` : ''}`, {
    httpStatus: status, ...(reason === undefined ? {} : { reason }),
    ...(Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {}),
  });
}

/** Whether asking again can help. */
export const isPassing = (error: unknown): boolean => error instanceof SyncError &&
  (error.code === 'rate_limited' || error.code === 'unauthorized' || error.code === 'token_unavailable' ||
    (error.code === 'connection_failed' && (error.httpStatus === undefined || error.httpStatus >= 500)));

interface Get {
  /** For messages. */
  what: string;
  path: string;
  query?: [string, string][];
  signal?: AbortSignal | undefined;
  /** Statuses that are answers too. */
  also?: number[];
  withinMs?: number;
}

interface Got {
  status: number;
  body: ExactJson | undefined;
}

export class HttpApi {
  readonly #base: string;
  readonly #fetch: FetchLike;
  readonly #tokens: Tokens;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(base: string, fetch: FetchLike, tokens: Tokens) {
    this.#base = base.replace(/\/+$/, '');
    this.#fetch = fetch;
    this.#tokens = tokens;
  }

  /** GET, in its turn; the body of a success, or of the statuses in `also`. Throws SyncError. */
  async #get(request: Get): Promise<Got> {
    if (this.#underWay >= atOnce) await this.#turn(request);
    else this.#underWay++;
    try {
      return await this.#getNow(request);
    } finally {
      // The place goes to the next one.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#underWay--;
    }
  }

  /** Waits for a place. Throws, without one, when the request is no longer wanted. */
  #turn({ what, signal }: Get): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        const at = this.#waiting.indexOf(take);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        signal?.removeEventListener('abort', leave);
        reject(new SyncError('connection_failed', `${what}: it is no longer wanted`));
      };
      this.#waiting.push(take);
      signal?.addEventListener('abort', leave);
      if (signal?.aborted) leave();
    });
  }

  async #getNow({ what, path, query = [], signal, also = [], withinMs = timeoutMs }: Get): Promise<Got> {
    const token = await this.#tokens.usable();
    const own = new AbortController();
    // Also for a `fetch` that does not look at its signal.
    let ended: (why: Error) => void = () => {};
    const end = new Promise<never>((_resolve, reject) => (ended = reject));
    end.catch(() => undefined);
    const abort = (): void => {
      own.abort();
      ended(new Error('it is no longer wanted'));
    };
    const timer = setTimeout(() => {
      own.abort();
      ended(new Error(`no answer in ${withinMs / 1000} s`));
    }, withinMs);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    let answer;
    let text;
    try {
      const parameters = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
      const fetching = this.#fetch(`${this.#base}${path}${parameters ? `?${parameters}` : ''}`,
        { method: 'GET', headers: { authorization: `Bearer ${token}` }, signal: own.signal });
      answer = await Promise.race([end, fetching]);
      text = await Promise.race([end, answer.text()]);
    } catch (cause) {
      throw new SyncError('connection_failed', `${what}: ${messageOf(cause)}`, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
    let body: ExactJson | undefined;
    try {
      body = parseExact(text);
    } catch (cause) {
      if (answer.ok) throw new SyncError('connection_failed', `${what}: the answer is no JSON`, { cause });
    }
    if (answer.ok || also.includes(answer.status)) {
      if (answer.ok) this.#tokens.accepted();
      return { status: answer.status, body };
    }
    const error = errorOf(answer.status, body, answer.headers.get('retry-after'), what);
    if (error.code === 'unauthorized') this.#tokens.refused(token, error.reason ?? 'unauthorized');
    throw error;
  }

  /** Throws what is wrong with the token, the origin or the server; returns when the server takes the token. */
  async probe(signal: AbortSignal): Promise<void> {
    // Without a topic it is 400, once the token was good. Not in its turn: what is before it may wait for the connection.
    await this.#getNow({ what: 'asking whether the token is good', path: '/api/sync/heads', also: [400], signal, withinMs: probeTimeoutMs });
  }

  /** Where a topic is. */
  async head(topic: string, signal?: AbortSignal): Promise<Cursor> {
    const { body } = await this.#get({ what: `the head of ${topic}`, path: '/api/sync/heads', query: [['topic', topic]], signal });
    const list = member(body, 'heads');
    const head = Array.isArray(list) ? list[0] : undefined;
    return { epoch: integerOf(member(head, 'epoch')), watermark: readWatermark(integerOf(member(head, 'head_watermark'))) };
  }

  /** A document as it is, or that it is not there. */
  async document(topic: string, docKey: string, atLeast?: { watermark: number; payloadHash: string }, signal?: AbortSignal):
    Promise<Hydrated> {
    const query: [string, string][] = [['topic', topic], ['doc_key', docKey]];
    if (atLeast) query.push(['min_watermark', String(atLeast.watermark)], ['payload_hash', atLeast.payloadHash]);
    const { status, body } = await this.#get({ what: `document ${docKey} of ${topic}`, path: '/api/sync/documents', query, signal, also: [404] });
    if (status === 404 && member(body, 'watermark') === undefined) {
      throw new SyncError('protocol_error', `document ${docKey} of ${topic}: the server has no documents endpoint`, { httpStatus: 404 });
    }
    const watermark = readWatermark(integerOf(member(body, 'watermark')));
    if (status === 404) return { watermark, document: null };
    return { watermark, document: readDocument(member(body, 'document'), topic, watermark) };
  }

  /** All pages of a snapshot. Throws SyncError; `stale_cursor` when it has to begin again. */
  async snapshot(topic: string, signal?: AbortSignal): Promise<Snapshot> {
    const documents: HeldDocument[] = [];
    let cursor: Cursor | undefined;
    let pageToken: string | undefined;
    do {
      const query: [string, string][] = [['topic', topic]];
      if (pageToken !== undefined) query.push(['page_token', pageToken]);
      const { body } = await this.#get({ what: `the snapshot of ${topic}`, path: '/api/sync/snapshot', query, signal });
      // It is the same on every page.
      cursor ??= { epoch: integerOf(member(body, 'epoch')), watermark: readWatermark(integerOf(member(body, 'watermark'))) };
      const list = member(body, 'documents');
      for (const one of Array.isArray(list) ? list : []) documents.push(readDocument(one, topic, cursor.watermark));
      pageToken = textOf(member(body, 'next_page_token'));
    } while (pageToken !== undefined);
    return { cursor, documents };
  }
}

/** A document of an answer, with its hash verified. */
function readDocument(value: ExactJson | undefined, topic: string, watermark: number): HeldDocument {
  const docKey = textOf(member(value, 'doc_key'));
  const payloadHash = readHash(member(value, 'payload_hash'));
  const payload = member(value, 'payload');
  if (docKey === undefined || payloadHash === undefined || payload === undefined) {
    throw new SyncError('protocol_error', `a document of ${topic} without key, payload or hash`, { topic });
  }
  const text = canonicalJson(payload);
  if (hashOf(text) !== payloadHash) {
    throw new SyncError('hash_mismatch', `document ${docKey} of ${topic} is not what its hash says`, { topic, docKey });
  }
  return { docKey, docVersion: integerOf(member(value, 'doc_version')), text, payloadHash, watermark, updatedAt: null };
}
