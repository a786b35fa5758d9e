// What operators ask of topics, events, documents and sessions, on the admin listener.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fanout, RawSocket, Stand, eventually, range, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ admin: true, flags: { loops: 2, 'trusted-proxy': '127.0.0.0/8' } });
const { fanout } = stand;

/** @param {string} path @param {Fanout} [of] @returns {Promise<any>} */
async function look(path, of = fanout) {
  const answer = await of.observe(`/api/admin/${path}`);
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** @param {string} path @param {Fanout} [of] */
async function refusal(path, of = fanout) {
  const answer = await of.observe(`/api/admin/${path}`);
  return [answer.status, (await answer.json()).error.reason];
}

test('every view takes the same key, and only that', async () => {
  for (const path of ['topics', 'events?topic=a', 'history?topic=a&doc_key=b', 'sessions']) {
    assert.equal((await fanout.fetchAdmin(`/api/admin/${path}`)).status, 401, path);
    assert.equal((await fanout.fetch(`/api/admin/${path}`)).status, 404, path);
  }
});

test('topics: page by page, with their subscribers on every loop and their policy', async () => {
  for (let i = 1; i <= 5; ++i) await stand.insert(`view.topic:${i}`, i);
  const clients = await Promise.all(range(1, 4).map(() => stand.raw()));
  for (const client of clients) assert.equal((await client.join({ topics: ['view.topic:2'] })).status, 'ok');
  await stand.query(`SELECT runtime.sync_set_policy('view.topic:*', horizon => interval '2 hours', replay_budget => 500, qos_tier => 'hot')`);
  const first = await eventually(async () => {
    const page = await look('topics?prefix=view.topic:&limit=3');
    // A loop that is a second late is left out.
    assert.deepEqual(page.topics.map((/** @type {any} */ one) => [one.topic, one.head_watermark, one.retained, one.retention_floor,
      one.in_flight, one.subscribers]), [['view.topic:1', 1, 1, 0, 0, 0], ['view.topic:2', 2, 2, 0, 0, 4], ['view.topic:3', 3, 3, 0, 0, 0]]);
    return page;
  });
  const { policy, epoch, oldest_at } = first.topics[1];
  assert.deepEqual([policy.pattern, policy.horizon_s, policy.replay_budget_events, policy.qos_tier, policy.payload_mode],
    ['view.topic:*', 7200, 500, 'hot', 'inline']);
  assert.match(epoch, /^\d+$/);
  assert.ok(Math.abs(Date.now() - oldest_at) < 600_000);
  assert.deepEqual([first.next_after, first.total], ['view.topic:3', null]);
  const second = await look(`topics?prefix=view.topic:&limit=3&after=${first.next_after}`);
  assert.deepEqual(second.topics.map((/** @type {any} */ one) => one.topic), ['view.topic:4', 'view.topic:5']);
  assert.equal(second.next_after, null);
  assert.equal((await look('topics?prefix=view.topic:')).total, 5);
  for (const [query, reason] of [['limit=0', 'invalid_limit'], ['limit=x', 'invalid_limit'], ['prefix=a%20b', 'invalid_prefix'],
    ['after=%C3%A4', 'invalid_after'], ['order=lag', 'invalid_order']]) {
    assert.deepEqual(await refusal(`topics?${query}`), [400, reason], query);
  }
  for (const client of clients) client.end();
  await waitFor(async () => (await look('sessions')).total === 0, { what: 'they are gone' });
});

test('events: newest first, to the end of what is retained, numbers as they were written', async () => {
  await stand.insert('view.events', 7);
  await stand.query(`UPDATE app.items SET n = 12345678901234567890.10, version = version + 1 WHERE topic = 'view.events' AND id = 3`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'view.events' AND id = 4`);
  const page = await look('events?topic=view.events&limit=3');
  assert.deepEqual(page.events.map((/** @type {any} */ one) => [one.watermark, one.op, one.doc_key]),
    [[9, 'delete', 'item:4'], [8, 'upsert', 'item:3'], [7, 'upsert', 'item:7']]);
  assert.equal(page.events[0].payload, null);
  assert.equal(page.events[1].payload.id, 3);
  const text = await (await fanout.observe('/api/admin/events?topic=view.events&limit=3')).text();
  assert.match(text, /"n":12345678901234567890\.1/, 'no digit of a payload is lost');
  const journal = await stand.journal('view.events');
  assert.equal(Buffer.from(page.events[1].payload_hash, 'base64').toString('hex'), journal[7].payload_hash);
  let { next_before: before } = page;
  const seen = page.events.map((/** @type {any} */ one) => one.watermark);
  while (before !== null) {
    const next = await look(`events?topic=view.events&limit=3&before=${before}`);
    seen.push(...next.events.map((/** @type {any} */ one) => one.watermark));
    before = next.next_before;
  }
  assert.deepEqual(seen, range(1, 9).reverse());
  assert.deepEqual((await look('events?topic=view.nobody')).events, []);
  for (const [query, reason] of [['topic=', 'invalid_topic'], ['topic=a%20b', 'invalid_topic'], ['topic=a&before=-1', 'invalid_before'],
    ['topic=a&before=99999999999999999999', 'invalid_before'], ['topic=a&limit=1e3', 'invalid_limit']]) {
    assert.deepEqual(await refusal(`events?${query}`), [400, reason], query);
  }
});

test('history: the states of one document, and how it ended', async () => {
  await stand.insert('view.history', 2);
  for (let i = 0; i < 3; ++i) await stand.query(`UPDATE app.items SET n = n * 2, version = version + 1 WHERE topic = 'view.history' AND id = 1`);
  await stand.query(`DELETE FROM app.items WHERE topic = 'view.history' AND id = 1`);
  const body = await look('history?topic=view.history&doc_key=item:1');
  assert.deepEqual(body.events.map((/** @type {any} */ one) => [one.watermark, one.op, one.payload?.n ?? null]),
    [[6, 'delete', null], [5, 'upsert', 8], [4, 'upsert', 4], [3, 'upsert', 2], [1, 'upsert', 1]]);
  assert.deepEqual([body.topic, body.doc_key, body.next_before], ['view.history', 'item:1', null]);
  const page = await look('history?topic=view.history&doc_key=item:1&limit=2&before=6');
  assert.deepEqual([page.events.map((/** @type {any} */ one) => one.watermark), page.next_before], [[5, 4], 4]);
  assert.deepEqual(await refusal('history?topic=view.history'), [400, 'invalid_doc_key']);
  assert.deepEqual(await refusal('history?topic=view.history&doc_key=%FF'), [400, 'invalid_doc_key']);
  assert.deepEqual((await look(`history?topic=view.history&doc_key=${encodeURIComponent("'; DROP--ä")}`)).events, []);
});

test('sessions: who, from where, how far; by topic and by subject', async () => {
  await stand.insert('view.sessions', 3);
  const token = fanout.token(['*'], { sub: 'user:watched', oa_session_id: 'session-1', oa_device_id: 'phone-1', jti: 'token-1' });
  const raw = await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`, { headers: { 'x-forwarded-for': '198.51.100.7' } });
  const begun = Date.now();
  assert.equal((await raw.join({ topics: ['view.sessions', 'view.other'], client: `console-${'é'.repeat(60)}`, client_build_id: '20261123T000000Z' })).status, 'ok');
  await raw.frame((f) => f[3] === 'sync:update_batch', 'the replay');
  const others = await Promise.all(range(1, 3).map(() => stand.raw()));
  for (const other of others) await other.join({ topics: ['view.sessions'] });
  const silent = await stand.raw();  // has not joined: it is no session yet

  const found = await waitFor(async () => {
    const body = await look('sessions?subject=user:watched');
    return body.sessions[0]?.status === 'live' && body;
  }, { what: 'the watched session is live' });
  assert.deepEqual([found.total, found.truncated, found.sessions.length], [1, false, 1]);
  const [one] = found.sessions;
  assert.match(one.id, /^sub_[0-9a-f]{16}$/);
  assert.deepEqual([one.subject, one.org_id, one.session_id, one.device_id, one.token_id], ['user:watched', 'org_1', 'session-1', 'phone-1', 'token-1']);
  assert.deepEqual([one.address, one.encoding, one.client_build_id, one.strikes, one.admin], ['198.51.100.7', 'json', '20261123T000000Z', 0, false]);
  assert.ok(one.client.startsWith('console-é') && Buffer.byteLength(one.client) <= 64, 'a long name is cut between characters');
  assert.ok(Math.abs(one.connected_at - begun) < 60_000 && one.token_expires_at > begun && one.bytes_out > 0);
  assert.deepEqual([one.topics_total, one.lag_events_max], [2, 0]);
  assert.deepEqual([...one.topics].sort((/** @type {any} */ a, /** @type {any} */ b) => a.topic < b.topic ? -1 : 1),
    [{ topic: 'view.other', watermark: 0, head_watermark: 0, lag: 0 }, { topic: 'view.sessions', watermark: 3, head_watermark: 3, lag: 0 }]);

  // As above: every loop has to answer in time.
  await eventually(async () => {
    assert.equal((await look('sessions?topic=view.sessions')).total, 4);
    assert.equal((await look('sessions?topic=view.sessions&subject=user:watched')).total, 1);
    const few = await look('sessions?topic=view.sessions&limit=2');
    assert.deepEqual([few.sessions.length, few.total, few.truncated], [2, 4, true]);
    assert.equal((await look('sessions?topic=view.nobody')).total, 0);
    assert.equal((await look('sessions')).total, 4);
  });
  assert.deepEqual(await refusal('sessions?topic=a%20b'), [400, 'invalid_topic']);
  for (const client of [raw, silent, ...others]) client.end();
  await waitFor(async () => (await look('sessions')).total === 0, { what: 'all are gone' });
});

test('a large answer is compressed for who takes it', async () => {
  const answer = await fanout.observe('/api/admin/topics', { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(answer.headers.get('content-encoding'), 'gzip');
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.ok((await answer.json()).topics.length > 5);
});

test('on an extension before 0.4.0 everything else goes on, and these say what is missing', async () => {
  await stand.cluster.createDatabase('former', undefined, '0.3.0');
  const former = await Fanout.start({ database: stand.cluster.conninfo('former'), admin: true });
  try {
    await former.ready();
    assert.deepEqual(await refusal('topics', former), [501, 'extension_too_old']);
    assert.deepEqual(await refusal('events?topic=a', former), [501, 'extension_too_old']);
    assert.deepEqual(await refusal('history?topic=a&doc_key=b', former), [501, 'extension_too_old']);
    assert.equal((await look('sessions', former)).total, 0);
    // A database that does not answer within two seconds is shown as not reachable.
    await eventually(async () => {
      const { database, health } = await look('overview', former);
      assert.deepEqual([database.reachable, database.extension_version, database.stats, database.worker_pid], [true, '0.3.0', null, null]);
      assert.ok(health.problems.some((/** @type {any} */ problem) => problem.code === 'extension_old'));
      assert.ok(!health.problems.some((/** @type {any} */ problem) => problem.severity === 'critical'), JSON.stringify(health.problems));
    });
  } finally {
    await former.destroy();
  }
});

test('a role without the rights is told what to call', async () => {
  stand.cluster.psql(stand.database, `CREATE ROLE view_reader LOGIN REPLICATION; SELECT runtime.sync_grant_reader('view_reader');
    REVOKE EXECUTE ON FUNCTION runtime.sync_overview(), runtime.sync_topics_page(text, text, integer) FROM view_reader;`);
  const poor = await Fanout.start({ database: stand.cluster.conninfo(stand.database).replace(/user=\S+/, 'user=view_reader'), admin: true });
  try {
    assert.deepEqual(await refusal('topics', poor), [501, 'not_granted']);
    assert.deepEqual((await look('events?topic=view.events&limit=1', poor)).events.length, 1);
    await waitFor(async () => (await look('overview', poor)).health.problems.some((/** @type {any} */ problem) => problem.code === 'functions_not_granted'));
  } finally {
    await poor.destroy();
  }
});
