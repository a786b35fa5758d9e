// One topic: its events as they come, its documents, and what became of a document over time.
import { useCallback, useState } from 'react';
import { DetailPane } from '../components/DetailPane';
import { Tabs } from '../components/Tabs';
import { Banner, Figure, Loading } from '../components/parts';
import { Failed, Staleness } from '../components/Trouble';
import { Documents } from '../topic/Documents';
import { History } from '../topic/History';
import { LiveEvents } from '../topic/LiveEvents';
import { count, duration, plural } from '../lib/format';
import { usePoll } from '../lib/poller';
import { useOperator } from '../operator';
import { Link, navigate, PageTitle, usePlace } from '../router';
import { policyText, topicHref } from './Topics';

const everyMs = 2000;

export default function Topic() {
  const { query } = usePlace();
  const name = query.get('name') ?? '';
  if (!name) {
    return (
      <>
        <PageTitle title="Topic" />
        <Banner tone="info" title="No topic is named"><p>Choose one on <Link href="/topics">the page of topics</Link>.</p></Banner>
      </>
    );
  }
  return <OneTopic key={name} name={name} docKey={query.get('doc')} />;
}

function OneTopic({ name, docKey }: { name: string; docKey: string | null }) {
  const { api } = useOperator();
  const [tab, setTab] = useState<'live' | 'documents'>('live');
  const polled = usePoll(async (signal) => (await api.topics({ prefix: name, limit: 1 }, signal)).topics.find((row) => row.topic === name) ?? null, everyMs, [api, name]);
  const { data, error, refresh } = polled;
  // Which of its versions was chosen in the list of events; the document itself is in the address.
  const [version, setVersion] = useState<string | null>(null);
  const choose = useCallback((key: string | null, chosen: string | null = null) => {
    setVersion(chosen);
    navigate(`${topicHref(name)}${key === null ? '' : `&doc=${encodeURIComponent(key)}`}`, { replace: true });
  }, [name]);
  const close = useCallback(() => choose(null), [choose]);
  return (
    <>
      <div className="page-head"><PageTitle title={name} /><p className="sub"><Link href="/topics">All topics</Link></p></div>
      <Staleness polled={polled} retry={refresh} everyMs={everyMs} />
      {data ? <dl className="figures band" aria-label="The topic now">
        <Figure name="Head" value={count(data.head_watermark)} note={`epoch ${count(data.epoch)}`} />
        <Figure name="Floor" value={count(data.retention_floor)} note={data.oldest_at ? `oldest event ${duration(Date.now() - data.oldest_at)} old` : 'nothing is retained'} />
        <Figure name="Retained" value={count(data.retained)} unit="events" note={Number(data.in_flight) > 0 ? `${count(data.in_flight)} under way` : undefined} />
        <Figure name="Subscribers" value={count(data.subscribers)} note={<Link href={`/sessions?topic=${encodeURIComponent(name)}`}>who they are</Link>} />
        <Figure name="Policy" value={policyText(data.policy)} note={data.policy?.replay_budget_events !== undefined ? `replays up to ${plural(Number(data.policy.replay_budget_events), 'event')}` : undefined} />
      </dl> : data === null ? <Banner tone="info" title="This topic has no event yet"><p>Nothing was ever written to it. Its first event will be shown here.</p></Banner>
        : error !== undefined ? <Failed error={error} retry={refresh} what="The topic" /> : <Loading what="the topic" />}
      <Tabs label="What to see of the topic" tabs={[['live', 'Live events'], ['documents', 'Documents']]} chosen={tab} onChoose={setTab} />
      <div className={`side${docKey === null ? '' : ' with'}`} role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === 'live' ? <LiveEvents topic={name} chosen={version} onChoose={choose} /> : <Documents topic={name} docKey={docKey} onChoose={choose} />}
        {docKey !== null && <DetailPane title={docKey} close={close}><History key={`${docKey} ${version}`} topic={name} docKey={docKey} version={version} head={data?.head_watermark} /></DetailPane>}
      </div>
    </>
  );
}
