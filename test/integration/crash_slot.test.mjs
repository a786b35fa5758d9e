// The logical tail is lost, and can't come back because an old transaction is open: a slot is only made after it. The
// journal carries on, for as long as it takes, and the change back loses and repeats nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const walsender = `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'`;
const liveSlot = `SELECT FROM pg_replication_slots WHERE plugin = 'oa_sync' AND confirmed_flush_lsn IS NOT NULL`;

for (const [name, commit] of /** @type {const} */ ([['commits', true], ['rolls back', false]])) {
  test(`the walsender dies while a transaction is open that later ${name}`, async () => {
    const topic = `slot.${commit}`;
    const clients = [stand.client({ topics: [topic] }), stand.client({ topics: [topic], encoding: 'proto' })];
    for (const client of clients) await client.connect();
    await waitFor(async () => (await stand.query(liveSlot)).length > 0, { what: 'the tail is logical' });
    const open = await stand.cluster.connect(stand.database);
    await open.query(`BEGIN; INSERT INTO app.items (topic, id) VALUES ('${topic}', 1000)`);
    await stand.insert(topic, 10);
    const [before] = await stand.query(walsender);
    await stand.query('SELECT pg_terminate_backend($1)', [before.pid]);
    await waitFor(async () => (await stand.query(walsender)).some(({ pid }) => pid !== before.pid),
      { timeoutMs: 60_000, what: 'a walsender tries again' });
    for (let i = 0; i < 5; i++) await stand.insert(topic, 10, { first: 11 + 10 * i });
    for (const client of clients) await client.reach(topic, 60, 60_000);
    assert.equal((await stand.query(liveSlot)).length, 0, 'the slot still waits for the open transaction');
    // Events on both sides of the change back.
    const before61 = stand.insert(topic, 10, { first: 61 });
    await open.query(commit ? 'COMMIT' : 'ROLLBACK');
    await before61;
    await waitFor(async () => {
      const [row] = await stand.query('SELECT coalesce(max(id), 0) AS id FROM app.items WHERE topic = $1 AND id < 1000', [topic]);
      await stand.insert(topic, 1, { first: row.id + 1 });
      return (await stand.query(liveSlot)).length > 0;
    }, { timeoutMs: 90_000, what: 'the tail is logical again' });
    const journal = await stand.journal(topic);
    const last = journal.length;
    assert.deepEqual(journal.map((e) => e.watermark), range(1, last));
    for (const client of clients) {
      await client.reach(topic, last);
      assert.deepEqual(client.state(topic).events.map((e) => [e.watermark, e.docKey, e.payloadHash]),
        journal.map((e) => [e.watermark, e.doc_key, e.payload_hash]));
      assert.equal(client.gaps + client.duplicates, 0);
      assert.equal(client.opened, 1, 'the subscriber stayed attached');
      assert.deepEqual(client.errors, []);
    }
    await open.end();
  });
}
