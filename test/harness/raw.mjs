// Sockets without a Phoenix client in front: frames as they are, and bytes as they are.
import net from 'node:net';
import WebSocket from 'ws';
import { patienceMs, waitFor } from './wait.mjs';

/** A WebSocket that sends any frame and keeps what comes. */
export class RawSocket {
  /** @param {WebSocket} ws */
  constructor(ws) {
    this.ws = ws;
    /** Parsed text frames: [join_ref, ref, topic, event, payload]. @type {any[]} */
    this.frames = [];
    /** @type {string[]} */
    this.texts = [];
    /** @type {Buffer[]} */
    this.binaries = [];
    /** @type {number | undefined} */
    this.closeCode = undefined;
    this.closeReason = '';
    this.nextRef = 1;
    ws.on('message', (data, isBinary) => {
      const bytes = /** @type {Buffer} */ (data);
      if (isBinary) {
        this.binaries.push(bytes);
        return;
      }
      this.texts.push(bytes.toString('utf8'));
      this.frames.push(JSON.parse(bytes.toString('utf8')));
    });
    ws.on('close', (code, reason) => {
      this.closeCode = code;
      this.closeReason = reason.toString();
    });
    ws.on('error', () => {});
  }

  /**
   * Connects; rejects with an error that has `status`, `body` and `headers` when the upgrade is refused.
   * @param {string} url with path and query
   * @param {{protocols?: string[], headers?: Record<string, string>, autoPong?: boolean}} [options]
   * @returns {Promise<RawSocket>}
   */
  static connect(url, { protocols = [], headers = {}, autoPong = true } = {}) {
    return new Promise((resolve, reject) => {
      const ws = new WebSocket(url, protocols, { headers, autoPong, handshakeTimeout: patienceMs });
      const raw = new RawSocket(ws);
      ws.once('open', () => resolve(raw));
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text) => (body += text));
        response.on('end', () => reject(Object.assign(new Error(`upgrade refused: ${response.statusCode} ${body}`),
          { status: response.statusCode, body, headers: response.headers })));
      });
    });
  }

  /** @param {unknown} data a value is sent as JSON text, a string or Buffer as it is */
  send(data) {
    this.ws.send(typeof data === 'string' || Buffer.isBuffer(data) ? data : JSON.stringify(data));
  }

  /**
   * Sends a frame with a new ref and waits for its reply's payload.
   * @param {string} topic @param {string} event @param {unknown} [payload] @param {string | null} [joinRef]
   * @returns {Promise<{status: string, response: any}>}
   */
  async ask(topic, event, payload = {}, joinRef = '1') {
    const ref = String(this.nextRef++);
    this.send([joinRef, ref, topic, event, payload]);
    const frame = await this.frame((f) => f[1] === ref && f[3] === 'phx_reply', `a reply to ${event}`);
    return frame[4];
  }

  /** Joins sync:v1. @param {object} [params] */
  async join(params = {}) {
    return await this.ask('sync:v1', 'phx_join', params);
  }

  /** Waits for a frame. @param {(frame: any) => boolean} matches @param {string} what @returns {Promise<any>} */
  async frame(matches, what, timeoutMs = patienceMs) {
    return await waitFor(() => this.frames.find(matches), { timeoutMs, everyMs: 5, what: () =>
      `${what}; came: ${this.texts.join('\n').slice(0, 2000)}; close code ${this.closeCode}` });
  }

  /**
   * Waits until a topic's updates have come up to a watermark; returns all of them that came, in their order. Into how many
   * batches they go is for the server's clock to say. JSON only.
   * @param {string} topic @param {number} watermark @returns {Promise<any[]>}
   */
  async reach(topic, watermark) {
    const batches = () => this.frames.filter((f) => f[3] === 'sync:update_batch' && f[4].updates[0].topic === topic).map((f) => f[4]);
    await this.frame(() => batches().some((batch) => batch.through_watermark >= watermark), `${topic} up to ${watermark}`);
    return batches().flatMap((batch) => batch.updates);
  }

  /** Waits until the server has closed; returns the close code. @returns {Promise<number>} */
  async closed(timeoutMs = patienceMs) {
    await waitFor(() => this.closeCode !== undefined, { timeoutMs, what: 'the server closes the socket' });
    return /** @type {number} */ (this.closeCode);
  }

  end() {
    this.ws.terminate();
  }
}

/** A TCP connection for half a handshake, or none. */
export class RawTcp {
  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.ended = false;
    socket.on('data', (data) => (this.received = Buffer.concat([this.received, data])));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => {});
  }

  /** @param {string} host @param {number} port @returns {Promise<RawTcp>} */
  static connect(host, port) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, host);
      socket.once('connect', () => resolve(new RawTcp(socket)));
      socket.once('error', reject);
    });
  }

  /** @param {string | Uint8Array} data */
  send(data) {
    this.socket.write(data);
  }

  /** Waits until the server has ended the connection; returns what it said. */
  async closed(timeoutMs = patienceMs) {
    await waitFor(() => this.ended, { timeoutMs, what: 'the server ends the connection' });
    return this.received.toString('latin1');
  }

  end() {
    this.socket.destroy();
  }
}

/**
 * The upgrade request's text, for a RawTcp.
 * @param {string} path @param {Record<string, string>} [headers]
 */
export function upgradeRequest(path, headers = {}) {
  const all = { host: '127.0.0.1', upgrade: 'websocket', connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13', ...headers };
  return `GET ${path} HTTP/1.1\r\n${Object.entries(all).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;
}

/** One masked client frame. @param {number} opcode @param {Buffer} payload @param {{fin?: boolean, rsv?: number}} [how] */
export function clientFrame(opcode, payload, { fin = true, rsv = 0 } = {}) {
  const mask = Buffer.from([1, 2, 3, 4]);
  const n = payload.length;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  if (n < 126) head.push(0x80 | n);
  else if (n < 65536) head.push(0xfe, n >> 8, n & 255);
  else head.push(0xff, 0, 0, 0, 0, (n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, i) => byte ^ /** @type {number} */ (mask[i & 3]))]);
}
