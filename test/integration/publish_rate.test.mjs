// Publish rates under many sessions: together they get what the rate allows, no more, and what comes back of it too, and
// what failed is nowhere.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster } from '../harness/index.mjs';

const cluster = await Cluster.create({ settings: { 'oa_sync.max_rate_limited_topics': 64 } });
after(() => cluster.destroy());
await cluster.createDatabase('test');
cluster.psql('test', `CREATE TABLE items (topic text, id bigint GENERATED ALWAYS AS IDENTITY);
  SELECT runtime.sync_publish('items', topic => '{topic}', doc_key => '{id}');`);

/**
 * Sessions that insert one row after the other until it is enough; how many rows there are, and how many were refused.
 * @param {number} sessions @param {string} topic @param {(done: {written: number, refused: number}) => boolean} enough
 */
async function hammer(sessions, topic, enough) {
  let written = 0;
  let refused = 0;
  const until = performance.now() + 40_000;
  await Promise.all(Array.from({ length: sessions }, async () => {
    const client = await cluster.connect('test');
    while (!enough({ written, refused }) && performance.now() < until) {
      try {
        await client.query('INSERT INTO items (topic) VALUES ($1)', [topic]);
        written++;
      } catch (error) {
        assert.equal(/** @type {any} */ (error).code, '53400');
        refused++;
      }
    }
    await client.end();
  }));
  return { written, refused };
}

test('eight sessions share one rate', { timeout: 120_000 }, async () => {
  cluster.psql('test', `SELECT runtime.sync_set_policy('rated', publish_rate => 50);`);
  const start = performance.now();
  // Three times what can come at once: tokens that come back are taken.
  const { written, refused } = await hammer(8, 'rated', (done) => done.written >= 150 && done.refused > 0);
  const seconds = (performance.now() - start) / 1000;
  assert.ok(refused > 0, 'faster than the rate');
  assert.ok(written <= 50 * (seconds + 1) + 1, `${written} in ${seconds} s`);
  assert.ok(written >= 150, `${written} in ${seconds} s`);
  const db = cluster.pool('test');
  const { head } = (await db.query(`SELECT head FROM runtime.sync_topic_heads('{rated}')`)).rows[0];
  assert.equal(head, written, 'as many events');
  assert.equal((await db.query(`SELECT count(*) AS n FROM items WHERE topic = 'rated'`)).rows[0].n, written, 'as many rows');
});

test('more topics than there are buckets: none is refused that is within its rate', { timeout: 60_000 }, async () => {
  cluster.psql('test', `SELECT runtime.sync_set_policy('many:*', publish_rate => 2);`);
  const db = cluster.pool('test');
  // Each topic writes its burst; forgetting a bucket can only allow more.
  await db.query(`INSERT INTO items (topic) SELECT 'many:' || i FROM generate_series(1, 2000) i, generate_series(1, 2)`);
  const { n } = (await db.query(`SELECT count(*) AS n FROM runtime.sync_topics WHERE topic LIKE 'many:%' AND head = 2`)).rows[0];
  assert.equal(n, 2000);
});

test('a policy that is set while sessions write is in force for them', { timeout: 120_000 }, async () => {
  const start = performance.now();
  let before = Infinity;
  const writing = hammer(4, 'turned', (done) => done.refused >= 40 && before < Infinity);
  const db = cluster.pool('test');
  await db.query(`SELECT runtime.sync_set_policy('turned', publish_rate => 1)`);
  before = (await db.query(`SELECT head FROM runtime.sync_topic_heads('{turned}')`)).rows[0].head;
  const { refused } = await writing;
  const { head } = (await db.query(`SELECT head FROM runtime.sync_topic_heads('{turned}')`)).rows[0];
  assert.ok(refused > 0);
  // Those that were at it when the policy was committed, a burst, and one a second from then on.
  assert.ok(head - before <= 4 + 1 + Math.ceil((performance.now() - start) / 1000), `${head} - ${before}`);
});
