// React hooks. A component that uses a topic holds it for as long as it is there; any number of them share it.
import { createContext, createElement, type ReactElement, type ReactNode, useContext, useMemo, useSyncExternalStore } from 'react';
import type { SyncClient } from './client.js';
import type { SyncError } from './errors.js';
import type { LaneDocument, LaneMode, SyncLane } from './lane.js';
import type { Cursor, SyncDocument, SyncStatus, SyncTopic, TopicOptions } from './types.js';

const Context = createContext<SyncClient | null>(null);

/** Gives a client to the components below. It neither makes nor closes it. */
export function SyncProvider({ client, children }: { client: SyncClient; children?: ReactNode }): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest `SyncProvider`. */
export function useSync(): SyncClient {
  const client = useContext(Context);
  if (!client) throw new Error('useSync: there is no <SyncProvider> above this component');
  return client;
}

/** What a component shows of something that tells when it changed. */
class Source<T> {
  #value: T;
  readonly #read: () => T;
  readonly #open: (changed: () => void) => () => void;

  /** `open` begins to listen, and returns what ends it. `read` makes the value; called once for each change. */
  constructor(initial: T, open: (changed: () => void) => () => void, read: () => T) {
    this.#value = initial;
    this.#open = open;
    this.#read = read;
  }

  readonly subscribe = (notify: () => void): (() => void) => {
    let isQueued = false;
    let isEnded = false;
    const refresh = (): void => {
      isQueued = false;
      if (isEnded) return;
      this.#value = this.#read();
      notify();
    };
    // What changes in one turn of the event loop is one rendering.
    const end = this.#open(() => {
      if (isQueued) return;
      isQueued = true;
      queueMicrotask(refresh);
    });
    this.#value = this.#read();
    notify();
    return () => {
      isEnded = true;
      end();
    };
  };

  readonly get = (): T => this.#value;
}

const useSource = <T>(source: Source<T>): T => useSyncExternalStore(source.subscribe, source.get, source.get);

/** The client's status. */
export function useSyncStatus(): SyncStatus {
  const client = useSync();
  return useSource(useMemo(
    () => new Source<SyncStatus>(client.status, (changed) => client.on('status', changed), () => client.status), [client]));
}

/** What `useTopic` shows. Another object after each change. */
export interface TopicSnapshot {
  readonly status: SyncStatus;
  readonly documents: ReadonlyMap<string, SyncDocument>;
  readonly lag: number;
  readonly cursor: Cursor | undefined;
  readonly currentAsOf: number | null;
  readonly error: SyncError | null;
}

const noDocuments: ReadonlyMap<string, SyncDocument> = new Map<string, SyncDocument>();
const nothing: TopicSnapshot = { status: 'idle', documents: noDocuments, lag: 0, cursor: undefined, currentAsOf: null, error: null };

/** Holds a topic while somebody listens. */
function topicSource<T>(client: SyncClient, name: string, options: TopicOptions, initial: T, read: (topic: SyncTopic) => T): Source<T> {
  let topic: SyncTopic | undefined;
  // Held by another component: what it has is shown from the first rendering on.
  const held = client.peek(name);
  const first = held ? read(held) : initial;
  return new Source<T>(first, (changed) => {
    const held = (topic = client.subscribe(name, options));
    for (const event of ['status', 'documents', 'error', 'progress'] as const) held.on(event, changed);
    return () => held.release();
  }, () => (topic ? read(topic) : first));
}

function useTopicValue<T>(name: string, options: TopicOptions, initial: T, read: (topic: SyncTopic) => T, key: string): T {
  const client = useSync();
  const { documents, onStale, start } = options;
  return useSource(useMemo(
    () => topicSource(client, name, { documents, onStale, start }, initial, read),
    // `initial` and `read` are made anew for each rendering, and mean the same for the same key.
    [client, name, key, documents, onStale, start]));
}

/** Follows a topic while the component is there. */
export function useTopic(name: string, options: TopicOptions = {}): TopicSnapshot {
  return useTopicValue(name, options, nothing, (topic) => ({
    status: topic.status, documents: topic.documents, lag: topic.lag, cursor: topic.cursor, currentAsOf: topic.currentAsOf,
    error: topic.error,
  }), '');
}

/** One document of a topic; renders again only when it changes. */
export function useDocument(topic: string | SyncTopic, docKey: string, options: TopicOptions = {}): SyncDocument | undefined {
  const name = typeof topic === 'string' ? topic : topic.name;
  return useTopicValue<SyncDocument | undefined>(name, options, undefined, (held) => held.get(docKey), docKey);
}

/** A lane's mode, and the documents that it shows. Another object after each change. */
export function useLane<D extends LaneDocument>(lane: SyncLane<D>): { readonly mode: LaneMode; readonly documents: ReadonlyMap<string, D> } {
  return useSource(useMemo(() => {
    const read = () => ({ mode: lane.mode, documents: lane.documents });
    return new Source(read(), (changed) => {
      const offs = [lane.on('mode', changed), lane.on('documents', changed)];
      return () => offs.forEach((off) => off());
    }, read);
  }, [lane]));
}
