// Status at a glance: for a small window beside other work.
import { Ago, Status } from '../components/parts';
import { count } from '../lib/format';
import { ordered, tally, type Summary } from './model';
import type { CodexView } from './session';

export function Compact({ view }: { view: CodexView }) {
  return <div className="compact"><Side title="Runs" rows={view.runs} loaded={view.loaded} /><Side title="Workers" rows={view.workers} loaded={view.loaded} /></div>;
}

function Side({ title, rows, loaded }: { title: string; rows: Summary[]; loaded: boolean }) {
  return (
    <section className="card" aria-label={title}>
      <header><h2>{title}</h2></header>
      <p className="big">{loaded || rows.length > 0 ? count(rows.length) : '–'}</p>
      <div className="tallies">{tally(rows).map((one) => <Status key={one.status} tone={one.tone}>{count(one.count)} {one.status}</Status>)}</div>
      {rows.length > 0 && <ul aria-label={`${title}, the latest`}>{ordered(rows, 'activity').slice(0, 5).map((row) =>
        <li key={row.key}><span className="name">{row.title}</span><span className="quiet"><Ago at={row.lastActivity} /></span></li>)}</ul>}
    </section>
  );
}
