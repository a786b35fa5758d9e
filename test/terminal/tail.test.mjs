// oa-sync tail: follows, resumes wherever it or the server ended, and says why when it cannot.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Fanout, Stand, range } from '../harness/index.mjs';
import { age } from '../harness/past.mjs';
import { Run, binary, directory, run } from './program.mjs';

const stand = await Stand.create({ flags: { 'token-warning-ms': 12_000, 'token-grace-ms': 1000, 'shutdown-spread-ms': 100 } });
const { fanout } = stand;
const dir = directory();
const server = ['--url', fanout.socketUrl, '--keyring', fanout.keyringFile];
/** @param {any[]} events */
const watermarks = (events) => events.map((event) => event.watermark);
/** @param {string} file @param {string} topic */
const cursorOf = (file, topic) => !existsSync(file) ? undefined
  : JSON.parse(readFileSync(file, 'utf8')).cursors.find((/** @type {any} */ one) => one.topic === topic)?.watermark;
/** @param {string} file @param {string} text */
const replace = (file, text) => {
  writeFileSync(`${file}.draft`, text);
  renameSync(`${file}.draft`, file);
};

test('follows: events come as they are committed, in the shape of the protocol', async () => {
  const tail = new Run(['tail', '--json', '-v', ...server, 'tail.follow', 'tail.other']);
  await tail.said('up to date');
  await stand.insert('tail.follow', 2);
  await stand.insert('tail.other', 1);
  await tail.printed(3);
  const events = tail.events.filter((event) => event.topic === 'tail.follow');
  const journal = await stand.journal('tail.follow');
  assert.deepEqual(events.map(({ watermark, epoch, doc_key, doc_version, op, payload, payload_hash }) =>
    ({ watermark, epoch, doc_key, doc_version, op, payload, payload_hash: Buffer.from(payload_hash, 'base64').toString('hex') })), journal);
  const { code } = await tail.kill('SIGINT');
  assert.equal(code, 130);
});

test('begins where --since says, and ends at the head with --no-follow', async () => {
  const topic = 'tail.since';
  await stand.insert(topic, 10);
  const from = async (/** @type {string[]} */ ...args) => {
    const ended = await run(['tail', '--json', ...server, '--no-follow', ...args, topic]);
    assert.equal(ended.code, 0, ended.stderr);
    return watermarks(ended.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)));
  };
  assert.deepEqual(await from(), range(1, 10));
  assert.deepEqual(await from('--since', 'now'), []);
  assert.deepEqual(await from('--since', '7'), [8, 9, 10]);
  assert.deepEqual(await from('--since', '1h'), range(1, 10));
  assert.deepEqual(await from('--count', '3'), [1, 2, 3]);
  await age((text, values) => stand.query(text, values), topic, 6, 2);
  // In pages that nobody has read yet: those in memory have the events as they were.
  const other = await stand.startFanout();
  await other.ready();
  const ended = await run(['tail', '--json', '--url', other.socketUrl, '--keyring', other.keyringFile, '--no-follow', '--since', '1h', topic]);
  assert.deepEqual(watermarks(ended.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))), range(7, 10));
  assert.deepEqual(await from('--no-follow'), range(1, 10), 'an empty end is waited for by nobody');
});

test('--no-follow ends when the last events of a topic are void', async () => {
  const topic = 'tail.void';
  await stand.insert(topic, 1);
  // As the worker writes one for a transaction that failed after allocation.
  await stand.query(`INSERT INTO runtime.sync_stream_events
    SELECT topic, 2, epoch, '', 0, 'void', NULL, payload_hash, txid, inserted_at FROM runtime.sync_stream_events WHERE topic = $1`, [topic]);
  await stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark) VALUES ($1, 3)
    ON CONFLICT (topic) DO UPDATE SET next_watermark = 3`, [topic]);
  const other = await stand.startFanout();
  await other.ready();
  const ended = await run(['tail', '--json', '--url', other.socketUrl, '--keyring', other.keyringFile, '--no-follow', topic]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.stdout.split('\n').length - 1, 1);
});

test('filters show what they name; the place moves on over the rest', async () => {
  const topic = 'tail.filters';
  await stand.insert(topic, 6);
  await stand.query('DELETE FROM app.items WHERE topic = $1 AND id = 2', [topic]);
  const file = `${dir}/filters`;
  const shown = async (/** @type {string[]} */ ...args) =>
    watermarks((await run(['tail', '--json', ...server, '--no-follow', ...args, topic])).stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l)));
  assert.deepEqual(await shown('--op', 'delete'), [7]);
  assert.deepEqual(await shown('--key', 'item:[34]'), []);
  assert.deepEqual(await shown('--key', 'item:3', '--key', '*:4'), [3, 4]);
  assert.deepEqual(await shown('--field', 'n=5'), [5]);
  assert.deepEqual(await shown('--op', 'upsert', '--field', 'n!=5', '--cursor', file), [1, 2, 3, 4, 6]);
  assert.equal(cursorOf(file, topic), 7);
});

test('piped output is plain, --color=always is not, and nothing in a payload reaches a terminal', async () => {
  const topic = 'tail.colour';
  await stand.insert(topic, 1, { body: '\u001b[2Jgone\u202e\u009b' });
  const plain = await run(['tail', ...server, '--no-follow', topic]);
  assert.doesNotMatch(plain.stdout, /[\u001b\u009b\u202e]/);
  assert.match(plain.stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z {2}tail\.colour {2}1 {2}upsert {2}item:1 {2}v1 {2}\{.*gone\\u202e\\u009b/);
  assert.equal(plain.stderr, '');
  const coloured = await run(['tail', ...server, '--no-follow', '--color', 'always', topic]);
  assert.match(coloured.stdout, /\u001b\[32mupsert\u001b\[0m/);
  assert.doesNotMatch(coloured.stdout, /\u001b\[2J|[\u009b\u202e]/);
  const forced = await run(['tail', ...server, '--no-follow', topic], { env: { NO_COLOR: '1' } });
  assert.doesNotMatch(forced.stdout, /\u001b/);
});

test('on a terminal: colours, unless NO_COLOR is set; long replays show how far they are', async () => {
  const topic = 'tail.terminal';
  await stand.insert(topic, 2000, { body: 'c1 \u009b' });
  const quoted = (/** @type {string[]} */ args) => [binary, 'tail', ...server, '--no-follow', ...args, topic].map((word) => `'${word}'`).join(' ');
  // script(1) gives the program a terminal.
  const onTerminal = (/** @type {string} */ command, env = {}) =>
    spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', input: '', timeout: 60_000, env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env } }).stdout;
  assert.match(onTerminal(quoted(['--count', '1'])), /\u001b\[32mupsert\u001b\[0m/);
  assert.doesNotMatch(onTerminal(quoted(['--count', '1']), { NO_COLOR: '1' }), /\u001b\[\d+m/);
  assert.doesNotMatch(onTerminal(quoted(['--count', '1']), { TERM: 'dumb' }), /\u001b/);
  // JSON that is shown is escaped inside its strings, which are the same strings.
  const json = onTerminal(quoted(['--count', '1', '--json', '--quiet']));
  assert.doesNotMatch(json, /\u009b/);
  assert.equal(JSON.parse(json).payload.body, 'c1 \u009b');
  const file = `${dir}/replayed`;
  const progress = onTerminal(`${quoted([])} > ${file}`);
  assert.match(progress, /\r\u001b\[K +\d+ % {2}\d+ events, \d+ to go, \d+\/s/);
  assert.match(progress, /\r\u001b\[K$/, 'and it goes away');
  assert.equal(readFileSync(file, 'utf8').split('\n').length - 1, 2000);
});

test('killed at any moment, it repeats and never loses', async () => {
  const topic = 'tail.kill';
  const file = `${dir}/kill`;
  const total = 3000;
  /** @type {number[]} */
  let seen = [];
  let next = 1;
  for (let round = 0; round < 6; round++) {
    await stand.insert(topic, total / 6, { first: 1 + round * (total / 6) });
    const tail = new Run(['tail', '--json', ...server, '--cursor', file, topic]);
    // Somewhere in the middle of what it prints, and on another place each round.
    await tail.printed(50 + round * 60);
    const { signal, stdout } = await tail.kill('SIGKILL');
    assert.equal(signal, 'SIGKILL');
    const got = watermarks(stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line)));
    assert.ok(/** @type {number} */ (got[0]) <= next, `begins at ${got[0]}, ${next} was never printed`);
    assert.deepEqual(got, range(/** @type {number} */ (got[0]), /** @type {number} */ (got.at(-1))));
    assert.ok((cursorOf(file, topic) ?? 0) <= /** @type {number} */ (got.at(-1)), 'the file is never ahead of what was printed');
    seen = seen.concat(got);
    next = Math.max(next, /** @type {number} */ (got.at(-1)) + 1);
  }
  const last = await run(['tail', '--json', ...server, '--cursor', file, '--no-follow', topic]);
  assert.equal(last.code, 0, last.stderr);
  seen = seen.concat(watermarks(last.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))));
  assert.deepEqual([...new Set(seen)].sort((a, b) => a - b), range(1, total));
  assert.equal(cursorOf(file, topic), total);
});

test('a cursor file is one process\'s', async () => {
  const file = `${dir}/locked`;
  const tail = new Run(['tail', '-v', ...server, '--cursor', file, 'tail.locked']);
  await tail.said('up to date');
  const second = await run(['tail', ...server, '--cursor', file, 'tail.locked']);
  assert.equal(second.code, 8);
  assert.match(second.stderr, /in use by another process/);
  assert.equal((await tail.kill('SIGTERM')).code, 143);
});

test('a reader that goes away ends it quietly, also when nothing comes', async () => {
  await stand.insert('tail.head', 100);
  const tail = new Run(['tail', '-v', ...server, '--since', 'beginning', 'tail.head']);
  await tail.printed(10);
  tail.child.stdout.destroy();
  const ended = await tail.end();
  assert.equal(ended.code, 0, ended.stderr);
  assert.doesNotMatch(ended.stderr, /pipe|error/i);
});

test('lives through restarts and a kill of the fan-out, each event once', async () => {
  const topic = 'tail.restart';
  const own = await Fanout.start({ database: stand.cluster.conninfo(stand.database), flags: { 'shutdown-spread-ms': 100 } });
  try {
    const tail = new Run(['tail', '--json', '-v', '--url', own.socketUrl, '--keyring', own.keyringFile, topic]);
    await tail.said('up to date');
    await stand.insert(topic, 5);
    await tail.printed(5);
    await own.stop();
    await tail.said('connection lost: going_away');
    await stand.insert(topic, 5, { first: 6 });
    await own.launch();
    await tail.printed(10);
    await own.kill9();
    await tail.said('connection lost: the connection was closed');
    await stand.insert(topic, 5, { first: 11 });
    await own.launch();
    await tail.printed(15);
    await tail.said('connected again');
    assert.deepEqual(watermarks(tail.events), range(1, 15));
    assert.equal((await tail.kill('SIGINT')).code, 130);
  } finally {
    await own.destroy();
  }
});

test('gives up after --retries, with an exit code of its own', async () => {
  const own = await Fanout.start({ database: stand.cluster.conninfo(stand.database), flags: { 'reconnect-backoff-base-ms': 1, 'reconnect-backoff-jitter-ms': 1 } });
  try {
    const tail = new Run(['tail', '-v', '--retries', '2', '--url', own.socketUrl, '--keyring', own.keyringFile, 'tail.lost']);
    await tail.said('up to date');
    await own.kill9();
    const ended = await tail.end();
    assert.equal(ended.code, 6, ended.stderr);
    assert.match(ended.stderr, /giving up after 2 attempts/);
  } finally {
    await own.destroy();
  }
});

test('who was never there is exit code 3', async () => {
  const ended = await run(['tail', '--url', 'ws://127.0.0.1:9', '--keyring', fanout.keyringFile, '--since', '0', 'a']);
  assert.equal(ended.code, 3, ended.stderr);
  assert.equal((await run(['tail', '--url', 'ws://no-such-host.invalid', '--keyring', fanout.keyringFile, 'a'])).code, 3);
});

test('a token that is not accepted, and a topic it does not open, are exit code 4 and named', async () => {
  const denied = await run(['tail', '--url', fanout.socketUrl, '--since', '0', 'a'], { env: { OA_SYNC_TOKEN: fanout.token(['a'], { exp: 1000 }) } });
  assert.equal(denied.code, 4);
  assert.match(denied.stderr, /token_expired/);
  const forbidden = await run(['tail', '--url', fanout.socketUrl, '--since', '0', 'a', 'b'], { env: { OA_SYNC_TOKEN: fanout.token(['a']) } });
  assert.equal(forbidden.code, 4);
  assert.match(forbidden.stderr, /forbidden_topic.*b/);
  const none = await run(['tail', '--url', fanout.socketUrl, 'a']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /OA_SYNC_TOKEN/);
  const minted = await run(['tail', '--url', fanout.socketUrl, '--since', '0', '--keyring', fanout.keyringFile, '--audience', 'other', 'a']);
  assert.equal(minted.code, 4, minted.stderr);
  assert.doesNotMatch(minted.stderr, /connecting again/, 'every minted token is another, and none is better');
});

test('a token that ends is replaced on the open connection by what its file then holds', async () => {
  const topic = 'tail.token';
  const file = `${dir}/token`;
  const seconds = (/** @type {number} */ n) => fanout.token(['tail.*'], { exp: Math.floor(Date.now() / 1000) + n });
  // Long enough for a machine that stands still for some seconds before the file has the next one.
  replace(file, `${seconds(15)}\n`);
  const tail = new Run(['tail', '--json', '-v', '--url', fanout.socketUrl, '--token-file', file, topic]);
  // A contemporary whose file nobody replaces is closed, and its token then refused.
  const stale = `${dir}/token.stale`;
  replace(stale, seconds(15));
  const other = new Run(['tail', '-v', '--url', fanout.socketUrl, '--token-file', stale, topic]);
  await tail.said('up to date');
  replace(file, seconds(300));
  await tail.said('authenticated anew');
  const ended = await other.end();
  assert.equal(ended.code, 4, ended.stderr);
  assert.match(ended.stderr, /token_expired/);
  await stand.insert(topic, 1);
  await tail.printed(1);
  assert.doesNotMatch(tail.stderr, /connection lost/);
  await tail.kill('SIGINT');
});

test('a stale cursor is exit code 5; --resync begins anew from the documents', async () => {
  const topic = 'tail.stale';
  const file = `${dir}/stale`;
  await stand.insert(topic, 5);
  await stand.query('DELETE FROM app.items WHERE topic = $1 AND id <= 2', [topic]);
  const [{ epoch }] = await stand.query('SELECT runtime.sync_current_epoch() AS epoch');
  const write = (/** @type {number} */ watermark) =>
    replace(file, JSON.stringify({ version: 1, cursors: [{ topic, epoch, watermark }] }));
  write(99);
  const ended = await run(['tail', '--json', ...server, '--cursor', file, topic]);
  assert.equal(ended.code, 5);
  assert.match(ended.stderr, /cursor_ahead_of_head.*--resync/);
  assert.equal(cursorOf(file, topic), 99, 'nothing was printed, nothing is noted');

  // The floor is raised: the journal no longer has all, so the documents are the beginning.
  await age((text, values) => stand.query(text, values), topic, 4, 24 * 400);
  await stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor, floor_epoch) VALUES ($1, 8, 4, $2)
    ON CONFLICT (topic) DO UPDATE SET floor = 4, floor_epoch = $2`, [topic, epoch]);
  await stand.query('DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= 4', [topic]);
  write(1);
  const own = await stand.startFanout();
  await own.ready();
  const resync = await run(['tail', '--json', '--url', own.socketUrl, '--keyring', own.keyringFile, '--cursor', file, '--resync', '--no-follow', topic]);
  assert.equal(resync.code, 0, resync.stderr);
  const events = resync.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  assert.deepEqual(events.map((event) => [event.op, event.doc_key]), [['resync', undefined], ['snapshot', 'item:3'], ['snapshot', 'item:4'], ['snapshot', 'item:5']]);
  assert.equal(events[0].reason, 'retention_floor_breach');
  assert.equal(cursorOf(file, topic), 7);
});

test('what it cannot write to is said', async () => {
  await stand.insert('tail.full', 1);
  const file = `${dir}/full`;
  const full = spawnSync('bash', ['-c', '"$0" "$@" > /dev/full', binary, 'tail', ...server, '--no-follow', '--cursor', file, 'tail.full'], { encoding: 'utf8' });
  assert.equal(full.status, 8, full.stderr);
  assert.match(full.stderr, /No space left/);
  assert.ok((cursorOf(file, 'tail.full') ?? 0) === 0, 'what was not printed is not noted');
  writeFileSync(file, 'not a cursor file');
  assert.equal((await run(['tail', ...server, '--cursor', file, 'tail.full'])).code, 8);
  assert.equal(readFileSync(file, 'utf8'), 'not a cursor file');
});
