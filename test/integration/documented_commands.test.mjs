// What the pages show exists (scripts/check_docs.mjs, also part of make lint), and the check finds what does not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { root } from '../harness/index.mjs';
import { allPages, inventory, problemsOf, tableProblems } from '../../scripts/check_docs.mjs';

const there = inventory();

test('every command, flag, setting, target, SQL name and metric that a page shows exists', () => {
  assert.deepEqual(tableProblems(), []);
  assert.deepEqual(allPages().flatMap((page) => problemsOf(page, readFileSync(`${root}/${page}`, 'utf8'), there)), []);
});

for (const [name, text, problem] of [
  ['a block of an unknown language', '```basic\n10 GOTO 10\n```\n', /unknown language "basic"/],
  ['a block that nobody runs', '```sql\nSELECT 1;\n```\n', /marked sql on a page that no test runs/],
  ['a command', 'Do `oa-sync fly`.\n', /oa-sync has no command fly/],
  ['a flag of a command', '```text\noa-sync tail --backwards orders:7\n```\n', /oa-sync tail has no --backwards/],
  ['a flag on a continued line', '```text\noa-sync status \\\n  --sideways\n```\n', /oa-sync status has no --sideways/],
  ['a flag of the server', '```text\nsudo oa-sync-fanout --listen 0.0.0.0:1 --faster\n```\n', /oa-sync-fanout has no --faster/],
  ['a flag by itself', 'See `--no-such-flag`.\n', /no program has --no-such-flag/],
  ['a setting', 'Raise `oa_sync.max_luck`.\n', /no setting oa_sync\.max_luck/],
  ['a target', '```text\nmake coffee\n```\n', /no target make coffee/],
  ['a function', '`SELECT runtime.sync_fly()`\n', /neither SQL nor a metric is named sync_fly/],
  ['a metric', '`rate(oa_sync_luck_total[5m])`\n', /neither SQL nor a metric is named oa_sync_luck_total/],
]) {
  test(`found: ${name} that is not there`, () => {
    const found = problemsOf('docs/invented.md', /** @type {string} */ (text), there);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', /** @type {RegExp} */ (problem));
  });
}

test('not found: what is there', () => {
  const text = '```text\nmake check   # or make\noa-sync tail --since beginning orders:7 | grep --color x\noa-sync-fanout --listen 0.0.0.0:4400\n```\n' +
    '`oa_sync.max_hot_topics`, `--jwt-keyring`, `sync_publish`, `oa_sync_joined`, `histogram_quantile(0.9, oa_sync_commit_to_socket_seconds_bucket)`\n';
  assert.deepEqual(problemsOf('docs/invented.md', text, there), []);
});
