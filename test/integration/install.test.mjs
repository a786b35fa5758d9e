// Where the extension can not be installed it says why; and it goes on after a restart and a crash.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

/** @type {Cluster[]} */
const clusters = [];
after(async () => {
  for (const cluster of clusters) await cluster.destroy();
});

/** @param {Record<string, string | number | boolean>} settings */
async function clusterWith(settings) {
  const cluster = await Cluster.create({ settings });
  clusters.push(cluster);
  return cluster;
}

/**
 * The error of a statement.
 * @param {Cluster} cluster @param {string} sql
 * @returns {Promise<{code?: string, message?: string, hint?: string}>}
 */
async function errorOf(cluster, sql) {
  const client = await cluster.connect('postgres');
  try {
    await client.query(sql);
  } catch (error) {
    const { code, message, hint } = /** @type {{code?: string, message?: string, hint?: string}} */ (error);
    return { code, message, hint };
  } finally {
    await client.end();
  }
  return assert.fail(`no error: ${sql}`);
}

/** @param {Cluster} cluster @param {string} database @param {string} sql */
async function rowsOf(cluster, database, sql) {
  const client = await cluster.connect(database);
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

test('without shared_preload_libraries: a clear error with a hint, and nothing is left', async () => {
  const cluster = await clusterWith({ shared_preload_libraries: '' });
  const expected = {
    code: '55000',
    message: 'oa_sync has to be loaded when the server starts',
    hint: 'Add oa_sync to shared_preload_libraries in postgresql.conf and restart the server.',
  };
  assert.deepEqual(await errorOf(cluster, 'CREATE SCHEMA s; CREATE EXTENSION oa_sync SCHEMA s'), expected);
  assert.deepEqual(await errorOf(cluster, `LOAD 'oa_sync'`), expected);
  assert.deepEqual(await rowsOf(cluster, 'postgres', `SELECT count(*)::int FROM pg_class WHERE relname LIKE 'sync\\_%'`), [[0]]);
});

for (const level of ['replica', 'minimal']) {
  test(`with wal_level = ${level}: a clear error with a hint, and nothing is left`, async () => {
    const cluster = await clusterWith({ wal_level: level, ...(level === 'minimal' ? { max_wal_senders: 0 } : {}) });
    assert.deepEqual(await errorOf(cluster, 'CREATE EXTENSION oa_sync'), {
      code: '55000',
      message: 'oa_sync needs wal_level = logical',
      hint: 'Set wal_level = logical in postgresql.conf and restart the server.',
    });
    assert.deepEqual(await rowsOf(cluster, 'postgres', `SELECT count(*)::int FROM pg_namespace WHERE nspname = 'runtime'`), [[0]]);
  });
}

test('topics go on after a restart and after kill -9, in the same epoch', async () => {
  const cluster = await clusterWith({});
  await cluster.createDatabase('first');
  cluster.psql('first', `
    CREATE SCHEMA app;
    CREATE TABLE app.docs (id int PRIMARY KEY, body text);
    SELECT runtime.sync_publish('app.docs', topic => 'docs', doc_key => '{id}', skip_unchanged => true);
    INSERT INTO app.docs VALUES (1, 'a'), (2, 'b');`);
  const epoch = (await rowsOf(cluster, 'first', 'SELECT runtime.sync_current_epoch()'))[0]?.[0];
  const events = () => rowsOf(cluster, 'first', `SELECT watermark::int, doc_key, epoch, op FROM runtime.sync_replay('docs', 0)`);
  await cluster.restart();
  cluster.psql('first', `INSERT INTO app.docs VALUES (3, 'c')`);
  await cluster.kill9();
  await cluster.start();
  cluster.psql('first', `DELETE FROM app.docs WHERE id = 1`);
  const before = [[1, '1', epoch, 'upsert'], [2, '2', epoch, 'upsert'], [3, '3', epoch, 'upsert'], [4, '1', epoch, 'delete']];
  assert.deepEqual(await events(), before);
  await waitFor(async () => (await rowsOf(cluster, 'first', 'SELECT recovered FROM runtime.sync_stats'))[0]?.[0] === true,
    { what: 'the worker has recovered' });
  assert.deepEqual(await rowsOf(cluster, 'first', 'SELECT epoch, reason FROM runtime.sync_epochs'), [[epoch, 'installed']]);
});
