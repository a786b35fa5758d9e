// What a token's scopes allow, and what they do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';

const stand = await Stand.create();

/** Which of `topics` a token with these scopes may subscribe to. @param {string | string[]} scopes @param {string[]} topics
 * @param {Record<string, unknown>} [claims] */
async function allowed(scopes, topics, claims = {}) {
  const raw = await stand.raw({ token: stand.fanout.token(scopes, claims) });
  assert.equal((await raw.join()).status, 'ok');
  const granted = [];
  for (const topic of topics) {
    const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: [topic] });
    if (status === 'ok') granted.push(topic);
    else assert.deepEqual([response.code, response.forbidden_topics], ['forbidden_topic', [topic]]);
  }
  raw.end();
  return granted;
}

test('exact topics', async () => {
  assert.deepEqual(await allowed(['a.b', 'c'], ['a.b', 'c', 'a', 'a.b.c', 'A.B']), ['a.b', 'c']);
});

test('prefix patterns', async () => {
  const topics = ['run:1:events', 'run:', 'run', 'runs:1', 'x:run:1'];
  assert.deepEqual(await allowed(['run:*'], topics), ['run:1:events', 'run:']);
});

test('everything', async () => {
  assert.deepEqual(await allowed(['*'], ['a', 'run:1']), ['a', 'run:1']);
});

test('a comma-separated string is a list', async () => {
  assert.deepEqual(await allowed('a, run:*', ['a', 'run:2', 'b']), ['a', 'run:2']);
});

test('claim placeholders', async () => {
  const topics = ['runtime.run_summaries:org_9', 'runtime.run_summaries:org_1', 'runtime.run_summaries:{oa_org_id}'];
  assert.deepEqual(await allowed(['runtime.run_summaries:{oa_org_id}'], topics.slice(0, 2), { oa_org_id: 'org_9' }),
    ['runtime.run_summaries:org_9']);
});

test('a placeholder of a claim that is missing grants nothing', async () => {
  assert.deepEqual(await allowed(['t:{oa_device_id}'], ['t:', 't:x']), []);
});

test('a claim with a star in it does not become a pattern', async () => {
  assert.deepEqual(await allowed(['t:{oa_org_id}'], ['t:a', 't:anything'], { oa_org_id: '*' }), []);
});

test('no scopes, no topics', async () => {
  assert.deepEqual(await allowed([], ['a']), []);
});

test('one forbidden topic refuses the whole subscribe, and all forbidden ones are named', async () => {
  await stand.insert('mix.ok', 1);
  const raw = await stand.raw({ token: stand.fanout.token(['mix.ok']) });
  await raw.join();
  const { status, response } = await raw.ask('sync:v1', 'sync:subscribe', { topics: ['mix.ok', 'mix.no', 'mix.none'] });
  assert.equal(status, 'error');
  assert.equal(response.code, 'forbidden_topic');
  assert.deepEqual([...response.forbidden_topics].sort(), ['mix.no', 'mix.none']);
  const beat = await raw.ask('sync:v1', 'sync:heartbeat');
  assert.deepEqual(beat.response.watermarks, [], 'nothing was subscribed');
});

test('a forbidden topic in a join refuses the join', async () => {
  const raw = await stand.raw({ token: stand.fanout.token(['join.ok']) });
  const { status, response } = await raw.join({ topics: ['join.ok', 'join.no'] });
  assert.equal(status, 'error');
  assert.deepEqual([response.code, response.forbidden_topics], ['forbidden_topic', ['join.no']]);
});

test('the join reply names what is allowed', async () => {
  const raw = await stand.raw({ token: stand.fanout.token(['a.b', 'run:*']) });
  const { response } = await raw.join();
  assert.deepEqual([...response.allowed_topics].sort(), ['a.b', 'run:*']);
});
