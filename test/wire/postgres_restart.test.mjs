// PostgreSQL goes away and comes back, or the fan-out's connections to it are killed, under attached subscribers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const { cluster } = stand;

/** Inserts a row, trying again while the server is away. @param {string} topic @param {number} id */
async function insertSurely(topic, id) {
  await waitFor(async () => {
    await stand.query(`INSERT INTO app.items (topic, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [topic, id]);
    return true;
  }, { timeoutMs: 90_000, what: `row ${id} of ${topic} is written` });
}

/**
 * Two subscribers hold everything exactly once although `disturb` happens between writes.
 * @param {string} topic @param {(round: number) => Promise<void>} disturb
 */
async function undisturbed(topic, disturb) {
  const clients = [stand.client({ topics: [topic] }), stand.client({ topics: [topic], encoding: 'proto' })];
  await Promise.all(clients.map((client) => client.connect()));
  let id = 0;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 10; i++) await insertSurely(topic, ++id);
    await disturb(round);
    for (let i = 0; i < 10; i++) await insertSurely(topic, ++id);
  }
  const journal = await waitFor(async () => {
    const rows = await stand.journal(topic);
    return rows.length === id ? rows : undefined;
  }, { what: `${id} events in the journal` });
  for (const client of clients) {
    await client.reach(topic, journal.at(-1)?.watermark, 90_000);
    assert.deepEqual(client.state(topic).events.map((e) => [e.watermark, e.docKey, e.payloadHash]),
      journal.map((e) => [e.watermark, e.doc_key, e.payload_hash]));
    assert.equal(client.opened, 1, 'the subscriber stayed attached');
    assert.equal(client.gaps, 0);
    assert.deepEqual(client.errors, []);
  }
  await stand.fanout.ready();
}

/** Waits until the fan-out's tail is logical. */
const walsender = () => waitFor(async () =>
  (await stand.query(`SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender'`)).length > 0,
{ timeoutMs: 60_000, what: 'a walsender: the tail is logical' });

test('the walsender is killed', () => undisturbed('pg.walsender', async () => {
  await walsender();
  await stand.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'`);
  await walsender();
}));

test('all of the fan-out\'s connections are killed', () => undisturbed('pg.all', async () => {
  await stand.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name IS DISTINCT FROM 'oa-sync-test' AND backend_type IN ('walsender', 'client backend')`);
}));

test('PostgreSQL restarts', () => undisturbed('pg.restart', async () => {
  await cluster.restart();
}));

test('PostgreSQL is killed and recovers', () => undisturbed('pg.kill9', async () => {
  await cluster.kill9();
  await cluster.start();
}));

test('a subscription made while PostgreSQL is away is served when it is back, or refused', async () => {
  await stand.insert('pg.away', 5);
  await cluster.stop();
  const raw = await stand.raw();
  const joining = raw.join({ topics: ['pg.away'] }).catch(() => undefined);
  await waitFor(async () => (await stand.fanout.fetch('/readyz')).status === 503, { timeoutMs: 60_000, what: 'not ready' });
  await cluster.start();
  await stand.fanout.ready();
  const reply = await joining;
  if (reply?.status === 'ok') {
    const came = () => raw.frames.flatMap((f) => (f[3] === 'sync:update_batch' ? f[4].updates : []).map((/** @type {any} */ u) => u.watermark));
    await waitFor(() => came().includes(5), { what: () => `the five; came ${came()}` });
    assert.deepEqual(came(), range(1, 5));
  } else {
    assert.equal(reply?.response.code ?? 'internal', 'internal');
  }
  const client = stand.client({ topics: ['pg.away'] });
  await client.connect();
  await client.reach('pg.away', 5);
});
