// The page's part about how fast the tail takes events in.
import { median, ratio } from './statistics.mjs';
import { reached, row, spread, whole } from './report_text.mjs';

/** @typedef {import('./ingest.mjs').IngestResult} IngestResult */

const ours = (/** @type {IngestResult} */ { rounds }) => rounds.map((r) => r.fanoutPerSecond);
const theirs = (/** @type {IngestResult} */ { rounds }) => rounds.map((r) => r.recvlogicalPerSecond);

/** @param {IngestResult} result */
export function ingestSummary(result) {
  const found = ratio(ours(result), theirs(result));
  return row(`the tail takes in ${whole(result.events)} events`, 'pg_recvlogical', '>= 0.80', spread(found), reached(found.median >= 0.8));
}

/** @param {import('./report.mjs').Raw<IngestResult>} raw */
export function ingestSection({ options, result }) {
  return `## Ingest

How fast the fan-out's tail takes in a backlog of ${whole(result.events)} events of ${result.topics} topics, ${whole(result.perCommit)} in a transaction: received, decoded, turned
into JSON and handed to the loop that follows all of them, whose one subscriber reads nothing. \`pg_recvlogical\` takes the same
from a slot of the same plugin and writes it to /dev/null. Both begin when the whole backlog is in the WAL; ${options.rounds} rounds, medians.

| | events/s |
|---|--:|
| oa-sync-fanout | ${whole(median(ours(result)))} |
| pg_recvlogical | ${whole(median(theirs(result)))} |

The ratio is ${spread(ratio(ours(result), theirs(result)))}.

`;
}
