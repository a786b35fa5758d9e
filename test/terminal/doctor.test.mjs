// oa-sync doctor: finds nothing in a good setup, and each of the usual mistakes in a bad one.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Stand, eventually, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';
import { directory, run } from './program.mjs';

const dir = directory();
const key = 'oask_doctor_0123456789abcdef0123456789abcdef';
const sha256 = createHash('sha256').update(key).digest('hex');
writeFileSync(`${dir}/keys.json`, JSON.stringify({ keys: [{ id: 'doctor', sha256, may: ['observe'] }] }));
writeFileSync(`${dir}/key`, key);

const stand = await Stand.create({ flags: { 'service-keys': `${dir}/keys.json` }, settings: { max_slot_wal_keep_size: '20GB' } });
const { fanout, cluster } = stand;
const conninfo = cluster.conninfo(stand.database);

/**
 * What doctor says of each check; the worst of those with one name.
 * @param {string[]} args @param {Record<string, string>} [env]
 */
async function doctor(args, env = {}) {
  const ended = await run(['doctor', '--json', ...args], { env });
  /** @type {Record<string, {verdict: string, what: string, todo?: string}>} */
  const found = {};
  const order = ['skipped', 'ok', 'warning', 'problem'];
  const { results, problems } = JSON.parse(ended.stdout);
  for (const one of results) {
    const before = found[one.check];
    if (!before || order.indexOf(one.verdict) > order.indexOf(before.verdict)) found[one.check] = one;
    if (one.verdict === 'problem' || one.verdict === 'warning') assert.ok(one.todo, `${one.check} says what to do`);
  }
  assert.equal(ended.code, problems > 0 ? 1 : 0, ended.stderr);
  return found;
}

/** @param {Record<string, {verdict: string}>} found @param {string} verdict */
const those = (found, verdict) => Object.keys(found).filter((check) => found[check]?.verdict === verdict).sort();

test('a good setup has no problem, and every thing was looked at', async () => {
  await waitFor(async () => (await stand.query(`SELECT 1 FROM pg_replication_slots WHERE plugin = 'oa_sync' AND active`)).length > 0,
    { what: 'the fan-out follows by a slot' });
  await waitFor(async () => (await stand.query('SELECT FROM runtime.sync_journal_partitions WHERE upper > now()')).length > 0,
    { what: 'the worker has made partitions' });
  const args = ['--database', conninfo, '--url', fanout.socketUrl, '--keyring', fanout.keyringFile,
    '--admin-url', fanout.adminUrl(), '--key-file', `${dir}/key`];
  // The fan-out's view of its tail and of its health may be some moments behind.
  await eventually(async () => {
    const found = await doctor(args);
    assert.deepEqual(those(found, 'problem'), []);
    assert.deepEqual(those(found, 'skipped'), []);
    for (const check of ['connect', 'version', 'preload', 'wal_level', 'output_plugin_libraries', 'max_wal_senders', 'max_replication_slots',
      'fsync', 'clock', 'extension', 'worker', 'voids', 'role', 'publications', 'slots', 'max_slot_wal_keep_size'].map((name) => `database.${name}`)
      .concat(['reach', 'healthz', 'readyz', 'websocket', 'admin', 'admin_readyz', 'tail', 'connections', 'clock'].map((name) => `fanout.${name}`), 'versions')) {
      assert.equal(found[check]?.verdict, 'ok', `${check}: ${JSON.stringify(found[check])}`);
    }
  });
  const text = await run(['doctor', '--database', conninfo]);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /^ok +database\.connect/);
  assert.match(text.stdout, /0 problems, \d+ warnings?\n$/);
});

test('a role that lacks what a fan-out needs is told what', async () => {
  await stand.query('CREATE ROLE poor LOGIN; CREATE ROLE good LOGIN REPLICATION');
  await stand.query(`SELECT runtime.sync_grant_reader('good')`);
  const poor = await doctor(['--database', conninfo, '--role', 'poor']);
  assert.match(poor['database.role']?.what ?? '', /lacks REPLICATION/);
  assert.match(poor['database.rights']?.todo ?? '', /sync_grant_reader\('poor'\)/);
  // As the role itself, which may look at few things: those are skipped, and no problem.
  const good = await doctor(['--database', `${conninfo} user=good`]);
  assert.equal(good['database.rights']?.verdict, 'ok');
  assert.deepEqual(those(good, 'problem'), []);
  assert.ok(those(good, 'skipped').includes('database.publications'));
  assert.match((await doctor(['--database', conninfo, '--role', 'nobody']))['database.role']?.what ?? '', /no role nobody/);
});

test('tables that are not captured, and slots that nobody uses', async () => {
  await stand.query(`CREATE TABLE app.broken (id int PRIMARY KEY); SELECT runtime.sync_publish('app.broken')`);
  await stand.query('ALTER TABLE app.broken DISABLE TRIGGER ALL');
  await stand.query(`SELECT pg_create_logical_replication_slot('forgotten', 'oa_sync')`);
  try {
    const found = await doctor(['--database', conninfo]);
    assert.match(found['database.publications']?.what ?? '', /^app\.broken: /);
    assert.match(found['database.slots']?.what ?? '', /forgotten.*nobody uses it/);
    assert.match(found['database.slots']?.todo ?? '', /pg_drop_replication_slot\('forgotten'\)/);
  } finally {
    await stand.query(`SELECT pg_drop_replication_slot('forgotten')`);
    await stand.query(`SELECT runtime.sync_unpublish('app.broken')`);
  }
});

test('a cluster without any of it', async () => {
  const bare = await Cluster.create({ settings: { shared_preload_libraries: '', wal_level: 'replica', max_wal_senders: 0, max_replication_slots: 0, fsync: 'off' } });
  after(() => bare.destroy());
  const found = await doctor(['--database', bare.conninfo('postgres')]);
  assert.deepEqual(those(found, 'problem'), ['database.extension', 'database.fsync', 'database.max_replication_slots',
    'database.max_wal_senders', 'database.preload', 'database.wal_level']);
  assert.match(found['database.wal_level']?.todo ?? '', /wal_level = logical/);
});

test('what is not there, or not as it should be', async () => {
  const gone = await doctor(['--database', 'host=/nonexistent dbname=x', '--url', 'ws://127.0.0.1:9', '--admin-url', 'http://127.0.0.1:9']);
  assert.deepEqual(those(gone, 'problem'), ['database.connect', 'fanout.admin', 'fanout.reach']);
  const lost = await stand.startFanout({ database: 'host=/nonexistent dbname=none' });
  const down = await doctor(['--url', lost.socketUrl, '--admin-url', lost.adminUrl()], { OA_SYNC_TOKEN: lost.token(['*'], { exp: 5 }) });
  assert.match(down['fanout.admin_readyz']?.what ?? '', /tail_down/);
  assert.match(down['fanout.websocket']?.what ?? '', /token_expired/);
  assert.equal(down['fanout.overview']?.verdict, 'skipped');
  const wrongKey = await doctor(['--admin-url', fanout.adminUrl()], { OA_SYNC_SERVICE_KEY: 'wrong' });
  assert.equal(wrongKey['fanout.overview']?.verdict, 'problem');
});

test('a certificate that ends soon, and one that is not believed', async () => {
  const authority = new Authority();
  const { cert, key: tlsKey } = authority.issue('fanout');
  const tls = await stand.startFanout({ 'tls-cert': cert, 'tls-key': tlsKey });
  const url = `https://127.0.0.1:${tls.port}`;
  const soon = await doctor(['--url', url, '--ca-file', authority.file]);
  assert.match(soon['fanout.certificate']?.what ?? '', /good for [12] more days/);
  assert.equal(soon['fanout.certificate']?.verdict, 'problem');
  const strange = await doctor(['--url', url]);
  assert.match(strange['fanout.reach']?.todo ?? '', /--ca-file/);
});
