// The way out of stale_cursor: a client that follows the snapshot_plan has the table's documents again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { 'http-requests-per-second': 0 } });
const { fanout } = stand;

/** What the table says: doc_key to version and body. @param {string} topic @returns {Promise<Record<string, string>>} */
async function tableOf(topic) {
  const rows = await stand.query(`SELECT id, version, body FROM app.items WHERE topic = $1 ORDER BY id`, [topic]);
  return Object.fromEntries(rows.map(({ id, version, body }) => [`item:${id}`, `${version} ${body}`]));
}

/**
 * Fetches every page of what the plan names, with something written between the first two.
 * @param {string} path @param {string} token @param {() => Promise<unknown>} between
 */
async function fetchSnapshot(path, token, between) {
  /** @type {any[]} */
  const documents = [];
  for (let page = '', pages = 0; ; pages++) {
    const response = await fanout.fetch(`${path}&limit=7${page && `&page_token=${encodeURIComponent(page)}`}`,
      { headers: { authorization: `Bearer ${token}` } });
    assert.equal(response.status, 200);
    const body = await response.json();
    documents.push(...body.documents);
    page = body.next_page_token;
    if (pages === 0) await between();
    if (!page) {
      assert.ok(pages >= 2, 'several pages');
      return { documents, watermark: body.watermark, epoch: body.epoch };
    }
  }
}

/** Something of everything. @param {string} topic @param {number} n */
async function write(topic, n) {
  await stand.query(`UPDATE app.items SET version = version + 1, body = 'changed ${n}' WHERE topic = $1 AND id % 3 = $2`, [topic, n % 3]);
  await stand.query(`DELETE FROM app.items WHERE topic = $1 AND id = $2`, [topic, n]);
  await stand.insert(topic, 1, { first: 100 + n, body: `new ${n}` });
}

for (const [reason, topic, makeStale] of /** @type {const} */ ([
  // As retention leaves it: events at and below the floor are gone.
  ['retention_floor_breach', 'plan:a/b', `WITH gone AS (DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= 25)
     INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor)
       SELECT $1, max(watermark) + 1, 25 FROM runtime.sync_stream_events WHERE topic = $1
       ON CONFLICT (topic) DO UPDATE SET floor = 25`],
  ['replay_budget_exceeded', 'plan.budget', `SELECT runtime.sync_set_policy($1, replay_budget => 20)`],
])) {
  test(`${reason}: fetched over HTTP page by page, resumed from its cursor, and nothing is missing`, async () => {
    await stand.insert(topic, 30);
    const client = stand.client({ topics: [topic], resumeAfter: { [topic]: 3 } });
    await stand.query(makeStale, [topic]);
    const { stale } = await client.connect();
    assert.deepEqual(stale.reason_codes, [reason]);
    const { snapshot } = stale.snapshot_plan.topics[0];
    assert.equal(snapshot.source, 'documents');

    const { documents, watermark, epoch } = await fetchSnapshot(snapshot.path, fanout.token([topic]), () => write(topic, 1));
    assert.equal(epoch, snapshot.epoch);
    /** @type {Map<string, any>} */
    const state = new Map(documents.map((document) => [document.doc_key, document]));
    client.onUpdate = (update) => {
      if (update.op === 'delete') state.delete(update.docKey);
      else state.set(update.docKey, update);
    };
    Object.assign(client.state(topic), { cursor: watermark, epoch });
    await client.subscribe([topic]);
    await write(topic, 2);
    await client.reach(topic, (await stand.journal(topic)).at(-1).watermark);
    const held = [...state].map(([key, { payload }]) => [key, `${Number(payload.version)} ${payload.body}`]);
    assert.deepEqual(Object.fromEntries(held), await tableOf(topic));
  });
}
