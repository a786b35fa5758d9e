// What permessage-deflate takes and saves: a replay in batches to one client, and live events, each a message of its own,
// to many clients who share what was compressed.
import WebSocket from 'ws';
import { Fanout, RawSocket, waitFor } from '../harness/index.mjs';
import { cpuSeconds } from './cores.mjs';
import { database } from './ground.mjs';
import { quick } from './options.mjs';

/** @typedef {import('./ground.mjs').Ground} Ground */
/** @typedef {{encoding: 'json' | 'proto', level: number | null, bytes: number, deflateSeconds: number, cpuSeconds: number}} Replay */
/** @typedef {{encoding: 'json' | 'proto', level: number | null, bytesEach: number, cpuUsEach: number, deflateUsAnEvent: number}} Live */

const events = quick ? 2_000 : 40_000;
const liveEvents = quick ? 50 : 400;
const subscribers = 200;
const levels = [null, 1, 6, 9];
const topic = 'deflate:replay';

/** @param {Fanout} fanout @param {object} params */
async function join(fanout, params) {
  const ws = new WebSocket(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`, { perMessageDeflate: true });
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  const raw = new RawSocket(ws);
  ws.removeAllListeners('message');
  ws.on('message', () => {});  // what is measured is the server's
  raw.send(['1', '1', 'sync:v1', 'phx_join', params]);
  return raw;
}

/** @param {Fanout} fanout */
const sums = async (fanout) => ({ sent: await fanout.metric('oa_sync_bytes_sent_total'), updates: await fanout.metric('oa_sync_updates_sent_total'),
  deflate: await fanout.metric('oa_sync_deflate_seconds_total'), cpu: cpuSeconds(fanout.pid) });

/** @param {Ground} ground @param {'json' | 'proto'} encoding @param {number | null} level */
async function one(ground, encoding, level) {
  const fanout = await Fanout.start({ database: ground.cluster.conninfo(database), flags: { loops: 1, 'canary-interval-ms': 0,
    'max-connections-per-address': 0, 'max-connections-per-subject': 0, 'deflate-min-bytes': 0,
    ...(level === null ? {} : { deflate: 'on', 'deflate-level': level }) } });
  /** @type {RawSocket[]} */
  const clients = [];
  try {
    await fanout.ready();
    // The pages are in memory before it is measured.
    const params = { encoding, topics: [topic] };
    const arrived = async (/** @type {number} */ updates) => waitFor(async () => (await sums(fanout)).updates >= updates, { timeoutMs: 120_000, everyMs: 50, what: 'the replay' });
    clients.push(await join(fanout, params));
    await arrived(events);
    const before = await sums(fanout);
    clients.push(await join(fanout, params));
    await arrived(before.updates + events);
    const after = await sums(fanout);
    /** @type {Replay} */
    const replay = { encoding, level, bytes: after.sent - before.sent, deflateSeconds: after.deflate - before.deflate, cpuSeconds: after.cpu - before.cpu };

    for (const raw of clients.splice(0)) raw.end();
    for (let i = 0; i < subscribers; i++) clients.push(await join(fanout, { encoding, topics: ['deflate:live'], resume_after: [] }));
    await waitFor(async () => await fanout.metric('oa_sync_subscriptions') >= subscribers, { what: 'all have joined' });
    const start = await sums(fanout);
    for (let i = 0; i < liveEvents; i++) {
      ground.cluster.psql(database, `SELECT runtime.sync_emit('deflate:live', 'doc:${i}', NULL, bench.varied(${i}))`);
    }
    await waitFor(async () => (await sums(fanout)).updates - start.updates >= liveEvents * subscribers, { timeoutMs: 60_000, what: 'all deliveries' });
    const end = await sums(fanout);
    const deliveries = end.updates - start.updates;
    /** @type {Live} */
    const live = { encoding, level, bytesEach: (end.sent - start.sent) / deliveries, cpuUsEach: (end.cpu - start.cpu) * 1e6 / deliveries,
      deflateUsAnEvent: (end.deflate - start.deflate) * 1e6 / liveEvents };
    return { replay, live };
  } finally {
    for (const raw of clients) raw.end();
    await fanout.destroy();
  }
}

/** @param {Ground} ground @param {(line: string) => void} log */
export async function deflate(ground, log) {
  ground.cluster.psql(database, `
    CREATE OR REPLACE FUNCTION bench.varied(n int) RETURNS json LANGUAGE sql AS $$
      SELECT json_build_object('id', n, 'run_id', 'run_' || md5(n::text), 'kind', (ARRAY['tool_call','message','status','file_change'])[1 + n % 4],
        'status', (ARRAY['running','done','failed'])[1 + n % 3], 'tokens', n * 7919 % 100003, 'cost_usd', (n * 31 % 997) / 1000.0,
        'title', 'Step ' || n || ' of the run: ' || substr(md5((n * 3)::text), 1, 12), 'created_at', timestamptz '2026-11-01 00:00+00' + n * interval '1.7 s',
        'detail', json_build_object('path', '/src/' || substr(md5((n % 50)::text), 1, 8) || '.cpp', 'lines', ARRAY[n % 400, n % 37]))
    $$;
    SELECT count(runtime.sync_emit('${topic}', 'doc:' || n, NULL, bench.varied(n))) FROM generate_series(1, ${events}) n;`);
  /** @type {Replay[]} */
  const replays = [];
  /** @type {Live[]} */
  const lives = [];
  for (const encoding of /** @type {const} */ (['json', 'proto'])) {
    for (const level of levels) {
      const { replay, live } = await one(ground, encoding, level);
      replays.push(replay);
      lives.push(live);
      log(`deflate: ${encoding}, level ${level ?? 'off'}: replay ${(replay.bytes / events).toFixed(0)} B an event, ${(replay.deflateSeconds * 1e6 / events).toFixed(2)} us of ` +
        `zlib; live ${live.bytesEach.toFixed(0)} B, ${live.deflateUsAnEvent.toFixed(0)} us of zlib an event, ${live.cpuUsEach.toFixed(1)} us of CPU a delivery`);
    }
  }
  return { events, liveEvents, subscribers, replays, lives };
}
/** @typedef {Awaited<ReturnType<typeof deflate>>} DeflateResult */
