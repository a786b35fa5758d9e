// `make soak`: many sessions on a fan-out that ThreadSanitizer watches. They join, leave, rejoin, lag, are cut and come back
// while events are written; nobody may see a gap, and in the end everybody must have everything.
//
//   node test/soak/sessions.mjs [--sessions 2000] [--seconds 120]      (fan-out: OA_SYNC_FANOUT_BIN, or build/fanout-tsan)
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

process.env.OA_SYNC_FANOUT_BIN ??= new URL('../../build/fanout-tsan/oa-sync-fanout', import.meta.url).pathname;
const { ground, heads, insert, Light } = await import('./load.mjs');
const { waitFor } = await import('../harness/index.mjs');

const { values } = parseArgs({ options: { sessions: { type: 'string', default: '2000' }, seconds: { type: 'string', default: '120' } } });
const count = Number(values.sessions);
const { db, fanout, destroy } = await ground({ loops: 2, 'max-connections': count + 100, 'handshake-timeout-ms': 60_000,
  'client-timeout-ms': 600_000, 'max-requests-per-second': 1000, 'jwt-max-age-s': 86400, 'window-events': 64 });
const topics = Array.from({ length: 20 }, (_, i) => `soak.${i}`);
await insert(db, topics, 50);

const clients = Array.from({ length: count }, (_, i) => new Light(fanout, /** @type {string} */ (topics[i % topics.length])));
for (let i = 0; i < count; i += 50) await Promise.all(clients.slice(i, i + 50).map((client) => client.connect()));
console.log(`${clients.filter((client) => client.joined).length} sessions have joined`);

const until = Date.now() + Number(values.seconds) * 1000;
const done = { rejoined: 0, left: 0, lagged: 0, cut: 0, unsubscribed: 0 };
while (Date.now() < until) {
  await insert(db, topics, 5);
  for (let i = 0; i < Math.max(1, count / 100); i++) {
    const client = /** @type {InstanceType<typeof Light>} */ (clients[Math.floor(Math.random() * count)]);
    const what = Math.floor(Math.random() * 5);
    if (!client.ws) client.connect();
    else if (!client.joined) continue;
    else if (what === 0) client.join(), done.rejoined++;
    else if (what === 1) client.send('phx_leave'), client.join(), done.left++;
    else if (what === 2) {
      const ws = client.ws;
      ws.pause();
      setTimeout(() => ws.resume(), 3000);
      done.lagged++;
    } else if (what === 3) client.cut(), done.cut++;
    else client.send('sync:unsubscribe', { topics: [client.topic] }), client.join(), done.unsubscribed++;
  }
  await sleep(100);
}
console.log(JSON.stringify(done));

const last = await heads(db);
const behind = () => clients.filter((client) => client.cursor !== last.get(client.topic));
await waitFor(async () => {
  await Promise.all(clients.filter((client) => !client.ws).map((client) => client.connect()));
  return behind().length === 0;
}, { timeoutMs: 180_000, everyMs: 500, what: () => `everybody is at the head; ${behind().length} are not, such as ${behind().slice(0, 3).map((c) => `${c.topic} ${c.cursor}/${last.get(c.topic)} joined ${c.joined} open ${c.ws !== undefined}`)}` });
const problems = clients.flatMap((client) => client.problems);
for (const client of clients) client.cut();
await destroy();
for (const problem of problems.slice(0, 20)) console.log(`PROBLEM ${problem}`);
console.log(`soak sessions: ${count} sessions, ${clients.reduce((sum, client) => sum + client.updates, 0)} updates, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
