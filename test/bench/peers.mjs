// Other ways to keep a log of row changes inside PostgreSQL, to compare with: PgQ, and outboxes in PL/pgSQL.

/** Names of tables in schema bench. @typedef {'pgq' | 'outbox' | 'outbox_statement'} Peer */

/** What the report calls them. */
export const peerNames = { pgq: 'PgQ `logutriga`', outbox: 'outbox, row trigger', outbox_statement: 'outbox, statement trigger' };

const outboxColumns = `(
  id bigserial PRIMARY KEY,
  topic text COLLATE "C" NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  op text NOT NULL,
  payload jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp())`;

// The usual outbox. Its numbers are drawn while rows are written, so they have holes and become visible out of order.
const outboxes = (/** @type {string} */ columns) => `
CREATE TABLE bench.outbox ${columns};
CREATE TABLE bench.outbox_log ${outboxColumns};
CREATE FUNCTION bench.outbox_capture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bench.outbox_log (topic, doc_key, op, payload)
    VALUES ('run:' || NEW.run_id || ':events', 'event:' || NEW.id, 'upsert', to_jsonb(NEW));
  RETURN NULL;
END $$;
CREATE TRIGGER capture AFTER INSERT ON bench.outbox FOR EACH ROW EXECUTE FUNCTION bench.outbox_capture();

CREATE TABLE bench.outbox_statement ${columns};
CREATE TABLE bench.outbox_statement_log ${outboxColumns};
CREATE FUNCTION bench.outbox_statement_capture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bench.outbox_statement_log (topic, doc_key, op, payload)
    SELECT 'run:' || n.run_id || ':events', 'event:' || n.id, 'upsert', to_jsonb(n) FROM added n;
  RETURN NULL;
END $$;
CREATE TRIGGER capture AFTER INSERT ON bench.outbox_statement REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION bench.outbox_statement_capture();
`;

// A queue of PgQ: C triggers, rows as URL-encoded text, read in batches that a ticker cuts.
const pgq = (/** @type {string} */ columns) => `
CREATE EXTENSION pgq;
SELECT pgq.create_queue('bench');
CREATE TABLE bench.pgq ${columns};
CREATE TRIGGER capture AFTER INSERT ON bench.pgq FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('bench');
`;

/**
 * Makes the tables of the peers; PgQ only where it is installed (Debian: postgresql-15-pgq3).
 * @param {import('../harness/index.mjs').Cluster} cluster @param {string} database
 * @param {string} columns those of every table of the benches
 * @returns {Peer[]}
 */
export function installPeers(cluster, database, columns) {
  cluster.psql(database, outboxes(columns));
  const known = cluster.psql(database, `SELECT count(*) FROM pg_available_extensions WHERE name = 'pgq'`).trim() !== '0';
  if (known) cluster.psql(database, pgq(columns));
  return [...(known ? /** @type {const} */ (['pgq']) : []), 'outbox', 'outbox_statement'];
}

/** Subqueries that give the oids of the tables which a way writes its events to. @type {Record<'sync' | Peer, string>} */
export const logTables = {
  sync: `SELECT inhrelid FROM pg_inherits WHERE inhparent = 'runtime.sync_stream_events'::regclass`,
  pgq: `SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('pgq') AND relkind = 'r' AND relname LIKE 'event\\_1%'`,
  outbox: `SELECT 'bench.outbox_log'::regclass::oid`,
  outbox_statement: `SELECT 'bench.outbox_statement_log'::regclass::oid`,
};
