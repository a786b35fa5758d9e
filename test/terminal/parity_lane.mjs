// An earlier lane for tests of oa-sync parity: a real HTTP server over a map of documents, and shorthands around them.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { atExit } from '../harness/index.mjs';
import { run } from './program.mjs';

/** @typedef {import('node:http').ServerResponse} Response */
/** @typedef {{doc_version?: unknown, payload?: unknown, payload_hash?: string}} Document */

export class EarlierServer {
  /** By key. @type {Map<string, Document>} */
  documents = new Map();
  /** Answers instead, when it returns true. @type {(url: URL, response: Response) => boolean} */
  odd = () => false;
  /** What was asked. @type {URL[]} */
  asked = [];
  /** @type {(string | undefined)[]} */
  authorizations = [];
  token = '';
  lists = true;

  constructor() {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.server.unref();
    atExit(() => this.server.close());
  }

  async start() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get port() {
    return /** @type {import('node:net').AddressInfo} */ (this.server.address()).port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/parity/socket`;  // an ending that a WebSocket's URL would have means nothing here
  }

  /** @param {import('node:http').IncomingMessage} request @param {Response} response */
  #answer(request, response) {
    const url = new URL(request.url ?? '', 'http://earlier');
    this.asked.push(url);
    this.authorizations.push(request.headers.authorization);
    if (this.odd(url, response)) return;
    const send = (/** @type {number} */ status, /** @type {unknown} */ body) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname !== '/parity/socket') return send(404, {});
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) return send(401, { error: 'no' });
    const key = url.searchParams.get('doc_key');
    if (key === null) {
      return this.lists ? send(200, { documents: [...this.documents.keys()].map((doc_key) => ({ doc_key })) }) : send(400, {});
    }
    const document = this.documents.get(key);
    return document ? send(200, document) : send(404, { error: 'not found' });
  }
}

/**
 * What an audit came to, by `--json`. Answers may take longer than in operation: those of this process may have to wait for a
 * processor.
 * @param {string} database @param {string[]} args @param {{env?: Record<string, string>}} [options]
 */
export async function audit(database, args, options) {
  const patience = args.includes('--earlier-timeout') ? [] : ['--earlier-timeout', '30'];
  const ended = await run(['parity', 'audit', '--json', '--database', database, ...patience, ...args], options);
  /** @type {any[]} */
  const lanes = ended.stdout ? JSON.parse(ended.stdout).lanes : [];
  return { ...ended, lanes, lane: lanes[0] };
}

/** doc_key to `reason compared booked_to` of a lane's mismatches. @param {any} lane @returns {Record<string, string>} */
export const found = (lane) => Object.fromEntries(lane.mismatches.map((/** @type {any} */ one) =>
  [one.doc_key, `${one.reason} ${one.compared} ${one.booked_to}`]));
