// docs/DB_SCHEMA.md: every object of the extension, from the catalog's own comments.
// Usage: node scripts/db_schema.mjs (prints it), node scripts/db_schema.mjs --write (after `make install`)
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Cluster } from '../test/harness/cluster.mjs';
import { root } from '../test/harness/paths.mjs';

export const page = `${root}/docs/DB_SCHEMA.md`;

const members = `SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oa_sync'
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'`;

const relationsQuery = `
SELECT c.oid::int AS oid, c.relname AS name, obj_description(c.oid, 'pg_class') AS comment,
       CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END AS kind,
       pg_get_partkeydef(c.oid) AS partitioned, pg_get_expr(c.relpartbound, c.oid) AS partition
FROM pg_class c WHERE c.oid IN (${members} AND d.classid = 'pg_class'::regclass) AND c.relkind IN ('r', 'p', 'v', 'S')
ORDER BY c.relname COLLATE "C"`;

const columnsQuery = `
SELECT a.attrelid::int AS relation, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated <> '' THEN 'generated: ' || pg_get_expr(x.adbin, x.adrelid)
            ELSE pg_get_expr(x.adbin, x.adrelid) END AS standard,
       col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a LEFT JOIN pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
WHERE a.attrelid IN (${members} AND d.classid = 'pg_class'::regclass) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum`;

const constraintsQuery = `
SELECT conrelid::int AS relation, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
WHERE conrelid IN (${members} AND d.classid = 'pg_class'::regclass) AND contype IN ('p', 'u', 'f', 'c')
UNION ALL
SELECT indrelid::int, i.relname, regexp_replace(pg_get_indexdef(i.oid), ' ON .* USING', '') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid IN (${members} AND d.classid = 'pg_class'::regclass) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.oid)
UNION ALL
SELECT tgrelid::int, tgname, regexp_replace(pg_get_triggerdef(oid), '^CREATE TRIGGER \\S+ | ON \\S+', '', 'g') FROM pg_trigger
WHERE tgrelid IN (${members} AND d.classid = 'pg_class'::regclass) AND NOT tgisinternal
ORDER BY 2`;

const functionsQuery = `
SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result, l.lanname AS language,
       CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
       p.proisstrict AS strict, p.prosecdef AS definer, obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid IN (${members} AND d.classid = 'pg_proc'::regclass)
ORDER BY p.proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C"`;

/** Text in a table's cell. @param {string | null} text */
const cell = (text) => (text ?? '').replaceAll('|', '\\|').replaceAll('\n', ' ');
/** Text out of the catalog as Markdown prose: what looks like markup is not. @param {string | null} text */
const prose = (text) => cell(text).replace(/([*_<>[\]{}])/g, '\\$1');
/** @param {string | null} text */
const code = (text) => (text ? `\`${cell(text)}\`` : '');

/**
 * The page, for the extension as it is installed in a database.
 * @param {import('pg').Client} client
 * @returns {Promise<string>}
 */
export async function describeSchema(client) {
  // Names in definitions are then without the schema.
  await client.query('SET search_path = runtime, pg_catalog');
  const rows = async (/** @type {string} */ sql) => (await client.query(sql)).rows;
  const relations = await rows(relationsQuery);
  const columns = await rows(columnsQuery);
  const constraints = await rows(constraintsQuery);
  const functions = await rows(functionsQuery);
  const lines = ['# The extension\'s objects', '',
    'Made by `make db-schema` from the comments in the catalog: change those (in `sql/parts`), not this page. Everything is in the schema `runtime`, or',
    'the one that `CREATE EXTENSION oa_sync SCHEMA …` names, and nothing is granted to PUBLIC. What it is for is in [extension.md](extension.md).', ''];
  for (const kind of ['table', 'view', 'sequence']) {
    lines.push(`## ${kind[0]?.toUpperCase()}${kind.slice(1)}s`, '');
    for (const relation of relations.filter((r) => r.kind === kind)) {
      lines.push(`### ${relation.name}`, '', prose(relation.comment), '');
      if (relation.partitioned) lines.push(`Partitioned by ${code(relation.partitioned)}.`, '');
      if (relation.partition) {
        lines.push(`Partition of \`sync_stream_events\`, ${code(relation.partition)}: columns as there.`, '');
      } else if (kind !== 'sequence') {
        const own = columns.filter((c) => c.relation === relation.oid);
        lines.push(...(kind === 'view' ? ['| column | type | meaning |', '|---|---|---|',
          ...own.map((c) => `| \`${c.name}\` | ${c.type} | ${prose(c.comment)} |`)]
          : ['| column | type | null | default | meaning |', '|---|---|---|---|---|',
            ...own.map((c) => `| \`${c.name}\` | ${c.type} | ${c.required ? 'no' : 'yes'} | ${code(c.standard)} | ${prose(c.comment)} |`)]), '');
      }
      const rules = constraints.filter((c) => c.relation === relation.oid);
      if (rules.length > 0) lines.push(...rules.map((c) => `- \`${c.name}\`: ${code(c.definition)}`), '');
    }
  }
  lines.push('## Functions', '');
  for (const f of functions) {
    lines.push(`### ${f.name}`, '', '```sql', `${f.name}(${f.arguments}) RETURNS ${f.result}`, '```', '',
      [`${f.volatility}${f.strict ? ', strict' : ''}, ${f.language}${f.definer ? ', security definer' : ''}. ${prose(f.comment)}`].join(''), '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** @param {string[]} flags */
async function main(flags) {
  const cluster = await Cluster.create({ settings: { fsync: 'off' } });
  try {
    await cluster.createDatabase('schema');
    const client = await cluster.connect('schema');
    const text = await describeSchema(client);
    await client.end();
    if (flags.includes('--write')) writeFileSync(page, text);
    else process.stdout.write(text);
  } finally {
    await cluster.destroy();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
