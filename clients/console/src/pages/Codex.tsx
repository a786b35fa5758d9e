// The Codex page: runs and workers as they are now, behind the lane's flag, with the connection's state always in sight.
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { Compact } from '../codex/Compact';
import { Connection } from '../codex/Connection';
import { sorter, tally, type Order, type Summary } from '../codex/model';
import { codexSession } from '../codex/session';
import { SummaryDetail } from '../codex/SummaryDetail';
import { TokenForm } from '../codex/TokenForm';
import { DetailPane } from '../components/DetailPane';
import { Ago, Banner, Empty, Loading, Status } from '../components/parts';
import { Tabs } from '../components/Tabs';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { count } from '../lib/format';
import { usePhone } from '../lib/media';
import { navigate, PageTitle, usePlace } from '../router';

const keyOf = (row: Summary) => row.key;
type Kind = 'runs' | 'workers';

export default function Codex() {
  const session = codexSession();
  const view = useSyncExternalStore(session.subscribe, session.getSnapshot);
  const { query } = usePlace();
  const compact = query.get('view') === 'compact';
  const kind: Kind = query.get('show') === 'workers' ? 'workers' : 'runs';
  const [order, setOrder] = useState<Order>('activity');
  const [filter, setFilter] = useState('');
  const [openKey, setOpenKey] = useState<string | null>(null);
  const phone = usePhone();

  useEffect(() => {
    session.resume();
    return () => session.pause();
  }, [session]);

  const go = (changes: Record<string, string | null>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) next.delete(name);
      else next.set(name, value);
    }
    navigate(`/codex${next.size > 0 ? `?${next}` : ''}`, { replace: true });
  };

  const all = view[kind];
  const sort = useMemo(sorter, []);
  const rows = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return sort(words.length === 0 ? all : all.filter((row) => words.every((word) => `${row.id} ${row.title} ${row.status}`.toLowerCase().includes(word))), order);
  }, [all, order, filter, sort]);
  const open = openKey === null ? undefined : all.find((row) => row.key === openKey);
  const toggle = useCallback((row: Summary) => setOpenKey((key) => (key === row.key ? null : row.key)), []);

  const closeDetail = useCallback(() => setOpenKey(null), []);

  const columns = useMemo((): Column<Summary>[] => (phone ? [
    { id: 'title', header: kind === 'runs' ? 'Run' : 'Worker', cell: (row) => <><span className="two"><b>{row.title}</b></span><span className="two">{row.counters.slice(0, 2).map(([name, n]) => `${name} ${n}`).join(', ') || row.id}</span></> },
    { id: 'status', header: 'Status', className: 'number', cell: (row) => <><span className="two"><Status tone={row.tone}>{row.status}</Status></span><span className="two"><Ago at={row.lastActivity} /></span></> },
  ] : [
    { id: 'title', header: kind === 'runs' ? 'Run' : 'Worker', cell: (row) => <b>{row.title}</b> },
    { id: 'status', header: 'Status', cell: (row) => <Status tone={row.tone}>{row.status}</Status> },
    { id: 'counters', header: 'Counts', cell: (row) => row.counters.slice(0, 4).map(([name, n]) => `${name} ${n}`).join(', ') || '–' },
    { id: 'activity', header: 'Last activity', className: 'number', cell: (row) => <Ago at={row.lastActivity} /> },
    { id: 'version', header: 'Version', className: 'number roomy', cell: (row) => count(row.version) },
  ]), [phone, kind]);

  const empty = all.length > 0 ? <Empty title={`No ${kind === 'runs' ? 'run' : 'worker'} matches`}><p>Change or clear the filter.</p></Empty>
    : view.wants !== null ? <Empty title="Nothing is stored on this device"><p>With a token, {kind} are loaded and stay here for a start without a network.</p></Empty>
      : !view.loaded ? <Loading what={kind} />
        : <Empty title={kind === 'runs' ? 'There are no runs' : 'There are no workers'}><p>The first one is shown here as soon as it is written.</p></Empty>;

  return (
    <>
      <div className="page-head"><PageTitle title="Codex" />
        <div className="actions"><button type="button" className="plain" aria-pressed={compact} onClick={() => go({ view: compact ? null : 'compact' })}>{compact ? 'Full list' : 'Status at a glance'}</button></div></div>
      <Connection view={view} session={session} />
      {view.wants !== null && view.storeRead && <TokenForm session={session} wants={view.wants} shown={view.runs.length + view.workers.length} />}
      {view.problem !== null && <Banner tone={view.problem.passed ? 'info' : 'warn'} title={view.problem.title} actions={view.problem.passed && <button type="button" onClick={() => session.dismiss()}>Dismiss</button>}><p>{view.problem.text}</p></Banner>}
      {compact ? <Compact view={view} /> : <>
        <Tabs label="What to show" tabs={[['runs', `Runs (${count(view.runs.length)})`], ['workers', `Workers (${count(view.workers.length)})`]]} chosen={kind} onChoose={(chosen) => {
          setOpenKey(null);
          go({ show: chosen === 'runs' ? null : chosen });
        }} />
        <div role="tabpanel" id={`panel-${kind}`} aria-labelledby={`tab-${kind}`} className="stack">
          <div className="toolbar">
            <div className="field"><label htmlFor="find">Find</label>
              <input id="find" type="search" value={filter} onChange={(event) => setFilter(event.target.value)} placeholder="name or status" spellCheck={false} autoCapitalize="off" autoComplete="off" /></div>
            <div className="field small"><label htmlFor="order">Order</label>
              <select id="order" value={order} onChange={(event) => setOrder(event.target.value as Order)}>
                <option value="activity">Last activity</option><option value="name">Name</option><option value="status">Status</option>
              </select></div>
            {!phone && <div className="tallies">{tally(all).slice(0, 6).map((one) => <Status key={one.status} tone={one.tone}>{count(one.count)} {one.status}</Status>)}</div>}
          </div>
          <div className={`side${open ? ' with' : ''}`}>
            <WindowedTable label={kind === 'runs' ? 'Runs' : 'Workers'} layout="summaries" columns={columns} rows={rows} rowKey={keyOf} rowHeight={phone ? 64 : 44} onOpen={toggle} openKey={openKey} empty={empty} />
            {open && <DetailPane title={open.title} close={closeDetail}><SummaryDetail row={open} /></DetailPane>}
          </div>
        </div>
      </>}
    </>
  );
}
