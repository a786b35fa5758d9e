// Pages that can be checked against the extension: docs/DB_SCHEMA.md against the catalog, the settings against
// pg_settings, docs/what_fires.md against the tests it names.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, root } from '../harness/index.mjs';
import { describeSchema, page } from '../../scripts/db_schema.mjs';

const cluster = await Cluster.create({ settings: { fsync: 'off' } });
after(() => cluster.destroy());
await cluster.createDatabase('test');

test('docs/DB_SCHEMA.md is what the catalog says (make db-schema writes it)', async () => {
  const client = await cluster.connect('test');
  try {
    assert.equal(readFileSync(page, 'utf8'), await describeSchema(client));
  } finally {
    await client.end();
  }
});

test('every object on it has its comment', () => {
  const text = readFileSync(page, 'utf8');
  const bare = [...text.matchAll(/^\| `(\w+)` \|.*\|\s+\|$/gm)].map(([, name]) => name);
  assert.deepEqual(bare, [], 'columns without a comment');
  assert.doesNotMatch(text, /(volatile|stable|immutable)[\w, ]*\. *$/m, 'functions without a comment');
});

/** What a setting's unit is worth, in the unit that pg_settings counts in. */
const units = { '': 1, B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400 };

/**
 * A documented value in the base unit (bytes, seconds, or none), as a number.
 * @param {string} text such as `16 MB`, `-1`, `10 s`
 */
function parse(text) {
  const [, number = '', unit = ''] = /^(-?[\d.]+) ?([A-Za-z]*)$/.exec(text.replaceAll('`', '').trim()) ?? [];
  assert.ok(number !== '' && unit in units, `"${text}" is no number with a unit of PostgreSQL`);
  return Number(number) * units[/** @type {keyof typeof units} */ (unit)];
}

/** A number of pg_settings in the base unit. @param {string} value @param {string | null} unit */
function stored(value, unit) {
  const [, factor = '', name = ''] = /^(\d*)([A-Za-z]*)$/.exec(unit ?? '') ?? [];
  return Number(value) * (factor === '' ? 1 : Number(factor)) * units[/** @type {keyof typeof units} */ (name)];
}

const contexts = { postmaster: 'restart', sighup: 'reload', superuser: '`SET` (superuser)', user: '`SET`' };

test('docs/operations/settings.md has every setting of the extension, as pg_settings has it', async () => {
  const client = await cluster.connect('test');
  const { rows } = await client.query(`SELECT name, vartype, unit, boot_val, min_val, max_val, context, short_desc, enumvals
    FROM pg_settings WHERE name LIKE 'oa\\_sync.%' ORDER BY name`);
  await client.end();
  const text = readFileSync(`${root}/docs/operations/settings.md`, 'utf8');
  const section = text.slice(text.indexOf('\n# The extension'));
  const documented = new Map([...section.matchAll(/^\| `(oa_sync\.\w+)` \|(.*)\|$/gm)].map(([, name = '', rest = '']) => [name, rest.split(/(?<!\\)\|/).map((c) => c.trim())]));
  assert.deepEqual([...documented.keys()].sort(), rows.map((row) => row.name), 'the settings of the page and of the server');
  for (const row of rows) {
    const cells = documented.get(row.name) ?? [];
    assert.equal(cells.length, 4, `${row.name}: a row is | setting | default | range | reload | meaning |`);
    const [standard = '', range = '', reload = '', meaning = ''] = cells;
    assert.equal(reload, contexts[/** @type {keyof typeof contexts} */ (row.context)], `${row.name}: reload`);
    assert.ok(meaning.length > 10 && row.short_desc.length > 10, `${row.name}: what it means, in the page and in pg_settings`);
    if (row.vartype === 'integer' || row.vartype === 'real') {
      assert.equal(parse(standard), stored(row.boot_val, row.unit), `${row.name}: default`);
      const [from = '', to = ''] = range.split(' to ');
      assert.equal(parse(from), stored(row.min_val, row.unit), `${row.name}: the least`);
      assert.equal(parse(to), stored(row.max_val, row.unit), `${row.name}: the most`);
    } else {
      assert.equal(standard.replaceAll('`', ''), row.boot_val || 'none', `${row.name}: default`);
      const allowed = row.vartype === 'bool' ? 'on, off' : row.vartype === 'enum' ? row.enumvals.join(', ') : 'text';
      assert.equal(range.replaceAll('`', ''), allowed, `${row.name}: range`);
    }
  }
});

test('every line of docs/what_fires.md names a test that there is', () => {
  const lines = readFileSync(`${root}/docs/what_fires.md`, 'utf8').split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| what |'));
  assert.ok(lines.length > 40);
  for (const line of lines) {
    const [, path = ''] = /\| \[\w+\]\(\.\.\/(test\/[\w/.]+)\) \|$/.exec(line) ?? [];
    assert.ok(path !== '' && existsSync(`${root}/${path}`), `a test: ${line}`);
  }
});
