// The demo, unattended: exit status 0 means that what was delivered equals the journal.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../harness/index.mjs';

test('make demo DURATION=10, without the building', () => {
  const { status, stdout, stderr } = spawnSync('node', [`${root}/demo/run.mjs`, '--duration', '10'],
    { encoding: 'utf8', timeout: 120_000, maxBuffer: 1 << 26 });
  const tail = `${stdout.split('\n').slice(-40).join('\n')}\n${stderr}`;
  assert.equal(status, 0, tail);
  assert.match(stdout, /equals the journal, event by event, hash by hash/);
  for (const line of ['transactions committed', 'events written', 'events delivered', 'resumes after a cut', 'gaps',
    'duplicates', 'commit to client, p50', 'commit to client, p99']) assert.ok(stdout.includes(line), `${line}\n${tail}`);
});
