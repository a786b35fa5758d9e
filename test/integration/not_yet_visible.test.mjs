// A commit is decoded when it is on disk, which is before other transactions see it: a moment as a rule, longer when
// the writer's process is not scheduled, and for ever while it waits for a synchronous standby that does not come.
// A subscriber's cursor may then be past every head that the database tells, and it is not ahead of anything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { cluster } = stand;
const other = await stand.startFanout();
await other.ready();
const topic = 'visible.t';

await stand.query('CREATE TABLE public.probes (n int)');
/** Connections whose commits wait. @type {import('pg').Client[]} */
const probes = [];

/** Commits once more; whether that waits for a standby. */
async function commitWaits() {
  const client = await cluster.connect(stand.database);
  probes.push(client);
  let answered = false;
  client.query('INSERT INTO public.probes VALUES (1)').finally(() => (answered = true)).catch(() => {});
  const { processID: pid } = /** @type {any} */ (client);
  await waitFor(async () => answered || (await stand.query(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'`, [pid])).length > 0,
    { timeoutMs: 60_000, what: 'a commit is answered or waits' });
  return !answered;
}

/** @param {string} names of synchronous standbys */
async function waitForStandby(names) {
  cluster.configure({ synchronous_standby_names: names });
  await stand.query('SELECT pg_reload_conf()');
  await waitFor(async () => {
    const client = await cluster.connect(stand.database);
    const { rows: [row] } = await client.query('SHOW synchronous_standby_names');
    await client.end();
    return row.synchronous_standby_names === names;
  }, { timeoutMs: 60_000, what: 'the setting is in force' });
  // Commits hear of it by the checkpointer, which reads its settings when it comes to it.
  if (names !== '') await waitFor(commitWaits, { timeoutMs: 60_000, what: 'commits wait for the standby' });
}

test('a cursor at a commit that is not yet visible is good at every fan-out', async () => {
  const first = stand.client({ topics: [topic] });
  await first.connect();
  await stand.insert(topic, 1);
  await first.reach(topic, 1);
  await waitForStandby('nobody');
  const writer = await cluster.connect(stand.database);
  const commit = writer.query('INSERT INTO app.items (topic, id) VALUES ($1, 2)', [topic]);
  await first.reach(topic, 2);
  const [told] = await stand.query('SELECT head FROM runtime.sync_topic_heads(ARRAY[$1])', [topic]);
  assert.equal(told.head, 1, 'the database does not show it yet');
  // At another fan-out, and at one that was restarted.
  const second = stand.client({ fanout: other, topics: [topic], resumeAfter: { [topic]: 2 }, encoding: 'proto' });
  await second.connect();
  await stand.fanout.kill9();
  await stand.fanout.launch();
  await waitFor(() => first.opened >= 2 && first.joinReplies.length >= 2, { timeoutMs: 60_000, what: 'the first client is back' });
  await waitForStandby('');
  await commit;
  await stand.insert(topic, 5, { first: 3 });
  for (const client of [first, second]) {
    await client.reach(topic, 7);
    assert.deepEqual(client.errors, []);
    assert.ok(client.joinReplies.every((reply) => reply.stale === undefined), 'no cursor was refused');
    assert.equal(client.gaps + client.duplicates, 0);
  }
  assert.deepEqual(first.watermarks(topic), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(second.watermarks(topic), [3, 4, 5, 6, 7]);
  await Promise.all([writer, ...probes].map((client) => client.end()));
});
