// The client: one connection, its token, and the topics that share it.
import { Backoff } from './backoff.js';
import { Connection, Refusal } from './connection.js';
import { Emitter } from './emitter.js';
import { SyncError, messageOf } from './errors.js';
import { HttpApi } from './http.js';
import { isObject, knownCode, textOf } from './replies.js';
import { sleep } from './sleep.js';
import { memoryStore } from './stores/memory.js';
import type { SyncStore } from './stores/store.js';
import { Document } from './document.js';
import { Subscriptions } from './subscriptions.js';
import { TokenRenewal } from './token_renewal.js';
import { Tokens } from './tokens.js';
import { TopicCore } from './topic_core.js';
import { TopicHandle } from './topic_handle.js';
import type { TopicHost } from './topic_host.js';
import type { BackoffOptions, ClientEvents, FetchLike, SyncClientOptions, SyncDocument, SyncStatus, SyncTopic, TopicOptions,
  WebSocketConstructor } from './types.js';

/** After so many refusals in a row the client is `denied`; it goes on asking, at the longest wait. */
const deniedAfter = 2;
/** A connection that lasted so long was a good one. */
const goodAfterMs = 5000;

/** A socket that takes longer to open does not open. */
const connectTimeoutMs = 15_000;

const topicPattern = /^[A-Za-z0-9_.:/-]{1,160}$/;

/** What of browsers' events is used where there are some. */
interface EventSource {
  addEventListener(event: string, listener: () => void): void;
  removeEventListener(event: string, listener: () => void): void;
}

const gateCodes = new Set(['invalid_client_build', 'unsupported_protocol_version', 'unsupported_schema_version',
  'upgrade_required', 'unsupported_client_build']);

/** A client of one fan-out. Make one for an application, not one for a page of it. */
export class SyncClient {
  readonly #options: SyncClientOptions;
  readonly #tokens: Tokens;
  readonly #api: HttpApi;
  readonly #store: SyncStore;
  readonly #connection: Connection;
  readonly #backoff: Backoff;
  readonly #events: Emitter<ClientEvents>;
  readonly #subscriptions: Subscriptions;
  readonly #renewal: TokenRenewal;
  readonly #host: TopicHost;
  #backoffOptions: Partial<BackoffOptions>;
  #status: SyncStatus = 'idle';
  #error: SyncError | null = null;
  /** connect() was called, and disconnect() was not. */
  #isWanted = false;
  #isClosed = false;
  #wasOnline = false;
  #isJoined = false;
  /** Between two tries to connect. */
  #isWaiting = false;
  #isDenied = false;
  #refusals = 0;
  /** In the time of performance.now(), which no clock turns back. */
  #joinedAt = 0;
  /** Ends the wait, or the attempt, that is under way. */
  #attempt = new AbortController();
  #onlineWaiters = new Set<() => void>();
  /** Topics that were released, and are being stored. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: SyncClientOptions) {
    const transport = options.transport ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    if (!transport) {
      throw new SyncError('no_transport', 'there is no WebSocket here; give `transport` (Node before 22: npm package ws)');
    }
    const fetch = options.fetch ?? (globalThis.fetch as unknown as FetchLike | undefined)?.bind(globalThis);
    if (!fetch) throw new SyncError('no_transport', 'there is no fetch here; give `fetch`');
    if (!/^wss?:\/\//.test(options.url)) {
      throw new SyncError('invalid_argument', `url is ${options.url}; it has to begin with ws:// or wss://`);
    }
    this.#options = options;
    this.#store = options.store ?? memoryStore();
    this.#tokens = new Tokens(options.token);
    this.#api = new HttpApi(options.httpUrl ?? httpBaseOf(options.url), fetch, this.#tokens);
    this.#backoffOptions = { ...options.backoff };
    this.#backoff = this.#newBackoff();
    this.#events = new Emitter<ClientEvents>((event, cause) => {
      // A listener of errors that throws is told of in the log only.
      const error = new SyncError('listener_failed', `a listener of ${String(event)} threw: ${messageOf(cause)}`, { cause });
      if (event === 'error') this.#log(error.message);
      else this.#failed(error);
    });
    this.#connection = new Connection(options.url, transport, options.connectTimeoutMs ?? connectTimeoutMs, {
      opened: () => void this.#join(),
      closed: (how) => void this.#closed(how),
      batch: (batch) => this.#subscriptions.topics.get(batch.topic)?.batch(batch),
      unreadable: (error) => {
        this.#failed(error);
        this.#connection.fail('a frame that cannot be read');
      },
      notice: (payload) => this.#notice(payload),
      heartbeat: (payload) => this.#subscriptions.heartbeat(payload),
    });
    this.#host = this.#makeHost();
    this.#subscriptions = this.#makeSubscriptions();
    this.#renewal = new TokenRenewal(this.#tokens, this.#connection, {
      renewed: (allowedTopics) => {
        this.#refusals = 0;
        this.#events.emit('reauthenticated');
        this.#subscriptions.unblock(allowedTopics);
      },
      refused: (reason) => {
        // Without another token the server closes the socket when its time is over; a connection of its own may take it.
        this.#refused(reason);
        this.#connection.fail('the token was refused');
      },
      failed: (error) => this.#failed(error),
    });
    // Where the platform tells, there is no need to wait.
    (globalThis as Partial<EventSource>).addEventListener?.('online', this.#networkIsBack);
  }

  /** Of the client and all its topics together. */
  get status(): SyncStatus {
    return this.#status;
  }

  /** What is wrong with the connection now; null when nothing is. */
  get error(): SyncError | null {
    return this.#error;
  }

  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): () => void {
    return this.#events.on(event, listener);
  }

  /** Connects, and keeps connected. `subscribe` does it too. */
  connect(): void {
    this.#assertOpen();
    const mayGoOn = this.#isWanted && !this.#isDenied;
    if (mayGoOn) return;
    this.#isWanted = true;
    this.#isDenied = false;
    this.#refusals = 0;
    this.#backoff.reset();
    void this.#connect(0);
  }

  /** Ends the connection. Subscriptions stay, and go on with the next `connect()`. */
  disconnect(): void {
    this.#isWanted = false;
    this.#isWaiting = false;
    this.#isDenied = false;
    this.#wasOnline = false;
    this.#attempt.abort();
    this.#connection.close();
    this.#offline();
  }

  /** Ends everything; resolves when the store has all there was. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.disconnect();
    this.#isClosed = true;
    const topics = [...this.#subscriptions.topics.values()];
    this.#subscriptions.topics.clear();
    await Promise.all([...topics.map((topic) => topic.close()), ...this.#closing.values()]);
    await this.#store.close?.();
    (globalThis as Partial<EventSource>).removeEventListener?.('online', this.#networkIsBack);
    this.#update();
    this.#events.clear();
  }

  /**
   * Follows a topic. Any number of subscribers share one subscription; each ends its own hold with `release()`.
   * Connects if nothing has yet.
   */
  subscribe(name: string, options: TopicOptions = {}): SyncTopic {
    this.#assertOpen();
    if (!topicPattern.test(name)) {
      throw new SyncError('invalid_argument', `${JSON.stringify(name)} is no topic: 1 to 160 of A-Z a-z 0-9 _ . : / -`);
    }
    let core = this.#subscriptions.topics.get(name);
    if (core) {
      for (const key of ['documents', 'onStale', 'start'] as const) {
        if (options[key] !== undefined && options[key] !== core.options[key]) {
          throw new SyncError('invalid_argument',
            `${name} is subscribed already with ${key}: ${core.options[key]}; its subscribers have to agree`, { topic: name });
        }
      }
    } else {
      const documents = options.documents ?? true;
      core = new TopicCore(this.#host, name, {
        documents, onStale: options.onStale ?? (documents ? 'resync' : 'notify'),
        start: options.start ?? (documents ? 'snapshot' : 'floor'),
      }, this.#closing.get(name));
      this.#subscriptions.topics.set(name, core);
    }
    core.holds++;
    const held = core;
    const handle = new TopicHandle(held, () => {
      held.holds--;
      // A little later: a component that is made anew takes hold again at once.
      setTimeout(() => {
        if (held.holds === 0) this.#end(held);
      }, 0);
    });
    if (!this.#isWanted) this.connect();
    this.#update();
    return handle;
  }

  /**
   * A topic that somebody holds already, to look at; undefined when nobody does. It is no hold: it needs no `release()`,
   * and what it shows ends with the holds of others.
   */
  peek(name: string): SyncTopic | undefined {
    const core = this.#subscriptions.topics.get(name);
    return core && new TopicHandle(core, () => {});
  }

  /** A document as it is now, from the server. Null when there is none. Does not change what is held. */
  async fetchDocument(topic: SyncTopic | string, docKey: string): Promise<SyncDocument | null> {
    this.#assertOpen();
    const name = typeof topic === 'string' ? topic : topic.name;
    const { watermark, document } = await this.#api.document(name, docKey);
    return document && new Document({ docKey, ...document, watermark, updatedAt: null }, (text) => this.#parse(text));
  }

  /** All documents of a topic, from the server, and the cursor they are as of. Does not change what is held. */
  async fetchSnapshot(topic: SyncTopic | string): Promise<{ cursor: { epoch: number | bigint; watermark: number }; documents: SyncDocument[] }> {
    this.#assertOpen();
    const { cursor, documents } = await this.#api.snapshot(typeof topic === 'string' ? topic : topic.name);
    return { cursor, documents: documents.map((one) => new Document(one, (text) => this.#parse(text))) };
  }

  // --- What topics use.

  #makeHost(): TopicHost {
    const client = this;
    return {
      store: this.#store,
      api: this.#api,
      get status() { return client.#connectionStatus(); },
      get error() { return client.#error; },
      get isOnline() { return client.#isJoined; },
      now: () => (client.#options.clock ?? Date.now)(),
      newBackoff: () => client.#newBackoff(),
      parse: (text) => client.#parse(text),
      online: (signal) => client.#online(signal),
      reconcile: () => client.#subscriptions.reconcile(),
      unsubscribe: (topic) => client.#subscriptions.unsubscribe(topic),
      topicChanged: () => client.#update(),
      log: (message, details) => client.#log(message, details),
      failed: (error) => client.#failed(error),
    };
  }

  #makeSubscriptions(): Subscriptions {
    const client = this;
    return new Subscriptions({
      connection: this.#connection,
      replayBatchSize: this.#options.replayBatchSize,
      get isJoined() { return client.#isJoined; },
      get signal() { return client.#attempt.signal; },
      newBackoff: () => client.#newBackoff(),
      failed: (error) => client.#failed(error),
    });
  }

  #newBackoff(): Backoff {
    return new Backoff(this.#backoffOptions, this.#options.random ?? Math.random);
  }

  #parse(text: string): unknown {
    return this.#options.parse ? this.#options.parse(text) : JSON.parse(text);
  }

  #log(message: string, details?: Record<string, unknown>): void {
    this.#options.log?.(message, details);
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new SyncError('closed', 'the client was closed; make another');
  }

  #failed(error: SyncError): void {
    this.#log(error.message, { code: error.code });
    this.#events.emit('error', error);
  }

  #online(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isJoined || signal.aborted) return resolve();
      const done = (): void => {
        this.#onlineWaiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#onlineWaiters.add(done);
      signal.addEventListener('abort', done);
    });
  }

  // --- Status.

  #connectionStatus(): SyncStatus {
    if (this.#isClosed) return 'closed';
    if (this.#isDenied) return 'denied';
    if (!this.#isWanted) return 'idle';
    if (!this.#isJoined) return this.#wasOnline ? 'reconnecting' : 'connecting';
    return 'live';
  }

  #statusNow(): SyncStatus {
    const connection = this.#connectionStatus();
    if (connection !== 'live') return connection;
    const phases = [...this.#subscriptions.topics.values()].map((topic) => topic.status);
    for (const status of ['denied', 'stale', 'catching_up'] as const) if (phases.includes(status)) return status;
    return 'live';
  }

  #update(): void {
    const previous = this.#status;
    this.#status = this.#statusNow();
    if (this.#status !== previous) this.#events.emit('status', this.#status, previous);
  }

  #changed(): void {
    for (const topic of [...this.#subscriptions.topics.values()]) topic.hostChanged();
    this.#update();
  }

  // --- Connecting.

  /** After `wait`, gets a token and connects. Whatever comes of it ends in #join or #closed. */
  async #connect(wait: number): Promise<void> {
    this.#attempt.abort();
    const { signal } = (this.#attempt = new AbortController());
    this.#changed();
    this.#log('connecting', { inMs: Math.round(wait) });
    this.#isWaiting = true;
    await sleep(wait, signal);
    if (signal.aborted) return;
    this.#isWaiting = false;
    let token;
    try {
      token = await this.#tokens.ask('connect');
    } catch (error) {
      if (signal.aborted) return;
      this.#error = error as SyncError;
      this.#failed(this.#error);
      return void this.#connect(this.#backoff.next());
    }
    if (!signal.aborted) this.#connection.open(token);
  }

  readonly #networkIsBack = (): void => {
    if (this.#isWaiting && !this.#isDenied && !this.#backoff.wasAdvised) void this.#connect(0);
  };

  #offline(): void {
    this.#isJoined = false;
    this.#renewal.stop();
    this.#subscriptions.offline();
    this.#changed();
  }

  async #closed(how: { wasOpen: boolean; code: number; reason: string }): Promise<void> {
    this.#log('disconnected', { code: how.code, reason: how.reason });
    if (this.#isJoined && performance.now() - this.#joinedAt >= goodAfterMs) this.#backoff.succeeded();
    this.#offline();
    if (!this.#isWanted) return;
    const { signal } = this.#attempt;
    if (how.wasOpen) this.#refuseClosed(how);
    else await this.#explain(signal);
    if (!signal.aborted) void this.#connect(this.#backoff.next());
  }

  /** The server closed a socket because of its token. */
  #refuseClosed({ code, reason }: { code: number; reason: string }): void {
    if (code !== 1008 || (reason !== 'token_expired' && reason !== 'reauth_required')) return;
    this.#refused(reason);
  }

  /** A socket that did not open says nothing of why: a request over HTTP tells. */
  async #explain(signal: AbortSignal): Promise<void> {
    try {
      await this.#api.probe(signal);
      if (signal.aborted) return;
      this.#error = new SyncError('connection_failed', `no WebSocket to ${this.#options.url} could be opened, though HTTP works`);
    } catch (cause) {
      // What was asked for a connection that nobody wants any more says nothing.
      if (signal.aborted) return;
      const error = cause as SyncError;
      this.#backoff.advise(error.retryAfterMs);
      if (error.code === 'unauthorized') return this.#refused(error.reason ?? 'unauthorized');
      this.#error = error;
      if (error.code === 'origin_not_allowed') return this.#deny(error);
    }
    this.#failed(this.#error);
  }

  /** The token was refused. Again and again: `denied`, and a try now and then. */
  #refused(reason: string): void {
    this.#tokens.refused(this.#tokens.current, reason);
    this.#refusals++;
    const error = new SyncError('unauthorized', `the server refused the token: ${reason}` +
      (this.#refusals < deniedAfter ? '; another one is asked for' : `, ${this.#refusals} times in a row`), { reason });
    this.#error = error;
    this.#failed(error);
    if (this.#refusals >= deniedAfter) this.#backoff.advise(this.#backoff.options.maxMs * (0.5 + (this.#options.random ?? Math.random)() / 2));
    if (this.#refusals === deniedAfter) this.#deny(error);
  }

  /** Goes on trying, at the longest wait, so that what is mended elsewhere mends the client. */
  #deny(error: SyncError): void {
    this.#error = error;
    this.#isDenied = true;
    this.#changed();
  }

  // --- Joining.

  async #join(): Promise<void> {
    const { signal } = this.#attempt;
    let asked: TopicCore[] = [];
    try {
      await this.#connection.join(() => {
        asked = this.#subscriptions.forJoin();
        return { ...this.#joinParams(), ...this.#subscriptions.params(asked) };
      }, (reply) => {
        if (!signal.aborted) this.#joined(reply, asked);
      });
    } catch (error) {
      if (!signal.aborted) this.#joinFailed(error, asked);
    }
  }

  #joined(reply: Record<string, unknown>, asked: TopicCore[]): void {
    this.#isJoined = true;
    this.#isDenied = false;
    this.#wasOnline = true;
    this.#refusals = 0;
    this.#error = null;
    this.#joinedAt = performance.now();
    this.#tokens.accepted();
    this.#adviseBackoff(reply.reconnect_backoff_ms);
    this.#renewal.joined();
    this.#subscriptions.joined(reply, asked);
    for (const done of [...this.#onlineWaiters]) done();
    this.#changed();
    this.#subscriptions.reconcile();
  }

  #joinParams(): Record<string, unknown> {
    const { client, clientBuildId, protocolVersion, schemaVersion, encoding } = this.#options;
    const params: Record<string, unknown> = {
      client, client_build_id: clientBuildId, protocol_version: protocolVersion, schema_version: schemaVersion,
      encoding: encoding ?? 'proto',
    };
    for (const key of Object.keys(params)) if (params[key] === undefined) delete params[key];
    return params;
  }

  #joinFailed(error: unknown, asked: TopicCore[]): void {
    if (!(error instanceof Refusal)) return this.#connection.fail(messageOf(error));
    const { response } = error;
    const code = String(response.code ?? '');
    if (this.#subscriptions.canJoinAfter(error, asked)) return void this.#join();
    if (gateCodes.has(code)) {
      const refusal = new SyncError('incompatible_client', `the server does not take this client: ${code}`, { reason: code, details: response });
      this.#failed(refusal);
      this.#deny(refusal);
      this.#backoff.advise(this.#backoff.options.maxMs);
    } else {
      this.#failed(this.#error = new SyncError(knownCode(code), `the join was refused: ${textOf(response.message) ?? code}`, {
        details: response, ...(typeof response.retry_after_ms === 'number' ? { retryAfterMs: response.retry_after_ms } : {}),
      }));
      this.#backoff.advise(response.retry_after_ms);
    }
    const wait = this.#backoff.next();
    this.#connection.close();
    this.#offline();
    void this.#connect(wait);
  }

  #adviseBackoff(advice: unknown): void {
    if (!isObject(advice)) return;
    const { base, jitter } = advice;
    if (typeof base === 'number' && base >= 0) this.#backoffOptions.baseMs = this.#backoff.options.baseMs = Math.max(1, base);
    if (typeof jitter === 'number' && jitter >= 0) this.#backoffOptions.jitterMs = this.#backoff.options.jitterMs = jitter;
  }

  #end(topic: TopicCore): void {
    if (this.#subscriptions.topics.get(topic.name) !== topic) return;
    this.#subscriptions.topics.delete(topic.name);
    this.#subscriptions.released(topic.name);
    // The next one begins with what this one stored.
    const closing: Promise<void> = topic.close().finally(() => {
      if (this.#closing.get(topic.name) === closing) this.#closing.delete(topic.name);
    });
    this.#closing.set(topic.name, closing);
    this.#subscriptions.hasRoom();
    this.#update();
  }

  // --- What the server pushes.

  #notice(payload: Record<string, unknown>): void {
    const code = String(payload.code ?? '');
    this.#backoff.advise(payload.reconnect_after_ms);
    this.#backoff.advise(payload.retry_after_ms);
    switch (code) {
      case 'stale_cursor':
        return this.#subscriptions.stale(payload);
      case 'forbidden_topic':
        return void this.#subscriptions.forbid(payload);
      case 'token_expired':
        return this.#renewal.endsIn(payload.expires_in_ms);
      case 'going_away':
      case 'slow_consumer':
      case 'reauth_required':
        // The server closes the socket next.
        return this.#failed(new SyncError(code, `the server ends the connection: ${textOf(payload.message) ?? code}`,
          { details: payload, ...(typeof payload.reason === 'string' ? { reason: payload.reason } : {}) }));
      default:
        return this.#failed(new SyncError(knownCode(code), `the server says: ${textOf(payload.message) ?? code}`, { details: payload }));
    }
  }
}

/** `wss://host/path/socket` is served with `https://host/path`. */
function httpBaseOf(url: string): string {
  const base = url.replace(/^ws/, 'http').replace(/\?.*$/, '').replace(/\/+$/, '');
  return base.replace(/(\/sync)?\/socket(\/websocket)?$/, '');
}
