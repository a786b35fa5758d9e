// The journal's first partition is made whoever has the default one open: writers who never leave it free, and a reader.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';
import { holdLauncher } from './launcher.mjs';

const cluster = await Cluster.create();
after(() => cluster.destroy());

const held = 'SELECT FROM runtime.sync_journal_partitions WHERE lower <= clock_timestamp() AND upper > clock_timestamp()';
/** @param {string} mode */
const lock = (mode) => `LOCK TABLE ONLY runtime.sync_stream_events_default IN ${mode} MODE`;
const queues = `SELECT FROM pg_locks WHERE relation = 'runtime.sync_stream_events_default'::regclass
  AND mode = 'AccessExclusiveLock' AND NOT granted`;

test('writers who hold the default partition in turns let it be locked', async () => {
  const admin = await cluster.connect('postgres');
  const letGo = await holdLauncher(admin);  // the worker is not to be first
  await cluster.createDatabase('busy');
  const [a, b, owner] = await Promise.all([cluster.connect('busy'), cluster.connect('busy'), cluster.connect('busy')]);
  let isOver = false;
  // One begins before the other has ended, as a transaction's append does: at no moment does nobody hold it. Who waits holds up the
  // one that begins, not the one that ends.
  const write = async () => {
    let [holds, next] = [a, b];
    await holds.query(`BEGIN; ${lock('ROW EXCLUSIVE')}`);
    while (!isOver) {
      const begun = next.query(`BEGIN; ${lock('ROW EXCLUSIVE')}`);
      await Promise.race([begun, new Promise((resolve) => setTimeout(resolve, 5))]);
      await holds.query('COMMIT');
      await begun;
      [holds, next] = [next, holds];
    }
    await holds.query('COMMIT');
  };
  const writing = write();
  try {
    await waitFor(async () => (await owner.query('SELECT runtime.sync_maintain_partitions() AS made')).rows[0].made > 0,
      { timeoutMs: 60_000, what: 'partitions are made' });
    assert.equal((await owner.query(held)).rowCount, 1);
    assert.equal((await owner.query('SHOW lock_timeout')).rows[0].lock_timeout, '0', 'the session\'s settings stay');
  } finally {
    isOver = true;
    letGo();
    await writing;
  }
  await Promise.all([admin, a, b, owner].map((client) => client.end()));
});

test('behind a reader the worker gives up, and comes again soon', async () => {
  await cluster.createDatabase('read');
  const [reader, owner] = await Promise.all([cluster.connect('read'), cluster.connect('read')]);
  await reader.query(`BEGIN; ${lock('ACCESS SHARE')}`);
  await owner.query(`SELECT runtime.sync_emit('t', 'k', 1, '{}')`);
  // Seen twice with a moment in which it did not queue between: it gave up once, and tried again.
  await waitFor(async () => (await owner.query(queues)).rowCount === 1, { timeoutMs: 60_000, everyMs: 5, what: 'the worker queues' });
  await waitFor(async () => (await owner.query(queues)).rowCount === 0, { everyMs: 5, what: 'it has given up' });
  assert.equal((await owner.query(held)).rowCount, 0);
  await reader.query('COMMIT');
  // Within a minute it would come anyway.
  await waitFor(async () => (await owner.query('SELECT FROM runtime.sync_journal_partitions WHERE lower IS NOT NULL LIMIT 1')).rowCount === 1,
    { timeoutMs: 30_000, what: 'the worker has made partitions' });
  await Promise.all([reader, owner].map((client) => client.end()));
});
