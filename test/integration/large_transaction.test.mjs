// One large transaction at COMMIT: how far it is can be seen, its memory stays within a few work_mem, other topics go on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, pause } from '../harness/index.mjs';

const rows = 600_000;
const workMemKb = 1024;
const cluster = await Cluster.create({ settings: { work_mem: `${workMemKb}kB` } });
after(() => cluster.destroy());

test('the append of a large transaction', { timeout: 240_000 }, async () => {
  await cluster.createDatabase('test');
  cluster.psql('test', `CREATE TABLE items (topic text, id int, body text);
    SELECT runtime.sync_publish('items', topic => '{topic}', doc_key => '{id}', payload => 'body');`);
  const [large, watch, other] = await Promise.all([1, 2, 3].map(() => cluster.connect('test')));
  if (!large || !watch || !other) throw new Error('no connection');
  const pid = (await large.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  let ended = false;
  const transaction = (async () => {
    await large.query('BEGIN');
    await large.query(`INSERT INTO items SELECT 'large', i, repeat('x', 40) FROM generate_series(1, ${rows}) i`);
    await large.query('COMMIT');
    ended = true;
  })();

  /** @type {{phase: string, events_total: number, events_appended: number, spilled_bytes: number}[]} */
  const seen = [];
  let whileAppending = 0;
  for (let id = 1; !ended; id++) {
    const row = (await watch.query('SELECT * FROM runtime.sync_progress_append WHERE pid = $1', [pid])).rows[0];
    if (row) seen.push(row);
    if (row?.phase === 'append') {
      // It is logged at the next batch, in the middle of the append.
      await watch.query('SELECT pg_log_backend_memory_contexts($1)', [pid]);
      await other.query(`INSERT INTO items VALUES ('other', $1)`, [id]);
      const head = (await other.query(`SELECT head FROM runtime.sync_topic_heads('{other}')`)).rows[0].head;
      if (!ended) whileAppending = head;
    }
    await pause(10);
  }
  await transaction;

  const appended = seen.filter((row) => row.phase === 'append').map((row) => row.events_appended);
  assert.ok(seen.some((row) => row.phase === 'capture' && row.events_total > 0 && row.events_total < rows), 'seen while it captures');
  assert.ok(new Set(appended).size >= 3, `seen while it appends: ${appended}`);
  assert.deepEqual(appended, [...appended].sort((a, b) => a - b), 'the number grows');
  for (const row of seen.filter((r) => r.phase !== 'capture')) assert.equal(row.events_total, rows);
  assert.ok(whileAppending >= 3, `events of another topic while it appends: ${whileAppending}`);
  assert.equal((await watch.query('SELECT count(*) AS n FROM runtime.sync_progress_append')).rows[0].n, 0);
  assert.equal((await watch.query(`SELECT head FROM runtime.sync_topic_heads('{large}')`)).rows[0].head, rows);

  // level: 1; oa_sync commit: 8192 total in 1 blocks; …
  const contexts = [...readFileSync(cluster.logFile, 'utf8').matchAll(/level: \d+; (oa_sync [^:]+): (\d+) total/g)]
    .map(([, name = '', bytes]) => ({ name, kb: Number(bytes) / 1024 }));
  assert.ok(contexts.some(({ name }) => name === 'oa_sync event log'), 'memory was logged');
  const tooLarge = contexts.filter(({ kb }) => kb > 2 * workMemKb);
  assert.deepEqual(tooLarge, [], 'every context of ours stays under twice work_mem');
  await Promise.all([large.end(), watch.end(), other.end()]);
});
