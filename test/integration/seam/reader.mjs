// A client of the seam test: takes snapshots, and follows the events behind their cursors by the rules of a client.
import { canonicalJson, parseExact } from '../../harness/index.mjs';
import { tables, truth } from './schema.mjs';

/**
 * @typedef {{version: number, payload: string | null, hash: string}} Doc
 * @typedef {{topic: string, epoch: number, watermark: number, documents: Map<string, Doc>, pages: number, form: string}} Snapshot
 * @typedef {import('../oracle/random.mjs').Random} Random
 */

const retried = new Set(['40001', '40P01', '55P03']);

/** @typedef {{epoch: number, watermark: number, token: string | null, documents: (Doc & {key: string})[]}} Page */

/** Reads all pages of a topic, of random sizes. @param {import('pg').Client} client @param {string} topic @param {Random} random @returns {Promise<Snapshot>} */
async function readPages(client, topic, random) {
  /** @type {Snapshot | undefined} */
  let snapshot;
  for (let token = /** @type {string | null} */ (null), last = false; !last;) {
    const limit = random.integer(1, 12);
    const bytes = random.chance(0.3) ? random.integer(1, 2000) : 1_000_000;
    const page = random.chance(0.3) ? await jsonPage(client, topic, limit, token, bytes) : await rowsPage(client, topic, limit, token, bytes);
    snapshot ??= { topic, epoch: page.epoch, watermark: page.watermark, documents: new Map(), pages: 0, form: '' };
    if (page.epoch !== snapshot.epoch || page.watermark !== snapshot.watermark) throw new Error('the cursor changed between pages');
    if (page.documents.length > limit) throw new Error('a page is too large');
    snapshot.pages++;
    for (const { key, ...doc } of page.documents) snapshot.documents.set(key, doc);
    token = page.token;
    last = token === null;
  }
  return /** @type {Snapshot} */ (snapshot);
}

/** @param {import('pg').Client} client @param {string} topic @param {number} limit @param {string | null} token @param {number} bytes @returns {Promise<Page>} */
async function rowsPage(client, topic, limit, token, bytes) {
  const { rows } = await client.query(`SELECT doc_key, doc_version, payload::text, encode(payload_hash, 'hex') AS hash, epoch, watermark, next_page_token
    FROM runtime.sync_snapshot($1, $2, $3, $4)`, [topic, limit, token, bytes]);
  return { epoch: rows[0].epoch, watermark: rows[0].watermark, token: rows[0].next_page_token,
    documents: rows.filter((row) => row.doc_key !== null).map((row) => ({ key: row.doc_key, version: row.doc_version, payload: row.payload, hash: row.hash })) };
}

/** @param {import('pg').Client} client @param {string} topic @param {number} limit @param {string | null} token @param {number} bytes @returns {Promise<Page>} */
async function jsonPage(client, topic, limit, token, bytes) {
  const { rows: [row] } = await client.query('SELECT runtime.sync_snapshot_json($1, $2, $3, $4) AS body', [topic, limit, token, bytes]);
  const text = row.body.toString('utf8');
  const exact = /** @type {Map<string, any>} */ (parseExact(text));
  if (canonicalJson(exact) !== text) throw new Error(`not canonical: ${text}`);
  const page = JSON.parse(text);
  return { epoch: page.epoch, watermark: page.watermark, token: page.next_page_token,
    documents: exact.get('documents').map((/** @type {Map<string, any>} */ doc) => ({ key: doc.get('doc_key'), version: Number(doc.get('doc_version').text),
      payload: canonicalJson(doc.get('payload')), hash: Buffer.from(doc.get('payload_hash'), 'base64').toString('hex') })) };
}

/**
 * Snapshots of all topics, all of one moment, with what the tables and the journal had at that moment.
 * @param {import('pg').Client} client @param {string[]} topics @param {Random} random
 */
export async function atOneMoment(client, topics, random) {
  for (;;) {
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      // TRUNCATE empties a table for older snapshots too; with the locks first, there is none in between.
      await client.query(`LOCK TABLE ${tables.join(', ')} IN ACCESS SHARE MODE`);
      const taken = [];
      for (const topic of topics) {
        const snapshot = { ...await readPages(client, topic, random), form: 'one transaction' };
        const { rows } = await client.query(eventsQuery + ' ORDER BY watermark', [topic, snapshot.watermark]);
        taken.push({ snapshot, truth: await truth(client, topic), beyond: rows });
      }
      await client.query('COMMIT');
      return taken;
    } catch (error) {
      await client.query('ROLLBACK');
      if (!retried.has(/** @type {{code: string}} */ (error).code)) throw error;
    }
  }
}

/** A snapshot whose pages are of transactions of their own. @param {import('pg').Client} client @param {string} topic @param {Random} random @returns {Promise<Snapshot>} */
export async function acrossTransactions(client, topic, random) {
  for (;;) {
    try {
      return { ...await readPages(client, topic, random), form: 'pages of their own' };
    } catch (error) {
      if (!retried.has(/** @type {{code: string}} */ (error).code)) throw error;
    }
  }
}

const columns = "watermark, op, doc_key, doc_version, payload::text AS payload, encode(payload_hash, 'hex') AS hash";
const eventsQuery = `SELECT ${columns} FROM runtime.sync_stream_events WHERE topic = $1 AND watermark > $2`;

/** What sync_replay() gives behind a cursor. @param {import('pg').Client} client @param {string} topic @param {number} after */
export async function replay(client, topic, after) {
  const { rows } = await client.query(`SELECT ${columns} FROM runtime.sync_replay($1, $2, 10000000, 1000000000000)`, [topic, after]);
  return rows;
}

/** Applies events as a client does. @param {Map<string, Doc>} documents @param {any[]} events */
export function apply(documents, events) {
  const state = new Map(documents);
  for (const event of events) {
    const held = state.get(event.doc_key);
    if (event.op === 'truncate') {
      for (const key of state.keys()) if (key.startsWith(event.doc_key)) state.delete(key);
    } else if (event.op === 'void' || (held && event.doc_version < held.version)) {
      continue;
    } else if (event.op === 'delete') {
      state.delete(event.doc_key);
    } else {
      state.set(event.doc_key, { version: event.doc_version, payload: event.payload, hash: event.hash });
    }
  }
  return state;
}

/** Fetches what came as a pointer. @param {import('pg').Client} client @param {string} topic @param {Map<string, Doc>} documents */
export async function hydrate(client, topic, documents) {
  let hydrated = 0;
  for (const [key, document] of documents) {
    if (document.payload !== null) continue;
    const { rows: [found] } = await client.query("SELECT payload::text, encode(payload_hash, 'hex') AS hash FROM runtime.sync_document($1, $2)", [topic, key]);
    if (!found || found.hash !== document.hash) throw new Error(`${topic} ${key} can not be hydrated`);
    documents.set(key, { ...document, payload: found.payload });
    hydrated++;
  }
  return hydrated;
}
