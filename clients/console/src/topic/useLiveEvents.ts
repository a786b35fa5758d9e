// A topic's latest events from the journal, then every one as it comes, by the SDK with a short token that the
// operator's key makes. A key that may not make one, or a topic that no token opens, is read from the journal instead.
import { useCallback, useEffect, useState } from 'react';
import { SyncClient, type SyncStatus, type SyncUpdate } from '@openagents/sync';
import { ApiError } from '../api/http';
import type { EventPage, Int, JournalEvent } from '../api/types';
import { useOperator } from '../operator';

/** Events kept; older ones are in the journal. */
const maxEvents = 1000;
const firstEvents = 100;
const pollMs = 2000;
/** New events are shown in groups: a busy topic would otherwise render more often than anybody can see. */
const groupMs = 100;

export type LiveEvent = {
  id: string; /** Grows with every event that was received. */ order: number;
  watermark: Int; docKey: string; docVersion: Int | bigint; op: JournalEvent['op']; payload: unknown; insertedAt: number;
};
export type Live = {
  events: LiveEvent[]; received: number; loaded: boolean; mode: 'live' | 'polling'; status: SyncStatus; error: unknown;
  note: { title: string; text: string } | null;
};

const begin: Live = { events: [], received: 0, loaded: false, mode: 'live', status: 'idle', error: undefined, note: null };

const fromJournal = (event: JournalEvent): Omit<LiveEvent, 'order'> => ({
  id: `${event.epoch}:${event.watermark}`, watermark: event.watermark, docKey: event.doc_key ?? '', docVersion: event.doc_version, op: event.op,
  payload: event.payload, insertedAt: event.inserted_at });
const fromUpdate = (update: SyncUpdate): Omit<LiveEvent, 'order'> => ({
  id: `${update.epoch}:${update.watermark}`, watermark: update.watermark, docKey: update.docKey, docVersion: update.docVersion, op: update.op,
  payload: update.payload, insertedAt: update.insertedAt });

/** Puts events (oldest first) in front; one that is there already stays as it is. */
function add(live: Live, events: Omit<LiveEvent, 'order'>[]): Live {
  const known = new Set(live.events.map((event) => event.id));
  let { received } = live;
  const fresh = events.filter((event) => !known.has(event.id)).map((event) => ({ ...event, order: ++received }));
  if (fresh.length === 0) return live;
  return { ...live, received, events: [...fresh.reverse(), ...live.events].sort((a, b) => Number(b.watermark) - Number(a.watermark)).slice(0, maxEvents) };
}

export function useLiveEvents(topic: string): Live & { retry: () => void } {
  const { api } = useOperator();
  const [live, setLive] = useState(begin);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    let over = false;
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let waiting: Omit<LiveEvent, 'order'>[] = [];
    let grouping: ReturnType<typeof setTimeout> | undefined;
    const change = (work: (live: Live) => Live) => {
      if (!over) setLive(work);
    };
    setLive(begin);

    const read = async () => {
      const page: EventPage = await api.events({ topic, limit: firstEvents }, ended.signal);
      change((old) => ({ ...add(old, page.events.filter((event) => event.op !== 'void').map(fromJournal).reverse()), loaded: true, error: undefined }));
    };
    const poll = async () => {
      try {
        if (document.visibilityState === 'visible') await read();
      } catch (error) {
        change((old) => ({ ...old, error, loaded: old.loaded || old.events.length > 0 }));
      }
      if (!over) timer = setTimeout(() => void poll(), pollMs);
    };

    // The first token is asked for before the client is made: whether live events can be had shows there.
    let first: string | undefined;
    const client = new SyncClient({
      url: `${location.origin.replace(/^http/, 'ws')}/socket`, client: 'console',
      token: async () => {
        const given = first ?? await api.token([topic]);
        first = undefined;
        return given;
      },
    });
    client.on('status', (status) => change((old) => ({ ...old, status,
      note: status === 'reconnecting' ? { title: 'The connection is lost', text: 'What was received stays. Events that are missed meanwhile come when it is back.' } : null })));
    void (async () => {
      try {
        first = await api.token([topic]);
      } catch (error) {
        if (over) return;
        if (error instanceof ApiError && error.passing && error.code !== 'sync_token_unavailable') {
          change((old) => ({ ...old, error, loaded: true }));
          timer = setTimeout(() => setAttempt((n) => n + 1), pollMs * 2);
          return;
        }
        const why = error instanceof ApiError && error.status === 422 ? 'No token can be made for this topic with this key (its scopes decide).'
          : error instanceof ApiError && error.status === 503 ? 'This server makes no tokens (it has no keyring).' : 'This key may not make tokens ("token" in "may").';
        change((old) => ({ ...old, mode: 'polling', note: { title: 'Events are read from the journal', text: `${why} They come a little later than live.` } }));
        return void poll();
      }
      if (over) return;
      const hold = client.subscribe(topic, { documents: false, start: 'head', onStale: 'notify' });
      hold.on('update', (update) => {
        waiting.push(fromUpdate(update));
        grouping ??= setTimeout(() => {
          grouping = undefined;
          const group = waiting;
          waiting = [];
          change((old) => add(old, group));
        }, groupMs);
      });
      hold.on('stale', () => change((old) => ({ ...old, note: { title: 'Some events were missed', text: 'This page was away for longer than events are kept. It goes on with what comes now.' } })));
      hold.on('stale', () => void hold.resync().catch(() => {}));
      client.connect();
      // What was written before is read once the subscription stands: nothing falls between the two.
      await hold.live().catch(() => {});
      await read().catch((error: unknown) => change((old) => ({ ...old, error, loaded: true })));
    })();

    return () => {
      over = true;
      ended.abort();
      clearTimeout(timer);
      clearTimeout(grouping);
      void client.close();
    };
  }, [api, topic, attempt]);

  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  return { ...live, retry };
}
