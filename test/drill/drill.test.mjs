// The drill in its short form, and a drill whose gates are blind: that one has to fail.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { root } from '../harness/index.mjs';
import { bucketOf, cohortOf, readRunbook } from './cohorts.mjs';
import { play, sizes } from './play.mjs';
import { Record } from './record.mjs';

test('a user\'s bucket stays, and buckets are even', () => {
  assert.equal(bucketOf('user-1'), bucketOf('user-1'));
  const { cohorts } = readRunbook();
  const users = Array.from({ length: 10_000 }, (_, i) => `u${i}`);
  const limited = users.filter((user) => cohortOf(cohorts, user) === 'limited').length;
  assert.ok(limited > 800 && limited < 1200, `${limited} of 10000 are in buckets 0 to 9`);
  assert.equal(cohortOf(cohorts, 'staff-1'), 'internal');
});

test('the runbook is played: a lie blocks, a rollback is quick, nothing is lost', { timeout: 300_000 }, async () => {
  const record = new Record(false);
  /** @type {unknown} */
  let failure;
  try {
    await play(record, sizes.short);
  } catch (error) {
    failure = error;
  }
  mkdirSync(`${root}/build/drill`, { recursive: true });
  writeFileSync(`${root}/build/drill/short.md`, record.report(failure === undefined ? undefined : String(failure)));
  if (failure !== undefined) throw failure;
});

test('with gates that see no mismatch the drill fails', { timeout: 300_000 }, async () => {
  const record = new Record(false);
  await assert.rejects(play(record, { ...sizes.short, patienceMs: 5000, soakMs: 500 }, { blind: true }), /a gate that should block is open/);
  assert.match(record.report('x'), /FAILED/);
});
