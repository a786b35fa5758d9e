// The trace of a writer reaches subscribers: live and replayed, in JSON and protobuf, and `oa-sync tail`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand } from '../harness/index.mjs';
import { run } from '../terminal/program.mjs';

const traces = [1, 2].map((n) => `00-${String(n).padStart(32, '0')}-${String(n).padStart(16, '0')}-01`);
const stand = await Stand.create();

/** Four events: none, one trace twice, another. @param {string} topic */
const write = (topic) => stand.query(`
  DO $$ BEGIN
    PERFORM runtime.sync_emit('${topic}', 'a', NULL, '1');
    PERFORM set_config('oa_sync.traceparent', '${traces[0]}', true);
    PERFORM runtime.sync_emit('${topic}', 'b', NULL, '1'), runtime.sync_emit('${topic}', 'c', NULL, NULL);
    PERFORM set_config('oa_sync.traceparent', '${traces[1]}', true);
    PERFORM runtime.sync_emit('${topic}', 'd', NULL, '1');
  END $$`);
const expected = [undefined, traces[0], traces[0], traces[1]];

for (const encoding of /** @type {const} */ (['json', 'proto'])) {
  test(`${encoding}: live and replayed`, async () => {
    const topic = `traced.${encoding}`;
    await write(topic);
    const client = stand.client({ topics: [topic], encoding });
    await client.connect();
    await client.reach(topic, 4);
    await write(topic);
    await client.reach(topic, 8);
    const { events } = client.state(topic);
    assert.deepEqual(events.map((update) => update.traceparent), [...expected, ...expected]);
    assert.ok(events.every((update) => ('traceparent' in update) === (update.traceparent !== undefined)), 'a member only where there is one');
    await client.close();
  });
}

test('oa-sync tail shows it', async () => {
  await write('traced.tail');
  const tail = async (/** @type {string[]} */ ...args) => {
    const ended = await run(['tail', ...args, '--url', stand.fanout.socketUrl, '--keyring', stand.fanout.keyringFile, '--no-follow', 'traced.tail']);
    assert.equal(ended.code, 0, ended.stderr);
    return ended.stdout.trim().split('\n');
  };
  assert.deepEqual((await tail('--json')).map((line) => JSON.parse(line).traceparent), expected);
  assert.deepEqual((await tail()).map((line) => /trace=(\S+)/.exec(line)?.[1]), expected);
});

test('the operators page of events shows it', async () => {
  await write('traced.page');
  const [{ page }] = await stand.query(`SELECT runtime.sync_events_json('traced.page') AS page`);
  assert.deepEqual(JSON.parse(page).events.map((/** @type {any} */ event) => event.traceparent).reverse(), expected.map((trace) => trace ?? null));
});
