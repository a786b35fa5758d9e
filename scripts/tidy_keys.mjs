// One line for each .cpp: a hash of everything of ours that clang-tidy sees of it, a tab, and its path. The hash covers
// .clang-tidy, the file, and the headers that it includes, directly or not; files that include what protoc generates
// depend on all .proto files. Usage: scripts/sources.sh | node scripts/tidy_keys.mjs
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const protoDirectory = 'proto/openagents/sync/v1';
const roots = ['fanout/src', 'extension/src', 'clients/terminal/src'];
const protos = readdirSync(protoDirectory).filter((name) => name.endsWith('.proto')).sort().map((name) => `${protoDirectory}/${name}`);

/** @type {Map<string, string[]>} */
const known = new Map();

/** The files of the repository that a file includes. @param {string} path @returns {string[]} */
function includesOf(path) {
  const cached = known.get(path);
  if (cached) return cached;
  const found = [];
  for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(/^\s*#\s*include\s+["<]([^">]+)[">]/gm)) {
    if (name.endsWith('.pb.h')) found.push(...protos);
    const target = [dirname(path), ...roots].map((root) => normalize(join(root, name))).find((candidate) => existsSync(candidate));
    if (target) found.push(target);
  }
  known.set(path, found);
  return found;
}

/** @param {string} path @returns {string[]} */
function closureOf(path) {
  const seen = new Set([path]);
  for (const file of seen) if (!file.endsWith('.proto')) for (const one of includesOf(file)) seen.add(one);
  return [...seen].sort();
}

const config = readFileSync('.clang-tidy');
for (const path of readFileSync(0, 'utf8').split('\n').filter((line) => line.endsWith('.cpp'))) {
  const hash = createHash('sha256').update(config);
  for (const file of closureOf(path)) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  process.stdout.write(`${hash.digest('hex').slice(0, 32)}\t${path}\n`);
}
