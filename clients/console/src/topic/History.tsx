// What became of one document: its versions as far as the journal has them, and what changed with each.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Int, JournalEvent } from '../api/types';
import { Diff, Payload } from '../components/Diff';
import { Empty, Loading } from '../components/parts';
import { Failed } from '../components/Trouble';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { count, fullTime, time } from '../lib/format';
import { useOperator } from '../operator';

const pageSize = 50;
/** Versions kept while new ones come; older ones are there for the asking. */
const maxVersions = 500;
const keyOf = (event: JournalEvent) => `${event.epoch}:${event.watermark}`;

type State = { events: JournalEvent[]; next: Int | null; loaded: boolean; loading: boolean; error: unknown };
const nothing: State = { events: [], next: null, loaded: false, loading: false, error: undefined };

export function History({ topic, docKey, version, head }: { topic: string; docKey: string; version: string | null; head: Int | undefined }) {
  const { api } = useOperator();
  const [state, setState] = useState(nothing);
  const [chosen, setChosen] = useState<string | null>(version);
  const asking = useRef(false);
  /** The head moved while it was asked. */
  const again = useRef(false);

  const load = useCallback(async (before: Int | null) => {
    if (asking.current) {
      again.current ||= before === null;
      return;
    }
    asking.current = true;
    setState((old) => ({ ...old, loading: true }));
    try {
      const page = await api.history({ topic, doc_key: docKey, before, limit: pageSize });
      setState((old) => {
        const known = new Set(page.events.map(keyOf));
        const rest = old.events.filter((event) => !known.has(keyOf(event)));
        const done = { loaded: true, loading: false, error: undefined };
        if (before !== null) return { ...done, events: [...rest, ...page.events], next: page.next_before };
        // Nothing of the new page was known: between it and what is shown there may be more. It begins anew.
        if (rest.length === 0 || rest.length === old.events.length) return { ...done, events: page.events, next: page.next_before };
        const events = [...page.events, ...rest];
        const kept = events.slice(0, Math.max(maxVersions, old.events.length));
        return { ...done, events: kept, next: kept.length < events.length ? kept.at(-1)!.watermark : old.next };
      });
    } catch (error) {
      setState((old) => ({ ...old, loading: false, error }));
    } finally {
      asking.current = false;
      if (again.current) {
        again.current = false;
        void load(null);
      }
    }
  }, [api, topic, docKey]);
  // A new head may be a new version of this document.
  useEffect(() => void load(null), [load, head]);

  const columns = useMemo((): Column<JournalEvent>[] => [
    { id: 'version', header: 'Version', className: 'number', cell: (event) => count(event.doc_version) },
    { id: 'what', header: 'What', cell: (event) => <span className={`op ${event.op}`}>{event.op}</span> },
    { id: 'mark', header: 'Mark', className: 'number wide', cell: (event) => count(event.watermark) },
    { id: 'at', header: 'Written', cell: (event) => <time dateTime={new Date(event.inserted_at).toISOString()} title={fullTime(event.inserted_at)}>{time(event.inserted_at)}</time> },
  ], []);
  const choose = useCallback((event: JournalEvent) => setChosen(keyOf(event)), []);

  const { events } = state;
  const at = Math.max(0, events.findIndex((event) => keyOf(event) === chosen));
  const event = events[at];
  const before = events[at + 1];
  return (
    <>
      {!state.loaded ? state.error === undefined ? <Loading what="its history" /> : <Failed error={state.error} retry={() => void load(null)} what="The history" />
        : events.length === 0 ? <Empty title="No event of this document is retained"><p>It was written longer ago than events are kept.</p></Empty>
          : <>
            {state.error !== undefined && <Failed error={state.error} retry={() => void load(null)} what="What is newer or older than this" />}
            <WindowedTable label="Versions, newest first" layout="versions" columns={columns} rows={events} rowKey={keyOf} rowHeight={36} onOpen={choose} openKey={event ? keyOf(event) : null} />
            {state.next !== null && <div className="pager"><button type="button" disabled={state.loading} onClick={() => void load(state.next)}>Older versions</button></div>}
            {event && <>
              <h3>{before ? `From version ${count(before.doc_version)} to ${count(event.doc_version)}` : `Version ${count(event.doc_version)}`}</h3>
              {before ? <Diff before={before.payload} after={event.payload} label={`What changed with version ${count(event.doc_version)}`} />
                : <p className="quiet">{state.next === null ? 'What was before it is no longer retained, or it is the first.' : 'Load older versions to compare with.'}</p>}
              <h3>The document then</h3>
              {event.op === 'upsert' && event.payload === null ? <p className="quiet">Its payload is not in the journal (pointer mode): only its hash is.</p> : <Payload value={event.payload} label={`Payload of version ${count(event.doc_version)}`} />}
              {event.payload_hash && <p className="quiet">sha256 <code>{event.payload_hash}</code></p>}
            </>}
          </>}
    </>
  );
}
