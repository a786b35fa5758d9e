// All that is known of one run or worker.
import { Payload } from '../components/Diff';
import { Ago, Code, Facts, Status } from '../components/parts';
import { count } from '../lib/format';
import type { Summary } from './model';

export function SummaryDetail({ row }: { row: Summary }) {
  return (
    <>
      <div className="actions"><Status tone={row.tone}>{row.status}</Status></div>
      <Facts facts={[
        ['Id', <Code>{row.id}</Code>], ['Last activity', <Ago at={row.lastActivity} />],
        ...row.counters.map(([name, value]): [string, string] => [name.charAt(0).toUpperCase() + name.slice(1), value]),
        ['Version', count(row.version)],
        ...(row.source !== null ? [['Source', `${row.source}${row.seq !== null ? `, seq ${row.seq}` : ''}`] as [string, string]] : []),
        ['Document', <Code>{row.key}</Code>],
      ]} />
      <Payload value={row.payload} />
    </>
  );
}
