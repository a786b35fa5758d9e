// Checks the Markdown files: every relative link leads to a file (and heading) that exists, and every page under docs/
// can be reached from docs/README.md.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** @param {string} dir @returns {string[]} */
const markdownIn = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
  const path = join(dir, entry.name);
  if (entry.isDirectory()) return ['node_modules', 'build', '.git'].includes(entry.name) ? [] : markdownIn(path);
  return entry.name.endsWith('.md') ? [path] : [];
});

/** Text without code blocks and code spans, where brackets mean something else. @param {string} text */
const prose = (text) => text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, '_'));

/** The anchors that GitHub makes of a page's headings. @param {string} file @returns {Set<string>} */
function anchors(file) {
  const text = readFileSync(file, 'utf8').replace(/^```[^]*?^```/gm, '');
  return new Set([...text.matchAll(/^#+\s+(.+)$/gm)].map(([, heading]) =>
    (heading ?? '').toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-')));
}

const files = markdownIn('.');
/** @type {Map<string, string[]>} */
const links = new Map();
/** @type {string[]} */
const problems = [];
for (const file of files) {
  const targets = [];
  for (const [, target = ''] of prose(readFileSync(file, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const full = path === '' ? file : normalize(join(dirname(file), path));
    if (!existsSync(full)) problems.push(`${file}: ${target} does not exist`);
    else if (anchor && full.endsWith('.md') && !anchors(full).has(anchor)) problems.push(`${file}: no heading ${target}`);
    else targets.push(statSync(full).isDirectory() ? join(full, 'README.md') : full);
  }
  links.set(normalize(file), targets);
}
const seen = new Set(['docs/README.md']);
for (const page of seen) for (const next of links.get(page) ?? []) seen.add(next);
for (const file of files.map(normalize)) {
  if (file.startsWith('docs/') && !seen.has(file)) problems.push(`${file}: not reachable from docs/README.md`);
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`links of ${files.length} pages`);
