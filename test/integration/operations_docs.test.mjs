// What the operators' pages show is run as it stands: every block marked sql, sh or ini of installation, sizing, backup,
// failover and upgrade, in the order of the page. Blocks marked text are not run: they change the machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, fanoutBinary, waitFor } from '../harness/index.mjs';
import { blocksOf as blocksOfPage, runBlock, settingsOf, textOf } from '../harness/pages.mjs';

const pages = /** @type {const} */ (['installation', 'sizing', 'backup', 'failover', 'upgrade']);
/** @param {string} page */
const pathOf = (page) => `docs/operations/${page}.md`;
/** @param {string} page @param {string[]} kinds */
const blocksOf = (page, ...kinds) => blocksOfPage(pathOf(page), ...kinds);

const { output_plugin_libraries: pluginLibraries, ...settings } = settingsOf(pathOf('installation'));
const cluster = await Cluster.create({ settings: { ...settings, max_connections: settingsOf(pathOf('failover')).max_connections ?? 100 } });
const workDir = mkdtempSync('/tmp/oa-sync-docs-');
chmodSync(workDir, 0o755);
/** @type {(() => unknown)[]} */
const cleanups = [() => cluster.destroy(), () => rmSync(workDir, { recursive: true, force: true })];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** Runs a block; its output. @param {import('../harness/pages.mjs').Block} block @param {string} database @param {Cluster} [on] */
const run = (block, database, on = cluster) => runBlock(block, { cluster: on, database, cwd: workDir });

/** @param {string} sql @param {string} database @param {Cluster} [on] */
const ask = (sql, database, on = cluster) => on.psql(database, sql).trim();

/** A database as the pages have it: the application's table, published, with some events. @param {string} name @param {string} [version] */
function shop(name, version) {
  cluster.psql('postgres', `CREATE DATABASE ${name}`);
  cluster.psql(name, `CREATE EXTENSION oa_sync ${version ? `VERSION '${version}'` : ''};
    CREATE SCHEMA app;
    CREATE TABLE app.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id integer NOT NULL, state text NOT NULL);
    SELECT runtime.sync_publish('app.orders', topic => 'shop:{shop_id}:orders', doc_key => 'order:{id}');
    INSERT INTO app.orders (shop_id, state) SELECT 7, 'new' FROM generate_series(1, 3);`);
}

test('installation.md', async () => {
  assert.equal(settings.shared_preload_libraries, 'oa_sync');
  // What the page shows is the server's own list, for logical replication goes on, and oa_sync.
  const [known, shipped] = ask(`SELECT count(*), min(boot_val) FROM pg_settings WHERE name = 'output_plugin_libraries'`, 'postgres').split('|');
  if (known === '1') {
    assert.equal(pluginLibraries, `${shipped}, oa_sync`);
    cluster.psql('postgres', `ALTER SYSTEM SET output_plugin_libraries = ${pluginLibraries};`);
    cluster.psql('postgres', 'SELECT pg_reload_conf()');
  }
  cluster.psql('postgres', 'CREATE DATABASE install');
  /** @type {Fanout | undefined} */
  let fanout;
  for (const block of blocksOf('installation', 'sql', 'sh')) {
    if (block.text.includes('DROP EXTENSION')) await fanout?.destroy();
    if (block.text.includes('pg_replication_slots')) {
      await waitFor(async () => await run(block, 'install') !== '', { what: 'the page\'s query shows the slot' });
      continue;
    }
    if (block.text.includes('backend_type')) {
      await waitFor(async () => /launcher[^]*worker|worker[^]*launcher/.test(await run(block, 'install')), { what: 'the page\'s query shows launcher and worker' });
      continue;
    }
    const output = await run(block, 'install');
    if (block.text.includes('sync_replay')) {
      assert.equal(output.split('\n').filter(Boolean).map((line) => line.split('|').slice(0, 3).join(' ')).join(), '1 upsert order:1,2 upsert order:1');
    }
    if (block.text.includes('sync_monitor')) {
      assert.equal(ask('SET ROLE sync_monitor; SELECT count(*) FROM runtime.sync_stats; SELECT count(*) FROM runtime.sync_topics', 'install'), '1\n0');
      assert.notEqual(ask('SET ROLE sync_monitor; SELECT count(*) FROM runtime.sync_journal_partitions', 'install'), '0');
    }
    if (block.text.includes('keyring.json')) {
      fanout = await Fanout.start({ database: cluster.conninfo('install').replace(/user=\S+/, 'user=sync_reader'), flags: { 'jwt-keyring': `${workDir}/keyring.json` } });
      cleanups.push(() => fanout?.destroy());
      await fanout.ready();
    }
  }
  assert.equal(ask(`SELECT count(*) FROM pg_trigger t WHERE t.tgname LIKE '!oa_sync%'`, 'install'), '0');
  assert.equal(ask(`SELECT count(*) FROM pg_class WHERE relname LIKE 'sync\\_%'`, 'install'), '0');
});

test('sizing.md', async () => {
  shop('sizing');
  for (const block of blocksOf('sizing', 'sql')) {
    const output = await run(block, 'sizing');
    if (!block.text.includes('-- empty')) assert.notEqual(output, '', `${block.where} shows nothing`);
  }
  assert.match(ask('SELECT sum(bytes) > 0 FROM runtime.sync_journal_partitions', 'sizing'), /^t$/);
});

test('backup.md', async () => {
  shop('shop');
  const epoch = Number(ask('SELECT runtime.sync_current_epoch()', 'shop'));
  for (const block of blocksOf('backup', 'sql', 'sh')) {
    await run(block, 'shop');
  }
  assert.ok(Number(ask('SELECT runtime.sync_current_epoch()', 'shop')) > epoch, 'sync_new_epoch opened one');
  // What was restored goes on, in an epoch of its own.
  cluster.psql('shop_restored', `INSERT INTO app.orders (shop_id, state) VALUES (7, 'after')`);
  assert.equal(ask(`SELECT string_agg(watermark::text, ',') FROM runtime.sync_replay('shop:7:orders', 0)`, 'shop_restored'), '1,2,3,4');
  assert.equal(ask(`SELECT count(DISTINCT epoch) FROM runtime.sync_replay('shop:7:orders', 0)`, 'shop_restored'), '2');
  // The dump without the journal, published anew.
  cluster.psql('postgres', 'CREATE DATABASE small');
  await run({ kind: 'sh', text: 'pg_restore --exit-on-error -d small small.dump', where: 'backup.md, the dump without the journal' }, 'shop');
  cluster.psql('small', `SELECT runtime.sync_publish('app.orders', topic => 'shop:{shop_id}:orders', doc_key => 'order:{id}');
    INSERT INTO app.orders (shop_id, state) VALUES (7, 'first')`);
  assert.equal(ask(`SELECT string_agg(watermark || ' ' || doc_key, ',') FROM runtime.sync_replay('shop:7:orders', 0)`, 'small'), '1 order:4');
});

test('failover.md', async () => {
  shop('failover');
  const standby = await cluster.backup({ standby: true, settings: settingsOf(pathOf('failover')) });
  cleanups.push(() => standby.destroy());
  await waitFor(() => ask('SELECT count(*) FROM runtime.sync_topics', 'failover', standby) === '1', { what: 'the standby reads' });
  assert.equal(ask(`SELECT count(*) FROM runtime.sync_replay('shop:7:orders', 0)`, 'failover', standby), '3');
  assert.equal(ask('SELECT worker_pid IS NULL FROM runtime.sync_stats', 'failover', standby), 't');
  const epoch = Number(ask('SELECT runtime.sync_current_epoch()', 'failover'));
  for (const block of blocksOf('failover', 'sql', 'sh')) {
    const where = /^-- on the (.*)$/m.exec(block.text)?.[1];
    if (block.text.includes('pg_stat_replication')) {
      await waitFor(async () => /streaming/.test(await run(block, 'failover', where ? standby : cluster)), { timeoutMs: 60_000, what: 'the standby is streaming' });
      continue;
    }
    const output = await run(block, 'failover', where ? standby : cluster);
    if (block.text.includes('sync_check_cursors')) assert.match(output, /epoch_diverged/);
    if (block.text.includes('sync_topic_histories')) assert.equal(output.trim(), `shop:7:orders|${epoch}|3`);
    if (where === 'standby') {
      await waitFor(() => Number(ask('SELECT runtime.sync_current_epoch()', 'failover', standby)) > epoch, { what: 'a new epoch' });
    }
  }
  cluster.psql('failover', `SELECT 1`);
});

test('upgrade.md', async () => {
  shop('old', '0.1.0');
  // installation.md made the role.
  assert.equal(ask(`SELECT count(*) FROM pg_roles WHERE rolname = 'sync_reader'`, 'old'), '1');
  for (const block of blocksOf('upgrade', 'sql')) await run(block, 'old');
  assert.equal(ask(`SELECT extversion = default_version FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'oa_sync'`, 'old'), 't');
  cluster.psql('old', `INSERT INTO app.orders (shop_id, state) VALUES (7, 'upgraded')`);
  assert.equal(ask(`SELECT string_agg(watermark::text, ',') FROM runtime.sync_replay('shop:7:orders', 0)`, 'old'), '1,2,3,4');
});

test('every setting and flag that the pages name exists', () => {
  const flags = execFileSync(fanoutBinary, ['--help'], { encoding: 'utf8' });
  const ofPostgresTools = ['--data-only'];
  for (const page of pages) {
    const text = textOf(pathOf(page));
    for (const [, flag = ''] of text.matchAll(/(?:`|oa-sync-fanout .*?)(--[a-z-]+)/g)) {
      assert.ok(ofPostgresTools.includes(flag) || flags.includes(`${flag} `), `${page}.md names ${flag}`);
    }
    for (const [, setting = ''] of text.matchAll(/`(oa_sync\.[a-z_]+)`/g)) {
      assert.equal(ask(`SELECT count(*) FROM pg_settings WHERE name = '${setting}'`, 'postgres'), '1', `${page}.md names ${setting}`);
    }
  }
});
