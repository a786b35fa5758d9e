// oa-sync parity: each reason, made to happen on each adapter; authority, gate, results, metrics, health.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { Stand, sha256, waitFor } from '../harness/index.mjs';
import { EarlierServer, audit, found } from './parity_lane.mjs';
import { Run, directory, run } from './program.mjs';

const stand = await Stand.create({ admin: true });
const { fanout, cluster } = stand;
const database = cluster.conninfo(stand.database);
const dir = directory();
/** @param {string} sql @param {unknown[]} [values] */
const query = (sql, values) => stand.query(sql, values);

beforeEach(() => query('SELECT runtime.sync_parity_drop_lane(name) FROM runtime.sync_parity_lanes'));

/** Makes a lane whose samples are everything. @param {string} name @param {Record<string, string | number | boolean>} settings */
const lane = async (name, settings) => {
  settings = { samples: 5000, ...settings };
  const names = Object.keys(settings);
  await query(`SELECT runtime.sync_parity_set_lane($1, ${names.map((key, i) => `${key} => $${i + 2}`).join(', ')}, enabled => true)`, [name, ...Object.values(settings)]);
};
/** @param {string} name */
const drop = (name) => query('SELECT runtime.sync_parity_drop_lane($1)', [name]);

/** A table of checkpoints that is a copy of a topic's items. @param {string} table @param {string} topic */
const checkpoints = (table, topic) => query(`CREATE TABLE ${table} AS
  SELECT d.doc_key, d.doc_version, d.payload FROM runtime.sync_snapshot('${topic}', 10000) d WHERE d.doc_key IS NOT NULL;
  CREATE INDEX ON ${table} (doc_key)`);

test('nothing is compared before a lane is enabled', async () => {
  const off = await audit(database, []);
  assert.equal(off.code, 2);
  assert.match(off.stderr, /no lane is enabled/);
  const gate = await run(['parity', 'gate', '--database', database]);
  assert.deepEqual([gate.code, gate.stdout], [1, 'closed: no lane is enabled\n']);
  assert.match((await run(['parity', 'status', '--database', database])).stdout, /^no lanes$/m);
});

test('a table of checkpoints: every reason, by what differs', async () => {
  await stand.insert('p.table', 60);
  await checkpoints('app.earlier', 'p.table');
  await lane('table', { topic: 'p.table', adapter: 'table', address: 'app.earlier', lag_limit: '500 ms' });
  const good = await audit(database, []);
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual([good.lane.checked, good.lane.mismatched, good.lane.journal_checked, good.lane.unanswered], [60, 0, 60, 0]);
  assert.equal(good.stderr, '');
  // Of each reason one; and two versions of one row, of which the older is what OA Sync had, or is not.
  await query(`UPDATE app.earlier SET payload = '{"id":1,"n":0,"secret":"hunter2"}' WHERE doc_key = 'item:1';
    UPDATE app.earlier SET doc_version = 0 WHERE doc_key = 'item:2';
    DELETE FROM app.earlier WHERE doc_key = 'item:3';
    INSERT INTO app.earlier VALUES ('item:999', 1, '{}');
    INSERT INTO app.earlier SELECT doc_key, 2, '{"next":1}' FROM app.earlier WHERE doc_key IN ('item:4', 'item:5');
    UPDATE app.earlier SET payload = '{"other":1}' WHERE doc_key = 'item:5' AND doc_version = 1`);
  const bad = await audit(database, []);
  assert.equal(bad.code, 0, bad.stderr);
  assert.deepEqual(found(bad.lane), {
    'item:1': 'summary_hash_mismatch earlier oa_sync',
    'item:2': 'lag_drift earlier oa_sync',
    'item:3': 'missing earlier oa_sync',
    'item:4': 'lag_drift earlier oa_sync',
    'item:5': 'hash_and_lag_drift earlier oa_sync',
    'item:999': 'missing earlier oa_sync' });
  const detail = (/** @type {string} */ key) => bad.lane.mismatches.find((/** @type {any} */ one) => one.doc_key === key).detail;
  assert.match(detail('item:2'), /^OA Sync is ahead of the earlier lane, the authority/);
  assert.match(detail('item:4'), /^OA Sync is behind the earlier lane/);
  assert.match(detail('item:3'), /^OA Sync has a document that the earlier lane, the authority, has not/);
  assert.match(detail('item:999'), /^OA Sync lacks a document/);
  assert.deepEqual(bad.lane.by_reason, { none: 55, summary_hash_mismatch: 1, lag_drift: 2, hash_and_lag_drift: 1, missing: 2 });
  // A line each, with hashes and versions; payloads nowhere.
  assert.equal(bad.stderr.match(/ warn parity\.mismatch lane=table topic=p\.table doc_key=item:/g)?.length, 6);
  assert.match(bad.stderr, /doc_key=item:1 reason=summary_hash_mismatch .* reference_version=1 other_version=1 reference_hash=[0-9a-f]{64} other_hash=[0-9a-f]{64}/);
  const rows = await query(`SELECT * FROM runtime.sync_parity_results WHERE lane = 'table' ORDER BY result_id`);
  assert.equal(rows.length, 6);
  for (const text of [bad.stderr, bad.stdout, JSON.stringify(rows)]) assert.ok(!text.includes('hunter2'), text);
  assert.deepEqual(await query(`SELECT reason, checked FROM runtime.sync_parity_totals WHERE lane = 'table' AND reason IN ('none', 'missing') ORDER BY 1`),
    [{ reason: 'missing', checked: 2 }, { reason: 'none', checked: 115 }]);

  // The other side decides: one call, and what is booked and said turns round.
  await query(`SELECT runtime.sync_parity_set_lane('table', authority => 'oa_sync')`);
  const turned = await audit(database, []);
  assert.deepEqual(Object.values(found(turned.lane)).map((text) => text.split(' ')[2]), Array(6).fill('earlier'), JSON.stringify(turned.lane));
  const words = Object.fromEntries(turned.lane.mismatches.map((/** @type {any} */ one) => [one.doc_key, one.detail]));
  assert.match(words['item:2'], /^the earlier lane is behind OA Sync, the authority/);
  assert.match(words['item:3'], /^the earlier lane lacks a document/);
  assert.match(words['item:999'], /^the earlier lane has a document that OA Sync, the authority, has not/);
  assert.match((await run(['parity', 'status', '--database', database])).stdout, /^table: enabled, topic p\.table, table app\.earlier, authority oa_sync$/m);
});

test('OA Sync ahead of content that it never had is both', async () => {
  await stand.insert('p.both', 3);
  await checkpoints('app.both', 'p.both');
  await query(`UPDATE app.items SET version = 2, body = 'new' WHERE topic = 'p.both' AND id IN (1, 2);
    UPDATE app.both SET payload = '{"never":1}' WHERE doc_key = 'item:2'`);
  await lane('both', { topic: 'p.both', adapter: 'table', address: 'app.both', lag_limit: '0' });
  assert.deepEqual(found((await audit(database, [])).lane), {
    'item:1': 'lag_drift earlier oa_sync', 'item:2': 'hash_and_lag_drift earlier oa_sync' });
});

test('what is only being changed is no mismatch', async () => {
  await stand.insert('p.moving', 20);
  await checkpoints('app.moving', 'p.moving');
  await lane('moving', { topic: 'p.moving', adapter: 'table', address: 'app.moving', lag_limit: '10 minutes' });
  // New rows, new versions and deletions that the earlier lane hears of while the audit looks again.
  await query(`UPDATE app.items SET version = 2, body = 'new' WHERE topic = 'p.moving' AND id <= 5;
    DELETE FROM app.items WHERE topic = 'p.moving' AND id = 6`);
  await stand.insert('p.moving', 2, { first: 21 });
  const audited = new Run(['parity', 'audit', '--json', '--database', database]);
  await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE application_name = 'oa-sync parity' AND state = 'idle' AND query LIKE '%sync_parity_documents%'`)).length > 0,
    { what: 'the audit looks at what differs' });
  await query(`DELETE FROM app.moving; INSERT INTO app.moving
    SELECT d.doc_key, d.doc_version, d.payload FROM runtime.sync_snapshot('p.moving', 10000) d`);
  const { code, stdout, stderr } = await audited.end();
  assert.equal(code, 0, stderr);
  const [moving] = JSON.parse(stdout).lanes;
  assert.deepEqual([moving.checked, moving.mismatched, moving.unanswered], [22, 0, 0], stdout);
});

test('an HTTP lane: documents or hashes, its own keys, a token from a file', async () => {
  const topic = 'p.http';
  await stand.insert(topic, 40);
  const server = await new EarlierServer().start();
  const documents = await query(`SELECT doc_key, doc_version, payload::text, encode(payload_hash, 'hex') AS hex, encode(payload_hash, 'base64') AS base64
    FROM runtime.sync_snapshot($1, 1000)`, [topic]);
  for (const [i, { doc_key, doc_version, payload, hex, base64 }] of documents.entries()) {
    const forms = [{ payload: JSON.parse(payload) }, { payload_hash: hex.toUpperCase() }, { payload_hash: base64 }, { doc_version: String(doc_version), payload_hash: hex }];
    server.documents.set(doc_key, { doc_version, ...forms[i % 4] });
  }
  server.token = 'earlier-secret-token';
  writeFileSync(`${dir}/earlier`, `${server.token}\n`);
  await lane('http', { topic, adapter: 'http', address: server.url, lag_limit: '300 ms' });
  const good = await audit(database, ['--earlier-token-file', `${dir}/earlier`]);
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual([good.lane.checked, good.lane.mismatched, good.lane.unanswered], [40, 0, 0], good.stderr);
  server.documents.set('item:1', { doc_version: 1, payload: { wrong: true } });
  server.documents.set('item:2', { doc_version: 7, payload_hash: sha256('{}') });
  server.documents.delete('item:3');
  server.documents.set('only/here & there', { doc_version: 1, payload: {} });
  server.documents.set('item:4', { doc_version: null, payload: { unversioned: true } });
  const bad = await audit(database, ['--earlier-token-file', `${dir}/earlier`]);
  assert.deepEqual(found(bad.lane), {
    'item:1': 'summary_hash_mismatch earlier oa_sync', 'item:2': 'lag_drift earlier oa_sync', 'item:3': 'missing earlier oa_sync',
    'item:4': 'summary_hash_mismatch earlier oa_sync', 'only/here & there': 'missing earlier oa_sync' });
  // Without a list only what OA Sync knows of is asked for.
  server.lists = false;
  assert.ok(!('only/here & there' in found((await audit(database, ['--earlier-token-file', `${dir}/earlier`])).lane)));
  // The token went nowhere but to the server.
  for (const text of [good.stderr, bad.stderr, bad.stdout, JSON.stringify(await query('SELECT * FROM runtime.sync_parity_audits, runtime.sync_parity_lanes'))]) {
    assert.ok(!text.includes(server.token));
  }
  assert.ok(server.authorizations.every((header) => header === `Bearer ${server.token}`));
  // Refused as a whole: nobody has answered, and the gate knows.
  writeFileSync(`${dir}/earlier`, 'another');
  const refused = await audit(database, ['--earlier-token-file', `${dir}/earlier`]);
  assert.equal(refused.code, 3);
  assert.match(refused.lane.error, /refuses with HTTP 401: see --earlier-token-file/);
  assert.match((await run(['parity', 'gate', '--database', database])).stdout, /^closed: http: the last audit came to nothing: the earlier lane refuses/m);
  // Two servers and one token: it goes to neither.
  const other = await new EarlierServer().start();
  await lane('http2', { topic, adapter: 'http', address: other.url });
  const both = await audit(database, ['--earlier-token-file', `${dir}/earlier`]);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /the token would go to both/);
  assert.equal(other.asked.length, 0);
});

test('self: rows without their events, hashes that are not kept, projections that are not rebuilt', async () => {
  await query(`CREATE TABLE app.source (id int PRIMARY KEY, n int);
    CREATE FUNCTION app.summary(s app.source) RETURNS json LANGUAGE sql STABLE AS 'SELECT json_build_object(''id'', s.id, ''n'', s.n)';
    SELECT runtime.sync_project('app.source', 'runtime.sync_run_summaries', doc_key => 'run:{id}', payload => 'app.summary(*)');
    INSERT INTO app.source SELECT i, i FROM generate_series(1, 30) i`);
  await stand.insert('p.self', 30);
  await lane('self', { topic: '*', adapter: 'self' });
  const all = await audit(database, []);
  assert.equal(all.code, 0, all.stderr);
  assert.deepEqual([all.lane.mismatched, found(all.lane)], [0, {}], all.stderr);
  assert.ok(all.lane.checked >= 30);
  await query(`SELECT runtime.sync_parity_set_lane('self', topic => 'p.self')`);
  // Writes that the triggers did not see: another version, another content, a row that went, and one that came.
  await query(`SET session_replication_role = replica;
    UPDATE app.items SET version = 2 WHERE topic = 'p.self' AND id = 1;
    UPDATE app.items SET body = 'changed' WHERE topic = 'p.self' AND id = 2;
    DELETE FROM app.items WHERE topic = 'p.self' AND id = 3;
    RESET session_replication_role`);
  const torn = await audit(database, []);
  assert.deepEqual(found(torn.lane), { 'item:1': 'lag_drift journal oa_sync', 'item:2': 'summary_hash_mismatch journal oa_sync',
    'item:3': 'missing journal oa_sync' });
  // A read model: a document that came without its event, a hash that was written over, and a function that was changed.
  await query(`SELECT runtime.sync_parity_set_lane('self', topic => 'runtime.run_summaries')`);
  assert.deepEqual(found((await audit(database, [])).lane), {});
  await query(`SET session_replication_role = replica;
    INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES ('run:lost', 1, '{}');
    RESET session_replication_role;
    ALTER TABLE runtime.sync_run_summaries DISABLE TRIGGER USER;
    UPDATE runtime.sync_run_summaries SET payload_hash = sha256('x') WHERE doc_key = 'run:7';
    UPDATE runtime.sync_run_summaries SET doc_version = 0 WHERE doc_key = 'run:8';
    DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'run:9';
    ALTER TABLE runtime.sync_run_summaries ENABLE TRIGGER USER;
    ALTER TABLE runtime.sync_run_summaries ENABLE ALWAYS TRIGGER "~oa_sync_guard"`);
  const broken = found((await audit(database, [])).lane);
  assert.equal(broken['run:lost'], 'missing journal oa_sync');
  // Its payload is still what the source makes; what the read model says of it is not.
  assert.equal(broken['run:7'], 'summary_hash_mismatch projection oa_sync');
  assert.equal(broken['run:8'], 'lag_drift journal oa_sync');
  assert.equal(broken['run:9'], 'missing projection oa_sync');
  await query(`CREATE OR REPLACE FUNCTION app.summary(s app.source) RETURNS json LANGUAGE sql STABLE AS 'SELECT json_build_object(''id'', s.id, ''n'', s.n, ''new'', 1)'`);
  const stale = (await audit(database, [])).lane;
  assert.equal(found(stale)['run:20'], 'summary_hash_mismatch projection oa_sync');
  await query('SELECT runtime.sync_unproject(projection_id) FROM runtime.sync_projections');
  assert.ok(!('run:20' in found((await audit(database, [])).lane)), 'no projection any more');
});

test('the wire: a subscriber from below the newest event gets it', async () => {
  await stand.insert('p.wire', 30);
  await query(`DELETE FROM app.items WHERE topic = 'p.wire' AND id = 1`);
  await lane('wire', { topic: 'p.wire', adapter: 'self' });
  const wire = ['--url', fanout.socketUrl, '--keyring', fanout.keyringFile, '--probes', '7'];
  const good = await audit(database, wire);
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual([good.lane.checked, good.lane.wire_checked, good.lane.mismatched], [30, 7, 0]);
  // Events that the fan-out keeps in memory, and a journal that was written over: the subscriber gets what was, the journal has what is.
  await query(`UPDATE runtime.sync_stream_events SET payload = '{"forged":1}', payload_hash = sha256('{"forged":1}') WHERE topic = 'p.wire' AND op = 'upsert'`);
  const forged = await audit(database, wire);
  const reasons = new Set(Object.values(found(forged.lane)));
  assert.ok(reasons.has('summary_hash_mismatch journal oa_sync'), JSON.stringify([...reasons]));
  assert.ok(forged.lane.mismatches.some((/** @type {any} */ one) => /a subscriber got another version or content/.test(one.detail)), JSON.stringify(forged.lane));
  // Nobody answers the subscriber: the rest was compared and is noted, and it is said.
  const before = (await query(`SELECT count(*) FROM runtime.sync_parity_audits WHERE lane = 'wire'`))[0].count;
  const gone = await audit(database, ['--url', 'ws://127.0.0.1:9/socket', '--keyring', fanout.keyringFile]);
  assert.equal(gone.code, 3);
  assert.match(gone.stderr, /error parity\.wire_failed lane=wire/);
  assert.equal((await query(`SELECT count(*) FROM runtime.sync_parity_audits WHERE lane = 'wire' AND error IS NULL`))[0].count, before + 1);
  const noScope = await audit(database, ['--url', fanout.socketUrl], { env: { OA_SYNC_TOKEN: fanout.token(['other']) } });
  assert.equal(noScope.code, 3);
  assert.match(noScope.lane.wire_error, /forbidden_topic/);
});

test('the gate: closed for want of samples, of audits, and of parity; open otherwise', async () => {
  await stand.insert('p.gate', 100);
  await checkpoints('app.gate', 'p.gate');
  await lane('gate', { topic: 'p.gate', adapter: 'table', address: 'app.gate', lag_limit: '0' });
  const gate = async (/** @type {string[]} */ ...args) => {
    const text = await run(['parity', 'gate', '--database', database, ...args]);
    const json = await run(['parity', 'gate', '--database', database, '--json', ...args]);
    assert.equal(text.code, json.code);
    const judged = JSON.parse(json.stdout);
    assert.equal(judged.open, text.code === 0);
    assert.equal(text.stdout.split('\n').filter(Boolean).length, Math.max(1, judged.lanes.flatMap((/** @type {any} */ one) => one.reasons_closed).length));
    return { code: text.code, text: text.stdout, lane: judged.lanes[0] };
  };
  const never = await gate();
  assert.deepEqual([never.code, never.lane.reasons_closed, never.lane.rate], [1, ['no audit has come to an end yet', '0 documents were compared, and 100 are needed'], null]);
  assert.equal((await audit(database, [])).code, 0);
  const open = await gate('--window', '1h', '--max-rate', '0.01');
  assert.deepEqual([open.code, open.text], [0, 'open: gate: 0 of 100 mismatched, rate 0\n']);
  assert.equal((await gate('--min-samples', '101')).code, 1);
  assert.equal((await gate('--lane', 'gate', '--max-rate', '0')).code, 1, 'a rate of 0 is not below 0');
  for (const limit of [['--max-rate', 'nan'], ['--max-rate', '2'], ['--min-samples', '0']]) {
    const refused = await run(['parity', 'gate', '--database', database, ...limit]);
    assert.deepEqual([refused.code, refused.stderr.includes(String(limit[0]))], [2, true], `${limit}: ${refused.stderr}`);
  }
  // Another thing to compare: what was compared before is no evidence of it.
  await query(`SELECT runtime.sync_parity_set_lane('gate', topic => 'p.gate2')`);
  assert.deepEqual((await gate()).lane.reasons_closed, ['no audit has come to an end yet', '0 documents were compared, and 100 are needed']);
  await query(`SELECT runtime.sync_parity_set_lane('gate', topic => 'p.gate')`);
  // One in a hundred is not below 0.01.
  await query(`UPDATE app.gate SET payload = '{}' WHERE doc_key = 'item:50'; DELETE FROM runtime.sync_parity_audits`);
  assert.equal((await audit(database, [])).lane.mismatched, 1);
  const closed = await gate();
  assert.deepEqual([closed.code, closed.lane.checked, closed.lane.mismatched, closed.lane.rate, closed.lane.by_reason.summary_hash_mismatch], [1, 100, 1, 0.01, 1]);
  assert.deepEqual(closed.lane.reasons_closed, ['the mismatch rate is 0.01 (1 of 100), and has to be below 0.01']);
  assert.equal((await gate('--max-rate', '0.02')).code, 0);
  assert.equal((await query(`SELECT runtime.sync_parity_rate('gate', '1 hour') AS rate`))[0].rate, 0.01);
  // Audits that stopped, and those that are out of the window.
  await query(`UPDATE runtime.sync_parity_audits SET finished_at = now() - interval '6 minutes'`);
  const old = await gate('--max-rate', '0.02');
  const [, age] = /^the newest audit is (\d+) s old, and may be 300 s$/.exec(old.lane.reasons_closed.join()) ?? [];
  assert.ok(Number(age) >= 360, JSON.stringify(old.lane.reasons_closed));
  assert.match((await gate('--window', '5m')).lane.reasons_closed.join(), /0 documents were compared/);
  await query(`SELECT runtime.sync_parity_set_lane('gate', enabled => false)`);
  assert.match((await gate('--lane', 'gate')).text, /closed: gate: the lane is not enabled/);
  assert.equal((await run(['parity', 'gate', '--database', database, '--lane', 'nobody'])).code, 2);
  assert.equal((await run(['parity', 'gate', '--database', 'host=/nonexistent dbname=x'])).code, 3);
  const bare = await run(['parity', 'gate', '--database', cluster.conninfo('postgres')]);
  assert.deepEqual([bare.code, bare.stderr], [2, 'oa-sync: this database does not have the extension oa_sync\n']);
});

test('two who change one lane at once: neither takes back what the other has set', async () => {
  await lane('shared', { topic: 'p.shared', adapter: 'self' });
  const first = await stand.db.connect();
  await first.query(`BEGIN; SELECT runtime.sync_parity_set_lane('shared', enabled => false)`);
  const second = query(`SELECT runtime.sync_parity_set_lane('shared', samples => 7)`);
  await waitFor(async () => (await query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%set_lane%'`)).length > 0, { what: 'the second waits for the first' });
  await first.query('COMMIT');
  first.release();
  await second;
  assert.deepEqual(await query(`SELECT enabled, samples FROM runtime.sync_parity_lanes WHERE name = 'shared'`), [{ enabled: false, samples: 7 }]);
});

test('run: audits again and again as a role that may nothing else, over a lost connection, until it is told to end', async () => {
  await stand.insert('p.run', 10);
  await checkpoints('app.run', 'p.run');
  await query(`CREATE ROLE auditor LOGIN`);
  await lane('run', { topic: 'p.run', adapter: 'table', address: 'app.run', lag_limit: '0', max_age: '1 hour' });
  const as = `${database} user=auditor`;
  const denied = await run(['parity', 'audit', '--database', as]);
  assert.deepEqual([denied.code, /sync_grant_auditor/.test(denied.stderr)], [2, true], denied.stderr);
  await query(`SELECT runtime.sync_grant_auditor('auditor')`);
  const unread = await audit(as, []);
  assert.equal(unread.code, 3);
  assert.match(unread.lane.error, /permission denied for .*GRANT SELECT ON app\.run to the auditor's role/);
  await query('GRANT USAGE ON SCHEMA app TO auditor; GRANT SELECT ON app.run TO auditor');
  const auditor = new Run(['parity', 'run', '--database', as, '--every', '1s', '--log-format', 'json', '--json']);
  await auditor.printed(2);
  await query(`UPDATE app.run SET payload = '{}' WHERE doc_key = 'item:5'`);
  await auditor.said('"event":"parity.mismatch"');
  // While one is at it another leaves the lane out.
  const other = await stand.db.connect();
  await other.query(`SELECT pg_advisory_lock(hashtextextended('oa_sync parity run', 0))`);
  const busy = await audit(as, []);
  assert.deepEqual([busy.code, busy.lane.busy], [8, true]);
  await auditor.said('"event":"parity.busy"');
  await other.query(`SELECT pg_advisory_unlock_all()`);
  await query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'oa-sync parity'`);
  const lines = auditor.lines.length;
  await auditor.printed(lines + 3);
  await waitFor(() => auditor.events.at(-1)?.lanes[0]?.checked === 10, { what: () => `audits after the loss: ${auditor.stdout.slice(-500)}` });
  // Whole lines: it goes on writing.
  const logged = auditor.stderr.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  for (const line of logged) assert.ok(line.ts && line.level && line.event.startsWith('parity.'), JSON.stringify(line));
  const mismatch = logged.find((line) => line.event === 'parity.mismatch');
  assert.deepEqual([mismatch.lane, mismatch.doc_key, mismatch.reason, mismatch.authority, mismatch.reference_version], ['run', 'item:5', 'summary_hash_mismatch', 'earlier', 1]);
  assert.equal((await auditor.kill('SIGTERM')).code, 0);
  // The role can't turn a lane.
  const turned = await run(['parity', 'status', '--json', '--database', as]);
  assert.equal(JSON.parse(turned.stdout).lanes[0].lane, 'run');
  await other.query('SET ROLE auditor');
  await assert.rejects(async () => other.query(`SELECT runtime.sync_parity_set_lane('run', enabled => false)`), /permission denied/);
  other.release(true);
});

test('the fan-out: counters, the age of audits, and the problem parity_mismatch', async () => {
  await stand.insert('p.metrics', 50);
  await checkpoints('app.metrics', 'p.metrics');
  await lane('metrics', { topic: 'p.metrics', adapter: 'table', address: 'app.metrics', lag_limit: '0' });
  const label = 'lane="metrics"';
  await waitFor(async () => (await fanout.metric('oa_sync_parity_audit_age_seconds', label)) === -1, { what: 'a lane without audits' });
  const problems = async () => {
    const overview = /** @type {any} */ (await (await fanout.observe('/api/admin/overview')).json());
    return overview.health.problems.filter((/** @type {any} */ problem) => problem.code === 'parity_mismatch');
  };
  assert.deepEqual(await problems(), []);
  assert.equal((await audit(database, ['--lane', 'metrics'])).code, 0);
  await waitFor(async () => (await fanout.metric('oa_sync_parity_checks_total', `${label},reason="none"`)) === 50, { what: 'fifty documents that fit' });
  await waitFor(async () => (await fanout.metric('oa_sync_parity_audit_age_seconds', label)) >= 0, { what: 'the age of the audit' });
  await query(`UPDATE app.metrics SET payload = '{}' WHERE doc_key IN ('item:1', 'item:2')`);
  assert.equal((await audit(database, ['--lane', 'metrics'])).code, 0);
  await waitFor(async () => (await fanout.metric('oa_sync_parity_checks_total', `${label},reason="summary_hash_mismatch"`)) === 2, { what: 'two that do not' });
  await waitFor(async () => /100 documents .* lane metrics .* 2 do not match/.test((await problems())[0]?.what ?? ''), { what: 'documents that do not match are a problem' });
  await query(`UPDATE runtime.sync_parity_audits SET finished_at = now() - interval '2 hours' WHERE lane = 'metrics'`);
  await waitFor(async () => /The last audit of parity lane metrics was 7\d+ s ago/.test((await problems())[0]?.what ?? ''), { what: 'audits that stopped are a problem' });
  await drop('metrics');
  await waitFor(async () => (await problems()).length === 0, { what: 'no lane, no problem' });
});
