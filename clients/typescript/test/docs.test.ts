// The guide: its example runs, its other code compiles, its tables name what there is.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, expect, test } from 'vitest';
import { Stand, waitFor } from './support/stand.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(new URL('../../../docs/clients/typescript.md', import.meta.url), 'utf8');
const stand = await Stand.create();

// Within the package, so that its own name and its dependencies resolve.
const dir = mkdtempSync(join(root, 'test', '.docs-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});
symlinkSync(join(root, '../../node_modules'), join(dir, 'node_modules'));

const blocks = (language: string): string[] => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map(([, code]) => code!);

test('the twenty lines follow run summaries, and go on from their store', async () => {
  const [example] = blocks('js example');
  expect(example!.trim().split('\n').length).toBeLessThanOrEqual(22);
  writeFileSync(join(dir, 'example.mjs'), example!);
  const tokens = createServer((_request, response) => response.end(JSON.stringify({ data: { token: stand.keyring.token(['*']) } })));
  await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve));
  afterAll(() => void tokens.close());
  const key = `runtime/run_summary:docs-${process.pid}`;
  const write = (version: number, status: string): Promise<unknown> => stand.query(
    'SELECT runtime.sync_upsert_document($1, $2, $3, $4)', ['runtime.sync_run_summaries', key, version, JSON.stringify({ status })]);

  const run = (): { output: () => string; child: ChildProcess } => {
    let text = '';
    const child = spawn(process.execPath, ['example.mjs'], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env,
      SYNC_URL: stand.fanout.socketUrl, TOKEN_URL: `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/` } });
    children.push(child);
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    return { output: () => text, child };
  };
  await write(1, 'queued');
  const first = run();
  await waitFor(() => first.output().includes(`has ${key} { status: 'queued' }`), { what: first.output });
  await write(2, 'running');
  await waitFor(() => first.output().includes(`upsert ${key} { status: 'running' }`), { what: first.output });
  // What it stored is written behind: killed at once, the event may come again; killed later, it does not.
  first.child.kill('SIGKILL');
  await write(3, 'finished');
  const second = run();
  await waitFor(() => second.output().includes(`{ status: 'finished' }`), { what: second.output });
  expect(second.output()).toMatch(/^status connecting$/m);
  expect(first.output() + second.output()).not.toMatch(/Error/);
});

test('the other code on the page compiles', () => {
  writeFileSync(join(dir, 'earlier-runs.ts'), `import type { LaneSource } from '@openagents/sync/lane';
    export default function make(): LaneSource { return { documents: new Map(), start() {}, stop() {}, on: () => () => {} }; }`);
  writeFileSync(join(dir, 'sync-client.ts'), `import { SyncClient } from '@openagents/sync';
    export const makeClient = () => new SyncClient({ url: 'ws://localhost/socket', token: () => '' });`);
  const files = [
    ...blocks('tsx').map((code, i) => [`block-${i}.tsx`, `import type { SyncClient } from '@openagents/sync';\n${code}\nexport { App };`]),
    ...blocks('ts').map((code, i) => [`block-${i}.ts`, `declare const flags: { get(name: string): 'off' | 'shadow' | 'on' };
      declare function report(docKey: string, reason: string): void;\n${code}\nexport { lane };`]),
  ].map(([name, code]) => {
    writeFileSync(join(dir, name!), code!);
    return join(dir, name!);
  });
  expect(files.length).toBe(2);
  const program = ts.createProgram(files, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, jsx: ts.JsxEmit.ReactJSX, types: [] });
  const problems = ts.getPreEmitDiagnostics(program).map((one) => ts.flattenDiagnosticMessageText(one.messageText, '\n'));
  expect(problems).toEqual([]);
});

test('every code, status, option and entry is on the page', () => {
  const source = (name: string): string => readFileSync(join(root, 'src', name), 'utf8');
  const names = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name]) => name!);
  const part = (text: string, from: string, to: string): string => text.slice(text.indexOf(from), text.indexOf(to, text.indexOf(from)));
  const codes = names(part(source('errors.ts'), 'export type SyncErrorCode', ';'), /'([a-z_]+)'/g);
  const types = source('types.ts');
  const statuses = names(part(types, 'export type SyncStatus', ';'), /'([a-z_]+)'/g);
  const members = (name: string): string[] => names(part(types, `export interface ${name} {`, '\n}'), /^ {2}(?:readonly )?([a-zA-Z]+)\??[:(<]/gm);
  const all = [...codes, ...statuses, ...members('SyncClientOptions'), ...members('TopicOptions'), ...members('SyncTopic'), ...members('SyncDocument'),
    ...members('SyncUpdate'), ...members('TopicEvents'), ...members('ClientEvents')];
  expect(all.length).toBeGreaterThan(60);
  expect(all.filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
  const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  for (const entry of Object.keys(entries)) expect(readme).toContain(`\`@openagents/sync${entry.slice(1)}\``);
});
