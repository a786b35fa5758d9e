// What the writers' transactions are made of. Each operation says which events it has to become.
import { childTopic, counterTopic, counters, itemTopic, measureParts, measureTopic, parents, places, runs, scratchTopic,
  sharedTopic } from './schema.mjs';

/** @typedef {import('./transaction.mjs').TransactionRun} Run */
/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {(tx: Run, random: Random) => Promise<void>} Operation */

const idsPerRun = 30;
/** Run 1 is hot; the others are written to now and then. @param {Random} random */
const someRun = (random) => (random.chance(0.4) ? 1 : random.integer(1, runs));
const texts = ['plain', 'ünïcode 漢字 🎉', 'quote " backslash \\ slash /', 'tab\tline\nreturn\r', '\u0001\u001f\u007f', ''];
const amounts = ['0', '1.10', '-0.5', '12345678901234567890.123456789', '1e-7', '100', 'NaN'];

/** The counters, once. @param {Run} tx */
export async function makeCounters(tx) {
  const rows = await tx.query(`INSERT INTO oracle.counters SELECT i, 1, $1 FROM generate_series(1, ${counters}) i
    RETURNING id`, [tx.label]);
  tx.expect(...rows.map((row) => (
    { topic: counterTopic, op: /** @type {const} */ ('upsert'), key: `counter:${row.id}`, version: 1 })));
}

/**
 * A counter document: its version is one more than what the transaction read under the row's lock.
 * @type {Operation}
 */
export async function bumpCounter(tx, random) {
  const id = random.integer(1, counters);
  const [row] = await tx.query('UPDATE oracle.counters SET n = n + 1, label = $2 WHERE id = $1 RETURNING n', [id, tx.label]);
  tx.expect({ topic: counterTopic, op: 'upsert', key: `counter:${id}`, version: row.n });
}

/** @type {Operation} */
export async function upsertItem(tx, random) {
  const run = someRun(random);
  const id = random.integer(1, idsPerRun);
  const extra = { z: random.pick(texts), a: [random.integer(-5, 5), null, { k: random.chance(0.5) }] };
  const [row] = await tx.query(`INSERT INTO oracle.items VALUES ($1, $2, 1, $3, $4, $5, $6)
    ON CONFLICT (run, id) DO UPDATE SET version = items.version + 1, label = excluded.label, amount = excluded.amount,
      body = excluded.body, extra = excluded.extra RETURNING version`,
  [run, id, tx.label, random.pick(amounts), random.pick(texts).repeat(random.integer(0, 3)), JSON.stringify(extra)]);
  tx.expect({ topic: itemTopic(run), op: 'upsert', key: `item:${id}`, version: row.version });
}

/** @type {Operation} */
export async function updateRun(tx, random) {
  const run = someRun(random);
  const rows = await tx.query(`UPDATE oracle.items SET version = version + 1, label = $2
    WHERE run = $1 AND id <= ${idsPerRun} RETURNING id, version`, [run, tx.label]);
  tx.expect(...rows.map((row) => (
    { topic: itemTopic(run), op: /** @type {const} */ ('upsert'), key: `item:${row.id}`, version: row.version })));
}

/** @type {Operation} */
export async function deleteItems(tx, random) {
  const run = someRun(random);
  const first = random.integer(1, idsPerRun);
  const rows = await tx.query('DELETE FROM oracle.items WHERE run = $1 AND id BETWEEN $2 AND $3 RETURNING id, version',
    [run, first, first + random.integer(0, 4)]);
  tx.expect(...rows.map((row) => (
    { topic: itemTopic(run), op: /** @type {const} */ ('delete'), key: `item:${row.id}`, version: row.version })));
}

/** The key changes, and maybe the topic: a delete and an upsert. @type {Operation} */
export async function moveItem(tx, random) {
  const from = { run: someRun(random), id: random.integer(1, idsPerRun) };
  const to = { run: random.chance(0.5) ? from.run : someRun(random), id: random.integer(1, idsPerRun) };
  if (from.run === to.run && from.id === to.id) return;
  const rows = await tx.query(`UPDATE oracle.items SET run = $3, id = $4, version = version + 1, label = $5
    WHERE run = $1 AND id = $2 AND NOT EXISTS (SELECT FROM oracle.items WHERE run = $3 AND id = $4) RETURNING version`,
  [from.run, from.id, to.run, to.id, tx.label]);
  for (const { version } of rows) {
    tx.expect({ topic: itemTopic(from.run), op: 'delete', key: `item:${from.id}`, version: version - 1 },
      { topic: itemTopic(to.run), op: 'upsert', key: `item:${to.id}`, version });
  }
}

/** Many events in one transaction: more than work_mem, so that they spill. @type {Operation} */
export async function bulkInsert(tx, random) {
  const run = random.integer(1, runs);
  const first = random.integer(1, 50) * 1000;
  const rows = await tx.query(`INSERT INTO oracle.items (run, id, version, label, body)
    SELECT $1, $2 + g, 1, $3, repeat('x', g % 50) FROM generate_series(1, $4::int) g
    ON CONFLICT DO NOTHING RETURNING id`, [run, first, tx.label, random.integer(50, 600)]);
  tx.expect(...rows.map((row) => (
    { topic: itemTopic(run), op: /** @type {const} */ ('upsert'), key: `item:${row.id}`, version: 1 })));
}

/** @type {Operation} */
export async function bulkDelete(tx, random) {
  const run = random.integer(1, runs);
  const rows = await tx.query('DELETE FROM oracle.items WHERE run = $1 AND id > 1000 RETURNING id, version', [run]);
  tx.expect(...rows.map((row) => (
    { topic: itemTopic(run), op: /** @type {const} */ ('delete'), key: `item:${row.id}`, version: row.version })));
}

/** Two tables share a topic. @type {Operation} */
export async function upsertNote(tx, random) {
  const id = random.integer(1, 20);
  const [row] = await tx.query(`INSERT INTO oracle.notes VALUES ($1, 1, $2)
    ON CONFLICT (id) DO UPDATE SET version = notes.version + 1, label = excluded.label RETURNING version`, [id, tx.label]);
  tx.expect({ topic: sharedTopic, op: 'upsert', key: `note:${id}`, version: row.version });
}

/** @type {Operation} */
export async function mergeMark(tx, random) {
  const id = random.integer(1, 20);
  const [old] = await tx.query('SELECT version FROM oracle.marks WHERE id = $1 FOR UPDATE', [id]);
  const gone = old !== undefined && random.chance(0.3);
  // A mark that appeared since the SELECT makes the INSERT fail: a unique violation, and a rollback.
  await tx.query(`MERGE INTO oracle.marks m USING (VALUES ($1::int)) AS s (id) ON m.id = s.id AND $4
    WHEN MATCHED AND $3 THEN DELETE
    WHEN MATCHED THEN UPDATE SET version = m.version + 1, label = $2
    WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1, $2)`, [id, tx.label, gone, old !== undefined]);
  tx.expect(gone ? { topic: sharedTopic, op: 'delete', key: `mark:${id}`, version: old.version }
    : { topic: sharedTopic, op: 'upsert', key: `mark:${id}`, version: (old?.version ?? 0) + 1 });
}

/** Fixed topic: one truncate event, rows or not; the marks on the same topic stay. @type {Operation} */
export async function truncateNotes(tx) {
  await tx.query('TRUNCATE oracle.notes');
  tx.expect({ topic: sharedTopic, op: 'truncate', key: 'note:' });
}

/** @type {Operation} */
export async function copyScratch(tx, random) {
  const place = random.integer(1, places);
  const first = random.integer(1, 1_000_000);
  const ids = Array.from({ length: random.integer(1, 8) }, (_, i) => first + i);
  await tx.query(`COPY oracle.scratch FROM PROGRAM 'printf "${place}\\t%s\\t1\\t${tx.label}\\n" ${ids.join(' ')}'`);
  tx.expect(...ids.map((id) => (
    { topic: scratchTopic(place), op: /** @type {const} */ ('upsert'), key: `scratch:${id}`, version: 1 })));
}

/** Templated topic: one truncate event for each topic that has rows. @type {Operation} */
export async function truncateScratch(tx) {
  await tx.query('LOCK TABLE oracle.scratch IN ACCESS EXCLUSIVE MODE');
  const rows = await tx.query('SELECT DISTINCT place FROM oracle.scratch');
  await tx.query('TRUNCATE oracle.scratch');
  tx.expectInAnyOrder(rows.map((row) => (
    { topic: scratchTopic(row.place), op: /** @type {const} */ ('truncate'), key: 'scratch:' })));
}

/** @type {Operation} */
export async function addChild(tx, random) {
  const parent = random.integer(1, parents);
  const id = random.integer(1, 6);
  const [made] = await tx.query(`INSERT INTO oracle.parents VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING id`,
    [parent, tx.label]);
  if (made) tx.expect({ topic: 'oracle.parents', op: 'upsert', key: `parent:${parent}`, version: 1 });
  const [row] = await tx.query(`INSERT INTO oracle.children VALUES ($1, $2, 1, $3)
    ON CONFLICT (parent, id) DO UPDATE SET version = children.version + 1, label = excluded.label RETURNING version`,
  [parent, id, tx.label]);
  tx.expect({ topic: childTopic(parent), op: 'upsert', key: `child:${id}`, version: row.version });
}

/** A foreign key takes the children along. @type {Operation} */
export async function deleteParent(tx, random) {
  const parent = random.integer(1, parents);
  const [row] = await tx.query('SELECT version FROM oracle.parents WHERE id = $1 FOR UPDATE', [parent]);
  if (!row) return;
  const children = await tx.query('SELECT id, version FROM oracle.children WHERE parent = $1 FOR UPDATE', [parent]);
  await tx.query('DELETE FROM oracle.parents WHERE id = $1', [parent]);
  tx.expect({ topic: 'oracle.parents', op: 'delete', key: `parent:${parent}`, version: row.version });
  tx.expectInAnyOrder(children.map((child) => (
    { topic: childTopic(parent), op: /** @type {const} */ ('delete'), key: `child:${child.id}`, version: child.version })));
}

/** @type {Operation} */
export async function upsertMeasure(tx, random) {
  const part = random.pick(measureParts);
  const id = random.integer(1, 15);
  const [row] = await tx.query(`INSERT INTO oracle.measures VALUES ($1, $2, 1, $3)
    ON CONFLICT (part, id) DO UPDATE SET version = measures.version + 1, label = excluded.label RETURNING version`,
  [part, id, tx.label]);
  tx.expect({ topic: measureTopic(part), op: 'upsert', key: `measure:${id}`, version: row.version });
}

/** From one partition to the other, which is a delete and an insert. @type {Operation} */
export async function moveMeasure(tx, random) {
  const [from, to] = random.chance(0.5) ? ['a', 'b'] : ['b', 'a'];
  const id = random.integer(1, 15);
  const rows = await tx.query(`UPDATE oracle.measures SET part = $2, version = version + 1, label = $4
    WHERE part = $1 AND id = $3 AND NOT EXISTS (SELECT FROM oracle.measures WHERE part = $2 AND id = $3)
    RETURNING version`, [from, to, id, tx.label]);
  for (const { version } of rows) {
    tx.expect({ topic: measureTopic(from), op: 'delete', key: `measure:${id}`, version: version - 1 });
    tx.expect({ topic: measureTopic(to), op: 'upsert', key: `measure:${id}`, version });
  }
}

/** The usual small writes, with how often each is chosen. @type {[Operation, number][]} */
export const smallOperations = [
  [upsertItem, 8], [bumpCounter, 4], [deleteItems, 2], [moveItem, 2], [upsertNote, 2], [mergeMark, 2], [addChild, 2],
  [deleteParent, 0.6], [upsertMeasure, 1.5], [moveMeasure, 1], [copyScratch, 0.4], [updateRun, 0.4],
];

/** @param {Random} random @returns {Operation} */
export function someOperation(random) {
  let at = random.next() * smallOperations.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [operation, weight] of smallOperations) if ((at -= weight) < 0) return operation;
  return upsertItem;
}
