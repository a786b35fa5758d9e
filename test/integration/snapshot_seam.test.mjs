// The seam: a snapshot taken at any moment under writes, and the events behind its cursor, are the source tables,
// byte for byte. A run is made from one seed, which is printed: SEED=... repeats its choices, SECONDS=... its length.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, waitFor } from '../harness/index.mjs';
import { Random } from './oracle/random.mjs';
import { acrossTransactions, apply, atOneMoment, hydrate, replay } from './seam/reader.mjs';
import { differences, schema, topics, truth } from './seam/schema.mjs';
import { write } from './seam/writer.mjs';

const seed = process.env.SEED ?? String(Date.now());
const seconds = Number(process.env.SECONDS ?? 12);
const writers = 8;
const random = new Random(seed);
// Commits that wait for their flush, beside others that do not (synchronous_commit = off): higher watermarks are
// visible before lower ones all the time.
const cluster = await Cluster.create({ settings: { 'oa_sync.checkpoint_interval': 1, commit_delay: 4000, commit_siblings: 0 } });
await cluster.createDatabase('seam');
cluster.psql('seam', schema);
const client = await cluster.connect('seam');

/** @type {import('./seam/reader.mjs').Snapshot[]} */
const snapshots = [];

/** Takes snapshots until told to stop. @param {number} number @param {() => boolean} stopped */
async function read(number, stopped) {
  const own = random.fork(`reader ${number}`);
  const connection = await cluster.connect('seam');
  while (!stopped()) {
    if (number === 0) {
      for (const { snapshot, truth: then, beyond } of await atOneMoment(connection, topics, own)) {
        // The journal as a source gives the state at the cursor; what the moment shows beyond it is applied first.
        const state = snapshot.topic === 'seam.emitted' ? apply(snapshot.documents, beyond) : snapshot.documents;
        assert.deepEqual(differences(state, then), [], `seed ${seed}: ${snapshot.topic} at watermark ${snapshot.watermark}, at its own moment`);
        snapshots.push(snapshot);
      }
    } else {
      snapshots.push(await acrossTransactions(connection, own.pick(topics), own));
    }
  }
  await connection.end();
}

test(`snapshots under writes, seed ${seed}`, { timeout: 240_000 }, async (t) => {
  const end = Date.now() + seconds * 1000;
  const manyPages = () => snapshots.some((s) => s.form === 'pages of their own' && s.pages > 3);
  // Longer where the machine is slow, or stood still.
  const stopped = () => Date.now() > end && ((snapshots.length > 20 && manyPages()) || Date.now() > end + 120_000);
  const working = [];
  for (let i = 0; i < writers; i++) working.push(write(await cluster.connect('seam'), random.fork(`writer ${i}`), stopped));
  const results = await Promise.all([...working, ...[0, 1, 2].map((number) => read(number, stopped).then(() => undefined))]);
  const total = { committed: 0, failed: 0, rolledBack: 0 };
  for (const done of results) {
    for (const name of /** @type {(keyof typeof total)[]} */ (Object.keys(total))) total[name] += done?.[name] ?? 0;
  }
  t.diagnostic(`${JSON.stringify(total)}, ${snapshots.length} snapshots of ${snapshots.reduce((sum, s) => sum + s.pages, 0)} pages`);
  assert.ok(total.committed > 100 && snapshots.length > 20, 'there was something to see');
  assert.ok(manyPages(), 'snapshots of many pages');
});

/** Waits until a topic has no gap below what is allocated, then gives its events. @param {string} topic */
async function allEvents(topic) {
  await waitFor(async () => {
    const { rows: [row] } = await client.query('SELECT allocated FROM runtime.sync_topic_heads(ARRAY[$1])', [topic]);
    return (await replay(client, topic, 0)).length === row.allocated;
  }, { timeoutMs: 60_000, what: `${topic} is dense` });
  return replay(client, topic, 0);
}

test('every snapshot and the events behind its cursor are the tables at the end', { timeout: 240_000 }, async (t) => {
  let hydrated = 0;
  let overlap = 0;
  for (const topic of topics) {
    const events = await allEvents(topic);
    const expected = await truth(client, topic);
    for (const snapshot of snapshots.filter((s) => s.topic === topic)) {
      const behind = await replay(client, topic, snapshot.watermark);
      assert.deepEqual(behind.map((event) => event.watermark), events.slice(snapshot.watermark).map((event) => event.watermark));
      const state = apply(snapshot.documents, behind);
      hydrated += await hydrate(client, topic, state);
      assert.deepEqual(differences(state, expected), [], `seed ${seed}: ${topic} from watermark ${snapshot.watermark}, ${snapshot.form}`);
      overlap += behind.filter((event) => event.op === 'upsert' && snapshot.documents.get(event.doc_key)?.hash === event.hash).length;
    }
    for (const [key, payload] of expected) {
      const { rows: [found] } = await client.query('SELECT payload::text AS payload FROM runtime.sync_document($1, $2)', [topic, key]);
      assert.equal(found?.payload, payload, `${topic} ${key}`);
    }
  }
  t.diagnostic(`${hydrated} documents hydrated; ${overlap} events behind cursors were already in their snapshots`);
});

test('a cursor that is too high is found out', async () => {
  // By chance: what was skipped was often some document's last event.
  let found = 0;
  let tried = 0;
  for (const snapshot of snapshots) {
    const expected = await truth(client, snapshot.topic);
    const behind = await replay(client, snapshot.topic, snapshot.watermark);
    if (behind.length === 0) continue;
    const skipped = Math.ceil(behind.length / 2);
    const state = apply(snapshot.documents, behind.slice(skipped));
    for (const [key, document] of state) if (document.payload === null) state.set(key, { ...document, payload: expected.get(key) ?? null });
    tried++;
    if (differences(state, expected).length > 0) found++;
  }
  assert.ok(found > 0, `seed ${seed}: of ${tried} wrong cursors, none made a difference`);
  // For certain: one more write behind the cursor.
  const snapshot = await acrossTransactions(client, 'seam.fixed', random.fork('control'));
  await client.query("INSERT INTO app.fixed VALUES (md5('control')::uuid, 1.50)");
  const expected = await truth(client, 'seam.fixed');
  assert.deepEqual(differences(apply(snapshot.documents, await replay(client, 'seam.fixed', snapshot.watermark)), expected), []);
  assert.equal(differences(apply(snapshot.documents, await replay(client, 'seam.fixed', snapshot.watermark + 1)), expected).length, 1);
});

test('the end', async () => {
  await client.end();
  await cluster.destroy();
});
