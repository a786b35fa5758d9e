// One socket and one channel of the phoenix client, with its own ideas of reconnecting taken away.
//
// phoenix connects again with the token that it has, and joins again for ever whatever the answer was. The client decides
// both instead: each connection begins with a token from the provider, and each join is a channel of its own.
import { Channel, Socket, type SocketConnectOption } from 'phoenix';
import { fromUtf8 } from './bytes.js';
import { SyncError } from './errors.js';
import { type ExactJson, parseExact } from './exact_json.js';
import type { WebSocketConstructor } from './types.js';
import { batchFromJson, batchFromProto, type WireBatch } from './wire.js';

/** The longest that a timer can wait: phoenix's own timers, which are never let run out. */
const never = 0x7fff_ffff;
const channelName = 'sync:v1';
/** A reply that takes longer than this does not come. */
const replyMs = 10_000;
const joinMs = 20_000;
/** A socket that answers no heartbeat for this long is dead. */
const heartbeatMs = 15_000;

export interface ConnectionEvents {
  opened(): void;
  /** Once for each `open()` that was not ended by `close()`. */
  closed(how: { wasOpen: boolean; code: number; reason: string }): void;
  batch(batch: WireBatch): void;
  /** What was sent cannot be read. */
  unreadable(error: SyncError): void;
  notice(payload: Record<string, unknown>): void;
  heartbeat(payload: Record<string, unknown>): void;
}

/** The server refused a join or a push. */
export class Refusal extends Error {
  constructor(readonly response: Record<string, unknown>) {
    super(typeof response.code === 'string' ? response.code : 'refused');
  }
}
/** No answer came in time, or the connection went. */
export class NoReply extends Error {}

interface Message {
  join_ref: string | null;
  ref: string | null;
  topic: string;
  event: string;
  payload: unknown;
}

/** A binary frame of the server: a broadcast. */
function decodeBinary(data: ArrayBuffer): Message {
  const bytes = new Uint8Array(data);
  const topicEnd = 3 + (bytes[1] ?? 0);
  const eventEnd = topicEnd + (bytes[2] ?? 0);
  if (bytes[0] !== 2 || eventEnd > bytes.length) throw new Error('a binary frame that is no broadcast');
  return { join_ref: null, ref: null, topic: fromUtf8(bytes.subarray(3, topicEnd)),
    event: fromUtf8(bytes.subarray(topicEnd, eventEnd)), payload: bytes.subarray(eventEnd) };
}

/** A text frame. A batch keeps every digit. */
function decodeText(text: string): Message {
  const [join_ref, ref, topic, event, payload] = JSON.parse(text) as [string | null, string | null, string, string, unknown];
  if (event !== 'sync:update_batch') return { join_ref, ref, topic, event, payload };
  return { join_ref, ref, topic, event, payload: (parseExact(text) as ExactJson[])[4] };
}

export class Connection {
  readonly #events: ConnectionEvents;
  readonly #socket: Socket;
  readonly #openWithinMs: number;
  #token = '';
  #channel: Channel | undefined;
  /** The open() that is under way or open. */
  #attempt: { wasOpen: boolean } | undefined;
  /** phoenix waits for a handshake for ever; where no platform gives up either, this does. */
  #openTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, transport: WebSocketConstructor, openWithinMs: number, events: ConnectionEvents) {
    this.#events = events;
    this.#openWithinMs = openWithinMs;
    const options: Partial<Omit<SocketConnectOption, 'authToken'>> & { authToken: () => string } = {
      transport, authToken: () => this.#token, heartbeatIntervalMs: heartbeatMs, timeout: replyMs,
      reconnectAfterMs: () => never, rejoinAfterMs: () => never,
      decode: (raw: string | ArrayBuffer, done: (message: Message) => void) => this.#decode(raw, done),
    };
    // Its types say that a token is a text; it may be a function, which is asked for each connection.
    this.#socket = new Socket(url, options as unknown as Partial<SocketConnectOption>);
    this.#socket.onOpen(() => {
      // In browsers phoenix connects by itself when a page comes back from the cache: that is not ours.
      if (!this.#attempt) return this.#socket.disconnect();
      if (this.#attempt.wasOpen) return this.#ended(1006, 'connected twice');
      this.#attempt.wasOpen = true;
      clearTimeout(this.#openTimer);
      this.#events.opened();
    });
    this.#socket.onClose((event) => this.#ended(event?.code ?? 1006, event?.reason ?? ''));
  }

  get isOpen(): boolean {
    return this.#attempt?.wasOpen === true && this.#socket.isConnected();
  }

  /** Connects. `opened` or `closed` follows. */
  open(token: string): void {
    this.#token = token;
    this.#attempt = undefined;
    clearTimeout(this.#openTimer);
    // Whatever connection there is, is none of this attempt.
    this.#socket.disconnect();
    this.#attempt = { wasOpen: false };
    this.#openTimer = setTimeout(() => this.#ended(1006, 'the socket did not open in time'), this.#openWithinMs);
    this.#socket.connect();
  }

  /** Ends the connection; nothing is told of it. */
  close(): void {
    this.#attempt = undefined;
    clearTimeout(this.#openTimer);
    this.#leave();
    this.#socket.disconnect(undefined, 1000);
  }

  /** Ends the connection as if the network had; `closed` follows. */
  fail(reason: string): void {
    this.#ended(1006, reason);
  }

  /**
   * Joins the channel, subscribing to what the params say when they are asked. `accepted` is called with the reply before
   * anything that the server sent after it; a promise alone would be behind. Rejects with Refusal or NoReply.
   */
  join(params: () => Record<string, unknown>, accepted: (reply: Record<string, unknown>) => void): Promise<void> {
    this.#leave();
    const channel = this.#socket.channel(channelName, params);
    this.#channel = channel;
    channel.on('sync:update_batch', (payload: unknown) => this.#batch(payload));
    channel.on('sync:error', (payload: Record<string, unknown>) => this.#events.notice(payload));
    channel.on('sync:heartbeat', (payload: Record<string, unknown>) => this.#events.heartbeat(payload));
    return new Promise((resolve, reject) => {
      // Also when phoenix found the socket dead: it says so to the channel first, and closes it in its own time.
      channel.onError(() => {
        reject(new NoReply('the connection went'));
        // A moment later: when the socket closed, phoenix tells the channel before it tells with which code and reason.
        const attempt = this.#attempt;
        queueMicrotask(() => {
          if (this.#attempt === attempt && this.#channel === channel) this.#ended(1006, 'the connection went');
        });
      });
      channel.onClose(() => {
        reject(new NoReply('the channel was closed'));
        if (this.#channel === channel) this.#ended(1006, 'the channel was closed');
      });
      const giveUp = (error: Error): void => {
        if (this.#channel === channel) this.#forget();
        reject(error);
      };
      channel.join(joinMs)
        .receive('ok', (reply: Record<string, unknown>) => {
          accepted(reply ?? {});
          resolve();
        })
        .receive('error', (response: Record<string, unknown>) => giveUp(new Refusal(response ?? {})))
        .receive('timeout', () => giveUp(new NoReply('no answer to the join')));
    });
  }

  /** Sends an event. `accepted` is as for `join`. Rejects with Refusal or NoReply. */
  push(event: string, payload: Record<string, unknown>, accepted?: (reply: Record<string, unknown>) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const channel = this.#channel;
      if (!channel || !this.isOpen) return reject(new NoReply('not connected'));
      channel.push(event, payload, replyMs)
        .receive('ok', (reply: Record<string, unknown>) => {
          accepted?.(reply ?? {});
          resolve();
        })
        .receive('error', (response: Record<string, unknown>) => reject(new Refusal(response ?? {})))
        .receive('timeout', () => reject(new NoReply(`no answer to ${event}`)));
    });
  }

  #ended(code: number, reason: string): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    this.close();
    this.#events.closed({ wasOpen: attempt.wasOpen, code, reason });
  }

  #leave(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.leave();
  }

  /** A channel that was never joined: the server would answer its leave to the next one. */
  #forget(): void {
    const channel = this.#channel as (Channel & { rejoinTimer?: { reset(): void } }) | undefined;
    this.#channel = undefined;
    if (!channel) return;
    channel.rejoinTimer?.reset();
    this.#socket.remove(channel);
  }

  #decode(raw: string | ArrayBuffer, done: (message: Message) => void): void {
    let message;
    try {
      message = typeof raw === 'string' ? decodeText(raw) : decodeBinary(raw);
    } catch (cause) {
      this.#events.unreadable(new SyncError('protocol_error', 'the server sent a frame that cannot be read', { cause }));
      return;
    }
    done(message);
  }

  #batch(payload: unknown): void {
    let batch;
    try {
      batch = payload instanceof Uint8Array ? batchFromProto(payload) : batchFromJson(payload as ExactJson);
    } catch (error) {
      this.#events.unreadable(error instanceof SyncError ? error
        : new SyncError('protocol_error', 'the server sent a batch that cannot be read', { cause: error }));
      return;
    }
    this.#events.batch(batch);
  }
}
