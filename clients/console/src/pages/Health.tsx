// Health: what is wrong, in plain words, and what to do; or that nothing is.
import type { Overview, Problem } from '../api/types';
import { Ago, Card, Loading, Status, type Tone } from '../components/parts';
import { Failed, Staleness } from '../components/Trouble';
import { bytes, count, duration, plural, wordsOf } from '../lib/format';
import { overviewEveryMs, useOverview } from '../operator';
import { PageTitle } from '../router';

export default function Health() {
  const polled = useOverview();
  const { data, dataAt, error, refresh } = polled;
  return (
    <>
      <div className="page-head"><PageTitle title="Health" />{data && <p className="sub">Looked at <Ago at={dataAt} /></p>}</div>
      <Staleness polled={polled} retry={refresh} everyMs={overviewEveryMs} />
      {data ? <Findings sample={data} stale={error !== undefined} /> : error !== undefined ? <Failed error={error} retry={refresh} what="The state of the server" /> : <Loading what="the state of the server" />}
    </>
  );
}

function Findings({ sample, stale }: { sample: Overview; stale: boolean }) {
  const { problems, status } = sample.health;
  const ordered = [...problems].sort((a, b) => Number(b.severity === 'critical') - Number(a.severity === 'critical'));
  const clear = problems.length === 0 && status === 'ready';
  return (
    <>
      <div role="status" className={clear ? 'card all-clear' : 'hidden'}>
        {clear ? <>
          <svg viewBox="0 0 24 24" width="44" height="44" aria-hidden="true"><circle cx="12" cy="12" r="11" fill="none" stroke="currentColor" strokeWidth="2" /><path d="m7 12.5 3.5 3.5L17 9" fill="none" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round" /></svg>
          <h2>{stale ? 'Nothing was wrong when it was last asked' : 'Nothing is wrong'}</h2>
          <p className="quiet">Events come through, the database answers, and no limit is near.</p>
        </> : `${plural(Math.max(1, problems.length), 'problem')} found.`}
      </div>
      {!clear && <ol className="problems">
        {status !== 'ready' && problems.length === 0 && <Finding problem={{ code: sample.health.reason ?? 'not_ready', severity: 'critical', what: 'The server is not ready.', todo: 'Send no clients here until it is; its log says more.' }} />}
        {ordered.map((problem) => <Finding key={problem.code} problem={problem} />)}
      </ol>}
      <Card title="What was looked at"><ul className="checks">{checks(sample).map(([name, tone, word, text]) =>
        <li key={name}><Status tone={tone} quiet>{word}</Status><strong>{name}</strong><span>{text}</span></li>)}</ul></Card>
    </>
  );
}

function Finding({ problem }: { problem: Problem }) {
  const critical = problem.severity === 'critical';
  return (
    <li className={`problem ${problem.severity}`}>
      <header><Status tone={critical ? 'bad' : 'warn'}>{critical ? 'Critical' : 'Warning'}</Status><h2>{problem.what}</h2></header>
      <p>{problem.todo}</p>
      <p className="quiet"><code>{problem.code}</code>{problem.doc && <>, see <code>{problem.doc}</code></>}</p>
    </li>
  );
}

/** A subscriber that is so far behind is worth a look, whatever else is well. */
const farBehind = { events: 10_000, seconds: 10 };
/** Problems by which subscribers get events late. */
const lagProblems = ['tail_down', 'canary_late', 'slot_behind', 'slow_consumers'];

function checks({ health, tail, database, connections, lag, loops }: Overview): [string, Tone, string, string][] {
  const busiest = Math.max(0, ...loops.map((loop) => loop.utilisation));
  const full = connections.limit > 0 ? connections.open / connections.limit : 0;
  const well: [Tone, string] = ['ok', 'Well'];
  const look: [Tone, string] = ['warn', 'Look'];
  const wrong: [Tone, string] = ['bad', 'Wrong'];
  const unknown: [Tone, string] = ['idle', 'Not known'];
  // What the worker does is asked of the database: one that does not answer says nothing of it.
  const worker: [Tone, string, string] = !database?.reachable ? [...unknown, 'The database does not answer, and so does not say.']
    : database.worker_pid ? [...well, `Runs, pid ${database.worker_pid}: fills voids, makes partitions, drops what is old.`]
      : database.in_recovery ? [...well, 'None is needed on a standby.']
        : database.stats ? [...wrong, 'None runs: holes are not filled, nothing is dropped.'] : [...unknown, 'The database does not say: the server’s role may not ask, or the extension is old.'];
  const late = health.problems.some((problem) => lagProblems.includes(problem.code));
  const behind = lag.events_max > 0 ? `The slowest subscriber is ${plural(lag.events_max, 'event')}${lag.seconds_max > 0 ? `, ${duration(lag.seconds_max * 1000)},` : ''} behind.` : '';
  return [
    ['Readiness', ...(health.status === 'ready' ? well : wrong), health.status === 'ready' ? 'Clients may be sent here.' : `Not ready: ${wordsOf(health.reason) || 'see the log'}.`],
    ['Tail', ...(tail.mode === 'logical' ? well : tail.mode === 'journal' ? look : wrong),
      tail.mode === 'logical' ? `Live events come by the replication slot${tail.slot ? `, which holds ${bytes(tail.slot.retained_wal_bytes)} of WAL` : ''}.`
        : tail.mode === 'journal' ? `Live events are read from the journal${tail.reason ? ` (${wordsOf(tail.reason)})` : ''}: later, but none is lost.` : 'Nothing comes from the database. Clients keep their place.'],
    ['Database', ...(database?.reachable ? well : wrong), database?.reachable ? `PostgreSQL ${database.server_version?.split(' ')[0] ?? ''} answers${database.in_recovery ? ', a standby' : ''}.` : 'It does not answer.'],
    ['Worker', ...worker],
    ['Connections', ...(full > 0.9 ? look : well), connections.limit > 0 ? `${count(connections.open)} of ${count(connections.limit)}.` : `${count(connections.open)}, no limit.`],
    ['Event loops', ...(busiest > 0.8 ? look : well), `The busiest works ${Math.round(busiest * 100)} % of the time.`],
    ['Lag', ...(late || lag.events_max >= farBehind.events || lag.seconds_max >= farBehind.seconds ? look : well),
      behind || (late ? 'Everybody has what came here, but not everything comes in time: see above.' : 'Everybody has everything.')],
  ];
}
