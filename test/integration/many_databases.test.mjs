// Databases without the extension take no place in shared memory; what a database is set to does not stop its worker.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';

/** @type {Cluster | undefined} */
let cluster;
after(async () => cluster?.destroy());

test('more databases than places: two have the extension, a third is refused before it is committed', async () => {
  cluster = await Cluster.create({ settings: { 'oa_sync.max_databases': 2 } });
  const { psql } = { psql: cluster.psql.bind(cluster) };
  for (const name of ['plain_a', 'plain_b', 'plain_c', 'one', 'two', 'three']) psql('postgres', `CREATE DATABASE ${name};`);
  for (const name of ['one', 'two']) {
    psql('postgres', `ALTER DATABASE ${name} SET default_transaction_read_only = on;
      ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable';`);
    psql(name, 'SET default_transaction_read_only = off; CREATE EXTENSION oa_sync;');
  }
  const client = await cluster.connect('three');
  await assert.rejects(client.query('CREATE EXTENSION oa_sync'), { code: '53400' });
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
  for (const name of ['one', 'two']) {
    await waitFor(() => psql(name, 'SELECT worker_pid IS NOT NULL FROM runtime.sync_stats;').trim() === 't',
      { what: `the worker of ${name} runs` });
    psql(name, `SET default_transaction_read_only = off; SELECT runtime.sync_emit('first', 'k', 1, '1');`);
    await waitFor(() => psql(name, 'SELECT count(*) > 1 FROM runtime.sync_journal_partitions;').trim() === 't',
      { what: `the worker of ${name} makes partitions` });
  }
  cluster.assertNoCrash();
});
