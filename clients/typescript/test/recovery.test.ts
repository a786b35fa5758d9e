// What a client gets over: advice at the end of a good connection, sockets and requests that hang, providers that do not
// answer. Against a scripted server.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { SyncClient, type FetchLike, type SyncClientOptions, type SyncError, type TokenRequest, type WebSocketConstructor } from '../src/index.js';
import { Tokens } from '../src/tokens.js';
import { type Script, ScriptedServer } from './support/scripted.js';
import { waitFor, Wire } from './support/stand.js';

const clients: SyncClient[] = [];
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  for (const client of clients) await client.close();
});

/** A client of a script; without jitter, so that waits are what was advised. */
async function connect(script: Script, more: Partial<SyncClientOptions> = {}) {
  const server = await ScriptedServer.start(script);
  const wire = new Wire();
  const waits: number[] = [];
  const client = new SyncClient({ url: server.url, token: () => 'h.e30.s', transport: wire.transport, encoding: 'json', random: () => 0,
    backoff: { baseMs: 10, maxMs: 200, jitterMs: 0 },
    log: (message, details) => {
      if (message === 'connecting') waits.push(details?.inMs as number);
    }, ...more });
  clients.push(client);
  const errors: SyncError[] = [];
  client.on('error', (error) => errors.push(error));
  return { server, wire, waits, client, errors };
}

/** The clock of durations, moved on by a minute. */
function aMinuteLater(): void {
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
}

/** Tells the client what a browser tells. */
function browserEvents() {
  const listeners = new Map<string, () => void>();
  Object.assign(globalThis, { addEventListener: (event: string, listener: () => void) => listeners.set(event, listener),
    removeEventListener: (event: string) => listeners.delete(event) });
  return { tell: (event: string) => listeners.get(event)?.(), end: () => {
    Reflect.deleteProperty(globalThis, 'addEventListener');
    Reflect.deleteProperty(globalThis, 'removeEventListener');
  } };
}

test('what the server advises at the end of a long connection is done', async () => {
  const { server, client, waits, wire } = await connect({});
  await client.subscribe('t', { start: 'floor' }).live();
  aMinuteLater();
  const [peer] = server.peers;
  peer!.push('sync:error', { code: 'going_away', message: 'bye', action: 'reconnect', reconnect_after_ms: 77 });
  peer!.socket.close(1001);
  await waitFor(() => wire.opened === 2 && client.status === 'live');
  expect(waits).toEqual([0, 77]);
});

test('the network is back: a wait that the server asked for is kept', async () => {
  const browser = browserEvents();
  try {
    const { server, client, waits } = await connect({});
    await client.subscribe('t', { start: 'floor' }).live();
    const [peer] = server.peers;
    peer!.push('sync:error', { code: 'slow_consumer', message: 'bye', action: 'reconnect', reconnect_after_ms: 3_600_000 });
    peer!.socket.close(1008);
    await waitFor(() => waits.length === 2);
    browser.tell('online');
    expect(waits).toEqual([0, 3_600_000]);
    // The application may.
    client.disconnect();
    client.connect();
    await waitFor(() => client.status === 'live');
    await client.close();
  } finally {
    browser.end();
  }
});

test('a handshake that is never answered is given up', async () => {
  const sockets = new Set<Socket>();
  const silent = await new Promise<Server>((resolve) => {
    const listening: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1', () => resolve(listening));
  });
  const silentUrl = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  let opened = 0;
  const transport = class extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(opened++ === 0 ? silentUrl : url, protocols);
    }
  } as WebSocketConstructor;
  const { client, errors } = await connect({}, { transport, connectTimeoutMs: 200, backoff: { baseMs: 10, maxMs: 10, jitterMs: 0 } });
  await client.subscribe('t', { start: 'floor' }).live();
  expect(errors[0]?.code).toBe('connection_failed');
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('requests that hang do not keep the client from connecting again', async () => {
  const hanging = vi.fn();
  const fetching: FetchLike = (url, init) => {
    if (!url.includes('/snapshot?')) return fetch(url, init);
    hanging();
    // One that does not even look at its signal.
    return new Promise(() => {});
  };
  const { client, wire, server } = await connect({}, { fetch: fetching, connectTimeoutMs: 200 });
  await client.subscribe('t', { start: 'floor' }).live();
  const hanged = Array.from({ length: 8 }, (_, i) => client.subscribe(`hangs.${i}`));
  await waitFor(() => hanging.mock.calls.length === 6);
  // A socket that does not open, so that the client asks over HTTP why.
  const [peer] = server.peers;
  wire.failNext = 1;
  peer!.socket.terminate();
  await waitFor(() => wire.opened >= 3 && client.error === null && server.peers.size === 1, { what: () => `connected; ${wire.opened} ${client.status}` });
  // And those that wait in the queue leave it.
  hanged.forEach((topic) => topic.release());
  await waitFor(() => hanged.every((topic) => topic.status === 'closed'));
  expect((await client.fetchDocument('t', 'k').catch((error: SyncError) => error))).toMatchObject({ httpStatus: 400 });
});

test('an answer that comes after disconnect() is no refusal', async () => {
  let answer = (): void => {};
  let asked = 0;
  const fetching: FetchLike = async () => {
    asked++;
    await new Promise<void>((resolve) => (answer = resolve));
    return { status: 401, ok: false, headers: { get: () => null }, text: async () => '{"error":{"code":"unauthorized","reason":"token_revoked"}}' };
  };
  const { client, wire, errors } = await connect({}, { fetch: fetching });
  wire.failNext = 1;
  client.connect();
  await waitFor(() => asked === 1);
  client.disconnect();
  answer();
  client.connect();
  await waitFor(() => client.status === 'live');
  expect(errors).toEqual([]);
});

test('a token provider that never answers is asked again', async () => {
  let asked = 0;
  const tokens = new Tokens(() => (asked++ === 0 ? new Promise<string>(() => {}) : 'h.e30.s'), 20);
  await expect(tokens.ask('connect')).rejects.toMatchObject({ code: 'token_unavailable' });
  expect(await tokens.ask('connect')).toBe('h.e30.s');
});

test('why the server closed a socket is heard: the provider is told of a refused token, without another try', async () => {
  const asked: TokenRequest[] = [];
  const { server, client, errors, wire } = await connect({}, { token: (request) => {
    asked.push(request);
    return `h.e30.s${asked.length}`;
  } });
  await client.subscribe('t', { start: 'floor' }).live();
  [...server.peers][0]!.socket.close(1008, 'token_expired');
  await waitFor(() => wire.opened === 2 && client.status === 'live');
  expect(asked.map((one) => [one.reason, one.refusal])).toEqual([['connect', undefined], ['refused', 'token_expired']]);
  expect(errors.map((error) => [error.code, error.reason])).toEqual([['unauthorized', 'token_expired']]);
  expect(server.requests, 'it was not asked why').toEqual([]);
});
