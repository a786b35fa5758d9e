// The log: every line of a run is one object with its event, the page lists every event of the source, no secret is in it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, RawSocket, root, waitFor } from '../harness/index.mjs';
import { logEvents } from '../harness/log_events.mjs';

const always = ['ts', 'level', 'thread', 'event', 'message'];
const source = logEvents();

/** Of the page's table: event to {level, fields}. */
function documented() {
  const rows = new Map();
  for (const [, names = '', level = '', fields = ''] of readFileSync(`${root}/docs/operations/logs.md`, 'utf8').matchAll(/^\| (`[^|]*) \| ([a-z, ]+) \| ([^|]*) ?\| .* \|$/gm)) {
    const list = [...names.matchAll(/`([\w.]+)`/g)];
    for (const [, event] of list) rows.set(event, { level: level.trim(), fields: [...fields.matchAll(/`(\w+)`/g)].map(([, name]) => name) });
  }
  return rows;
}

test('every decision has an event id of its own, of one form', () => {
  assert.ok(source.length > 40);
  const ids = source.map(({ event }) => event);
  assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) !== i), [], 'used once');
  assert.deepEqual(ids.filter((id) => !/^[a-z]+\.[a-z_]+$/.test(id)), []);
  for (const { event, fields } of source) {
    assert.deepEqual(fields.filter((name) => always.includes(name)), [], `${event}: names that every line has`);
    assert.equal(new Set(fields).size, fields.length, `${event}: a field is there once`);
  }
});

test('docs/operations/logs.md lists them, with their levels and fields', () => {
  const page = documented();
  assert.deepEqual([...page.keys()].sort(), source.map(({ event }) => event).sort());
  for (const { event, level, fields } of source) {
    const row = page.get(event);
    assert.equal(row.level, level, event);
    assert.deepEqual(row.fields, fields, event);
  }
});

test('a run in JSON: every line parses, fields are members, nothing secret is in it', async () => {
  const cluster = await Cluster.create();
  after(() => cluster.destroy());
  await cluster.createDatabase('test');
  const password = 'pass-0d3f7c1b9a';
  cluster.psql('test', `CREATE TABLE public.docs (id int PRIMARY KEY, body text); SELECT runtime.sync_publish('public.docs', topic => 'docs');
    CREATE ROLE watcher LOGIN REPLICATION PASSWORD '${password}'; SELECT runtime.sync_grant_reader('watcher')`);
  const database = `${cluster.conninfo('test').replace('user=postgres', 'user=watcher')} password=${password}`;
  const fanout = await Fanout.start({ database, admin: true, flags: { 'log-format': 'json', 'log-level': 'debug', 'shutdown-spread-ms': 50 } });
  after(() => fanout.destroy());
  await fanout.ready();
  const secret = fanout.keyring.keys.k1 ?? '';
  assert.ok(secret.length > 10);
  const token = fanout.token(['*'], { sub: 'somebody' });
  const foreign = token.replace(/.{8}$/, 'AAAAAAAA');
  const payload = 'payload-5b1e88aa';
  // Tokens and keys in every place that takes them, good and bad.
  const path = '/socket/websocket?vsn=2.0.0';
  const url = `${fanout.socketUrl}/websocket?vsn=2.0.0`;
  const raw = await RawSocket.connect(`${url}&token=${token}`);
  await raw.join({ topics: ['docs'] });
  cluster.psql('test', `INSERT INTO docs VALUES (1, '${payload}')`);
  await raw.frame((frame) => frame[3] === 'sync:update_batch', 'the update');
  raw.send(['1', '9', 'sync:v1', 'sync:reauthenticate', { token: foreign }]);
  await raw.frame((frame) => frame[1] === '9', 'the refusal');
  for (const bad of [foreign, `${token}x`, 'nonsense', token.slice(0, 60)]) {
    await assert.rejects(RawSocket.connect(`${url}&token=${bad}`));
    await assert.rejects(RawSocket.connect(url, { headers: { authorization: `Bearer ${bad}` } }));
    await assert.rejects(RawSocket.connect(url, { protocols: ['phoenix', `base64url.bearer.phx.${Buffer.from(bad).toString('base64url')}`] }));
    await fanout.fetch('/api/sync/topics/docs/snapshot', { headers: { authorization: `Bearer ${bad}` } });
    await fanout.fetch('/api/sync/token', { method: 'POST', headers: { authorization: `Bearer ${bad}` }, body: '{}' });
    await fanout.fetchAdmin('/api/admin/overview', { headers: { authorization: `Bearer ${bad}` } });
    await fanout.fetch(`${path}&token=${bad}`);
  }
  await fanout.observe('/api/admin/overview');
  await fanout.observe('/api/sync/token', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"scopes":["docs"]}' });
  // Files that are wrong, with the secret in them.
  const keyring = readFileSync(fanout.keyringFile, 'utf8');
  writeFileSync(fanout.keyringFile, keyring.slice(0, -3));
  await waitFor(() => fanout.log.includes('"keys.kept"'), { what: 'the keys are kept' });
  writeFileSync(fanout.keyringFile, keyring);
  await waitFor(() => fanout.log.includes('"keys.changed"'), { what: 'they are read again' });
  // The slot may come after readiness. The database goes, and comes back.
  await waitFor(() => fanout.log.includes('"tail.slot_live"'), { what: 'the slot is live' });
  await cluster.restart();
  await waitFor(() => fanout.log.includes('"tail.slot_lost"') || fanout.log.includes('"database.connection_lost"'), { what: 'it was noticed' });
  await fanout.ready();
  raw.end();
  await fanout.stop();

  const known = new Map(source.map((one) => [one.event, one]));
  const lines = fanout.log.split('\n').filter(Boolean);
  assert.ok(lines.length > 10);
  for (const line of lines) {
    const object = JSON.parse(line);
    assert.match(object.ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, line);
    assert.match(object.level, /^(debug|info|warning|error|critical)$/, line);
    assert.equal(typeof object.message, 'string', line);
    assert.deepEqual(Object.keys(object).slice(0, always.length), always, line);
    assert.deepEqual(Object.keys(object).slice(always.length), known.get(object.event)?.fields, line);
  }
  const events = new Set(lines.map((line) => JSON.parse(line).event));
  for (const event of ['server.started', 'server.settings', 'tail.mode_changed', 'tail.slot_live', 'database.connected', 'connection.refused', 'keys.kept', 'keys.changed', 'server.closing', 'server.stopped']) {
    assert.ok(events.has(event), `${event} in ${[...events].join(' ')}`);
  }
  for (const [what, text] of Object.entries({ secret, password, 'service key': fanout.adminKey, token: token.split('.')[2] ?? '', 'another token': foreign.split('.')[1] ?? '',
    'something like a service key': 'oask_', payload })) {
    assert.ok(text.length > 2 && !fanout.log.includes(text), `${what} is in the log`);
  }
  // More than the three letters, which the names of temporary directories may have too.
  assert.doesNotMatch(fanout.log, /eyJ[\w-]{10}/, 'something like a token is in the log');
});
