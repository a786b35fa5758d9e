// What the threat model (docs/security/THREAT_MODEL.md) promises and no other file tests: enumeration, the server's own topics, injection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create();
const { fanout } = stand;
await stand.insert('secret.there', 3);

/** What a join that asks for a topic is answered, without what names the topic. @param {string} topic @param {string[]} scopes */
async function joinOf(topic, scopes) {
  const client = stand.client({ token: fanout.token(scopes), topics: [topic] });
  const answer = await client.connect().then(() => ({ code: 'joined' }), (error) => error.response ?? error);
  await client.close();
  return JSON.parse(JSON.stringify(answer).replaceAll(topic, 'TOPIC'));
}

/** @param {string} path @param {string[]} scopes @returns {Promise<string>} */
async function httpOf(path, scopes) {
  const answer = await fanout.fetch(path, { headers: { authorization: `Bearer ${fanout.token(scopes)}` } });
  return `${answer.status} ${await answer.text()}`;
}

test('outside of its scopes nobody learns which topics exist', async () => {
  const scopes = ['mine.*'];
  const refusal = await joinOf('secret.there', scopes);
  assert.equal(refusal.code, 'forbidden_topic');
  assert.deepEqual(await joinOf('secret.none', scopes), refusal);
  for (const path of [(/** @type {string} */ topic) => `/api/sync/heads?topic=${topic}`, (/** @type {string} */ topic) => `/api/sync/snapshot?topic=${topic}`,
    (/** @type {string} */ topic) => `/api/sync/documents?topic=${topic}&doc_key=item:1`]) {
    const answer = await httpOf(path('secret.there'), scopes);
    assert.match(answer, /^403 /);
    assert.equal((await httpOf(path('secret.none'), scopes)).replaceAll('secret.none', 'TOPIC'), answer.replaceAll('secret.there', 'TOPIC'));
  }
});

test('the server\'s own topics are open to nobody, whatever the scopes', async () => {
  for (const topic of ['oa_sync.revocations', 'oa_sync.canary']) {
    assert.equal((await joinOf(topic, ['*', topic, 'oa_sync.*'])).code, 'forbidden_topic', topic);
    assert.match(await httpOf(`/api/sync/heads?topic=${topic}`, ['*', topic]), /^403 /);
  }
});

test('topics and keys are data, never SQL', async () => {
  const evil = [`'; DROP TABLE app.items; --`, `x' OR '1'='1`, `$1`, `\\'; SELECT pg_sleep(30); --`, `{topic}`, `%27%3B`, `a"b`, `item:1' UNION SELECT 1 --`];
  for (const text of evil) {
    const said = encodeURIComponent(text);
    assert.match(await httpOf(`/api/sync/snapshot?topic=${said}`, ['*']), /^400 /, text);
    assert.match(await httpOf(`/api/sync/heads?topic=${said}`, ['*']), /^400 /, text);
    assert.match(await httpOf(`/api/sync/documents?topic=secret.there&doc_key=${said}`, ['*']), /^404 /, text);
    const join = await joinOf(text, ['*']);
    assert.ok(['bad_subscription', 'bad_topic', 'forbidden_topic'].includes(join.code), `${text}: ${JSON.stringify(join)}`);
  }
  // As a column of a row: kept as it is in the payload, and refused in a topic.
  for (const text of evil) await stand.query('INSERT INTO app.items (topic, id, body) VALUES ($1, $2, $3)', ['evil.rows', evil.indexOf(text), text]);
  assert.deepEqual((await stand.journal('evil.rows')).map(({ payload }) => payload.body), evil);
  await assert.rejects(stand.query('INSERT INTO app.items (topic, id) VALUES ($1, 1)', [`x'; DROP TABLE app.items; --`]), { code: '22023' });
  // And as a key, by template and by policy.
  await stand.query(`CREATE TABLE app.keyed (name text PRIMARY KEY); SELECT runtime.sync_publish('app.keyed', topic => 'evil.keys', doc_key => 'k:{name}')`);
  for (const text of evil) await stand.query('INSERT INTO app.keyed VALUES ($1)', [text]);
  assert.deepEqual((await stand.journal('evil.keys')).map(({ doc_key }) => doc_key), evil.map((text) => `k:${text}`));
  const [{ n }] = await stand.query('SELECT count(*)::int AS n FROM app.items WHERE topic = $1', ['secret.there']);
  assert.equal(n, 3, 'everything is still there');
});
