// What each entry of the package brings with it, as it is built (make sdk).
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as
  { exports: Record<string, { types: string; default: string }> };

/** The packages that an entry imports, and its own files, at whatever depth. */
function reachable(file: string, found = { files: new Set<string>(), packages: new Set<string>() }): typeof found {
  if (found.files.has(file)) return found;
  found.files.add(file);
  const source = readFileSync(file, 'utf8').replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  for (const [, name] of source.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
    if (name!.startsWith('.')) reachable(join(dirname(file), name!), found);
    else found.packages.add(name!);
  }
  return found;
}

const packagesOf = (entry: string): string[] => [...reachable(join(root, entries[entry]!.default)).packages].sort();

test('it is built, with types', () => {
  for (const [name, { types, default: file }] of Object.entries(entries)) {
    for (const path of [types, file]) expect(existsSync(join(root, path)), `${name}: ${path}; run make sdk`).toBe(true);
  }
});

test('the main entry needs no DOM, no Node and no React', () => {
  expect(packagesOf('.')).toEqual(['@bufbuild/protobuf', '@bufbuild/protobuf/codegenv2', 'phoenix']);
});

test('a lane brings neither a socket nor protobuf: with `off` nothing of OA Sync has to be loaded', () => {
  expect(packagesOf('./lane')).toEqual([]);
});

test('hooks bring React only; stores bring their own', () => {
  expect(packagesOf('./react')).toEqual(['react']);
  expect(packagesOf('./stores/idb')).toEqual(['idb']);
  expect(packagesOf('./stores/file').every((name) => name.startsWith('node:'))).toBe(true);
});

test('types name nothing that only browsers or only Node have', () => {
  for (const entry of ['.', './react', './lane']) {
    for (const file of reachable(join(root, entries[entry]!.default)).files) {
      if (file.includes('/gen/')) continue;
      const types = readFileSync(file.replace(/\.js$/, '.d.ts'), 'utf8');
      expect(types, file).not.toMatch(/reference types=|\bNodeJS\.|\bBuffer\b|\bWindow\b|from 'node:/);
    }
  }
});
