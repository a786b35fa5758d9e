// Snapshots on a standby: the same bytes, pages of one snapshot from both servers, and what a promotion does to tokens.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

const primary = await Cluster.create();
await primary.createDatabase('d');
primary.psql('d', `CREATE SCHEMA app; CREATE TABLE app.items (run int, id int, body text, PRIMARY KEY (run, id));
  CREATE FUNCTION app.payload(i app.items) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('b', i.body, 'a', i.id) $$;
  SELECT runtime.sync_publish('app.items', topic => 'run:{run}', doc_key => '{id}', payload => 'app.payload(*)');
  INSERT INTO app.items SELECT 1, i, 'x' FROM generate_series(1, 100) i;`);
const standby = await primary.backup({ standby: true });
after(async () => {
  await standby.destroy();
  await primary.destroy();
});

/** @param {Cluster} cluster @param {string} sql */
const ask = (cluster, sql) => cluster.psql('d', sql).trim();

async function caughtUp() {
  const lsn = ask(primary, 'SELECT pg_current_wal_flush_lsn()');
  await waitFor(() => ask(standby, `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`) === 't', { what: 'the standby has everything' });
}

const page = (/** @type {string} */ token) => `SELECT convert_from(runtime.sync_snapshot_json('run:1', 30, ${token}), 'UTF8');`;

test('a standby gives the same pages, and goes on with those of the primary', async () => {
  await caughtUp();
  let token = 'NULL';
  const keys = [];
  for (const server of [primary, standby, primary, standby]) {
    const here = ask(server, page(token));
    assert.equal(here, ask(server === primary ? standby : primary, page(token)));
    const { documents, next_page_token: next } = JSON.parse(here);
    keys.push(...documents.map((/** @type {{doc_key: string}} */ document) => Number(document.doc_key)));
    token = next === null ? 'NULL' : `'${next}'`;
  }
  assert.equal(token, 'NULL');
  assert.deepEqual(keys, Array.from({ length: 100 }, (_, i) => i + 1));
  assert.equal(ask(standby, "SELECT payload FROM runtime.sync_document('run:1', '7')"), '{"a":7,"b":"x"}');
});

test('a standby that is behind the first page refuses the second', async () => {
  ask(standby, 'SELECT pg_wal_replay_pause()');
  await waitFor(() => ask(standby, 'SELECT pg_get_wal_replay_pause_state()') === 'paused', { what: 'the standby is paused' });
  ask(primary, "UPDATE app.items SET body = 'y' WHERE id > 50");
  const { next_page_token: token } = JSON.parse(ask(primary, page('NULL')));
  assert.throws(() => ask(standby, page(`'${token}'`)), /the page token is newer than this transaction's snapshot/);
  ask(standby, 'SELECT pg_wal_replay_resume()');
  await caughtUp();
  assert.equal(JSON.parse(ask(standby, page(`'${token}'`))).documents.length, 30);
});

test('after a promotion, a token of the history before it is refused, and a new snapshot is of the new one', async () => {
  await caughtUp();
  const before = JSON.parse(ask(primary, page('NULL')));
  await primary.stop('immediate');
  await standby.promote();
  ask(standby, "INSERT INTO app.items VALUES (1, 200, 'z')");
  assert.throws(() => ask(standby, page(`'${before.next_page_token}'`)), /the page token is of another history of the database/);
  const now = JSON.parse(ask(standby, page('NULL')));
  assert.ok(now.epoch > before.epoch);
  assert.equal(now.watermark, before.watermark + 1);
});
