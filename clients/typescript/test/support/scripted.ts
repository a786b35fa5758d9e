// A server that says what a test wants: for what the real one cannot be made to do. Phoenix frames, JSON.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { hashOf } from '../../src/hash.js';

export type Reply = { ok: Record<string, unknown> } | { error: Record<string, unknown> };

export interface Script {
  /** Answers `phx_join` and other events. Nothing: the default answer. */
  onEvent?(event: string, payload: any, peer: Peer): Reply | undefined | 'nothing';
  onHttp?(url: URL, request: IncomingMessage): { status: number; body: unknown; headers?: Record<string, string> } | undefined;
}

/** One socket as the server sees it. */
export class Peer {
  constructor(readonly socket: WebSocket) {}

  push(event: string, payload: unknown): void {
    this.socket.send(JSON.stringify([null, null, 'sync:v1', event, payload]));
  }

  /** A batch of upserts of document `k`, one for each watermark in (after, through]. */
  batch(topic: string, after: number, through: number, change: (update: Record<string, unknown>) => void = () => {}): void {
    const updates = Array.from({ length: through - after }, (_, i) => {
      const watermark = after + 1 + i;
      const update = { topic, doc_key: 'k', doc_version: watermark, op: 'upsert', payload: watermark, payload_hash: hashOf(String(watermark)),
        watermark, epoch: 1, hydration_required: false, inserted_at: '2026-11-22T20:00:00.000000Z' };
      change(update);
      return update;
    });
    this.push('sync:update_batch', { updates, replay_complete: true, head_watermarks: [{ topic, watermark: through }],
      after_watermark: after, through_watermark: through });
  }
}

/** Where the topics of a subscribe stand: their cursors, or 0. */
export function accept(payload: any, head = 0): Reply {
  const cursors = new Map<string, any>((payload.resume_after ?? []).map((one: any) => [one.topic, one]));
  const topics: string[] = payload.topics ?? [];
  return { ok: { subscription_id: 'sub', topics, allowed_topics: ['*'],
    current_watermarks: topics.map((topic) => ({ topic, watermark: cursors.get(topic)?.watermark ?? 0, epoch: 1 })),
    head_watermarks: topics.map((topic) => ({ topic, watermark: head })) } };
}

export class ScriptedServer {
  readonly events: { event: string; payload: any }[] = [];
  readonly requests: string[] = [];
  readonly peers = new Set<Peer>();
  readonly #http: Server;

  private constructor(readonly script: Script) {
    this.#http = createServer((request, response) => this.#answer(request, response));
    const sockets = new WebSocketServer({ server: this.#http, handleProtocols: () => 'phoenix' });
    sockets.on('connection', (socket) => {
      const peer = new Peer(socket);
      this.peers.add(peer);
      socket.on('close', () => this.peers.delete(peer));
      socket.on('message', (data) => this.#message(peer, String(data)));
    });
  }

  static async start(script: Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve));
    afterAll(() => {
      for (const peer of server.peers) peer.socket.terminate();
      server.#http.close();
    });
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/socket`;
  }

  count(event: string): number {
    return this.events.filter((one) => one.event === event).length;
  }

  #message(peer: Peer, text: string): void {
    const [joinRef, ref, topic, event, payload] = JSON.parse(text);
    if (topic !== 'phoenix') this.events.push({ event, payload });
    const answer = this.script.onEvent?.(event, payload, peer) ??
      (event === 'phx_join' || event === 'sync:subscribe' ? accept(payload) : { ok: {} });
    if (answer === 'nothing') return;
    const [status, response] = 'ok' in answer ? ['ok', answer.ok] : ['error', answer.error];
    peer.socket.send(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status, response }]));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://server');
    this.requests.push(`${url.pathname}${url.search}`);
    const answer = this.script.onHttp?.(url, request) ?? { status: 400, body: { error: { code: 'bad_request', reason: 'topic_is_required' } } };
    response.writeHead(answer.status, { 'content-type': 'application/json', connection: 'close', ...answer.headers });
    response.end(JSON.stringify(answer.body));
  }
}
