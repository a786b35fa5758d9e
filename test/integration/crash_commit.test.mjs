// Single processes die in the middle of commits: a backend (the postmaster then restarts all), the worker, the
// postmaster itself. Writers are held between the allocation of their watermarks and the append to the journal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, childrenOf, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { cluster } = stand;
const writerName = 'crash-writer';

/**
 * `count` writers in COMMIT, held before they append.
 * @param {string} topic @param {number} count @param {number} [first] their first id
 */
async function holdCommits(topic, count, first = 1) {
  const blocker = await cluster.connect(stand.database);
  await blocker.query('BEGIN; LOCK TABLE runtime.sync_stream_events IN SHARE MODE');
  const writers = [];
  for (let n = 1; n <= count; n++) {
    const client = await cluster.connect(stand.database);
    await client.query(`SET application_name = '${writerName}'`);
    const done = client.query('INSERT INTO app.items (topic, id) VALUES ($1, $2)', [topic, first + n - 1])
      .then(() => 'committed', (error) => error.code ?? 'lost');
    const { processID: pid } = /** @type {any} */ (client);
    writers.push({ client, pid, done });
    // One after the other, so that the n-th has watermark n.
    await waitFor(async () => (await stand.query(`SELECT FROM pg_stat_activity WHERE application_name = $1
      AND wait_event_type = 'Lock'`, [writerName])).length === n, { what: `${n} writers are held` });
  }
  return { blocker, writers };
}

/**
 * The journal when it is dense and nothing is in flight.
 * @param {string} topic @param {number} head @returns {Promise<any[]>}
 */
async function settled(topic, head) {
  return await waitFor(async () => {
    const rows = await stand.query('SELECT watermark, op FROM runtime.sync_stream_events WHERE topic = $1 ORDER BY 1', [topic]);
    return rows.length === head ? rows : undefined;
  }, { timeoutMs: 60_000, what: () => `${topic} is dense to ${head}; the server's log:\n${cluster.logTail()}` });
}

/** @param {import('../harness/index.mjs').SyncClient} client @param {string} topic @param {any[]} journal */
async function holdsAll(client, topic, journal) {
  const wanted = journal.filter((e) => e.op !== 'void').map((e) => e.watermark);
  await client.reach(topic, wanted.at(-1) ?? 0, 60_000);
  assert.deepEqual(client.watermarks(topic), wanted);
  assert.equal(client.gaps, 0);
  assert.deepEqual(client.errors, []);
}

test('backends terminated in COMMIT leave voids, filled at once', async () => {
  const topic = 'commit.terminate';
  const client = stand.client({ topics: [topic] });
  await client.connect();
  const { blocker, writers } = await holdCommits(topic, 8);
  const victims = writers.filter((_, i) => i % 2 === 0);
  for (const { pid } of victims) await stand.query('SELECT pg_terminate_backend($1)', [pid]);
  for (const { done } of victims) assert.equal(await done, '57P01');
  await blocker.query('COMMIT');
  for (const [i, { done }] of writers.entries()) if (i % 2 === 1) assert.equal(await done, 'committed');
  const journal = await settled(topic, 8);
  assert.deepEqual(journal.map((e) => e.op), range(1, 8).map((w) => (w % 2 === 1 ? 'void' : 'upsert')));
  await holdsAll(client, topic, journal);
});

test('a COMMIT that is cancelled, or waits too long for a lock, leaves a void', async () => {
  const topic = 'commit.cancel';
  const client = stand.client({ topics: [topic] });
  await client.connect();
  const { blocker, writers } = await holdCommits(topic, 1);
  const impatient = await cluster.connect(stand.database);
  await impatient.query(`SET lock_timeout = 50`);
  await assert.rejects(impatient.query(`INSERT INTO app.items (topic, id) VALUES ('${topic}', 2)`), { code: '55P03' });
  await stand.query(`SELECT pg_cancel_backend($1)`, [writers[0]?.pid]);
  assert.equal(await writers[0]?.done, '57014');
  await blocker.query('COMMIT');
  await stand.insert(topic, 1, { first: 3 });
  const journal = await settled(topic, 3);
  assert.deepEqual(journal.map((e) => e.op), ['void', 'void', 'upsert']);
  await holdsAll(client, topic, journal);
});

for (const [name, victim] of /** @type {const} */ ([['a backend in COMMIT', 'writer'], ['the worker', 'worker']])) {
  test(`kill -9 of ${name}: everything restarts, nothing is lost`, async () => {
    const topic = `commit.kill.${victim}`;
    const client = stand.client({ topics: [topic] });
    await client.connect();
    await stand.insert(topic, 1, { first: 100 });
    await client.reach(topic, 1);
    const { writers } = await holdCommits(topic, 4);
    const [worker] = await stand.query(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'oa_sync worker' AND datname = current_database()`);
    process.kill(victim === 'writer' ? writers[0]?.pid : worker.pid, 'SIGKILL');
    for (const { done } of writers) assert.notEqual(await done, 'committed');
    // None of the four was in the journal: the next is 2 again, and nobody has ever seen another 2.
    await waitFor(async () => {
      await stand.insert(topic, 1, { first: 101 });
      return true;
    }, { timeoutMs: 60_000, what: 'the server is back' });
    const journal = await settled(topic, 2);
    assert.deepEqual(journal.map((e) => e.op), ['upsert', 'upsert']);
    await holdsAll(client, topic, journal);
  });
}

test('kill -9 of the postmaster alone: its children end by themselves, and it starts again', async () => {
  const topic = 'commit.orphans';
  const client = stand.client({ topics: [topic] });
  await client.connect();
  await stand.insert(topic, 5);
  await client.reach(topic, 5);
  const { writers } = await holdCommits(topic, 3, 10);
  assert.ok(childrenOf(cluster.pid).length > 5);
  await cluster.kill9({ children: false });
  for (const { done } of writers) assert.notEqual(await done, 'committed');
  await cluster.start();
  await stand.insert(topic, 1, { first: 6 });
  const journal = await settled(topic, 6);
  await holdsAll(client, topic, journal);
});
