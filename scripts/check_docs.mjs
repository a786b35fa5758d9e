// Checks what the pages show against what there is: every fenced block has a known language; every page with sql or sh blocks
// is run by a test; commands of oa-sync and oa-sync-fanout, their flags, settings, make targets, SQL names and metrics that
// code on a page names exist. Needs the built programs.
//
// Usage: node scripts/check_docs.mjs
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const bin = process.env.OA_SYNC_FANOUT_BIN ? dirname(process.env.OA_SYNC_FANOUT_BIN) : `${root}/build/fanout`;

/** Which test runs the sql and sh blocks of a page; a page without an entry must not have any. @type {Record<string, string>} */
export const runners = {
  'README.md': 'test/wire/readme.test.mjs',
  'docs/clients/terminal.md': 'test/terminal/commands.test.mjs',
  'docs/extension.md': 'test/integration/page_sql.test.mjs',
  'docs/operations/authentication.md': 'test/wire/authentication_docs.test.mjs',
  'docs/operations/backup.md': 'test/integration/operations_docs.test.mjs',
  'docs/operations/failover.md': 'test/integration/operations_docs.test.mjs',
  'docs/operations/http.md': 'test/wire/http_documents.test.mjs',
  'docs/operations/installation.md': 'test/integration/operations_docs.test.mjs',
  'docs/operations/packages.md': 'test/packages/packages.test.mjs',
  'docs/operations/policies.md': 'test/integration/page_sql.test.mjs',
  'docs/operations/retention.md': 'test/integration/page_sql.test.mjs',
  'docs/operations/sizing.md': 'test/integration/operations_docs.test.mjs',
  'docs/operations/upgrade.md': 'test/integration/operations_docs.test.mjs',
  'docs/protocol/OA_SYNC_WS_MAPPING.md': 'test/wire/mapping_doc.test.mjs',
  'docs/read_models.md': 'test/integration/projections.test.mjs',
  'docs/snapshots.md': 'test/integration/page_sql.test.mjs',
  'docs/sync/PARITY.md': 'test/integration/page_sql.test.mjs',
  'docs/sync/PARITY_DASHBOARD.md': 'test/integration/page_sql.test.mjs',
  'docs/sync/RUNTIME_CODEX_CUTOVER_RUNBOOK.md': 'test/integration/runbooks.test.mjs',
};
/** Written from the catalog, and compared with it: test/integration/documented.test.mjs. */
const generated = new Set(['docs/DB_SCHEMA.md']);
/** The runbooks have one test. */
const runbooks = /^docs\/operations\/runbooks\//;

const languages = new Set(['', 'text', 'sh', 'sql', 'ini', 'js', 'ts', 'tsx', 'json', 'yaml', 'promql']);
/** Flags of other programs that the pages name. */
const foreignFlags = new Set(['--data-only', '--disable-triggers', '--roles-only', '--exit-on-error', '--exclude-table-data', '--test', '--test-name-pattern',
  '--help', '--version', '--since', '--now', '--no-install-recommends', '--retry', '--retry-delay', '--retry-all-errors', '--value', '--seed',
  '--reference', '--format', '--duration']);

/** @param {string} dir @returns {string[]} paths from the root */
const pagesBelow = (dir) => readdirSync(`${root}/${dir}`, { withFileTypes: true }).flatMap((entry) =>
  (entry.isDirectory() ? pagesBelow(join(dir, entry.name)) : entry.name.endsWith('.md') ? [join(dir, entry.name)] : []));

/** @param {string} program @param {string[]} args */
const helpOf = (program, args) => execFileSync(`${bin}/${program}`, [...args, '--help'], { encoding: 'utf8' });
/** @param {string} help */
const flagsOf = (help) => new Set([...help.matchAll(/(?<![\w-])(--[a-z][a-z0-9-]*|-[a-zA-Z])(?![\w-])/g)].map(([, flag = '']) => flag));

/** What there is. */
export function inventory() {
  /** Command of oa-sync (`tail`, `parity gate`) → its flags. @type {Map<string, Set<string>>} */
  const commands = new Map();
  /** @param {string[]} path */
  const gather = (path) => {
    const help = helpOf('oa-sync', path);
    commands.set(path.join(' '), flagsOf(help));
    const [, section = ''] = /^Subcommands:\n([^]*)$/m.exec(help) ?? [];
    for (const [, name = ''] of section.matchAll(/^ {2}([a-z][\w-]*) /gm)) gather([...path, name]);
  };
  gather([]);
  const makefile = readFileSync(`${root}/Makefile`, 'utf8');
  const sql = readdirSync(`${root}/sql/parts`).filter((name) => name.endsWith('.sql')).map((name) => readFileSync(`${root}/sql/parts/${name}`, 'utf8')).join('\n');
  const cpp = readdirSync(`${root}/extension/src`).filter((name) => name.endsWith('.cpp')).map((name) => readFileSync(`${root}/extension/src/${name}`, 'utf8')).join('\n');
  return {
    commands,
    fanoutFlags: flagsOf(helpOf('oa-sync-fanout', [])),
    targets: new Set([...makefile.matchAll(/^([\w -]+):(?!=)/gm)].flatMap(([, names = '']) => names.trim().split(/\s+/))),
    sqlNames: new Set([...`${sql}\n${cpp}`.matchAll(/\b(?:oa_)?sync_[a-z0-9_]+\b/g)].map(([name]) => name)),
    settings: new Set([...cpp.matchAll(/"(oa_sync\.[a-z_]+)"/g)].map(([, name = '']) => name)),
    // test/wire/metrics_docs.test.mjs compares that page with a server's.
    metrics: new Set([...[...readFileSync(`${root}/docs/operations/metrics.md`, 'utf8').matchAll(/\boa_sync_[a-z0-9_]+\b/g)].map(([name]) => name),
      ...[...readFileSync(`${root}/fanout/src/net/metrics.cpp`, 'utf8').matchAll(/Family\("(\w+)"/g)].map(([, name]) => `oa_sync_${name}`)]),
  };
}

/** Names that look like ours and are of the wire, of PostgreSQL, or of the pages' examples. */
const knownNames = new Set(['sync_token_unavailable', 'sync_state', 'sync_reader', 'sync_monitor', 'oa_sync_scopes', 'oa_sync_claims_v1', 'oa_sync_websocket']);
const ownTopics = new Set(['oa_sync.revocations', 'oa_sync.canary', 'oa_sync.so']);

/**
 * What is wrong with a page.
 * @param {string} page @param {string} text @param {ReturnType<typeof inventory>} there
 * @returns {string[]}
 */
export function problemsOf(page, text, there) {
  /** @type {string[]} */
  const problems = [];
  const at = (/** @type {number} */ index) => `${page}:${text.slice(0, index).split('\n').length}`;
  /** Code: what blocks and code spans hold, with the place of each. @type {{code: string, index: number, kind: string}[]} */
  const pieces = [];
  const prose = text.replace(/^( *)```(\S*)[^\n]*\n([^]*?)^ *```$/gm, (all, _indent, kind, body, index) => {
    if (!languages.has(kind)) problems.push(`${at(index)}: a block of the unknown language "${kind}"`);
    if ((kind === 'sh' || kind === 'sql') && !runbooks.test(page) && !runners[page]) {
      problems.push(`${at(index)}: a block marked ${kind} on a page that no test runs: mark it text, or name its test in scripts/check_docs.mjs`);
    }
    pieces.push({ code: body, index, kind: kind || 'text' });
    return all.replace(/[^\n]/g, ' ');
  });
  for (const match of prose.matchAll(/`([^`\n]+)`/g)) pieces.push({ code: match[1] ?? '', index: match.index, kind: 'span' });

  for (const { code, index, kind } of pieces) {
    if (kind === 'js' || kind === 'ts' || kind === 'tsx' || kind === 'json') continue;
    // A command goes to the end of its line, over lines that end in a backslash, or to the next one.
    const joined = code.replace(/\\\n\s*/g, ' ').replace(/(^|\s)# .*$/gm, '$1');
    for (const [, words = ''] of joined.matchAll(/(?:^|[\s;&|(`$])oa-sync((?: +(?![|&;>#])\S+)+)/gm)) checkCommand(words.trim().split(/ +/), at(index));
    for (const [, words = ''] of joined.matchAll(/(?:^|(?<!-u)[\s;&|(/])oa-sync-fanout((?: +(?![|&;>#])\S+)*)/gm)) {
      for (const [flag] of words.matchAll(/(?<!\S)--[a-z][a-z0-9-]*/g)) {
        if (!there.fanoutFlags.has(flag)) problems.push(`${at(index)}: oa-sync-fanout has no ${flag}`);
      }
    }
    if (kind === 'span') {
      for (const [flag] of code.matchAll(/^--[a-z][a-z0-9-]*/g)) {
        const isKnown = there.fanoutFlags.has(flag) || foreignFlags.has(flag) || [...there.commands.values()].some((flags) => flags.has(flag));
        if (!isKnown) problems.push(`${at(index)}: no program has ${flag}`);
      }
    }
    for (const [, words = ''] of joined.matchAll(/(?:^|[\s;&|(])make((?: +[A-Za-z][\w-]*(?:=\S*)?)+)/gm)) {
      // What follows is the command's end in a sentence or a comment; targets come first.
      const [target = ''] = words.trim().split(/ +/).filter((word) => !word.includes('='));
      if (target !== '' && !there.targets.has(target)) problems.push(`${at(index)}: there is no target make ${target}`);
    }
    for (const [name] of code.matchAll(/\boa_sync\.[a-z_]+[a-z]\b(?!\w|\*)/g)) {
      if (!there.settings.has(name) && !ownTopics.has(name)) problems.push(`${at(index)}: there is no setting ${name}`);
    }
    for (const match of code.matchAll(/(?<![\w.-])(?:runtime\.)?((?:oa_)?sync_[a-z0-9_]*[a-z0-9])\b(?![*…\\]|_)/g)) {
      const [, name = ''] = match;
      const base = name.replace(/_(bucket|sum|count)$/, '');
      const isKnown = there.sqlNames.has(name) || there.metrics.has(name) || there.metrics.has(base) || knownNames.has(name)
        || [...there.metrics].some((metric) => metric.startsWith(`${name}_`));
      if (!isKnown) problems.push(`${at(index)}: neither SQL nor a metric is named ${name}`);
    }
  }
  return problems;

  /** @param {string[]} words behind oa-sync @param {string} where */
  function checkCommand(words, where) {
    let path = '';
    for (const word of words) {
      if (!/^[a-z][\w-]*$/.test(word)) break;
      const next = path === '' ? word : `${path} ${word}`;
      if (!there.commands.has(next)) break;
      path = next;
    }
    const [first = ''] = words;
    if (path === '' && /^[a-z][\w-]*$/.test(first)) {
      problems.push(`${where}: oa-sync has no command ${first}`);
      return;
    }
    const flags = there.commands.get(path) ?? new Set();
    for (const word of words) {
      const flag = /^(--[a-z][a-z0-9-]*)/.exec(word)?.[1];
      if (flag && !flags.has(flag) && flag !== '--help') problems.push(`${where}: oa-sync ${path} has no ${flag}`);
    }
  }
}

export function allPages() {
  return ['README.md', ...pagesBelow('docs')].filter((page) => !generated.has(page));
}

/** Entries of the table that name no page or no test, or a test that does not know the page. */
export function tableProblems() {
  return Object.entries(runners).flatMap(([page, file]) => {
    if (!existsSync(`${root}/${page}`)) return [`scripts/check_docs.mjs: ${page} does not exist`];
    if (!existsSync(`${root}/${file}`)) return [`scripts/check_docs.mjs: ${file} does not exist`];
    const name = page.split('/').at(-1)?.replace(/\.md$/, '') ?? '';
    return readFileSync(`${root}/${file}`, 'utf8').includes(name) ? [] : [`scripts/check_docs.mjs: ${file} does not name ${page}`];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const there = inventory();
  const pages = allPages();
  const problems = [...tableProblems(), ...pages.flatMap((page) => problemsOf(page, readFileSync(`${root}/${page}`, 'utf8'), there))];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`commands, settings and names of ${pages.length} pages`);
}
