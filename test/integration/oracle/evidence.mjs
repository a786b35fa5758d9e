// Everything that is checked in the end, read from the database once writing has stopped.
import { tables } from './schema.mjs';

/**
 * A row of the journal.
 * @typedef {object} Entry
 * @property {string} topic
 * @property {number} watermark
 * @property {number} epoch
 * @property {string} key
 * @property {number} version
 * @property {'upsert' | 'delete' | 'truncate' | 'void'} op
 * @property {string | null} payload
 * @property {string} hash hex
 * @property {string} txid
 */
/** A row of a source table as the document that it has to be. `version` null: the event's watermark. */
/** @typedef {{topic: string, key: string, version: number | null, json: string}} SourceDocument */
/**
 * @typedef {object} Evidence
 * @property {Entry[]} journal by topic and watermark; without the topics that the fan-outs keep for themselves
 * @property {SourceDocument[]} documents
 * @property {{topic: string, head: number, floor: number, in_flight: number}[]} heads
 * @property {string[]} misplaced what the database itself finds wrong with the journal's partitions
 */

/** @param {import('pg').Client} client @param {string} except @returns {Promise<Entry[]>} */
async function readJournal(client, except) {
  const { rows } = await client.query(`SELECT topic, watermark, epoch, doc_key AS key, doc_version AS version, op,
      payload::text AS payload, encode(payload_hash, 'hex') AS hash, txid::text AS txid
    FROM runtime.sync_stream_events WHERE topic NOT LIKE 'oa_sync.%' AND topic NOT LIKE $1
    ORDER BY topic, watermark`, [except]);
  return rows;
}

/** @param {import('pg').Client} client @returns {Promise<SourceDocument[]>} */
async function readDocuments(client) {
  const documents = [];
  for (const { table, topic, key, version } of tables) {
    const { rows } = await client.query(`SELECT t.*, row_to_json(t)::text AS the_json FROM oracle.${table} t`);
    for (const row of rows) {
      documents.push({ topic: topic(row), key: key(row), version: version === null ? null : Number(row[version]),
        json: row.the_json });
    }
  }
  return documents;
}

/**
 * Rows that lie in a partition whose bounds they do not fit.
 * @param {import('pg').Client} client @returns {Promise<string[]>}
 */
async function readMisplaced(client) {
  const { rows: partitions } = await client.query(`SELECT c.oid::regclass::text AS name,
      pg_get_partition_constraintdef(c.oid) AS bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'runtime.sync_stream_events'::regclass`);
  const found = [];
  for (const { name, bounds } of partitions) {
    if (bounds === null) continue;
    const { rows: [row] } = await client.query(`SELECT count(*) AS n FROM ${name} WHERE NOT (${bounds})`);
    if (row.n > 0) found.push(`${row.n} rows of ${name} do not fit its bounds`);
  }
  return found;
}

/**
 * @param {import('pg').Client} client
 * @param {string} [except] pattern of topics that are not the oracle's
 * @returns {Promise<Evidence>}
 */
export async function readEvidence(client, except = '') {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const evidence = {
    journal: await readJournal(client, except),
    documents: await readDocuments(client),
    heads: (await client.query('SELECT topic, head, floor, in_flight FROM runtime.sync_topics WHERE topic NOT LIKE $$oa_sync.%$$ AND topic NOT LIKE $1', [except])).rows,
    misplaced: await readMisplaced(client),
  };
  await client.query('COMMIT');
  return evidence;
}
