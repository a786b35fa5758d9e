// The runbooks of docs/operations/runbooks, on a system that has the incident where that is cheap to make: every block marked
// sql or sh is run as it stands, in the order of its page.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, Keyring, RawSocket, SyncClient, root, waitFor } from '../harness/index.mjs';
import { EarlierApi } from '../drill/earlier_api.mjs';
import { holdLauncher } from './launcher.mjs';
import { blocksOf, runBlock, textOf } from '../harness/pages.mjs';

/** @typedef {import('../harness/pages.mjs').Block} Block */
/** @typedef {{output: string, block: Block}} Ran */

const directory = 'docs/operations/runbooks';
const database = 'shop';
const cwd = mkdtempSync('/tmp/oa-sync-runbooks-');
chmodSync(cwd, 0o755);
/** @type {(() => unknown)[]} */
const cleanups = [() => rmSync(cwd, { recursive: true, force: true })];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const cluster = await Cluster.create({ settings: { max_worker_processes: 12, max_slot_wal_keep_size: '20GB' } });
cleanups.push(() => cluster.destroy());
await cluster.createDatabase(database);
cluster.psql(database, `CREATE SCHEMA app;
  CREATE TABLE app.runs (run_id text PRIMARY KEY, seq bigint NOT NULL DEFAULT 1, status text NOT NULL);
  CREATE TABLE app.run_events (run_id text NOT NULL, seq bigint NOT NULL, kind text NOT NULL, PRIMARY KEY (run_id, seq));
  SELECT runtime.sync_publish('app.runs', topic => 'runtime.run_summaries', doc_key => 'runtime/run_summary:{run_id}', doc_version => 'seq');
  SELECT runtime.sync_publish('app.run_events', topic => 'run:{run_id}:events', doc_key => 'run:{run_id}:event:{seq}', doc_version => 'seq');
  INSERT INTO app.runs SELECT 'r' || i, 1, 'running' FROM generate_series(1, 5) i;
  CREATE ROLE sync_reader LOGIN REPLICATION;
  SELECT runtime.sync_grant_reader('sync_reader');`);
const standby = await cluster.backup({ standby: true });
cleanups.push(() => standby.destroy());
// The worker makes the journal's partitions when it has seen the first publication.
await waitFor(() => cluster.psql(database, `SELECT count(*) FROM runtime.sync_journal_partitions WHERE lower <= now() AND upper > now()`).trim() === '1', { what: 'the journal has its partitions' });
/** The connection string of operators and fan-outs: whichever of the two takes writes. */
const both = `host=${cluster.socketDir},${standby.socketDir} port=5432 user=postgres dbname=${database} target_session_attrs=read-write connect_timeout=5`;
const keyring = new Keyring();
const fanout = await Fanout.start({ database: both, keyring, admin: true, flags: { 'reconnect-max-ms': 500, 'public-metrics': 'off' } });
cleanups.push(() => fanout.destroy());
await fanout.ready();
writeFileSync(`${cwd}/observer.key`, fanout.adminKey, { mode: 0o600 });
await waitFor(() => cluster.psql(database, `SELECT count(*) FROM pg_replication_slots WHERE plugin = 'oa_sync' AND active`).trim() === '1', { what: 'the fan-out has its slot' });

const env = { DATABASE: both, HOSTS: `${cluster.socketDir} ${standby.socketDir}`, STANDBY: standby.conninfo(database), URL: fanout.url('http'), ADMIN: fanout.adminUrl(''),
  KEY: `${cwd}/observer.key`, KEYRING: fanout.keyringFile };

/** @param {string} sql @param {Cluster} [on] */
const ask = (sql, on = cluster) => on.psql(database, sql).trim();
/** Commands have what the README of the runbooks has them set, and nothing that leads to the database by itself. */
const nowhere = { PGHOST: '/nowhere', PGUSER: 'nobody', PGDATABASE: 'nothing' };
/** @param {Block} block @param {{on?: Cluster, in?: string}} [where] */
const run = (block, where = {}) => runBlock(block, { cluster: where.on ?? cluster, database: where.in ?? database, cwd,
  env: block.kind === 'sh' ? { ...env, ...nowhere } : env });

/** The pages that a test has run. @type {Set<string>} */
const done = new Set();

/**
 * A test that runs a page: `each` may run a block in its own way, or returns undefined to have it run as it stands. Returns what
 * the blocks printed, found by a text in them.
 * @param {string} name
 * @param {(page: (each?: (block: Block) => Promise<string> | undefined) => Promise<(part: string) => string>) => Promise<unknown>} body
 */
function runbook(name, body) {
  test(`${name}.md`, async () => {
    await body(async (each) => {
      /** @type {Ran[]} */
      const ran = [];
      for (const block of blocksOf(`${directory}/${name}.md`, 'sql', 'sh')) ran.push({ block, output: await (each?.(block) ?? run(block)) });
      assert.ok(ran.length > 0, 'the page shows something that can be run');
      done.add(name);
      return (part) => {
        const found = ran.find(({ block }) => block.text.includes(part));
        assert.ok(found, `${name}.md shows ${part}`);
        return found.output;
      };
    });
  });
}

runbook('README', async (page) => {
  const of = await page();
  assert.match(of('oa-sync status'), /ready/);
  assert.match(of('worker_runs'), /^t\|t\|0\|/);
});

/** A client that comes back with a cursor that is not good. @param {string} topic @param {number} watermark */
async function comeBackTooLate(topic, watermark) {
  const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics: [topic], resumeAfter: { [topic]: watermark } });
  await client.connect();
  await waitFor(() => client.joinReplies.some((reply) => reply.stale), { what: 'the client is told that it is stale' });
  await client.close();
}

runbook('stale-cursor-spike', async (page) => {
  const before = await fanout.metric('oa_sync_stale_cursors_total', 'cursor_ahead_of_head');
  await comeBackTooLate('runtime.run_summaries', 1_000_000);
  const of = await page();
  assert.match(of('oa_sync_stale_cursors_total'), new RegExp(`reason="cursor_ahead_of_head"} ${before + 1}\\b`));
  assert.match(of('pg_control_checkpoint'), /: f\|\d+\n[^]*: t\|\d+\n$/, 'the primary, then the standby');
  assert.equal(ask(`SELECT horizon FROM runtime.sync_policy_of('runtime.run_summaries')`), '14 days', 'what the page sets is in force');
  assert.equal(ask(`SELECT replay_budget FROM runtime.sync_policy_of('run:r1:events')`), '20000');
});

runbook('reconnect-storm', async (page) => {
  const of = await page();
  assert.match(of('oa_sync_(joined'), /^oa_sync_joined \d+$/m);
  assert.notEqual(of("application_name LIKE 'oa-sync-fanout%'"), '');
});

runbook('slow-consumers', async (page) => {
  const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics: ['runtime.run_summaries'] });
  await client.connect();
  try {
    const of = await page();
    assert.match(of('/api/admin/sessions'), /\tuser:1\t/, 'the one who is there is listed');
  } finally {
    await client.close();
  }
});

runbook('slot-or-wal-growth', async (page) => {
  // A transaction that stays open, and a slot that somebody made by hand and forgot.
  const holder = await cluster.connect(database);
  await holder.query('BEGIN');
  await holder.query('SELECT pg_current_xact_id()');
  const { rows: [{ pid }] } = await holder.query('SELECT pg_backend_pid() AS pid');
  const maker = await cluster.connect(database);
  const making = maker.query(`SELECT pg_create_logical_replication_slot('forgotten', 'oa_sync')`);
  try {
    await waitFor(() => ask(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'forgotten'`) === '1', { what: 'the slot waits for the transaction' });
    const [first] = blocksOf(`${directory}/slot-or-wal-growth.md`, 'sql').filter(({ text }) => text.includes('xact_start'));
    assert.ok(first);
    assert.match(await run(first), new RegExp(`^${pid}\\|`, 'm'), 'the transaction that holds it is listed');
    await holder.query('ROLLBACK');
    await making;
    const of = await page();
    assert.match(of('holds_back'), /^forgotten\|oa_sync\|f\|f\|/m);
    assert.match(of('pg_drop_replication_slot'), /^forgotten\|/);
    assert.equal(ask(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'forgotten'`), '0', 'the page drops it');
    assert.equal(ask(`SELECT count(*) FROM pg_replication_slots WHERE plugin = 'oa_sync' AND active`), '1', 'and not the one in use');
  } finally {
    await holder.end();
    await maker.end();
  }
});

runbook('worker-not-running', async (page) => {
  // The launcher stands still and the worker is ended: nobody starts it anew.
  const client = await cluster.connect(database);
  const letGo = await holdLauncher(client);
  await client.end();
  try {
    ask(`SELECT pg_terminate_backend(worker_pid, 10000) FROM runtime.sync_stats`);
    await waitFor(() => ask('SELECT worker_pid IS NULL FROM runtime.sync_stats') === 't', { what: 'the worker is gone' });
    const of = await page();
    assert.match(of('SELECT worker_pid, recovered'), /^\|/, 'no worker');
    assert.match(of('SELECT worker_pid, recovered'), /oa_sync launcher/);
    assert.doesNotMatch(of('SELECT worker_pid, recovered'), /oa_sync worker/);
    assert.match(of('shared_preload_libraries'), /^shared_preload_libraries\|oa_sync$/m);
  } finally {
    letGo();
  }
  await waitFor(() => ask('SELECT worker_pid IS NOT NULL FROM runtime.sync_stats') === 't', { what: 'the launcher starts it again' });
});

runbook('disk-full', async (page) => {
  ask(`INSERT INTO app.run_events SELECT 'r1', i, 'thinking' FROM generate_series(1, 100) i`);
  const of = await page();
  assert.match(of('FROM runtime.sync_topics'), /^run:r1:events\|100\|/m, 'what is large is seen');
  assert.equal(ask(`SELECT horizon FROM runtime.sync_policy_of('run:r1:events')`), '06:00:00', 'and is kept for a shorter time');
  assert.match(of('worker_runs'), /^t\|t\|0$/m);
});

runbook('key-rotation', async (page) => {
  const [old = ''] = Object.keys(keyring.keys);
  const oldToken = keyring.token(['runtime.*']);
  chmodSync(fanout.keyringFile, 0o640);
  const reloads = await fanout.metric('oa_sync_key_reloads_total', 'result="ok"');
  const opens = async (/** @type {string} */ token) =>
    (await fanout.fetch('/api/sync/heads?topic=runtime.run_summaries', { headers: { authorization: `Bearer ${token}` } })).status;
  const of = await page((block) => {
    if (block.text.includes('with_entries')) {
      return (async () => {
        assert.equal(await opens(oldToken), 200, 'both keys are good');
        return await run(block);
      })();
    }
    if (!block.text.includes('oa_sync_key_reloads_total')) return undefined;
    return waitFor(async () => {
      const output = await run(block);
      return Number(/result="ok"} (\d+)/.exec(output)?.[1]) > reloads ? output : undefined;
    }, { what: 'the fan-out has read the file' });
  });
  const keys = of('keys[]').trim().split('\n');
  assert.equal(keys.length, 1);
  assert.notEqual(keys[0], old);
  assert.match(of('probe.token'), /runtime\.run_summaries/);
  assert.equal(statSync(fanout.keyringFile).mode & 0o777, 0o640, 'who could read the file still can');
  const newToken = await runBlock({ kind: 'sh', text: `oa-sync token --keyring "$KEYRING" --scope 'runtime.*' --ttl 60`, where: 'here' }, { cluster, database, cwd, env });
  await waitFor(async () => (await opens(oldToken)) === 401, { what: 'the old key is refused' });
  assert.equal(await opens(newToken.trim()), 200);
  // What tokens of this test are made with from now on.
  Object.assign(keyring, JSON.parse(readFileSync(fanout.keyringFile, 'utf8')));
});

runbook('auth-failures', async (page) => {
  await fanout.fetch('/api/sync/heads?topic=a', { headers: { authorization: 'Bearer x' } });
  await assert.rejects(RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=a.b.c`), { status: 401 });
  const of = await page();
  assert.match(of("'^oa_sync_denials_total'"), /reason="invalid_\w+"} [1-9]/, 'the one that was refused is counted');
  assert.match(of("'^oa_sync_key_reloads_total'"), /result="ok"/);
  assert.match(of('probe.token'), /runtime\.run_summaries/, 'a good token gets in');
  assert.match(of('clock_timestamp()'), /clock/i);
});

runbook('latency-and-lag', async (page) => {
  const of = await page();
  assert.match(of('canary_age_seconds'), /^oa_sync_canary_age_seconds /m);
  assert.match(of('pg_stat_replication'), /^oa-sync-fanout/m);
});

runbook('parity-mismatch', async (page) => {
  // An earlier lane that says something else of one run.
  const api = new EarlierApi(cluster.pool(database, 1), 0);
  await api.start();
  try {
    api.liesAbout = 'runtime/run_summary:r1';
    ask(`SELECT runtime.sync_parity_set_lane('runs', topic => 'runtime.run_summaries', adapter => 'http', address => '${api.url('/parity')}', enabled => true)`);
    const of = await page();
    assert.match(of('parity gate'), /closed: the lines above say why/, 'before the first audit');
    assert.match(of('sync_parity_results'), /runtime\/run_summary:r1\|summary_hash_mismatch\|/);
    const gate = blocksOf(`${directory}/parity-mismatch.md`, 'sh').find(({ text }) => text.includes('parity gate'));
    assert.ok(gate);
    assert.match(await run(gate), /mismatch rate[^]*closed/);
  } finally {
    await api.stop();
    ask(`SELECT runtime.sync_parity_drop_lane('runs')`);
  }
});

runbook('write-failures', async (page) => {
  ask(`CREATE TABLE app.notes (id int PRIMARY KEY, shop int, body text);
    SELECT runtime.sync_publish('app.notes', topic => 'shop:{shop}:notes', doc_key => 'note:{id}');
    ALTER TABLE app.notes RENAME COLUMN shop TO shop_id`);
  assert.throws(() => ask(`INSERT INTO app.notes VALUES (1, 7, 'x')`), /shop/, 'writes fail');
  const of = await page();
  assert.match(of('problem IS NOT NULL'), /^app\.notes\|/m);
  assert.match(of('FROM runtime.sync_publications;'), /^app\.notes\|shop:\{shop\}:notes\|/m);
  ask(`SELECT runtime.sync_publish('app.notes', topic => 'shop:{shop_id}:notes', doc_key => 'note:{id}');
    INSERT INTO app.notes VALUES (1, 7, 'x')`);
  assert.equal(ask(`SELECT count(*) FROM runtime.sync_publications_status WHERE problem IS NOT NULL`), '0');
});

runbook('fanout-down', async (page) => {
  const well = await page();
  assert.match(well('healthz %{http_code}'), /^healthz 200$/m);
  await fanout.stop();
  const [look] = blocksOf(`${directory}/fanout-down.md`, 'sh').filter(({ text }) => text.includes('no answer'));
  assert.ok(look);
  assert.match(await run(look), /no answer/);
  const status = blocksOf(`${directory}/fanout-down.md`, 'sh').find(({ text }) => text.includes('oa-sync status'));
  assert.ok(status);
  assert.match(await run(status), /exit code 3/);
  await fanout.launch();
  await fanout.ready();
});

runbook('upgrade', async (page) => {
  await cluster.createDatabase('old', undefined, '0.4.0');
  // The page's lock timeout may be met by the worker: "try again".
  await page((block) => (block.text.includes('ALTER EXTENSION') ? waitFor(() => run(block, { in: 'old' }).then((output) => `done ${output}`, (error) => {
    if (!String(error).includes('lock timeout')) throw error;
    return undefined;
  }), { what: 'the extension is updated' }) : undefined));
  assert.equal(cluster.psql('old', `SELECT extversion = default_version FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'oa_sync'`).trim(), 't');
});

runbook('restore', async (page) => {
  const epoch = Number(ask('SELECT runtime.sync_current_epoch()'));
  const of = await page();
  // The server's own topics go on meanwhile.
  const owners = (/** @type {string} */ lines) => lines.trim().split('\n').filter((line) => !line.startsWith('oa_sync.'));
  const heads = owners(of('dbname=rescue" -Atc'));
  assert.ok(heads.length > 1);
  assert.deepEqual(heads, owners(ask(`SELECT topic, head, floor FROM runtime.sync_topics ORDER BY topic LIMIT 5`)), 'the copy has the heads');
  assert.ok(Number(ask('SELECT runtime.sync_current_epoch()')) > epoch, 'sync_new_epoch opened one');
  assert.equal(of('problem IS NOT NULL'), '');
});

runbook('failover', async (page) => {
  const client = new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), topics: ['runtime.run_summaries'] });
  cleanups.push(() => client.close());
  await client.connect();
  await waitFor(() => standby.psql(database, `SELECT count(*) FROM runtime.sync_topics`).trim() !== '0', { what: 'the standby reads' });
  const head = Number(ask(`SELECT head FROM runtime.sync_topics WHERE topic = 'runtime.run_summaries'`));
  await client.reach('runtime.run_summaries', head);
  await waitFor(() => standby.psql(database, `SELECT max(head) FROM runtime.sync_topics WHERE topic = 'runtime.run_summaries'`).trim() === String(head), { what: 'the standby has everything' });
  await cluster.kill9();
  const of = await page((block) => {
    if (!block.text.includes('sync_stats')) return undefined;
    return waitFor(async () => {
      const output = await run(block);
      return /^t\|t\|0$/m.test(output) ? output : undefined;
    }, { what: 'the new primary has a worker, and is recovered' });
  });
  assert.match(of('the primary is'), /nobody takes writes/);
  assert.match(of('pg_is_in_recovery'), /^t\|/);
  assert.match(of('pg_promote'), /^t$/m);
  assert.match(of('reason="epoch_diverged"'), /} 0$/m);
  standby.psql(database, `UPDATE app.runs SET status = 'succeeded', seq = seq + 1 WHERE run_id = 'r1'`);
  await client.reach('runtime.run_summaries', head + 1);
  client.assertClean();
});

test('docs/sync/RUNTIME_CODEX_CUTOVER_RUNBOOK.md: what it asks for by hand', async () => {
  /** @type {string[]} */
  const outputs = [];
  const blocks = blocksOf('docs/sync/RUNTIME_CODEX_CUTOVER_RUNBOOK.md', 'sql', 'sh');
  for (const block of blocks) outputs.push(await run(block, { on: block.kind === 'sql' ? standby : cluster }));
  assert.equal(outputs[blocks.findIndex(({ text }) => text.includes('problem IS NOT NULL'))], '');
  assert.match(outputs[blocks.findIndex(({ text }) => text.includes('projection_lag'))] ?? '', /^0\n\d+\|\d+$/m);
});

test('every runbook was run', () => {
  const pages = readdirSync(`${root}/${directory}`).map((name) => name.replace(/\.md$/, ''));
  assert.deepEqual(pages.filter((page) => !done.has(page)), []);
});

test('every runbook has the parts that alerts link to', () => {
  for (const name of readdirSync(`${root}/${directory}`).filter((file) => file !== 'README.md')) {
    const parts = [...textOf(`${directory}/${name}`).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    assert.deepEqual(parts, ['What is seen', 'What it means', 'What to do', 'When it is over'], name);
  }
});
