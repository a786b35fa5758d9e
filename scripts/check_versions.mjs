// Checks every place that states the version against the Makefile's. Usage: node check_versions.mjs VERSION
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

const version = process.argv[2];
const read = (/** @type {string} */ file) => readFileSync(file, 'utf8');
const json = (/** @type {string} */ file) => JSON.parse(read(file));
/** @type {[string, string | undefined][]} */
const stated = [
  ['extension/oa_sync.control', /^default_version\s*=\s*'([^']+)'/m.exec(read('extension/oa_sync.control'))?.[1]],
  ['META.json version', json('META.json').version],
  ['META.json provides.oa_sync.version', json('META.json').provides.oa_sync.version],
  ['CHANGELOG.md, first heading', /^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]],
  ['package.json', json('package.json').version],
  ['package-lock.json', json('package-lock.json').version],
];
for (const client of existsSync('clients') ? readdirSync('clients') : []) {
  const file = `clients/${client}/package.json`;
  if (existsSync(file)) stated.push([file, json(file).version]);
}
for (const binary of ['build/fanout/oa-sync-fanout', 'build/fanout/oa-sync']) {
  if (!existsSync(binary)) continue;
  const answer = execFileSync(binary, ['--version'], { encoding: 'utf8' });
  stated.push([`${binary} --version`, /\d+\.\d+\.\d+/.exec(answer)?.[0]]);
}
const wrong = stated.filter(([, found]) => found !== version);
for (const [place, found] of wrong) console.error(`${place}: ${found ?? 'no version found'}, the Makefile says ${version}`);
const provided = json('META.json').provides.oa_sync.file;
if (!existsSync(provided)) {
  console.error(`META.json: ${provided} does not exist`);
  process.exitCode = 1;
}
if (wrong.length > 0) process.exitCode = 1;
else console.log(`version ${version} in ${stated.length} places`);
