// A topic as a lane's source.
import type { SyncClient } from './client.js';
import type { LaneSource } from './lane.js';
import type { SyncDocument, SyncTopic, TopicOptions } from './types.js';

export interface TopicSourceOptions {
  /**
   * The client, or a function that makes one. One that is made for the source is closed with it, so that a lane that is
   * `off` has no connection; one that is given is left as it is, for it may serve others.
   */
  client: SyncClient | (() => SyncClient);
  topic: string;
  options?: Omit<TopicOptions, 'documents'>;
}

/** OA Sync's side of a lane. It is started when the documents are there: those of the store, or the first from the server. */
export function topicSource({ client: given, topic: name, options }: TopicSourceOptions): LaneSource<SyncDocument> {
  const listeners = new Set<(keys?: Iterable<string>) => void>();
  let client: SyncClient | undefined;
  let topic: SyncTopic | undefined;
  const none: ReadonlyMap<string, SyncDocument> = new Map();
  return {
    get documents() {
      return topic?.documents ?? none;
    },
    get isCurrent() {
      return topic?.status === 'live';
    },
    async start() {
      client = typeof given === 'function' ? given() : given;
      const held = (topic = client.subscribe(name, { ...options, documents: true }));
      held.on('documents', ({ changed, reset }) => {
        for (const listener of [...listeners]) listener(reset ? undefined : changed);
      });
      if (held.cursor) return;
      await new Promise<void>((resolve, reject) => {
        const off = held.on('documents', () => {
          off();
          resolve();
        });
        // A topic without documents is live without an event.
        held.live().then(resolve, reject);
      });
    },
    async stop() {
      topic?.release();
      topic = undefined;
      const ending = client;
      client = undefined;
      if (typeof given === 'function') await ending?.close();
    },
    on(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
