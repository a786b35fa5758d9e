// A stand-in for the application's earlier lane: an HTTP API over the same tables, which clients ask again and again, and
// which the parity auditor asks too (docs/sync/PARITY.md, the adapter http). It makes documents by itself, by its own SQL
// and its own canonical JSON: nothing of OA Sync is asked. It can be told to lie.
import { createServer } from 'node:http';
import { canonicalJson, parseExact, sha256 } from '../harness/index.mjs';

/** What each topic's documents are made of. */
const sources = /** @type {const} */ ({
  'runtime.run_summaries': { table: 'app.runs', key: `'runtime/run_summary:' || run_id`, version: 'seq' },
  'runtime.codex_worker_summaries': { table: 'app.codex_workers', key: `'runtime/codex_worker_summary:' || worker_id`, version: 'latest_seq' },
});
/** @typedef {keyof typeof sources} Topic */
/** @typedef {{doc_key: string, doc_version: number, payload: string}} Row payload: canonical JSON */

export class EarlierApi {
  /** @type {import('node:http').Server | undefined} */
  #server;
  /** @type {Map<string, {at: number, rows: Promise<Row[]>}>} */
  #recent = new Map();
  /** The document that it lies about. @type {string | undefined} */
  liesAbout;
  asked = 0;
  port = 0;

  /** @param {import('pg').Pool} db @param {number} cacheMs how long an answer with all documents may be used again */
  constructor(db, cacheMs) {
    this.db = db;
    this.cacheMs = cacheMs;
  }

  async start() {
    this.#server = createServer((request, response) => {
      this.asked++;
      this.#answer(new URL(request.url ?? '/', 'http://earlier')).then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      }, (error) => response.writeHead(503).end(JSON.stringify({ error: String(error) })));
    });
    await new Promise((resolve) => this.#server?.listen(0, '127.0.0.1', () => resolve(undefined)));
    this.port = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
  }

  async stop() {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(undefined)));
  }

  /** @param {string} path */
  url(path) {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** @param {URL} url @returns {Promise<[number, string]>} */
  async #answer(url) {
    const topic = url.searchParams.get('topic') ?? '';
    if (!(topic in sources)) return [404, '{"error":"no such topic"}'];
    const key = url.searchParams.get('doc_key');
    if (key !== null) {
      const [row] = await this.#read(/** @type {Topic} */ (topic), key);
      return row ? [200, this.#text(row)] : [404, '{"error":"no such document"}'];
    }
    const limit = Number(url.searchParams.get('limit') ?? Infinity);
    const rows = (await this.#all(/** @type {Topic} */ (topic))).slice(0, limit);
    return [200, `{"documents":[${rows.map((row) => this.#text(row)).join(',')}]}`];
  }

  /** Many who ask at once are given one answer. @param {Topic} topic */
  #all(topic) {
    const recent = this.#recent.get(topic);
    if (recent && Date.now() - recent.at < this.cacheMs) return recent.rows;
    const rows = this.#read(topic);
    this.#recent.set(topic, { at: Date.now(), rows });
    rows.catch(() => this.#recent.delete(topic));
    return rows;
  }

  /** @param {Topic} topic @param {string} [key] @returns {Promise<Row[]>} */
  async #read(topic, key) {
    const source = sources[topic];
    const { rows } = await this.db.query(`SELECT * FROM (SELECT ${source.key} AS doc_key, ${source.version} AS doc_version, row_to_json(t)::text AS payload
      FROM ${source.table} t) d ${key === undefined ? 'ORDER BY doc_key' : 'WHERE doc_key = $1'}`, key === undefined ? [] : [key]);
    return rows.map((row) => ({ ...row, payload: canonicalJson(parseExact(row.payload)) }));
  }

  /** @param {Row} row */
  #text({ doc_key, doc_version, payload }) {
    const told = doc_key === this.liesAbout ? payload.replace(/"status":"\w+"/, '"status":"succeeded"') : payload;
    return `{"doc_key":${JSON.stringify(doc_key)},"doc_version":${doc_version},"payload_hash":"${sha256(told)}","payload":${told}}`;
  }
}
