// A user of the application: a lane of the real SDK between the earlier API, which it asks again and again, and OA Sync.
import { SyncClient, memoryStore } from '@openagents/sync';
import { SyncLane, topicSource } from '@openagents/sync/lane';
import WebSocket from 'ws';
import { pause } from '../harness/index.mjs';

/** @typedef {import('@openagents/sync/lane').LaneSource} LaneSource */

/** The earlier source, as the application has it. @param {string} url @param {number} everyMs @returns {LaneSource} */
function earlierSource(url, everyMs) {
  /** @type {Set<(keys?: Iterable<string>) => void>} */
  const listeners = new Set();
  /** @type {Map<string, import('@openagents/sync/lane').LaneDocument>} */
  let documents = new Map();
  let isCurrent = false;
  let running = 0;
  const read = async () => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the earlier lane answers ${response.status}`);
    const answer = /** @type {any} */ (await response.json());
    /** @type {typeof documents} */
    const next = new Map();
    for (const one of answer.documents) {
      next.set(one.doc_key, { docKey: one.doc_key, docVersion: one.doc_version, payload: one.payload,
        payloadHash: Buffer.from(one.payload_hash, 'hex').toString('base64') });
    }
    documents = next;
    isCurrent = true;
    for (const listener of [...listeners]) listener();
  };
  return {
    get documents() {
      return documents;
    },
    get isCurrent() {
      return isCurrent;
    },
    async start() {
      const run = ++running;
      await read();
      void (async () => {
        while (run === running) {
          await pause(everyMs);
          if (run === running) await read().catch(() => (isCurrent = false));
        }
      })();
    },
    stop() {
      running++;
    },
    on(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export class User {
  /** Watermarks of the updates that the SDK told of, over all of its clients. @type {number[]} */
  watermarks = [];
  /** @type {string[]} */
  errors = [];
  /** @type {import('@openagents/sync/lane').Mismatch[]} */
  mismatches = [];

  /**
   * @param {{name: string, cohort: string, topic: string, flags: import('./cohorts.mjs').Flags, earlierUrl: string, pollMs: number,
   *   toleranceMs: number, fanout: import('../harness/index.mjs').Fanout}} options
   */
  constructor({ name, cohort, topic, flags, earlierUrl, pollMs, toleranceMs, fanout }) {
    this.name = name;
    this.cohort = cohort;
    // Outlives the clients, as that of a browser does: a lane that is turned back and forth goes on from its cursor.
    const store = memoryStore();
    const makeClient = () => {
      const client = new SyncClient({ url: fanout.socketUrl, store, transport: /** @type {any} */ (WebSocket), client: 'drill',
        token: async () => fanout.token([topic], { sub: name, oa_user_id: name }) });
      client.subscribe(topic).on('update', (update) => void this.watermarks.push(Number(update.watermark)));
      client.on('error', (error) => void this.errors.push(`${name}: ${error.code} ${error.message}`));
      return client;
    };
    this.lane = new SyncLane({ flag: flags.of(name), earlier: () => earlierSource(earlierUrl, pollMs), toleranceMs,
      sync: () => topicSource({ topic, client: makeClient }) });
    this.lane.on('mismatch', (mismatch) => void this.mismatches.push(mismatch));
    this.lane.on('error', (error) => void this.errors.push(`${name}: ${error.message}`));
  }
}
