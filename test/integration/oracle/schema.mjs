// The tables that the oracle's writers write to, and their publications: hot and cold topics, fixed and templated,
// two tables on one topic, a partitioned table, a cascade.

export const runs = 12;
export const counters = 4;
export const places = 5;
export const parents = 8;

/** Every transaction writes one row of it, so that a transaction in the journal can be told from its label. */
export const ledgerTopic = 'oracle.ledger';
export const counterTopic = 'oracle.counters';
export const sharedTopic = 'oracle.shared';

/** @param {number} run */
export const itemTopic = (run) => `run:${run}:items`;
/** @param {number} place */
export const scratchTopic = (place) => `scratch:${place}`;
/** @param {number} parent */
export const childTopic = (parent) => `parent:${parent}:children`;
/** @param {string} part */
export const measureTopic = (part) => `oracle.measures:${part}`;
export const measureParts = ['a', 'b'];

const range = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => i + 1);

/** Every topic of the workload. */
export const topics = [
  ledgerTopic, counterTopic, sharedTopic, ...range(runs).map(itemTopic), ...range(places).map(scratchTopic),
  ...range(parents).map(childTopic), ...measureParts.map(measureTopic), 'oracle.parents',
];

export const script = `
CREATE SCHEMA oracle;
CREATE TABLE oracle.ledger (label text PRIMARY KEY, txid text NOT NULL);
CREATE TABLE oracle.counters (id int PRIMARY KEY, n bigint NOT NULL, label text NOT NULL);
CREATE TABLE oracle.items (run int, id int, version bigint NOT NULL, label text NOT NULL, amount numeric, body text,
  extra jsonb, PRIMARY KEY (run, id));
CREATE TABLE oracle.notes (id int PRIMARY KEY, version int NOT NULL, label text NOT NULL);
CREATE TABLE oracle.marks (id int PRIMARY KEY, version int NOT NULL, label text NOT NULL);
CREATE TABLE oracle.scratch (place int, id int, version bigint NOT NULL, label text NOT NULL, PRIMARY KEY (place, id));
CREATE TABLE oracle.parents (id int PRIMARY KEY, version bigint NOT NULL, label text NOT NULL);
CREATE TABLE oracle.children (parent int REFERENCES oracle.parents ON DELETE CASCADE, id int, version bigint NOT NULL,
  label text NOT NULL, PRIMARY KEY (parent, id));
CREATE TABLE oracle.measures (part text, id int, version bigint NOT NULL, label text NOT NULL, PRIMARY KEY (part, id))
  PARTITION BY LIST (part);
CREATE TABLE oracle.measures_a PARTITION OF oracle.measures FOR VALUES IN ('a');
CREATE TABLE oracle.measures_b PARTITION OF oracle.measures FOR VALUES IN ('b');

SELECT runtime.sync_publish('oracle.ledger', '${ledgerTopic}', 'tx:{label}');
SELECT runtime.sync_publish('oracle.counters', '${counterTopic}', 'counter:{id}', 'n');
SELECT runtime.sync_publish('oracle.items', 'run:{run}:items', 'item:{id}', 'version');
SELECT runtime.sync_publish('oracle.notes', '${sharedTopic}', 'note:{id}', 'version');
SELECT runtime.sync_publish('oracle.marks', '${sharedTopic}', 'mark:{id}', 'version');
SELECT runtime.sync_publish('oracle.scratch', 'scratch:{place}', 'scratch:{id}', 'version');
SELECT runtime.sync_publish('oracle.parents', 'oracle.parents', 'parent:{id}', 'version');
SELECT runtime.sync_publish('oracle.children', 'parent:{parent}:children', 'child:{id}', 'version');
SELECT runtime.sync_publish('oracle.measures', 'oracle.measures:{part}', 'measure:{id}', 'version');
`;

/**
 * The tables as documents: what topic and key a row has. `version` names the column, null is the watermark.
 * @type {{table: string, topic: (row: any) => string, key: (row: any) => string, version: string | null}[]}
 */
export const tables = [
  { table: 'ledger', topic: () => ledgerTopic, key: (r) => `tx:${r.label}`, version: null },
  { table: 'counters', topic: () => counterTopic, key: (r) => `counter:${r.id}`, version: 'n' },
  { table: 'items', topic: (r) => itemTopic(r.run), key: (r) => `item:${r.id}`, version: 'version' },
  { table: 'notes', topic: () => sharedTopic, key: (r) => `note:${r.id}`, version: 'version' },
  { table: 'marks', topic: () => sharedTopic, key: (r) => `mark:${r.id}`, version: 'version' },
  { table: 'scratch', topic: (r) => scratchTopic(r.place), key: (r) => `scratch:${r.id}`, version: 'version' },
  { table: 'parents', topic: () => 'oracle.parents', key: (r) => `parent:${r.id}`, version: 'version' },
  { table: 'children', topic: (r) => childTopic(r.parent), key: (r) => `child:${r.id}`, version: 'version' },
  { table: 'measures', topic: (r) => measureTopic(r.part), key: (r) => `measure:${r.id}`, version: 'version' },
];
