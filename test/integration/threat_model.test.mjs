// docs/security/THREAT_MODEL.md names tests: each file is there, and has a test of that title.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { root } from '../harness/index.mjs';
import { textOf } from '../harness/pages.mjs';

const page = 'docs/security/THREAT_MODEL.md';
const rows = textOf(page).split('\n').filter((line) => line.startsWith('| '));
const threats = textOf(page).split('## Threats')[1]?.split('## Not covered')[0] ?? '';

/** The titles of a file's tests: of JavaScript what test() is called with, otherwise its whole text. @param {string} file */
function titlesOf(file) {
  const text = readFileSync(`${root}/${file}`, 'utf8');
  if (!file.endsWith('.mjs')) return text;
  return [...text.matchAll(/^\s*test\((['`])(.*?)(?<!\\)\1,/gm)].map(([, , title]) => (title ?? '').replaceAll(`\\'`, `'`)).join('\n');
}

test('every test that the threat model names exists', () => {
  const named = [...threats.matchAll(/\[\w+\]\(\.\.\/\.\.\/([\w/.]+)\) "([^"]+)"/g)];
  assert.ok(named.length > 50, `${named.length} tests are named`);
  const missing = named.filter(([, file = '', title = '']) => !existsSync(`${root}/${file}`) || !titlesOf(file).split('\n').some((line) =>
    (file.endsWith('.mjs') ? line === title : line.includes(title)))).map(([, file, title]) => `${file}: ${title}`);
  assert.deepEqual(missing, []);
});

test('every threat has a test', () => {
  const lines = threats.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| threat |'));
  assert.ok(lines.length > 40 && rows.length > lines.length);
  for (const line of lines) assert.match(line, /\]\(\.\.\/\.\.\/[\w/.]+\) "[^"]+" \|$/, line);
});
