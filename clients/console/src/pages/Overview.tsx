// The overview: what the server does now, and over the last minutes.
import { Chart } from '../components/Chart';
import { Card, Facts, Figure, Loading, Status, Ago, type Tone } from '../components/parts';
import { Failed, Staleness } from '../components/Trouble';
import type { Overview as Sample } from '../api/types';
import { bytes, count, duration, measure, num, plural, wordsOf } from '../lib/format';
import { overviewEveryMs, useOperator, useOverview } from '../operator';
import { Link, PageTitle } from '../router';

export default function Overview() {
  const polled = useOverview();
  const { data, error, refresh } = polled;
  return (
    <>
      <div className="page-head"><PageTitle title="Overview" />{data && <Listening sample={data} />}</div>
      <Staleness polled={polled} retry={refresh} everyMs={overviewEveryMs} />
      {data ? <Figures sample={data} /> : error !== undefined ? <Failed error={error} retry={refresh} what="The overview" /> : <Loading what="the overview" />}
    </>
  );
}

function Listening({ sample: { server } }: { sample: Sample }) {
  return <p className="sub">oa-sync-fanout {server.version} on <span className="hidden">address </span>{server.public_url ?? server.listen}, up for {duration(server.now - server.started_at)}</p>;
}

const tails: Record<Sample['tail']['mode'], [Tone, string]> = {
  logical: ['ok', 'Replication slot'], journal: ['warn', 'Reading the journal'], down: ['bad', 'Down'] };

function Figures({ sample }: { sample: Sample }) {
  const { series } = useOperator();
  const rate = (name: Parameters<typeof series.latest>[0]) => series.latest(name);
  const latency = series.latencyOfLastMinute();
  const { connections, totals, tail, lag, database } = sample;
  const denials = Object.entries(totals.denials ?? {}).filter(([, n]) => num(n) > 0).sort(([, a], [, b]) => num(b) - num(a));
  const hits = num(totals.page_hits), misses = num(totals.page_misses);
  const problems = sample.health.problems.length;
  return (
    <>
      <dl className="figures band" aria-label="Now">
        <Figure name="Connections" value={count(connections.open)} note={connections.limit > 0 ? `of ${count(connections.limit)}, ${count(connections.joined)} joined` : `${count(connections.joined)} joined`} />
        <Figure name="Events in" value={measure(rate('eventsIn'))} unit="/s" note={`${count(totals.events_in)} in all`} />
        <Figure name="Events out" value={measure(rate('eventsOut'))} unit="/s" note={`${bytes(rate('bytesOut'))}/s`} />
        <Figure name="Commit to socket, p99" value={measure(latency?.p99)} unit="ms" note={latency === null ? 'known in a moment' : latency.total > 0 ? 'of the last minute' : 'nothing live in the last minute'} />
        <Figure name="Largest lag" value={count(lag.events_max)} unit={lag.events_max === 1 ? 'event' : 'events'} note={lag.seconds_max > 0 ? `${duration(lag.seconds_max * 1000)} behind` : 'everybody is current'} />
        <Figure name="Health" value={problems === 0 && sample.health.status === 'ready' ? 'Well' : plural(Math.max(1, problems), 'problem')}
          tone={problems === 0 && sample.health.status === 'ready' ? 'ok' : sample.health.status !== 'ready' || sample.health.problems.some((p) => p.severity === 'critical') ? 'bad' : 'warn'}
          note={<Link href="/health">what and why</Link>} />
      </dl>
      <div className="cards">
        <Chart title="Events per second" series={series.series} format={measure}
          lines={[{ name: 'eventsIn', label: 'in' }, { name: 'eventsOut', label: 'out', dash: true }]} />
        <Chart title="Commit to socket, ms" series={series.series} format={measure}
          lines={[{ name: 'p50', label: 'p50' }, { name: 'p95', label: 'p95', dash: true }, { name: 'p99', label: 'p99' }]} />
        <Chart title="Open sockets" series={series.series} format={count} lines={[{ name: 'connections', label: 'open' }]} />
        <Chart title="Joins and replays, /s" series={series.series} format={measure}
          lines={[{ name: 'joins', label: 'joins' }, { name: 'replays', label: 'replays', dash: true }, { name: 'refused', label: 'refused' }]} />
        <Card title="Tail" className="third" aside={<Status tone={tails[tail.mode]?.[0] ?? 'bad'}>{tails[tail.mode]?.[1] ?? tail.mode}</Status>}>
          <Facts facts={[
            ['Why', tail.reason ? wordsOf(tail.reason) : '–'], ['Since', <Ago at={tail.changed_at} />],
            ['Last heard', tail.silence_ms === null || tail.silence_ms < 0 ? 'never' : `${duration(tail.silence_ms)} ago`],
            ['Topics followed', count(tail.topics_followed)], ['Epoch', count(tail.epoch)],
            ['Slot', tail.slot ? `${wordsOf(tail.slot.state)}, holds ${bytes(tail.slot.retained_wal_bytes)} of WAL` : 'none'],
          ]} />
        </Card>
        <Card title="Database" className="third" aside={database?.reachable ? <Status tone="ok">Reachable</Status> : <Status tone="bad">Away</Status>}>
          {database?.reachable ? <Facts facts={[
            ['PostgreSQL', database.server_version?.split(' ')[0] ?? '–'], ['Extension', database.extension_version ?? '–'],
            ['Role', database.in_recovery ? 'standby (read only)' : 'primary'],
            ['Worker', database.worker_pid ? <Status tone="ok" quiet>running, pid {database.worker_pid}</Status> : database.stats ? <Status tone={database.in_recovery ? 'idle' : 'bad'} quiet>not running</Status> : <Status tone="idle" quiet>not known</Status>],
            ['Voids that wait', count(database.stats?.['voids_pending'] as number | undefined)],
            ['Partitions', count(database.stats?.['partitions'] as number | undefined)],
          ]} /> : <p className="quiet">The server can not ask its database at the moment. <Link href="/health">Health</Link> says what to do.</p>}
        </Card>
        <Card title="Replays and refusals" className="third" aside={<span className="quiet">since the start</span>}>
          <Facts facts={[
            ['Replays', count(totals.replays)],
            ['Page cache', hits + misses > 0 ? `${measure((100 * hits) / (hits + misses))} % of ${count(hits + misses)} from memory` : 'not used yet'],
            ['Came back', count(connections.reconnects_total)], ['Stale cursors', count(totals.stale_cursors)],
            ['Slow readers ended', count(totals.slow_consumers)], ['Rate limited', count(totals.rate_limited)],
            ['Refused', denials.length === 0 ? 'none' : denials.slice(0, 4).map(([why, n]) => `${wordsOf(why)} ${count(n)}`).join(', ')],
          ]} />
        </Card>
        <Card title="Event loops">
          <ul className="loops">{sample.loops.map((loop, i) => {
            const percent = Math.round(Math.min(1, Math.max(0, loop.utilisation)) * 100);
            return <li key={i}><span>Loop {i + 1}</span><meter min={0} max={100} high={80} value={percent} aria-label={`Loop ${i + 1} is busy`} /><span>{percent} %</span><span>{plural(loop.sockets, 'socket')}</span></li>;
          })}</ul>
        </Card>
      </div>
    </>
  );
}
