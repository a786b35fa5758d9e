// Writes what long runs found into docs/reliability.md, between its marks, and the raw facts below docs/reliability/.
//
//   node test/chaos/document.mjs ORACLE.jsonl FAILOVER.jsonl
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { pathToFileURL } from 'node:url';
import { execFileSync } from 'node:child_process';
import { pgBinDir, root } from '../harness/index.mjs';
import { list, text } from './oracle/report.mjs';

const page = `${root}/docs/reliability.md`;
const directory = `${root}/docs/reliability`;

/** @param {string} file @returns {any[]} */
const lines = (file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []);
/** @param {number[]} all */
const median = (all) => [...all].sort((a, b) => a - b)[Math.floor((all.length - 1) / 2)] ?? 0;
/** @param {number[]} all */
const sum = (all) => all.reduce((total, one) => total + one, 0);
/** @param {Record<string, number>[]} all */
function together(all) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const one of all) for (const [name, n] of Object.entries(one)) counts[name] = (counts[name] ?? 0) + n;
  return counts;
}
const machine = () => `${cpus().length} cores, Linux ${execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()}, ` +
  `${execFileSync(`${pgBinDir}/postgres`, ['--version'], { encoding: 'utf8' }).trim()}`;

/** @param {(import('./oracle/report.mjs').Facts & {problems: string[]})[]} rounds */
export function oracleTable(rounds) {
  const of = (/** @type {(facts: typeof rounds[number]) => number} */ what) => sum(rounds.map(what));
  const faults = together(rounds.map((round) => round.faults));
  const names = (rounds[0]?.subscribers ?? []).map(({ name }) => name);
  return [
    `${rounds.length} runs, ${Math.round(of(({ seconds }) => seconds) / 60)} minutes of faults, seeds ${rounds.map(({ seed }) => `\`${seed}\``).join(', ')}:`, '',
    '| | |', '|---|---|',
    `| problems found by the checks | ${of(({ problems }) => problems.length)} |`,
    `| transactions | ${of(({ transactions }) => transactions.total)} (${list(together(rounds.map(({ transactions }) => transactions.outcomes)))}) |`,
    `| of the kinds | ${list(together(rounds.map(({ transactions }) => transactions.kinds)))} |`,
    `| events in the journal | ${of(({ journal }) => journal.events)}, and ${of(({ journal }) => journal.voids)} voids |`,
    `| events delivered | ${of(({ delivered }) => delivered)} to ${names.length + 1} subscribers |`,
    `| events lost | ${of(({ losses }) => losses)} |`,
    `| events twice past a client | ${of(({ duplicates }) => duplicates)} (${of(({ dropped }) => dropped)} came again and were dropped by clients) |`,
    `| resets without need | ${of(({ resets }) => resets.illegitimate)} |`,
    `| resets by retention, all with a cursor below the floor | ${of(({ resets }) => resets.retention)}, ${of(({ resets }) => resets.snapshots)} snapshots loaded |`,
    `| cursors that nobody gave out, refused with the right reason | ${list(together(rounds.map(({ resets }) => resets.wrongCursors)))} |`,
    `| old cursors resumed | ${of(({ visits }) => visits)} |`,
    `| writes tried over WebSockets, refused | ${of(({ refusedWrites }) => refusedWrites)} |`,
    `| most memory of a fan-out | ${Math.round(Math.max(...rounds.map(({ most }) => most.memoryKb)) / 1024)} MB |`,
    '', `Faults, ${sum(Object.values(faults))} in all: ${list(faults)}.`, '',
    'From the acknowledgement of a commit to its arrival, faults and all, in ms:', '',
    '| subscriber | connections | median | p99 | longest stall |', '|---|---|---|---|---|',
    ...names.map((name) => {
      const mine = rounds.map(({ subscribers }) => subscribers.find((one) => one.name === name)).filter((one) => one !== undefined);
      return `| ${name} | ${sum(mine.map((one) => one.connections))} | ${median(mine.map((one) => one.medianMs))} | ${median(mine.map((one) => one.p99Ms))} | ${Math.max(...mine.map((one) => one.longestMs))} |`;
    }),
  ].join('\n');
}

/** @param {any[]} runs */
export function failoverTables(runs) {
  const kinds = [...new Set(runs.map(({ kind }) => kind))].filter((kind) => kind !== 'rolling');
  const rolling = runs.filter(({ kind }) => kind === 'rolling');
  const cell = (/** @type {any[]} */ all, /** @type {string} */ what) => {
    const values = all.map((run) => run[what]);
    return `${median(values)} (${Math.min(...values)} to ${Math.max(...values)})`;
  };
  const add = (/** @type {any[]} */ all, /** @type {string} */ what) => sum(all.map((run) => run[what]));
  const all = (/** @type {string} */ kind) => runs.filter((run) => run.kind === kind);
  const rows = [
    ['runs', (/** @type {any[]} */ r) => r.length],
    ['standby promoted, ms', (/** @type {any[]} */ r) => cell(r, 'promotedMs')],
    ['first commit acknowledged on the new primary, ms', (/** @type {any[]} */ r) => cell(r, 'writtenMs')],
    ['**first event of the new primary at a client, ms**', (/** @type {any[]} */ r) => cell(r, 'firstEventMs')],
    ['at the last client, ms', (/** @type {any[]} */ r) => cell(r, 'allMs')],
    ['acknowledged rows lost by PostgreSQL', (/** @type {any[]} */ r) => add(r, 'acknowledgedLost')],
    ['events that clients had seen and that were lost', (/** @type {any[]} */ r) => add(r, 'seenLost')],
    ['`epoch_diverged` told (topics × clients)', (/** @type {any[]} */ r) => add(r, 'diverged')],
    ['told to who had seen nothing that was lost, or not told to who had', (/** @type {any[]} */ r) => add(r, 'wrongResets')],
    ['gaps', (/** @type {any[]} */ r) => add(r, 'gaps')],
    ['events twice past a client', (/** @type {any[]} */ r) => add(r, 'twice')],
    ['problems', (/** @type {any[]} */ r) => sum(r.map(({ problems }) => problems.length))],
  ];
  return [
    'Median (least to most), from the fault on:', '',
    `| | ${kinds.join(' | ')} |`, `|---|${kinds.map(() => '---').join('|')}|`,
    ...rows.map(([name, of]) => `| ${name} | ${kinds.map((kind) => /** @type {Function} */ (of)(all(kind))).join(' | ')} |`),
    '', `Rolling restart of two fan-outs behind haproxy, ${rolling.length} runs with ${rolling[0]?.clients ?? 0} clients:`, '', '| | |', '|---|---|',
    `| moves of clients | ${add(rolling, 'moves')} |`, `| events delivered | ${add(rolling, 'delivered')} |`, `| lost | ${add(rolling, 'lost')} |`,
    `| twice past a client | ${add(rolling, 'twice')} |`, `| \`stale_cursor\` | ${add(rolling, 'stale')} |`,
    `| commit to client, ms: median, p99, longest | ${median(rolling.map((r) => r.medianMs))}, ${median(rolling.map((r) => r.p99Ms))}, ${Math.max(...rolling.map((r) => r.longestMs))} |`,
    `| problems | ${sum(rolling.map(({ problems }) => problems.length))} |`,
  ].join('\n');
}

/** @param {string} page @param {string} name @param {string} body */
function between(page, name, body) {
  const [begin, end] = [`<!-- ${name}: written by \`make soak\` -->`, `<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/reliability.md has no marks "${begin}" and "${end}"`);
  return `${page.slice(0, from + begin.length)}\n\n${body}\n\n${page.slice(to)}`;
}

/** @param {string} oracle @param {string} failover files of facts, a line each; one that is not there leaves its part as it was */
export function write(oracle, failover) {
  let all = readFileSync(page, 'utf8');
  const when = `${new Date().toISOString().slice(0, 10)}, ${machine()}. `;
  mkdirSync(directory, { recursive: true });
  const rounds = lines(oracle);
  if (rounds.length > 0) {
    all = between(all, 'oracle', when + oracleTable(rounds));
    writeFileSync(`${directory}/oracle.txt`, rounds.map((round) => `${text(round)}\n${round.problems.map((/** @type {string} */ p) => `PROBLEM ${p}\n`).join('')}`).join('\n'));
  }
  const runs = lines(failover);
  if (runs.length > 0) {
    all = between(all, 'failover', when + failoverTables(runs));
    writeFileSync(`${directory}/failover.jsonl`, readFileSync(failover));
  }
  writeFileSync(page, all);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [oracle, failover] = process.argv.slice(2);
  write(oracle ?? '', failover ?? '');
}
