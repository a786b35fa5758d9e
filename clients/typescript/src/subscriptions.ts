// The topics of a client, and what the server is asked and says about them: join and subscribe together what is ready, take
// each answer to the topic that it is about.
import type { Backoff } from './backoff.js';
import { type Connection, Refusal } from './connection.js';
import { SyncError, messageOf } from './errors.js';
import { readInteger, toWire } from './integers.js';
import { entries, isObject, knownCode, textOf } from './replies.js';
import { sleep } from './sleep.js';
import type { TopicCore } from './topic_core.js';

/** A topic that is not live after this long, though nothing comes, asks the server where it is. */
const nudgeMs = 1000;

/** What subscriptions need of their client. */
export interface SubscriptionsLink {
  readonly connection: Connection;
  readonly isJoined: boolean;
  /** Aborts when the present connection, or the wait for the next, ends. */
  readonly signal: AbortSignal;
  readonly replayBatchSize: number | undefined;
  newBackoff(): Backoff;
  failed(error: SyncError): void;
}

export class Subscriptions {
  readonly topics = new Map<string, TopicCore>();
  readonly #link: SubscriptionsLink;
  /** What the server has subscribed on this connection, whatever the topics are doing meanwhile. */
  readonly #onServer = new Set<string>();
  /** A subscribe to several was refused as a whole, because of their number: one by one then. */
  #oneByOne = false;
  #reconcileQueued = false;
  /** A subscribe waits for its answer, while this has not aborted: what becomes ready meanwhile goes with the next one. */
  #inFlight: AbortSignal | undefined;
  /** The server asked to wait before the next subscribe. */
  #isWaiting = false;
  #nudgeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(link: SubscriptionsLink) {
    this.#link = link;
  }

  /** What a join subscribes to. */
  forJoin(): TopicCore[] {
    return this.#oneByOne ? [] : this.#ready();
  }

  /** A join was accepted. */
  joined(reply: Record<string, unknown>, asked: TopicCore[]): void {
    const subscribed = asked.filter((topic) => topic.phase === 'ready' && !topic.isClosed);
    for (const topic of subscribed) topic.subscribing();
    // Also those that were released meanwhile: the server has to be told.
    this.#accepted(reply, asked);
    this.unblock(reply.allowed_topics);
    this.scheduleNudge();
  }

  /** A join was refused because of its topics: whether another one, without some, may be accepted. */
  canJoinAfter(refusal: Refusal, asked: TopicCore[]): boolean {
    const { response } = refusal;
    if (response.code === 'forbidden_topic') return this.forbid(response) > 0;
    if (response.code !== 'bad_subscription' || asked.length === 0) return false;
    this.#oneByOne = true;
    return true;
  }

  /** The connection is gone. */
  offline(): void {
    clearTimeout(this.#nudgeTimer);
    this.#onServer.clear();
    for (const topic of this.topics.values()) topic.disconnected();
  }

  #ready(): TopicCore[] {
    return [...this.topics.values()].filter((topic) => topic.phase === 'ready');
  }

  params(topics: TopicCore[]): Record<string, unknown> {
    if (topics.length === 0) return {};
    const resume_after = topics.flatMap((topic) => {
      const cursor = topic.resumeAfter();
      return cursor ? [{ topic: topic.name, watermark: cursor.watermark, epoch: toWire(cursor.epoch) }] : [];
    });
    const { replayBatchSize } = this.#link;
    return { topics: topics.map((topic) => topic.name), resume_after,
      ...(replayBatchSize === undefined ? {} : { replay_batch_size: replayBatchSize }) };
  }

  /** Subscribes to what is ready; what becomes so in the same turn of the event loop goes together. */
  reconcile(): void {
    if (this.#reconcileQueued) return;
    this.#reconcileQueued = true;
    queueMicrotask(() => {
      this.#reconcileQueued = false;
      if (!this.#link.isJoined || this.#isWaiting || this.#inFlight?.aborted === false) return;
      const topics = this.#ready();
      if (topics.length > 0) void this.#subscribe(this.#oneByOne ? topics.slice(0, 1) : topics);
    });
  }

  async #subscribe(topics: TopicCore[]): Promise<void> {
    const { signal } = this.#link;
    this.#inFlight = signal;
    for (const topic of topics) topic.subscribing();
    try {
      await this.#link.connection.push('sync:subscribe', this.params(topics), (reply) => {
        if (!signal.aborted) this.#accepted(reply, topics);
      });
    } catch (error) {
      if (!signal.aborted) this.#subscribeFailed(error, topics);
    }
    if (signal.aborted) return;
    this.#inFlight = undefined;
    this.reconcile();
    this.scheduleNudge();
  }

  #subscribeFailed(error: unknown, topics: TopicCore[]): void {
    if (!(error instanceof Refusal)) {
      if (this.#link.isJoined) this.#link.connection.fail(messageOf(error));
      return;
    }
    const { response } = error;
    const code = String(response.code ?? '');
    if (code === 'stale_cursor') this.stale(response);
    if (code === 'forbidden_topic') this.forbid(response);
    const left = topics.filter((topic) => topic.phase === 'subscribing');
    if (code === 'bad_subscription') {
      const [only] = left;
      if (left.length === 1 && only) {
        only.block(new SyncError('bad_subscription', `${only.name} was not subscribed: ${textOf(response.message) ?? code}`,
          { topic: only.name, details: response }));
        return;
      }
      this.#oneByOne = true;
    }
    for (const topic of left) topic.disconnected();
    // What was refused is told apart from the rest, which can be asked for at once.
    if (left.length < topics.length || code === 'bad_subscription') return this.reconcile();
    // Too much at the moment, or an error of the server: later, without giving up the connection.
    const retryAfter = typeof response.retry_after_ms === 'number' ? response.retry_after_ms : undefined;
    const backoff = this.#link.newBackoff();
    backoff.advise(retryAfter ?? 1000);
    this.#link.failed(new SyncError(knownCode(code), `a subscribe was refused: ${textOf(response.message) ?? code}`,
      { details: response, ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }) }));
    this.#isWaiting = true;
    void sleep(backoff.next(), this.#link.signal).then(() => {
      this.#isWaiting = false;
      this.reconcile();
    });
  }

  /** A join or subscribe was accepted: where each topic stands. */
  #accepted(reply: Record<string, unknown>, asked: TopicCore[]): void {
    const heads = new Map(entries(reply.head_watermarks).map((one) => [one.topic, one.watermark]));
    for (const { topic: name, watermark, epoch } of entries(reply.current_watermarks)) {
      const topic = asked.find((one) => one.name === name);
      if (!topic) continue;
      this.#onServer.add(name);
      if (topic.isClosed) this.unsubscribe(name);
      else topic.accepted({ epoch, watermark }, heads.get(name) ?? watermark);
    }
    // A join that a stale cursor was in subscribes to nothing: the others are ready again.
    if (isObject(reply.stale)) this.stale(reply.stale);
    for (const topic of asked) if (topic.phase === 'subscribing') topic.disconnected();
  }

  stale(body: Record<string, unknown>): void {
    for (const one of Array.isArray(body.stale_topics) ? body.stale_topics : []) {
      if (!isObject(one)) continue;
      const number = (value: unknown): number => Number(readInteger(value) ?? 0);
      this.topics.get(String(one.topic))?.stale({
        topic: String(one.topic), reason: String(one.reason), resumeAfter: number(one.resume_after),
        retentionFloor: number(one.retention_floor), headWatermark: number(one.head_watermark),
      });
    }
  }

  /** How many topics that were asked for are not allowed. */
  forbid(body: Record<string, unknown>): number {
    let count = 0;
    for (const name of Array.isArray(body.forbidden_topics) ? body.forbidden_topics : []) {
      const topic = this.topics.get(String(name));
      if (!topic || topic.phase === 'blocked') continue;
      topic.block(new SyncError('forbidden_topic', `the token does not allow ${topic.name}`, { topic: topic.name }));
      count++;
    }
    return count;
  }

  /** A topic was given up: one that was too many may be taken now. */
  hasRoom(): void {
    for (const topic of this.topics.values()) if (topic.error?.code === 'bad_subscription') topic.unblock();
  }

  /** Topics that were not allowed may be with another token. */
  unblock(allowed: unknown): void {
    const scopes = Array.isArray(allowed) ? allowed.filter((scope) => typeof scope === 'string') : [];
    for (const topic of this.topics.values()) {
      const isAllowed = scopes.some((scope) => scope.endsWith('*') ? topic.name.startsWith(scope.slice(0, -1)) : topic.name === scope);
      if (isAllowed && topic.error?.code === 'forbidden_topic') topic.unblock();
    }
  }

  /** A topic was released. One whose subscribe is under way is unsubscribed when that is accepted. */
  released(name: string): void {
    if (this.#onServer.has(name)) this.unsubscribe(name);
  }

  unsubscribe(name: string): void {
    this.#onServer.delete(name);
    if (this.#link.isJoined) this.#link.connection.push('sync:unsubscribe', { topics: [name] }).catch(() => undefined);
  }

  heartbeat(payload: Record<string, unknown>): void {
    for (const { topic, watermark, head } of entries(payload.watermarks)) {
      if (head !== undefined) this.topics.get(topic)?.heartbeat(watermark, head);
    }
  }

  /** Asks for a heartbeat when some topic waits: it may wait for nothing but voids, which are sent to nobody. */
  scheduleNudge(): void {
    clearTimeout(this.#nudgeTimer);
    if (!this.#link.isJoined) return;
    this.#nudgeTimer = setTimeout(() => {
      const waits = [...this.topics.values()].some((topic) => topic.phase === 'subscribed' && topic.status !== 'live');
      if (!waits || !this.#link.isJoined) return;
      this.#link.connection.push('sync:heartbeat', {}).catch(() => undefined);
      this.scheduleNudge();
    }, nudgeMs);
  }
}
