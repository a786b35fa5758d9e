// Sessions: who is connected, from where, how far they are; and their end.
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { SessionRow } from '../api/types';
import { Ago, Banner, Code, Empty, Facts, Loading, Status, type Tone } from '../components/parts';
import { DetailPane } from '../components/DetailPane';
import { RevokeDialog, type Outcome } from '../components/RevokeDialog';
import { Failed, Staleness } from '../components/Trouble';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { bytes, count, plural, time } from '../lib/format';
import { usePhone } from '../lib/media';
import { usePoll } from '../lib/poller';
import { useOperator } from '../operator';
import { Link, PageTitle, usePlace } from '../router';
import { topicHref } from './Topics';

const everyMs = 2000;
/** As many as the server gives at once. */
const limit = 500;

const keyOf = (row: SessionRow) => row.id;

const statuses: Record<SessionRow['status'], [Tone, string]> = { live: ['ok', 'Live'], catching_up: ['busy', 'Catching up'], stalled: ['bad', 'Stalled'] };
const statusOf = (row: SessionRow): [Tone, string] => statuses[row.status] ?? ['idle', row.status];

export default function Sessions() {
  const { api } = useOperator();
  const { query } = usePlace();
  const [filter, setFilter] = useState('');
  const [topic, setTopic] = useState(query.get('topic') ?? '');
  const [asked, setAsked] = useState(topic);
  const [openId, setOpenId] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<SessionRow | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const phone = usePhone();

  const named = query.get('topic') ?? '';
  // A link to this page may name another topic, or none.
  useEffect(() => setTopic(named), [named]);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(topic.trim()), 250);
    return () => clearTimeout(timer);
  }, [topic]);

  const polled = usePoll((signal) => api.sessions({ topic: asked, limit }, signal), everyMs, [api, asked]);
  const { data, error, refresh } = polled;

  const rows = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row: SessionRow) => [row.id, row.subject, row.org_id, row.session_id, row.device_id, row.address, row.client, row.status].join(' ').toLowerCase();
    return [...(data?.sessions ?? [])].filter((row) => words.every((word) => text(row).includes(word)))
      .sort((a, b) => b.lag_events_max - a.lag_events_max || a.connected_at - b.connected_at || (a.id < b.id ? -1 : 1));
  }, [data, filter]);
  const toggle = useCallback((row: SessionRow) => setOpenId((id) => (row.id === id ? null : row.id)), []);
  const closeDetail = useCallback(() => setOpenId(null), []);
  const open = rows.find((row) => row.id === openId);
  const [gone, setGone] = useState(false);

  const columns = useMemo((): Column<SessionRow>[] => [
    { id: 'who', header: 'Who', cell: (row) => <><span className="two">{row.subject}</span><span className="two">{phone ? row.address : row.org_id ?? 'no organisation'}</span></> },
    { id: 'where', header: 'Where', className: 'wide', cell: (row) => <><span className="two">{row.address}</span><span className="two">{row.client || 'unnamed client'}</span></> },
    { id: 'status', header: 'Status', cell: (row) => <Status tone={statusOf(row)[0]}>{statusOf(row)[1]}</Status> },
    { id: 'lag', header: 'Lag', className: 'number wide', cell: (row) => count(row.lag_events_max) },
    { id: 'topics', header: 'Topics', className: 'wide roomy', cell: (row) => <><span className="two">{row.topics[0]?.topic ?? 'none'}</span>{row.topics_total > 1 && <span className="two">and {count(row.topics_total - 1)} more</span>}</> },
    { id: 'sent', header: 'Sent', className: 'number wide roomy', cell: (row) => bytes(row.bytes_out) },
    { id: 'since', header: 'Connected', className: 'number wide', cell: (row) => <Ago at={row.connected_at} /> },
  ], [phone]);

  return (
    <>
      <div className="page-head"><PageTitle title="Sessions" />{data && <p className="sub">{plural(data.total, 'session')}{data.truncated ? `, ${count(data.sessions.length)} shown` : ''}{rows.length !== data.sessions.length ? `, ${count(rows.length)} match` : ''}</p>}</div>
      <div className="toolbar">
        <div className="field"><label htmlFor="filter">Filter</label>
          <input id="filter" type="search" value={filter} onChange={(event) => setFilter(event.target.value)} placeholder="subject, address, client, status" spellCheck={false} autoCapitalize="off" autoComplete="off" /></div>
        <div className="field"><label htmlFor="of-topic">Follows the topic</label>
          <input id="of-topic" type="search" value={topic} onChange={(event) => setTopic(event.target.value)} placeholder="exactly this topic" spellCheck={false} autoCapitalize="off" autoComplete="off" /></div>
      </div>
      <Staleness polled={polled} retry={refresh} everyMs={everyMs} />
      {outcome && <Banner tone="ok" live title={outcome.title} actions={<button type="button" onClick={() => setOutcome(null)}>Dismiss</button>}>
        <p>{outcome.text} {gone ? outcome.ids.length === 1 ? 'Its socket on this server has ended.' : `Its ${count(outcome.ids.length)} sockets on this server have ended.` : <Ending key={outcome.at} ids={outcome.ids} onGone={setGone} />}</p>
      </Banner>}
      {data?.truncated && <Banner tone="info" title={`Only ${count(data.sessions.length)} of ${count(data.total)} sessions are loaded`}><p>The filter looks at those. Name a topic to ask the server for its subscribers.</p></Banner>}
      {data ? <div className={`side${open ? ' with' : ''}`}>
        <WindowedTable label="Sessions" layout="sessions" columns={columns} rows={rows} rowKey={keyOf} rowHeight={54} onOpen={toggle} openKey={openId}
          empty={data.sessions.length === 0 ? <Empty title={asked ? 'Nobody follows this topic here' : 'Nobody is connected'}><p>Sessions of this server are shown here as soon as they join. Other servers on the same database have their own.</p></Empty>
            : <Empty title="No session matches"><p>Change or clear the filter.</p></Empty>} />
        {open && <DetailPane title={open.subject} close={closeDetail}><Detail row={open} revoke={() => setRevoking(open)} /></DetailPane>}
      </div> : error !== undefined ? <Failed error={error} retry={refresh} what="The sessions" /> : <Loading what="sessions" />}
      {revoking && <RevokeDialog session={revoking} limit={limit} onClose={() => setRevoking(null)} onDone={(done) => {
        setRevoking(null);
        setGone(false);
        setOutcome(done);
        refresh();
      }} />}
    </>
  );
}

/** Waits for sockets to end: asks of all sessions, whatever the page's list is filtered by, from the revocation on. */
function Ending({ ids, onGone }: { ids: string[]; onGone: (gone: boolean) => void }) {
  const { api } = useOperator();
  const { data } = usePoll((signal) => api.sessions({ limit }, signal), everyMs, [api]);
  const there = data === undefined || data.truncated || data.sessions.some((row) => ids.includes(row.id));
  useEffect(() => {
    if (!there) onGone(true);
  }, [there, onGone]);
  return <>{data?.truncated ? 'There are more sessions than are loaded: whether every socket has ended is not known here.' : `Waiting for ${ids.length === 1 ? 'its socket' : 'its sockets'} to end…`}</>;
}

function Detail({ row, revoke }: { row: SessionRow; revoke: () => void }) {
  return (
    <>
      <div className="actions"><Status tone={statusOf(row)[0]}>{statusOf(row)[1]}</Status>{row.strikes > 0 && <Status tone="warn">{plural(row.strikes, 'strike')}</Status>}</div>
      <Facts facts={[
        ['Organisation', row.org_id ?? '–'], ['Address', <Code>{row.address}</Code>], ['Client', `${row.client || 'unnamed'}${row.client_build_id ? `, build ${row.client_build_id}` : ''}`],
        ['Encoding', row.encoding], ['Login session', row.session_id ? <Code>{row.session_id}</Code> : '–'], ['Device', row.device_id ? <Code>{row.device_id}</Code> : '–'],
        ['Token', row.token_id ? <Code>{row.token_id}</Code> : '–'], ['Token ends', time(row.token_expires_at)], ['Connected', <Ago at={row.connected_at} />], ['Sent', bytes(row.bytes_out)],
        ['Largest lag', plural(row.lag_events_max, 'event')], ['Subscription', <Code>{row.id}</Code>],
      ]} />
      <h3>Cursors</h3>
      {row.topics.length === 0 ? <p className="quiet">It follows no topic.</p> : <ul className="cursors">{row.topics.map((at) =>
        <li key={at.topic}><Link className="name" href={topicHref(at.topic)}>{at.topic}</Link><span>{count(at.watermark)} of {count(at.head_watermark)}{at.lag > 0 ? `, ${count(at.lag)} behind` : ''}</span></li>)}
        {row.topics_total > row.topics.length && <li><span>and {count(row.topics_total - row.topics.length)} more topics</span></li>}</ul>}
      <div className="actions"><button type="button" className="danger" onClick={revoke}>Revoke…</button></div>
    </>
  );
}
