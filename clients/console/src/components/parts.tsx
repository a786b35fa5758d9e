// The small parts that every page is made of.
import type { ReactNode } from 'react';
import { ago, fullTime } from '../lib/format';
import { useNow } from '../lib/poller';

/** ok, busy (under way), warn, bad, idle: each has a colour, a shape and, beside it, a word. */
export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'idle';

/** A status in a word, with a shape besides the colour. */
export function Status({ tone, children, quiet = false }: { tone: Tone; children: ReactNode; quiet?: boolean }) {
  return <span className={`status ${tone}${quiet ? ' quiet' : ''}`}><Shape tone={tone} /><span className="word">{children}</span></span>;
}

function Shape({ tone }: { tone: Tone }) {
  return (
    <svg className="shape" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false">
      {tone === 'ok' && <circle cx="6" cy="6" r="4.5" fill="currentColor" />}
      {tone === 'busy' && <><circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" strokeWidth="1.6" /><path d="M6 1.8a4.2 4.2 0 0 1 0 8.4z" fill="currentColor" /></>}
      {tone === 'warn' && <path d="M6 1 11.4 10.8H.6z" fill="currentColor" />}
      {tone === 'bad' && <rect x="1.4" y="1.4" width="9.2" height="9.2" rx="1" fill="currentColor" />}
      {tone === 'idle' && <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="1.8" />}
    </svg>
  );
}

export function Card({ title, aside, children, className = '' }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`card ${className}`} aria-label={title}>
      <header><h2>{title}</h2>{aside}</header>
      {children}
    </section>
  );
}

/** A figure with its name. */
export function Figure({ name, value, unit, note, tone }: { name: string; value: ReactNode; unit?: string; note?: ReactNode; tone?: Tone }) {
  return (
    <div className={`figure${tone ? ` ${tone}` : ''}`}>
      <dt>{name}</dt>
      <dd><span className="value">{value}</span>{unit && <span className="unit"> {unit}</span>}<span className="note">{note}</span></dd>
    </div>
  );
}

/** Names and values, one a line. */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return <dl className="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

export type BannerTone = 'info' | 'warn' | 'bad' | 'ok';

/** Something that concerns the whole page. `live` banners are read out when they appear. */
export function Banner({ tone, title, children, actions, live = false }: { tone: BannerTone; title: string; children?: ReactNode; actions?: ReactNode; live?: boolean }) {
  return (
    <div className={`banner ${tone}`} {...(live ? { role: tone === 'bad' ? 'alert' : 'status' } : {})}>
      <div><strong>{title}</strong>{children && <div className="text">{children}</div>}</div>
      {actions && <div className="actions">{actions}</div>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return <div className="empty"><p className="title">{title}</p>{children && <div className="text">{children}</div>}</div>;
}

export function Loading({ what }: { what: string }) {
  return <div className="loading" role="status"><span className="spinner" aria-hidden="true" />Loading {what}…</div>;
}

/** "12 s ago", by the second, with the time itself for who points at it. Without a live region: it would chatter. */
export function Ago({ at }: { at: number | null | undefined }) {
  const now = useNow();
  if (!at) return <>–</>;
  return <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>{ago(Math.max(0, now - at))}</time>;
}

/** Text of the data: shown as it is, broken anywhere. */
export function Code({ children }: { children: ReactNode }) {
  return <code>{children}</code>;
}
