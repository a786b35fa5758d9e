// A subscriber: the stock `phoenix` client over `ws`, with the little that an application adds to it: apply batches by
// the covered-interval rule, keep the cursor, resume by join params, subscribe again on a gap.
import { Socket } from 'phoenix';
import WebSocket from 'ws';
import { batchFromJson, batchFromProto, integer } from './updates.mjs';
import { patienceMs, waitFor } from './wait.mjs';

/** @typedef {import('./updates.mjs').Update} Update */
/** @typedef {import('./updates.mjs').Batch} Batch */
/** @typedef {{cursor: number | undefined, epoch: number | undefined, head: number, events: Update[]}} TopicState */

export class SyncClient {
  /** @type {WebSocket | undefined} */
  #transport;
  #rawFrame = '';

  /**
   * @param {object} options
   * @param {string} options.url without /websocket
   * @param {string | (() => string)} options.token
   * @param {string[]} [options.topics] subscribed by the join itself
   * @param {'json' | 'proto'} [options.encoding]
   * @param {'query' | 'subprotocol' | 'header'} [options.tokenIn] where the token travels
   * @param {Record<string, number>} [options.resumeAfter] cursors to begin with
   * @param {Record<string, unknown>} [options.params] more join params
   * @param {(update: Update, batch: Batch) => void} [options.onUpdate] called for every applied update
   * @param {boolean} [options.keepEvents] false: applied updates are counted, not kept
   * @param {number} [options.reconnectMs] the phoenix client's wait before it connects or joins again
   * @param {number} [options.heartbeatMs] how often the phoenix client asks whether the server is there
   */
  constructor({ url, token, topics = [], encoding = 'json', tokenIn = 'query', resumeAfter = {}, params = {}, onUpdate,
    keepEvents = true, reconnectMs = 50, heartbeatMs = 30_000 }) {
    this.wanted = new Set(topics);
    this.encoding = encoding;
    this.onUpdate = onUpdate;
    this.keepEvents = keepEvents;
    /** @type {Map<string, TopicState>} */
    this.topics = new Map();
    for (const [topic, cursor] of Object.entries(resumeAfter)) this.state(topic).cursor = cursor;
    this.applied = 0;
    this.duplicates = 0;
    this.gaps = 0;
    /** What the last of them was, for messages. */
    this.lastGap = '';
    this.resumes = 0;
    /** @type {Batch[]} */
    this.batches = [];
    /** What is wrong with what the server sent; a test wants it empty. @type {string[]} */
    this.problems = [];
    /** @type {any[]} */
    this.joinReplies = [];
    /** @type {any[]} */
    this.joinErrors = [];
    /** Pushed sync:error payloads. @type {any[]} */
    this.errors = [];
    /** Pushed sync:heartbeat payloads. @type {any[]} */
    this.heartbeats = [];
    /** Close codes of every socket so far. @type {number[]} */
    this.closes = [];
    this.opened = 0;

    const tokenNow = typeof token === 'function' ? token : () => token;
    const tap = this;
    const Transport = class extends WebSocket {
      /** @param {string} address @param {string[]} [protocols] */
      constructor(address, protocols) {
        super(address, protocols ?? [], tokenIn === 'header' ? { headers: { authorization: `Bearer ${tokenNow()}` } } : {});
        tap.#transport = this;
        // Runs before phoenix's own handler of the same message.
        this.on('message', (data, isBinary) => void (tap.#rawFrame = isBinary ? '' : data.toString()));
      }
    };
    /** @type {any} */
    const options = { transport: Transport, params: () => (tokenIn === 'query' ? { token: tokenNow() } : {}),
      reconnectAfterMs: () => reconnectMs, rejoinAfterMs: () => reconnectMs, heartbeatIntervalMs: heartbeatMs };
    if (tokenIn === 'subprotocol') options.authToken = tokenNow;
    this.socket = new Socket(url, options);
    this.socket.onOpen(() => void this.opened++);
    this.socket.onClose((event) => void this.closes.push(event?.code ?? 0));
    this.channel = this.socket.channel('sync:v1', () => ({
      ...params, ...(encoding === 'proto' ? { encoding } : {}),
      topics: [...this.wanted], resume_after: this.cursors(),
    }));
    this.channel.on('sync:update_batch', (payload) => this.#receive(payload));
    this.channel.on('sync:error', (payload) => void this.errors.push(payload));
    this.channel.on('sync:heartbeat', (payload) => void this.heartbeats.push(payload));
  }

  /** @param {string} topic @returns {TopicState} */
  state(topic) {
    let state = this.topics.get(topic);
    if (!state) this.topics.set(topic, (state = { cursor: undefined, epoch: undefined, head: 0, events: [] }));
    return state;
  }

  /** The cursors of the wanted topics, in the list form of resume_after. */
  cursors(topics = [...this.wanted]) {
    return topics.flatMap((topic) => {
      const { cursor, epoch } = this.state(topic);
      return cursor === undefined ? [] : [{ topic, watermark: cursor, ...(epoch === undefined ? {} : { epoch }) }];
    });
  }

  /** Connects and joins; resolves with the first join's ok response, rejects with its error response. */
  connect() {
    this.socket.connect();
    return new Promise((resolve, reject) => {
      // A join without an answer is repeated by the phoenix client itself.
      this.channel.join(15_000)
        .receive('ok', (response) => {
          if (this.cursors().length > 0) this.resumes++;
          this.#adopt(response);
          this.joinReplies.push(response);
          resolve(response);
        })
        .receive('error', (response) => {
          this.joinErrors.push(response);
          reject(Object.assign(new Error(`join refused: ${JSON.stringify(response)}`), { response }));
        });
      setTimeout(() => reject(new Error('join timed out')), patienceMs).unref();
    });
  }

  /** Takes the starting places that a join or subscribe reply names. @param {any} response */
  #adopt(response) {
    for (const { topic, watermark, epoch } of response.current_watermarks ?? []) {
      const state = this.state(topic);
      state.cursor ??= integer(watermark);
      if (epoch !== undefined) state.epoch = integer(epoch);
    }
    for (const { topic, watermark } of response.head_watermarks ?? []) this.state(topic).head = integer(watermark);
  }

  /** @param {any} payload */
  #receive(payload) {
    let batch;
    try {
      const binary = payload instanceof ArrayBuffer;
      if (binary !== (this.encoding === 'proto')) throw new Error(`a ${binary ? 'binary' : 'text'} batch`);
      batch = binary ? batchFromProto(payload) : batchFromJson(payload, this.#rawFrame);
    } catch (error) {
      this.problems.push(`unreadable batch: ${error}`);
      return;
    }
    this.problems.push(...batch.problems);
    if (this.keepEvents) this.batches.push(batch);
    this.#apply(batch);
  }

  /** The rule of wire.md: a batch covers (after, through]. @param {Batch} batch */
  #apply(batch) {
    const state = this.state(batch.topic);
    const cursor = state.cursor ?? batch.after;
    for (const head of batch.heads) this.state(head.topic).head = Math.max(this.state(head.topic).head, head.watermark);
    if (batch.after > cursor) {
      this.gaps++;
      this.lastGap = `${batch.topic}: (${batch.after}, ${batch.through}] at the cursor ${cursor} of epoch ${state.epoch}, ${new Date().toISOString()}`;
      if (this.wanted.has(batch.topic)) {
        this.channel.push('sync:subscribe', { topics: [batch.topic], resume_after: this.cursors([batch.topic]) });
      }
      return;
    }
    for (const update of batch.updates) {
      if (update.watermark <= cursor) {
        this.duplicates++;
        continue;
      }
      this.applied++;
      state.epoch = update.epoch;
      if (this.keepEvents) state.events.push(update);
      this.onUpdate?.(update, batch);
    }
    state.cursor = Math.max(cursor, batch.through);
  }

  /**
   * Pushes an event; resolves with the ok response, rejects with an error that has `response`.
   * @param {string} event @param {object} payload @param {number} [timeoutMs] @returns {Promise<any>}
   */
  request(event, payload, timeoutMs = patienceMs) {
    return new Promise((resolve, reject) => {
      this.channel.push(event, payload, timeoutMs)
        .receive('ok', resolve)
        .receive('error', (response) =>
          reject(Object.assign(new Error(`${event} refused: ${JSON.stringify(response)}`), { response })))
        .receive('timeout', () => reject(new Error(`${event} timed out`)));
    });
  }

  /** @param {string[]} topics @param {Record<string, unknown>} [more] @returns {Promise<any>} */
  async subscribe(topics, more = {}) {
    const response = await this.request('sync:subscribe', { topics, resume_after: this.cursors(topics), ...more });
    for (const topic of response.topics) this.wanted.add(topic);
    this.#adopt(response);
    return response;
  }

  /** @param {string[]} topics */
  async unsubscribe(topics) {
    for (const topic of topics) this.wanted.delete(topic);
    return await this.request('sync:unsubscribe', { topics });
  }

  /** The watermarks applied on a topic. @param {string} topic */
  watermarks(topic) {
    return this.state(topic).events.map((update) => update.watermark);
  }

  /** Waits until a topic's cursor is at `watermark` or past it. @param {string} topic @param {number} watermark */
  async reach(topic, watermark, timeoutMs = patienceMs) {
    await waitFor(() => (this.state(topic).cursor ?? -1) >= watermark, { timeoutMs, what: () =>
      `${topic} reaches ${watermark}; it is at ${this.state(topic).cursor}, errors ${JSON.stringify(this.errors)}` });
  }

  /** Waits for a pushed sync:error with this code, and returns it. @param {string} code @returns {Promise<any>} */
  async error(code, timeoutMs = patienceMs) {
    return await waitFor(() => this.errors.find((error) => error.code === code), { timeoutMs, what: () =>
      `a sync:error ${code}; there were ${JSON.stringify(this.errors)}` });
  }

  /** Cuts the connection as a dead network would: no close frame. The phoenix client then reconnects by itself. */
  cut() {
    this.#transport?.terminate();
  }

  /** Stops reading what the server sends, as a client that is busy or asleep; `resume` reads on. */
  pause() {
    if (this.#transport?.readyState === WebSocket.OPEN) this.#transport.pause();
  }

  resume() {
    if (this.#transport?.isPaused) this.#transport.resume();
  }

  /** Disconnects for good. */
  async close() {
    await new Promise((resolve) => this.socket.disconnect(() => resolve(undefined), 1000));
    this.#transport?.terminate();
  }

  /** Throws when anything that the server sent was wrong. */
  assertClean() {
    if (this.problems.length > 0) {
      throw new Error(`${this.problems.length} problems, such as:\n${this.problems.slice(0, 5).join('\n')}`);
    }
  }
}
