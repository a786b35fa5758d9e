// A writer of the seam test: random transactions on all tables, many of which meet each other.
import { groups } from './schema.mjs';

/** What concurrency does to a transaction, and what a random key change meets. */
const expected = new Set(['40001', '40P01', '55P03', '23505']);

/** @typedef {import('../oracle/random.mjs').Random} Random */

/** One change as SQL. @param {Random} random @param {string} tag */
function change(random, tag) {
  const id = random.integer(1, 30);
  const other = random.integer(1, 30);
  const group = random.pick(groups);
  const elsewhere = random.pick(groups);
  const body = `'${tag} ${random.pick(['plain', 'qu"ote', '\\\\back', 'größe', '日本', ''])}'`;
  const v = "nextval('app.versions')";
  const uuid = `md5('${id}')::uuid`;
  /** @type {Record<string, () => string>} */
  const kinds = {
    run: () => `INSERT INTO app.runs (id, grp, body) VALUES (${id}, ${group}, ${body}) ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body`,
    runs: () => `UPDATE app.runs SET body = ${body} WHERE id BETWEEN ${id} AND ${id + 5}`,
    runMoves: () => `UPDATE app.runs SET grp = ${elsewhere} WHERE id = ${id}`,
    runRenamed: () => `UPDATE app.runs SET id = ${other} WHERE id = ${id}`,
    runGone: () => `DELETE FROM app.runs WHERE id = ${id}`,
    note: () => `INSERT INTO app.notes VALUES (${group}, ${id}, jsonb_build_object('text', ${body}), ${v}) ON CONFLICT (grp, n) DO UPDATE SET body = EXCLUDED.body, v = ${v}`,
    notes: () => `UPDATE app.notes SET body = jsonb_build_object('text', ${body}), v = ${v} WHERE grp = ${group} AND n < ${id}`,
    noteMoves: () => `UPDATE app.notes SET grp = ${elsewhere}, n = ${other}, v = ${v} WHERE grp = ${group} AND n = ${id}`,
    noteGone: () => `DELETE FROM app.notes WHERE grp = ${group} AND n = ${id}`,
    part: () => `INSERT INTO app.parts VALUES (${id}, ${group}, ${body}, ${v}) ON CONFLICT (grp, id) DO UPDATE SET body = EXCLUDED.body, v = ${v}`,
    partMoves: () => `UPDATE app.parts SET grp = ${elsewhere}, v = ${v} WHERE grp = ${group} AND id = ${id}`,
    partGone: () => `DELETE FROM app.parts WHERE grp = ${group} AND id = ${id}`,
    loose: () => `INSERT INTO app.loose VALUES ('k:${id}', ${group}, ${body}) ON CONFLICT (k) DO UPDATE SET body = EXCLUDED.body, grp = EXCLUDED.grp`,
    looseRenamed: () => `UPDATE app.loose SET k = 'k:${other}' WHERE k = 'k:${id}'`,
    looseGone: () => `DELETE FROM app.loose WHERE k = 'k:${id}'`,
    fixed: () => `INSERT INTO app.fixed VALUES (${uuid}, ${v} / 4.0) ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body`,
    fixedGone: () => `DELETE FROM app.fixed WHERE id = ${uuid}`,
    emit: () => `WITH told AS (INSERT INTO app.emitted VALUES ('e${id}', to_json(${body}::text)) ON CONFLICT (k) DO UPDATE SET body = EXCLUDED.body RETURNING *)
      SELECT runtime.sync_emit('seam.emitted', k, NULL, body) FROM told`,
    emitGone: () => `WITH told AS (DELETE FROM app.emitted WHERE k = 'e${id}' RETURNING *) SELECT runtime.sync_emit('seam.emitted', k, NULL, NULL) FROM told`,
    // Empties the table for every snapshot that is older.
    rewrite: () => `ALTER TABLE ${random.pick(['app.runs', 'app.parts', 'app.loose'])} ALTER body TYPE text USING body || ''`,
    truncate: () => `TRUNCATE ${random.pick(['app.runs', 'app.notes', 'app.parts', 'app.parts_low', 'app.parts_high', 'app.loose', 'app.fixed'])}`,
  };
  const rare = ['truncate', 'rewrite'];
  const kind = random.chance(0.008) ? random.pick(rare) : random.pick(Object.keys(kinds).filter((name) => !rare.includes(name)));
  return /** @type {() => string} */ (kinds[kind])();
}

/**
 * Writes until told to stop. Returns how many transactions committed, and how many did not.
 * @param {import('pg').Client} client @param {Random} random @param {() => boolean} stopped
 */
export async function write(client, random, stopped) {
  const done = { committed: 0, failed: 0, rolledBack: 0 };
  await client.query("SET lock_timeout = '3s'");
  for (let number = 0; !stopped(); number++) {
    try {
      await client.query(random.chance(0.3) ? 'SET synchronous_commit = off' : 'SET synchronous_commit = on');
      await client.query(random.chance(0.15) ? 'BEGIN ISOLATION LEVEL SERIALIZABLE' : 'BEGIN');
      for (let i = random.integer(1, 6); i > 0; i--) {
        const savepoint = random.chance(0.2);
        if (savepoint) await client.query('SAVEPOINT s');
        await client.query(change(random, `${random.seed}/${number}/${i}`));
        if (savepoint) await client.query(random.chance(0.5) ? 'ROLLBACK TO s' : 'RELEASE s');
      }
      if (random.chance(0.1)) {
        await client.query('ROLLBACK');
        done.rolledBack++;
      } else {
        await client.query('COMMIT');
        done.committed++;
      }
    } catch (error) {
      if (!expected.has(/** @type {{code: string}} */ (error).code)) throw error;
      await client.query('ROLLBACK');
      done.failed++;
    }
  }
  return done;
}
