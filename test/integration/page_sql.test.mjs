// Pages whose SQL needs no more than the demo's tables: every block marked sql is run as it stands, in the order of its page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, root } from '../harness/index.mjs';
import { blocksOf, runBlock } from '../harness/pages.mjs';

const cluster = await Cluster.create({ settings: { fsync: 'off' } });
after(() => cluster.destroy());
await cluster.createDatabase('pages');
cluster.psql('pages', readFileSync(`${root}/demo/schema.sql`, 'utf8'));
cluster.psql('pages', `INSERT INTO app.runs (run_id, org_id, title, model, status) VALUES ('42', 'org_1', 'A run', 'planner', 'running');
  INSERT INTO app.run_events (run_id, seq, kind) SELECT '42', i, 'thinking' FROM generate_series(1, 9) i;`);

/** @param {string} page @returns {Promise<string>} all that it printed */
async function run(page) {
  const blocks = blocksOf(page, 'sql');
  assert.ok(blocks.length > 0, `${page} shows SQL`);
  let output = '';
  for (const block of blocks) output += await runBlock(block, { cluster, database: 'pages', cwd: '/tmp' });
  return output;
}

test('extension.md', async () => {
  await run('docs/extension.md');
  assert.equal(cluster.psql('pages', `SELECT rolreplication FROM pg_roles WHERE rolname = 'sync_reader'`).trim(), 't');
});

test('policies.md', async () => {
  assert.match(await run('docs/operations/policies.md'), /^2 days\|10000\|/m, 'the horizon that was set, the budget that was set back');
});

test('retention.md', async () => {
  assert.match(await run('docs/operations/retention.md'), /^run:42:events\|9\|0\|1\|/m);
});

test('snapshots.md', async () => {
  const output = await run('docs/snapshots.md');
  assert.equal(output.split('\n').filter((line) => line.startsWith('run:42:event:')).length, 9, output);
});

test('sync/PARITY.md', async () => {
  await run('docs/sync/PARITY.md');
  assert.equal(cluster.psql('pages', 'SELECT count(*) FROM runtime.sync_parity_lanes').trim(), '0', 'the lane that it makes is dropped by it');
});

test('sync/PARITY_DASHBOARD.md', async () => {
  cluster.psql('pages', `SELECT runtime.sync_parity_set_lane('self', topic => 'runtime.*', adapter => 'self', enabled => true)`);
  assert.match(await run('docs/sync/PARITY_DASHBOARD.md'), /^self\|/m);
});
