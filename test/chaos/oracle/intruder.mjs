// A client that tries to write. Invariant 8: nothing that comes over a WebSocket changes a table.
import { RawSocket, pause } from '../../harness/index.mjs';
import { reader } from './stand.mjs';

const attempts = [
  ['sync:update_batch', { updates: [{ topic: 'oracle.counters', doc_key: 'counter:1', doc_version: 1_000_000, op: 'upsert', payload: {} }] }],
  ['sync:emit', { topic: 'oracle.ledger', doc_key: 'tx:intruder', payload: 1 }],
  ['sync:publish', { table: 'oracle.ledger' }],
  ['sync:subscribe', { topics: [`oracle.ledger'; DELETE FROM oracle.ledger; --`] }],
  ['sync:subscribe', { topics: ['oracle.ledger'], resume_after: [{ topic: 'oracle.ledger', watermark: `0; DROP TABLE oracle.ledger` }] }],
];

export class Intruder {
  refused = 0;
  /** @type {string[]} */
  problems = [];
  #stopping = false;
  #running = Promise.resolve();

  /** @param {import('./stand.mjs').Stand} stand @param {import('../../integration/oracle/random.mjs').Random} random */
  constructor(stand, random) {
    this.stand = stand;
    this.random = random;
  }

  start() {
    this.#running = (async () => {
      while (!this.#stopping) {
        await this.#visit().catch(() => {});  // The server is away.
        await pause(500);
      }
    })();
  }

  async #visit() {
    const fanout = this.random.pick(this.stand.fanouts);
    const socket = await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`);
    // What is asked of a server that is gone is not waited for.
    const gone = new Promise((resolve) => socket.ws.once('close', resolve));
    const talk = (async () => {
      await socket.join();
      for (const [event, payload] of attempts) {
        const answer = await socket.ask('sync:v1', String(event), payload);
        if (answer.status === 'error') this.refused++;
        else this.problems.push(`${event} ${JSON.stringify(payload)} was answered ${JSON.stringify(answer)}`);
      }
    })();
    try {
      await Promise.race([talk, gone]);
    } finally {
      talk.catch(() => {});
      socket.end();
    }
  }

  async stop() {
    this.#stopping = true;
    await this.#running;
  }
}

/**
 * Every row of the ledger is of a writer's transaction, and the role of the fan-outs may write to no table of an application.
 * @param {import('pg').Client} client
 * @param {import('../../integration/oracle/evidence.mjs').Evidence} evidence
 * @param {import('../../integration/oracle/transaction.mjs').Transaction[]} transactions
 * @returns {Promise<string[]>}
 */
export async function checkReadPath(client, { documents }, transactions) {
  const labels = new Set(transactions.map(({ label }) => `tx:${label}`));
  const foreign = documents.filter(({ topic, key }) => topic === 'oracle.ledger' && !labels.has(key));
  const { rows } = await client.query(`SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('oracle', 'chaos') AND c.relkind IN ('r', 'p') AND has_table_privilege($1, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')`, [reader]);
  return [...foreign.map(({ key }) => `${key} is in the ledger, and nobody wrote it`), ...rows.map(({ name }) => `${reader} may write to ${name}`)];
}
