// The tables of the seam test, what they publish, and what their documents have to be, told by plain SQL.
import { canonicalJson, parseExact, sha256 } from '../../harness/index.mjs';

/** Groups are topics `seam:1` to `seam:5`; the last is in pointer mode. */
export const groups = [1, 2, 3, 4, 5];
export const pointerGroup = 5;
export const topics = [...groups.map((group) => `seam:${group}`), 'seam.fixed', 'seam.emitted'];
export const tables = ['app.runs', 'app.notes', 'app.parts', 'app.loose', 'app.fixed', 'app.emitted'];

export const schema = `
CREATE SCHEMA app;
CREATE SEQUENCE app.versions;
-- The watermark is the version; another column before it was dropped.
CREATE TABLE app.runs (gone text, id int PRIMARY KEY, grp int NOT NULL, body text, at timestamptz NOT NULL DEFAULT clock_timestamp());
ALTER TABLE app.runs DROP COLUMN gone;
CREATE INDEX ON app.runs (grp, id);
-- A version column, and a payload function.
CREATE TABLE app.notes (grp int NOT NULL, n int NOT NULL, body jsonb, v bigint NOT NULL, PRIMARY KEY (grp, n));
CREATE FUNCTION app.note_payload(note app.notes) RETURNS jsonb LANGUAGE sql STABLE
  AS $$ SELECT jsonb_build_object('text', note.body->'text', 'n', note.n, 'ratio', note.n / 7.0, 'ä', note.body) $$;
-- Partitions with columns in another order; a change of grp moves the row.
CREATE TABLE app.parts (id int NOT NULL, grp int NOT NULL, body text, v bigint NOT NULL, PRIMARY KEY (grp, id)) PARTITION BY LIST (grp);
CREATE TABLE app.parts_low PARTITION OF app.parts FOR VALUES IN (1, 2);
CREATE TABLE app.parts_high (v bigint NOT NULL, x int, body text, grp int NOT NULL, id int NOT NULL);
ALTER TABLE app.parts_high DROP COLUMN x;
ALTER TABLE app.parts ATTACH PARTITION app.parts_high DEFAULT;
-- No key that pages can follow: k may be null as far as PostgreSQL knows.
CREATE TABLE app.loose (k text UNIQUE, grp int NOT NULL, body text);
CREATE TABLE app.fixed (id uuid PRIMARY KEY, body numeric);
-- Not published: what sync_emit() was told.
CREATE TABLE app.emitted (k text PRIMARY KEY, body json NOT NULL);
SELECT runtime.sync_publish('app.runs', topic => 'seam:{grp}', doc_key => 'run:{id}');
SELECT runtime.sync_publish('app.notes', topic => 'seam:{grp}', doc_key => 'note:{grp}:{n}', doc_version => 'v', payload => 'app.note_payload(*)');
SELECT runtime.sync_publish('app.parts', topic => 'seam:{grp}', doc_key => 'part:{id}:{grp}', doc_version => 'v');
SELECT runtime.sync_publish('app.loose', topic => 'seam:{grp}', doc_key => 'loose:{k}', payload => 'body, k');
SELECT runtime.sync_publish('app.fixed', topic => 'seam.fixed', doc_key => '{id}');
SELECT runtime.sync_set_policy('seam:${pointerGroup}', payload_mode => 'pointer');
`;

/** doc_key and payload (not canonical yet) of every document of a topic. @param {string} topic */
function truthQuery(topic) {
  if (topic === 'seam.fixed') return 'SELECT t.id::text AS doc_key, row_to_json(t)::text AS payload FROM app.fixed t';
  if (topic === 'seam.emitted') return 'SELECT k AS doc_key, body::text AS payload FROM app.emitted';
  const group = Number(topic.slice('seam:'.length));
  return `SELECT 'run:' || id AS doc_key, row_to_json(t)::text AS payload FROM app.runs t WHERE grp = ${group}
    UNION ALL SELECT format('note:%s:%s', grp, n), app.note_payload(t)::text FROM app.notes t WHERE grp = ${group}
    UNION ALL SELECT format('part:%s:%s', id, grp), row_to_json(t)::text FROM app.parts t WHERE grp = ${group}
    UNION ALL SELECT 'loose:' || k, json_build_object('body', body, 'k', k)::text FROM app.loose t WHERE grp = ${group}`;
}

/**
 * What the documents of a topic are by the tables alone: doc_key to canonical payload.
 * @param {import('pg').ClientBase} client @param {string} topic @returns {Promise<Map<string, string>>}
 */
export async function truth(client, topic) {
  const { rows } = await client.query(truthQuery(topic));
  return new Map(rows.map((row) => [row.doc_key, canonicalJson(parseExact(row.payload))]));
}

/**
 * Differences between a client's documents and the truth, as lines; none when they are the same, byte for byte.
 * @param {Map<string, {payload: string | null, hash: string}>} documents @param {Map<string, string>} expected
 */
export function differences(documents, expected) {
  const lines = [];
  for (const [key, payload] of expected) {
    const document = documents.get(key);
    if (!document) lines.push(`${key} is missing`);
    else if (document.payload !== payload) lines.push(`${key} is ${document.payload}, not ${payload}`);
    else if (document.hash !== sha256(payload)) lines.push(`${key} has a wrong hash`);
  }
  for (const key of documents.keys()) if (!expected.has(key)) lines.push(`${key} is too many`);
  return lines;
}
