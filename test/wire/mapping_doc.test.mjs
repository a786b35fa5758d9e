// docs/protocol/OA_SYNC_WS_MAPPING.md, played against the server block by block, and its tables against the proto.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromBinary, toJson } from '@bufbuild/protobuf';
import { SyncErrorCodeSchema } from '../../build/proto-es/openagents/sync/v1/errors_pb.js';
import * as sync from '../../build/proto-es/openagents/sync/v1/sync_pb.js';
import { Stand, root, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const [{ epoch }] = await stand.query('SELECT runtime.sync_current_epoch() AS epoch');
/** The page, with the epoch of this database for the one it shows. */
const page = readFileSync(`${root}/docs/protocol/OA_SYNC_WS_MAPPING.md`, 'utf8')
  .replaceAll(/("epoch": "?)1795377600000000/g, `$1${epoch}`);

/** Members whose values differ from run to run; their type must still be the page's. */
const volatile = new Set(['subscription_id', 'inserted_at', 'insertedAtUs', 'commitTimeUs', 'message']);

/**
 * The value with volatile members replaced by their type, except a document's own.
 * @param {any} value @param {boolean} [inDocument] @returns {any}
 */
function settled(value, inDocument = false) {
  if (Array.isArray(value)) return value.map((v) => settled(v, inDocument));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) =>
    [key, volatile.has(key) && !inDocument ? typeof v : settled(v, inDocument || key === 'payload')]));
}

test('the conversation is as the page tells it', async () => {
  /** told: the binary batches that the page has shown so far. @type {Map<string, {raw: import('../harness/raw.mjs').RawSocket, text: number, told: any[]}>} */
  const sockets = new Map();
  const socket = async (/** @type {string} */ name) => {
    let found = sockets.get(name);
    if (!found) {
      found = { raw: await stand.raw({ token: stand.fanout.token(['run:*']) }), text: 0, told: [] };
      sockets.set(name, found);
    }
    return found;
  };
  let played = 0;
  for (const [block, language, how = '', name = 'a', body = ''] of page.matchAll(/^```(sql|json)(?: ([\w-]+))?(?: (\w+))?\n([^]*?)^```/gm)) {
    played++;
    if (language === 'sql') {
      stand.cluster.psql(stand.database, body);
      continue;
    }
    const s = await socket(name);
    if (how === 'send') {
      s.raw.send(JSON.parse(body));
    } else if (how === 'receive') {
      // A pushed copy of a refusal is described in words on the page, not shown again.
      // Nor are the heartbeats that the server sends by its clock.
      const expected = JSON.parse(body);
      const isUntold = (/** @type {string} */ event) => ['sync:error', 'sync:heartbeat'].includes(event) && event !== expected[3];
      const frame = await waitFor(() => {
        while (isUntold(s.raw.frames[s.text]?.[3])) s.text++;
        return s.raw.frames[s.text];
      }, { what: () => `an answer as in:\n${block}\n${s.raw.texts.slice(s.text).join('\n')}` });
      s.text++;
      assert.deepEqual(settled(frame), settled(expected), block);
    } else if (how === 'receive-binary') {
      // The server may cut what it sends in other places than the page does: the updates are those of the page.
      const { told } = s;
      told.push(JSON.parse(body));
      const sent = () => s.raw.binaries.map((frame) => /** @type {any} */ (toJson(sync.UpdateBatchSchema,
        fromBinary(sync.UpdateBatchSchema, frame.subarray(3 + (frame[1] ?? 0) + (frame[2] ?? 0))))));
      const through = Number(told.at(-1).throughWatermark);
      // Nothing more is written before the page has shown it, so that a batch ends there whatever the cuts.
      const batches = await waitFor(() => (sent().some((batch) => Number(batch.throughWatermark) === through) ? sent() : undefined),
        { what: () => `binary batches up to ${through}; came ${JSON.stringify(sent())}` });
      const came = batches.flatMap(({ updates }) => updates);
      const updates = told.flatMap((batch) => batch.updates);
      assert.deepEqual(came.slice(0, updates.length).map(withoutCommitTime), settled(updates), block);
      assert.equal(batches[0].afterWatermark, told[0].afterWatermark, block);
      // What else is said of a place in the topic, of every place that both of them have.
      const said = (/** @type {any} */ batch) => ({ ...batch, updates: [], afterWatermark: '' });
      const ends = told.map((one) => batches.find((batch) => batch.throughWatermark === one.throughWatermark) ?? one);
      assert.deepEqual(ends.map(said), told.map(said), block);
    } else assert.fail(`a block without a part in the conversation:\n${block}`);
  }
  assert.ok(played > 25, `${played} blocks`);
  for (const { raw } of sockets.values()) assert.equal(raw.closeCode, undefined);
});

/** commit_time_us is on live events only, so the page leaves it out. @param {any} update */
function withoutCommitTime({ commitTimeUs: _, ...update }) {
  return settled(update);
}

/** The rows under a heading: [number, proto name]. @param {string} heading @returns {[number, string][]} */
function table(heading) {
  const [, section = ''] = new RegExp(`^#+ ${heading}\\n([^]*?)(?=^#|$(?![^]))`, 'm').exec(page) ?? [];
  return [...section.matchAll(/^\| (\d+) \| `(\w+)`/gm)].map(([, number, name]) => [Number(number), name ?? '']);
}

test('the tables list every field of every message', () => {
  for (const schema of [sync.TopicCursorSchema, sync.SubscribeSchema, sync.SubscribedSchema, sync.UpdateSchema,
    sync.UpdateBatchSchema, sync.HeartbeatSchema, sync.HeartbeatTopicSchema, sync.ErrorSchema]) {
    assert.deepEqual(table(schema.name), schema.fields.map((field) => [field.number, field.name]), schema.name);
  }
});

/** @param {string} file below fanout/src */
const source = (file) => readFileSync(`${root}/fanout/src/${file}`, 'utf8');

test('every reason for which an upgrade is refused is in the table, and none that does not exist', () => {
  const [, section = ''] = /^## Connecting\n([^]*?)^## /m.exec(page) ?? [];
  const rows = [...section.matchAll(/^\| (\d{3}) \| `(\w+)` \| (.*) \|$/gm)];
  const told = rows.flatMap(([, status = '', code = '', reasons = '']) => [...reasons.matchAll(/`(\w+)`/g)].map(([, reason]) => `${status} ${code} ${reason}`));
  const upgrade = source('net/upgrade.cpp');
  const [, faults = ''] = /kFaultNames\[\] = \{([^]*?)^\}/m.exec(source('auth/token.cpp')) ?? [];
  const there = [
    ...[...upgrade.matchAll(/refuse\((\d+), "(\w+)", "(\w+)"\)/g)].map(([, status, code, reason]) => `${status} ${code} ${reason}`),
    ...[...upgrade.matchAll(/NoRoom\(shared, "(\w+)"\)|\bFullReason\(bool \w+\) \{ return \w+ \? "(\w+)" : "(\w+)"; \}/g)].flatMap(([, ...reasons]) => reasons.filter(Boolean)).map((reason) => `503 unavailable ${reason}`),
    ...[...source('net/socket_http.cpp').matchAll(/refuse\("(too_many_connections_of_\w+)"\)/g)].map(([, reason]) => `429 too_many_connections ${reason}`),
    ...[...faults.matchAll(/"(?!none")(\w+)"/g)].map(([, reason]) => `401 unauthorized ${reason}`)];
  assert.ok(there.length > 20, there.join(', '));
  assert.deepEqual([...new Set(told)].sort(), [...new Set(there)].sort());
});

test('the close codes are those of the server', () => {
  const [, section = ''] = /^\| closed with \| why \|\n([^]*?)\n\n/m.exec(page) ?? [];
  const told = [...section.matchAll(/\b(1\d{3})\b/g)].map(([code]) => Number(code));
  const there = [...source('hub/session.h').matchAll(/kClose\w+ = (\d+);/g)].map(([, code]) => Number(code));
  assert.deepEqual(told, [...there, 1002].sort(), '1002 is given by the WebSocket layer');
});

test('the error codes are those of the enum', () => {
  assert.deepEqual(table('Error codes'), SyncErrorCodeSchema.values.filter((value) => value.number > 0)
    .map((value) => [value.number, value.name.replace('SYNC_ERROR_CODE_', '').toLowerCase()]));
});
