// A topic's latest events from the journal, then every one as it comes, by the SDK with a short token that the
// operator's key makes. A key that may not make one, or a topic that no token opens, is read from the journal instead.
import { useCallback, useEffect, useState } from 'react';
import { SyncClient, type SyncStatus, type SyncUpdate } from '@openagents/sync';
import { ApiError, explain } from '../api/http';
import type { Int, JournalEvent } from '../api/types';
import { useOperator } from '../operator';

/** Events kept; older ones are in the journal. */
const maxEvents = 1000;
const firstEvents = 100;
const pollMs = 2000;
/** New events are shown in groups: a busy topic would otherwise render more often than anybody can see. */
const groupMs = 100;

export type LiveEvent = {
  id: string; /** Grows with every event that was received. */ order: number;
  epoch: string; watermark: Int; docKey: string; docVersion: Int | bigint; op: JournalEvent['op']; payload: unknown; insertedAt: number;
};
export type Live = {
  events: LiveEvent[]; received: number; loaded: boolean; mode: 'live' | 'polling'; status: SyncStatus; error: unknown;
  note: { title: string; text: string } | null;
};

const begin: Live = { events: [], received: 0, loaded: false, mode: 'live', status: 'idle', error: undefined, note: null };

const fromJournal = (event: JournalEvent): Omit<LiveEvent, 'order'> => ({
  id: `${event.epoch}:${event.watermark}`, epoch: String(event.epoch), watermark: event.watermark, docKey: event.doc_key ?? '', docVersion: event.doc_version, op: event.op,
  payload: event.payload, insertedAt: event.inserted_at });
const fromUpdate = (update: SyncUpdate): Omit<LiveEvent, 'order'> => ({
  id: `${update.epoch}:${update.watermark}`, epoch: String(update.epoch), watermark: update.watermark, docKey: update.docKey, docVersion: update.docVersion, op: update.op,
  payload: update.payload, insertedAt: update.insertedAt });

type Place = { epoch: string | Int; watermark: Int };
/** Newer than zero: an epoch's watermarks begin anew. */
const compare = (a: Place, b: Place): number =>
  (String(a.epoch) === String(b.epoch) ? Number(a.watermark) - Number(b.watermark) : BigInt(a.epoch) > BigInt(b.epoch) ? 1 : -1);

const lost = { title: 'The connection is lost', text: 'What was received stays. Events that are missed meanwhile come when it is back.' };
const missed = { title: 'Some events were missed', text: 'More came than this page could follow, or it was away for longer than events are kept. What the journal still has is shown; the newest are there.' };

/** Puts events (oldest first) in front; one that is there already stays as it is. */
function add(live: Live, events: Omit<LiveEvent, 'order'>[]): Live {
  const known = new Set(live.events.map((event) => event.id));
  let { received } = live;
  const fresh = events.filter((event) => !known.has(event.id)).map((event) => ({ ...event, order: ++received }));
  if (fresh.length === 0) return live;
  return { ...live, received, events: [...fresh.reverse(), ...live.events].sort((a, b) => compare(b, a)).slice(0, maxEvents) };
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

    /** Up to here nothing is missing; undefined before the first look. */
    let newest: Place | undefined;
    /** Reads what is new in the journal: a page at first, afterwards as many as it takes to come to what is known. */
    const read = async () => {
      const known = newest;
      const events: JournalEvent[] = [];
      let before: Int | null = null;
      let whole = known === undefined;
      for (let pages = 0; pages < maxEvents / firstEvents; pages++) {
        const page: Awaited<ReturnType<typeof api.events>> = await api.events({ topic, before, limit: firstEvents }, ended.signal);
        events.push(...page.events);
        before = page.next_before;
        if (known === undefined || before === null || page.events.some((event) => compare(event, known) <= 0)) {
          // The oldest that is retained is the next one, or of another epoch: nothing is between.
          const oldest = events.at(-1);
          whole ||= oldest === undefined || String(oldest.epoch) !== String(known?.epoch) || Number(oldest.watermark) <= Number(known?.watermark) + 1;
          break;
        }
      }
      newest = events[0] ?? known ?? { epoch: 0, watermark: 0 };
      change((old) => ({ ...add(old, events.filter((event) => event.op !== 'void').map(fromJournal).reverse()), loaded: true, error: undefined, note: whole ? old.note : missed }));
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
    client.on('status', (status) => change((old) => ({ ...old, status, note: status === 'reconnecting' ? old.note ?? lost : old.note === lost ? null : old.note })));
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
          : error instanceof ApiError && error.status === 503 ? 'This server makes no tokens (it has no keyring).'
            : error instanceof ApiError && error.trouble === 'forbidden' ? 'This key may not make tokens ("token" in "may").' : `${explain(error).title}. ${explain(error).todo}`;
        change((old) => ({ ...old, mode: 'polling', note: { title: 'Events are read from the journal', text: `${why} They come a little later than live.` } }));
        return void poll();
      }
      if (over) return;
      const hold = client.subscribe(topic, { documents: false, start: 'head', onStale: 'notify' });
      /** Since the journal was read behind the subscription, updates follow one another. */
      let following = false;
      const readOn = async () => {
        await read().catch((error: unknown) => change((old) => ({ ...old, error, loaded: true })));
      };
      hold.on('update', (update) => {
        if (following) newest = { epoch: String(update.epoch), watermark: update.watermark };
        waiting.push(fromUpdate(update));
        grouping ??= setTimeout(() => {
          grouping = undefined;
          const group = waiting;
          waiting = [];
          change((old) => add(old, group));
        }, groupMs);
      });
      hold.on('stale', () => {
        following = false;
        change((old) => ({ ...old, note: missed }));
        void hold.resync().catch(() => {}).then(readOn).then(() => void (following = true));
      });
      client.connect();
      // What was written before is shown at once, also when no socket comes up; and read again once the subscription
      // stands, so that nothing falls between the two.
      await readOn();
      await hold.live().catch(() => {});
      await readOn();
      following = true;
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
