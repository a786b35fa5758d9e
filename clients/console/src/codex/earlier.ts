// The earlier source of the lane: documents asked for again and again over HTTP, without OA Sync's socket. A chunk of
// its own, which only a lane that is `off` or `shadow` loads.
import type { LaneSource } from '@openagents/sync/lane';
import { requestJson } from '../api/http';
import type { SnapshotPage } from '../api/types';
import type { CodexDocument } from './session';

const everyMs = 5000;
const pageSize = 1000;

export type EarlierOptions = { topic: string; token: () => Promise<string>; onAnswer: (at: number) => void; onFailure: (error: unknown) => void };

const version = (value: unknown): number | bigint => {
  const n = Number(value);
  return Number.isSafeInteger(n) ? n : BigInt(String(value));
};

export function earlierSource({ topic, token, onAnswer, onFailure }: EarlierOptions): LaneSource<CodexDocument> {
  let documents: ReadonlyMap<string, CodexDocument> = new Map();
  const listeners = new Set<(keys?: Iterable<string>) => void>();
  let ended = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const read = async (signal: AbortSignal) => {
    const next = new Map<string, CodexDocument>();
    const changed = new Set<string>();
    let pageToken: string | null = null;
    do {
      const from: string = pageToken === null ? '' : `&page_token=${encodeURIComponent(pageToken)}`;
      const page: SnapshotPage = await requestJson<SnapshotPage>(`/api/sync/snapshot?topic=${encodeURIComponent(topic)}&limit=${pageSize}${from}`, { bearer: await token(), signal });
      for (const one of page.documents) {
        const before = documents.get(one.doc_key);
        const docVersion = version(one.doc_version);
        // A document that is as it was stays the same object: nothing of it is rendered again.
        const same = before !== undefined && before.docVersion === docVersion && before.payloadHash === one.payload_hash;
        if (!same) changed.add(one.doc_key);
        next.set(one.doc_key, same ? before : { docKey: one.doc_key, docVersion, payload: one.payload, payloadHash: one.payload_hash });
      }
      pageToken = page.next_page_token;
    } while (pageToken !== null);
    for (const key of documents.keys()) if (!next.has(key)) changed.add(key);
    documents = next;
    onAnswer(Date.now());
    if (changed.size > 0) for (const listener of [...listeners]) listener(changed);
  };

  const poll = async (signal: AbortSignal) => {
    try {
      if (document.visibilityState === 'visible') await read(signal);
    } catch (error) {
      if (!signal.aborted) onFailure(error);
    }
    if (!signal.aborted) timer = setTimeout(() => void poll(signal), everyMs);
  };

  return {
    get documents() {
      return documents;
    },
    start() {
      ended = new AbortController();
      // It counts as started at once: what it has to show comes with its first answer, or its failure is shown.
      void poll(ended.signal);
    },
    stop() {
      ended.abort();
      clearTimeout(timer);
    },
    on(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
