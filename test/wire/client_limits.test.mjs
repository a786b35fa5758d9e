// How much one address and one subject may have; handshakes that take no place of a WebSocket; the end of descriptors.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { RawSocket, RawTcp, Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();

test('connections of one address', async () => {
  const fanout = await stand.startFanout({ 'max-connections-per-address': 3 });
  const inside = [await stand.raw({ fanout }), await stand.raw({ fanout }), await stand.raw({ fanout })];
  await assert.rejects(stand.raw({ fanout }));
  assert.equal(await fanout.metric('oa_sync_denials_total', 'reason="too_many_connections_of_address"'), 1, 'the admin listener is not limited');
  inside.pop()?.end();
  await waitFor(() => stand.raw({ fanout }).then(() => true, () => false), { what: 'the freed place can be taken' });
});

test('WebSockets of one subject, whatever their tokens', async () => {
  const fanout = await stand.startFanout({ 'max-connections-per-subject': 2 });
  const token = (/** @type {string} */ sub) => fanout.token(['*'], { sub });
  const inside = [await stand.raw({ fanout, token: token('a') }), await stand.raw({ fanout, token: token('a') })];
  await assert.rejects(stand.raw({ fanout, token: token('a') }), { status: 429 });
  await stand.raw({ fanout, token: token('b') });
  inside.pop()?.end();
  await waitFor(() => stand.raw({ fanout, token: token('a') }).then(() => true, () => false), { what: 'the freed place can be taken' });
});

test('behind a trusted proxy the client\'s own address counts', async () => {
  const fanout = await stand.startFanout({ 'max-connections-per-address': 1, 'trusted-proxy': '127.0.0.0/8' });
  const connect = (/** @type {string} */ forwarded) =>
    RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${fanout.token(['*'])}`, { headers: { 'x-forwarded-for': forwarded } });
  const sockets = [await connect('192.0.2.1'), await connect('192.0.2.1, 192.0.2.2')];
  await assert.rejects(connect('198.51.100.7, 192.0.2.2'), { status: 429 });
  for (const socket of sockets) socket.end();
});

test('connections that never ask do not take the places of WebSockets', async () => {
  const fanout = await stand.startFanout({ 'max-handshakes': 30, 'max-connections': 5, 'handshake-timeout-ms': 600_000 });
  const idle = await Promise.all(Array.from({ length: 19 }, () => RawTcp.connect(fanout.host, fanout.port)));
  await waitFor(async () => await fanout.metric('oa_sync_accepted_total') >= 19, { what: 'all are accepted' });
  for (let i = 0; i < 5; i++) await stand.raw({ fanout });
  await assert.rejects(stand.raw({ fanout }), { status: 503 });
  for (const tcp of idle) tcp.end();
});

test('more handshakes than allowed are closed at once; the admin listener answers', async () => {
  // One loop: two that accept at the same moment may each take the last place.
  const fanout = await stand.startFanout({ loops: 1, 'max-handshakes': 5, 'handshake-timeout-ms': 600_000 });
  const many = await Promise.all(Array.from({ length: 8 }, () => RawTcp.connect(fanout.host, fanout.port)));
  await waitFor(() => many.filter((tcp) => tcp.ended).length === 3, { what: 'three are closed' });
  assert.equal(await fanout.metric('oa_sync_turned_away_total'), 3);
  for (const tcp of many) tcp.end();
});

test('without a free descriptor newcomers are turned away, and those inside are served', async () => {
  const fanout = await stand.startFanout({ loops: 1 });
  await fanout.ready();
  const inside = stand.client({ fanout, topics: ['descriptors'] });
  await inside.connect();
  const open = Number(execFileSync('bash', ['-c', `ls /proc/${fanout.pid}/fd | wc -l`], { encoding: 'utf8' }));
  execFileSync('prlimit', ['--pid', String(fanout.pid), `--nofile=${open + 3}:`]);
  const many = await Promise.all(Array.from({ length: 12 }, () => RawTcp.connect(fanout.host, fanout.port)));
  await waitFor(() => many.filter((tcp) => tcp.ended).length >= 8, { what: 'newcomers are closed, not left waiting' });
  await stand.insert('descriptors', 20);
  await inside.reach('descriptors', 20);
  for (const tcp of many) tcp.end();
  await waitFor(() => fanout.fetch('/healthz').then((r) => r.status === 200, () => false), { what: 'places again' });
});
