// Topics: found by how they begin, a page at a time, with their rates while one looks.
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Policy, TopicPage, TopicRow } from '../api/types';
import { Empty, Loading } from '../components/parts';
import { Failed, Staleness } from '../components/Trouble';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { count, duration, measure, num } from '../lib/format';
import { usePhone } from '../lib/media';
import { usePoll } from '../lib/poller';
import { useOperator } from '../operator';
import { Link, navigate, PageTitle, usePlace } from '../router';

const pageSize = 200;
const everyMs = 4000;

export const topicHref = (topic: string) => `/topic?name=${encodeURIComponent(topic)}`;

/** What a topic may be made of; nothing begins with anything else. */
const topicCharacters = /^[A-Za-z0-9_.:/-]*$/;
const noTopics: TopicPage = { topics: [], next_after: null, total: null };

/** A policy in a few words. */
export function policyText(policy: Policy | null): string {
  if (!policy) return 'defaults';
  const parts = [policy.qos_tier, policy.horizon_s === null ? 'for ever' : policy.horizon_s !== undefined ? duration(policy.horizon_s * 1000) : undefined];
  return parts.filter(Boolean).join(', ') || 'defaults';
}

const openTopic = (row: TopicRow) => navigate(topicHref(row.topic));
const keyOf = (row: TopicRow) => row.topic;

type Rated = TopicRow & { rate: number | null };

export default function Topics() {
  const { api } = useOperator();
  const { query } = usePlace();
  const prefix = query.get('prefix') ?? '';
  const [typed, setTyped] = useState(prefix);
  // The pages before this one, by what they were asked after: the way back.
  const [trail, setTrail] = useState<string[]>([]);
  const after = trail.at(-1) ?? null;
  const phone = usePhone();

  /** The prefix that this page last put in the address: another one came by a link, or by going back. */
  const own = useRef(prefix);
  useEffect(() => {
    if (prefix === own.current) return;
    own.current = prefix;
    setTyped(prefix);
    setTrail([]);
  }, [prefix]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (typed === prefix) return;
      own.current = typed;
      setTrail([]);
      navigate(`/topics${typed ? `?prefix=${encodeURIComponent(typed)}` : ''}`, { replace: true });
    }, 200);
    return () => clearTimeout(timer);
  }, [typed, prefix]);

  // Until this page is answered the one before is shown, whose "next" is not this one's: answers say what they are of.
  const page = `${prefix} ${after}`;
  const polled = usePoll(async (signal) => ({ ...(topicCharacters.test(prefix) ? await api.topics({ prefix, after, limit: pageSize }, signal) : noTopics), of: page }), everyMs, [api, prefix, after]);
  const { data, dataAt, error, refresh } = polled;
  const rows = useRates(data?.topics, dataAt);

  const columns = useMemo((): Column<Rated>[] => [
    { id: 'topic', header: 'Topic', cell: (row) => <><Link href={topicHref(row.topic)} tabIndex={-1}>{row.topic}</Link>
      {phone && <span className="two quiet">floor {count(row.retention_floor)}, {count(row.subscribers)} subscribers, {policyText(row.policy)}</span>}</> },
    { id: 'head', header: 'Head', className: 'number', cell: (row) => count(row.head_watermark) },
    { id: 'floor', header: 'Floor', className: 'number wide', cell: (row) => count(row.retention_floor) },
    { id: 'retained', header: 'Retained', className: 'number wide roomy', cell: (row) => count(row.retained) },
    { id: 'rate', header: 'Rate', className: 'number wide', cell: (row) => (row.rate === null ? '–' : `${measure(row.rate)} /s`) },
    { id: 'subscribers', header: 'Subscribers', className: 'number wide', cell: (row) => count(row.subscribers) },
    { id: 'policy', header: 'Policy', className: 'wide roomy', cell: (row) => policyText(row.policy) },
  ], [phone]);

  return (
    <>
      <div className="page-head"><PageTitle title="Topics" />{data?.total !== null && data?.total !== undefined && <p className="sub">{count(data.total)} in all</p>}</div>
      <div className="toolbar">
        <div className="field"><label htmlFor="prefix">Begins with</label>
          <input id="prefix" type="search" value={typed} onChange={(event) => setTyped(event.target.value)} placeholder="runtime. or run:42" spellCheck={false} autoCapitalize="off" autoComplete="off" /></div>
      </div>
      <Staleness polled={polled} retry={refresh} everyMs={everyMs} />
      {data ? <>
        <WindowedTable label="Topics" layout="topics" columns={columns} rows={rows} rowKey={keyOf} rowHeight={phone ? 58 : 40} onOpen={openTopic}
          empty={prefix ? <Empty title="No topic begins like that"><p>Topics are compared exactly, capital letters too.</p></Empty>
            : <Empty title="There are no topics yet"><p>A topic begins with its first event: publish a table with <code>sync_publish</code>, or call <code>sync_emit</code>.</p></Empty>} />
        {(trail.length > 0 || data.next_after !== null) && <div className="pager">
          <span className="quiet">Page {trail.length + 1}</span>
          <button type="button" disabled={trail.length === 0} onClick={() => setTrail(trail.slice(0, -1))}>Previous</button>
          <button type="button" disabled={data.next_after === null || data.of !== page} onClick={() => data.next_after !== null && setTrail([...trail, data.next_after])}>Next</button>
        </div>}
      </> : error !== undefined ? <Failed error={error} retry={refresh} what="The topics" /> : <Loading what="topics" />}
    </>
  );
}

/** Adds events per second, from how heads moved between two answers. */
function useRates(topics: TopicRow[] | undefined, at: number): Rated[] {
  const seen = useRef(new Map<string, { at: number; head: number; rate: number | null }>());
  return useMemo(() => (topics ?? []).map((row) => {
    const head = num(row.head_watermark);
    const before = seen.current.get(row.topic);
    if (before?.at === at) return { ...row, rate: before.rate };
    const dt = before ? at - before.at : 0;
    const rate = before && dt > 0 && dt < 60_000 && head >= before.head ? ((head - before.head) * 1000) / dt : null;
    seen.current.set(row.topic, { at, head, rate });
    return { ...row, rate };
  }), [topics, at]);
}
