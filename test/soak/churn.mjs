// `make soak`: does anything stay behind? Clients come and go, tens of thousands of them: joins, resumes, leaves, refused joins,
// wrong and expired tokens, half handshakes, cuts. After a warm-up and after the rest, when all are gone, memory, descriptors and
// the server's gauges must be the same.
//
//   node test/soak/churn.mjs [--cycles 40000] [--parallel 40]          (fan-out: OA_SYNC_FANOUT_BIN, or build/fanout)
import { parseArgs } from 'node:util';
import { ground, footprint, heads, insert, Light } from './load.mjs';
import { RawTcp, waitFor } from '../harness/index.mjs';

const { values } = parseArgs({ options: { cycles: { type: 'string', default: '40000' }, parallel: { type: 'string', default: '40' } } });
const cycles = Number(values.cycles);
const { db, fanout, destroy } = await ground({ loops: 2, 'max-requests-per-second': 1000, 'jwt-max-age-s': 86400 });
const topics = Array.from({ length: 50 }, (_, i) => `churn.${i}`);
await insert(db, topics, 100);
const last = await heads(db);
/** @type {string[]} */
const problems = [];
const expired = fanout.token(['*'], { iat: 1000, nbf: 1000, exp: 2000 });

/** One client's life, of one of several kinds. @param {number} n */
async function live(n) {
  const topic = /** @type {string} */ (topics[n % topics.length]);
  const client = new Light(fanout, topic);
  const kind = n % 10;
  if (kind === 0) return void await client.connect(expired);
  if (kind === 1) return void await client.connect('wrong');
  if (kind === 2) return (await RawTcp.connect(fanout.host, fanout.port)).end();
  if (kind > 5) client.cursor = n % (last.get(topic) ?? 1);  // resumes, from the window or the journal
  await client.connect();
  if (!client.joined) problems.push(`no join: ${topic}`);
  if (kind === 3) client.join({ topics: ['not a topic'] });
  if (kind === 4) client.send('phx_leave');
  if (kind > 4) await waitFor(() => client.cursor === last.get(topic) || !client.ws, { what: () => `${topic}: ${client.cursor}`, everyMs: 1 });
  problems.push(...client.problems);
  if (n % 3 === 0) client.cut();
  else await client.close();
}

/** @param {number} from @param {number} to */
async function churn(from, to) {
  let next = from;
  await Promise.all(Array.from({ length: Number(values.parallel) }, async () => {
    while (next < to) await live(next++);
  }));
  // Everybody is gone: connections at once, topics when they have lingered.
  for (const gauge of ['connections', 'subscriptions', 'topics', 'window_events']) {
    await waitFor(async () => await fanout.metric(`oa_sync_${gauge}`) === 0, { timeoutMs: 60_000, what: `oa_sync_${gauge} is 0` });
  }
  return { ...footprint(fanout.pid), followed: await fanout.metric('oa_sync_pg_followed_topics') };
}

const warm = await churn(0, cycles / 4);
console.log(`after the warm-up: ${JSON.stringify(warm)}`);
const end = await churn(cycles / 4, cycles);
console.log(`in the end:        ${JSON.stringify(end)}`);
await destroy();
if (end.kB > warm.kB * 1.05 + 2048) problems.push(`memory grew from ${warm.kB} to ${end.kB} kB`);
if (end.descriptors > warm.descriptors) problems.push(`descriptors grew from ${warm.descriptors} to ${end.descriptors}`);
if (end.followed > warm.followed) problems.push(`followed topics grew from ${warm.followed} to ${end.followed}`);
for (const problem of problems.slice(0, 20)) console.log(`PROBLEM ${problem}`);
console.log(`soak churn: ${cycles} connections, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
