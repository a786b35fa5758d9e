// What is around the commands: help, completions that shells understand, a manual that is whole, documented exit codes.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { root } from '../harness/index.mjs';
import { binary, directory, run } from './program.mjs';

const commands = ['tail', 'status', 'snapshot', 'token', 'doctor', 'parity', 'bench', 'completion', 'man'];

/** @param {string[]} args */
async function output(args) {
  const ended = await run(args);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.stderr, '');
  return ended.stdout;
}

/** What bash offers for a command line whose last word is being typed. @param {string[]} words */
function completed(words) {
  const script = `source <("${binary}" completion bash)
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _oa_sync; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8', cwd: root }).split('\n').filter(Boolean).sort();
}

test('bash completes commands, options, choices and files', () => {
  assert.deepEqual(completed(['oa-sync', 't']), ['tail', 'token']);
  assert.deepEqual(completed(['oa-sync', 'tail', '--cur']), ['--cursor']);
  assert.deepEqual(completed(['oa-sync', 'tail', '--color', '']), ['always', 'auto', 'never']);
  assert.deepEqual(completed(['oa-sync', 'tail', '--cursor', 'READ']), ['README.md']);
  assert.deepEqual(completed(['oa-sync', 'tail', '--key', '']), [], 'nobody knows the keys');
  assert.deepEqual(completed(['oa-sync', 'completion', 'z']), ['zsh']);
  assert.deepEqual(completed(['oa-sync', 'parity', 'g']), ['gate']);
  assert.deepEqual(completed(['oa-sync', 'parity', 'gate', '--max-r']), ['--max-rate']);
  assert.deepEqual(completed(['oa-sync', 'parity', 'run', '--log-format', 'j']), ['json']);
  assert.deepEqual(completed(['oa-sync', 'doctor', '--token']), ['--token-file'], '--token is not offered');
});

test('the completions of zsh and fish are read by them, where they are installed', async () => {
  for (const shell of ['zsh', 'fish']) {
    const text = await output(['completion', shell]);
    for (const command of commands) assert.ok(text.includes(command), `${shell}: ${command}`);
    if (spawnSync(shell, ['-c', 'true']).status !== 0) continue;
    const checked = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr);
  }
});

test('the manual has every command and option of --help, and man understands it', async () => {
  const manual = await output(['man']);
  for (const command of commands) {
    assert.ok(manual.includes(`\n.Ss ${command}\n`), command);
    for (const [, option = ''] of (await output([command, '--help'])).matchAll(/^ +(?:-\w,)?--([a-z-]+)/gm)) {
      assert.ok(manual.includes(`Fl -${option}`), `${command} --${option}`);
    }
  }
  if (spawnSync('mandoc', ['-V']).error === undefined) {
    const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], { input: manual, encoding: 'utf8' });
    assert.equal(lint.stdout + lint.stderr, '');
  }
  if (spawnSync('groff', ['--version']).error === undefined) {
    const groff = spawnSync('groff', ['-mdoc', '-Tutf8', '-ww', '-z'], { input: manual, encoding: 'utf8' });
    assert.equal(groff.stderr, '');
  }
});

test('the exit codes of the source, the manual and the guide are the same', async () => {
  const source = readFileSync(`${root}/clients/terminal/src/exit_code.h`, 'utf8');
  const codes = [...source.matchAll(/= (\d+),/g)].map(([, code]) => Number(code)).filter((code) => code < 128);
  assert.deepEqual(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const manual = await output(['man']);
  const guide = readFileSync(`${root}/docs/clients/terminal.md`, 'utf8');
  for (const code of codes) {
    assert.ok(manual.includes(`\n.It ${code}\n`), `manual: ${code}`);
    assert.match(guide, new RegExp(`^\\| ${code} \\|`, 'm'), `guide: ${code}`);
  }
});

test('a token on the command line is refused, and not repeated', async () => {
  const ended = await run(['tail', '--token', 'eyJsecret', 'topic']);
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /--token-file/);
  assert.doesNotMatch(ended.stderr, /eyJsecret/);
});

test('a single document is no place to go on from', async () => {
  const file = `${directory()}/cursor`;
  const ended = await run(['snapshot', '--key', 'k', '--cursor', file, 'topic']);
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /--key/);
});

test('standard files that are closed at the start: no other file takes their place', () => {
  const dir = directory();
  const shell = (/** @type {string} */ closed, /** @type {string[]} */ ...args) =>
    spawnSync('bash', ['-c', `"$0" "$@" ${closed}`, binary, ...args], { encoding: 'utf8' });
  const ended = shell('>&-', 'tail', '--url', 'ws://127.0.0.1:9', '--cursor', `${dir}/cursor`, 'topic');
  assert.equal(ended.status, 8, ended.stderr);
  assert.match(ended.stderr, /standard output is closed/);
  assert.deepEqual(readdirSync(dir), []);
  const others = shell('<&- 2>&-', 'tail', '--url', 'ws://127.0.0.1:9', '--cursor', `${dir}/cursor`, 'topic');
  assert.equal(others.status, 2, 'no token');
  assert.equal(readFileSync(`${dir}/cursor.lock`, 'utf8'), '', 'what is said is not written there');
});

test('output that nobody takes is an error of its own', () => {
  for (const args of [['man'], ['completion', 'bash']]) {
    const ended = spawnSync('bash', ['-c', '"$0" "$@" > /dev/full', binary, ...args], { encoding: 'utf8' });
    assert.equal(ended.status, 8, args.join(' '));
  }
});
