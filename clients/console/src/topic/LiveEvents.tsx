// A topic's events as they come, newest first.
import { useCallback, useMemo, useState } from 'react';
import { Banner, Empty, Loading, Status } from '../components/parts';
import { Failed } from '../components/Trouble';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { count, fullTime, time } from '../lib/format';
import { briefJson } from '../lib/json';
import { usePhone } from '../lib/media';
import { syncStatus } from '../lib/status';
import { useLiveEvents, type LiveEvent } from './useLiveEvents';

const keyOf = (event: LiveEvent) => event.id;

export function LiveEvents({ topic, chosen, onChoose }: { topic: string; chosen: string | null; onChoose: (key: string, version: string) => void }) {
  const live = useLiveEvents(topic);
  const [held, setHeld] = useState<LiveEvent[] | null>(null);
  const [filter, setFilter] = useState('');
  const phone = usePhone();
  const source = held ?? live.events;
  const rows = useMemo(() => source.filter((event) => event.docKey.includes(filter.trim())), [source, filter]);
  const missed = held === null ? 0 : live.received - (held.length === 0 ? 0 : held[0]!.order);
  const choose = useCallback((event: LiveEvent) => event.op !== 'void' && event.op !== 'truncate' && onChoose(event.docKey, event.id), [onChoose]);

  const columns = useMemo((): Column<LiveEvent>[] => [
    { id: 'watermark', header: 'Mark', className: 'number', cell: (event) => count(event.watermark) },
    { id: 'at', header: 'Written', className: 'wide', cell: (event) => <time dateTime={new Date(event.insertedAt).toISOString()} title={fullTime(event.insertedAt)}>{time(event.insertedAt)}</time> },
    { id: 'key', header: 'Document', cell: (event) => <><span className={`cut-start mono${phone ? ' two' : ''}`}><bdi dir="ltr">{event.docKey || '–'}</bdi></span>{phone && <span className="two">{time(event.insertedAt)}</span>}</> },
    { id: 'version', header: 'Version', className: 'number wide roomy', cell: (event) => count(event.docVersion) },
    { id: 'op', header: 'What', cell: (event) => <span className={`op ${event.op}`}>{event.op}</span> },
    { id: 'payload', header: 'Payload', className: 'wide mono', cell: (event) => (event.payload === null ? '' : briefJson(event.payload)) },
  ], [phone]);

  const [tone, word] = live.mode === 'polling' ? ['warn' as const, 'Asked every 2 s'] : syncStatus(live.status);
  return (
    <div className="stack">
      <div className="toolbar">
        <div className="field"><label htmlFor="key-filter">Document key contains</label>
          <input id="key-filter" type="search" value={filter} onChange={(event) => setFilter(event.target.value)} spellCheck={false} autoCapitalize="off" autoComplete="off" /></div>
        <button type="button" aria-pressed={held !== null} onClick={() => setHeld(held === null ? live.events : null)}>{held === null ? 'Hold' : 'Go on'}</button>
        <p className="live-state" role="status"><Status tone={tone}>{word}</Status></p>
        {held !== null && <p className="quiet push">{missed > 0 ? `${count(missed)} came meanwhile` : 'Nothing new'}</p>}
      </div>
      {live.note && <Banner tone={live.mode === 'polling' ? 'info' : 'warn'} title={live.note.title}><p>{live.note.text}</p></Banner>}
      {live.error !== undefined && live.events.length === 0 ? <Failed error={live.error} retry={live.retry} what="The events" />
        : !live.loaded ? <Loading what="events" />
          : <WindowedTable label="Events, newest first" layout="events" columns={columns} rows={rows} rowKey={keyOf} rowHeight={phone ? 52 : 36} onOpen={choose}
            openKey={chosen}
            empty={live.events.length === 0 ? <Empty title="No events are retained"><p>The next one will be shown here as soon as it is committed.</p></Empty> : <Empty title="No event of such a document" />} />}
    </div>
  );
}
