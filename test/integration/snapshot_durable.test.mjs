// What a snapshot showed is still so after a crash, also what was committed with synchronous_commit = off: a row that
// it gave, and one that it no longer gave.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster } from '../harness/index.mjs';

// The WAL writer would flush by itself soon after: put off as far as it goes.
const cluster = await Cluster.create({ settings: { wal_writer_delay: '10s', wal_writer_flush_after: 0, checkpoint_timeout: '1h',
  'oa_sync.checkpoint_interval': 3600, autovacuum: 'off' } });
after(() => cluster.destroy());
await cluster.createDatabase('d');
cluster.psql('d', `CREATE SCHEMA app; CREATE TABLE app.items (id int PRIMARY KEY);
  SELECT runtime.sync_publish('app.items', topic => 'items', doc_key => '{id}'); INSERT INTO app.items VALUES (1), (2);`);

/** Keys that a query gives, in a session of its own. @param {string} query */
async function keys(query) {
  const client = await cluster.connect('d');
  const { rows } = await client.query(query);
  await client.end();
  return rows.map((row) => row.doc_key).filter((key) => key !== null).sort();
}

/** Commits without a flush, and looks, and the power goes. @param {string} change @param {string} look @returns {Promise<string[]>} */
async function crashAfter(change, look) {
  const writer = await cluster.connect('d');
  await writer.query('SET synchronous_commit = off');
  await writer.query(change);
  const seen = look ? await keys(look) : [];
  await cluster.kill9();
  await writer.end().catch(() => {});
  await cluster.start();
  return seen;
}

const rows = 'SELECT id::text AS doc_key FROM app.items';

test('without a look, the crash takes the commit back: the test can fail', async () => {
  // By chance somebody else's flush comes between: the worker's, the WAL writer's.
  let lost = false;
  for (let id = 90; id < 100 && !lost; id++) {
    await crashAfter(`INSERT INTO app.items VALUES (${id})`, '');
    lost = !(await keys(rows)).includes(String(id));
  }
  assert.ok(lost);
  cluster.psql('d', 'DELETE FROM app.items WHERE id >= 90');
  assert.deepEqual(await keys(rows), ['1', '2']);
});

for (const [what, look] of Object.entries({
  sync_snapshot: "SELECT doc_key FROM runtime.sync_snapshot('items')",
  sync_snapshot_json: "SELECT jsonb_array_elements(convert_from(runtime.sync_snapshot_json('items'), 'UTF8')::jsonb->'documents')->>'doc_key' AS doc_key",
})) {
  test(`${what}: a row that it gave is there after a crash, one that it did not give is not`, async () => {
    const id = what.length;
    assert.deepEqual(await crashAfter(`INSERT INTO app.items VALUES (${id})`, look), ['1', '2', String(id)].sort());
    assert.deepEqual(await keys(rows), ['1', '2', String(id)].sort());
    assert.deepEqual(await crashAfter(`DELETE FROM app.items WHERE id = ${id}`, look), ['1', '2']);
    assert.deepEqual(await keys(rows), ['1', '2']);
    assert.deepEqual(await keys(look), ['1', '2']);
  });
}

test('sync_document: the same of one document', async () => {
  assert.deepEqual(await crashAfter('INSERT INTO app.items VALUES (7)', "SELECT doc_key FROM runtime.sync_document('items', '7')"), ['7']);
  assert.deepEqual(await keys(rows), ['1', '2', '7']);
  assert.deepEqual(await crashAfter('DELETE FROM app.items WHERE id = 7', "SELECT doc_key FROM runtime.sync_document('items', '7')"), []);
  assert.deepEqual(await keys(rows), ['1', '2']);
});
