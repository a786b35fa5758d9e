// WebSocket frames as RFC 6455 has them, byte by byte, right or wrong: for tests that no WebSocket library would let pass.
import net from 'node:net';
import { RawTcp, upgradeRequest } from './raw.mjs';
import { patienceMs, waitFor } from './wait.mjs';

export const CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** @typedef {{fin: boolean, rsv: number, opcode: number, masked: boolean, payload: Buffer}} ServerFrame */

/**
 * A frame of a client. `form` is the number of bits of the length, the shortest that holds it unless given; `announce` is the
 * length that is written instead of the true one; without `mask` it is not masked.
 * @param {number} opcode @param {string | Buffer} [data]
 * @param {{fin?: boolean, rsv?: number, mask?: Buffer | null, form?: 7 | 16 | 64, announce?: bigint}} [how]
 */
export function frame(opcode, data = '', { fin = true, rsv = 0, mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]), form, announce } = {}) {
  const payload = Buffer.from(data);
  const n = announce ?? BigInt(payload.length);
  const bits = form ?? (n < 126n ? 7 : n < 65536n ? 16 : 64);
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask ? 0x80 : 0) | (bits === 7 ? Number(n) : bits === 16 ? 126 : 127);
  if (bits === 16) head.writeUInt16BE(Number(n), 2);
  if (bits === 64) head.writeBigUInt64BE(n, 2);
  return Buffer.concat([head, mask ?? Buffer.alloc(0),
    mask ? payload.map((byte, i) => byte ^ /** @type {number} */ (mask[i & 3])) : payload]);
}

/** A close frame with a code. @param {number} code @param {string | Buffer} [reason] */
export function closeFrame(code, reason = '') {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(CLOSE, Buffer.concat([head, Buffer.from(reason)]));
}

/** A TCP connection after a WebSocket handshake by hand; takes the server's frames apart. */
export class FrameSocket extends RawTcp {
  /** @param {net.Socket} socket */
  constructor(socket) {
    super(socket);
    /** The answer to the handshake: status line and headers. */
    this.handshake = '';
  }

  /**
   * Connects and sends the handshake, with `behind` in the same write. Resolves when the answer is there.
   * @param {{host: string, port: number, path: string, request?: string, headers?: Record<string, string>, behind?: Buffer}} options
   * @returns {Promise<FrameSocket>}
   */
  static async open({ host, port, path, headers = {}, request = upgradeRequest(path, headers), behind = Buffer.alloc(0) }) {
    const socket = await new Promise((resolve, reject) => {
      const connecting = net.connect(port, host);
      connecting.once('connect', () => resolve(connecting));
      connecting.once('error', reject);
    });
    const raw = new FrameSocket(socket);
    raw.send(Buffer.concat([Buffer.from(request, 'latin1'), behind]));
    await waitFor(() => raw.received.includes('\r\n\r\n') || raw.ended, { what: 'an answer to the handshake' });
    const end = raw.received.indexOf('\r\n\r\n');
    raw.handshake = raw.received.subarray(0, end < 0 ? undefined : end).toString('latin1');
    if (raw.status === 101) raw.received = raw.received.subarray(end + 4);
    return raw;
  }

  /** The HTTP status of the handshake's answer; 0 when there was none. */
  get status() {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.handshake)?.[1] ?? 0);
  }

  /** Whole frames that have come. @returns {ServerFrame[]} */
  get frames() {
    const frames = [];
    const bytes = this.received;
    for (let at = 0; at + 2 <= bytes.length;) {
      const [first, second] = /** @type {[number, number]} */ (/** @type {unknown} */ (bytes.subarray(at, at + 2)));
      let length = second & 127;
      let head = 2;
      if (length === 126) [length, head] = [at + 4 <= bytes.length ? bytes.readUInt16BE(at + 2) : Infinity, 4];
      else if (length === 127) [length, head] = [at + 10 <= bytes.length ? Number(bytes.readBigUInt64BE(at + 2)) : Infinity, 10];
      if (at + head + length > bytes.length) break;
      frames.push({ fin: first >= 128, rsv: (first >> 4) & 7, opcode: first & 15, masked: second >= 128,
        payload: bytes.subarray(at + head, at + head + length) });
      at += head + length;
    }
    return frames;
  }

  /** The close code of the server's close frame: 1005 when it has none, undefined while there is no close frame. */
  get closeCode() {
    const close = this.frames.find((one) => one.opcode === CLOSE);
    return close && (close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 1005);
  }

  /** Waits for a frame. @param {(one: ServerFrame) => boolean} matches @param {string} what */
  async frame(matches, what, timeoutMs = patienceMs) {
    return await waitFor(() => this.frames.find(matches), { timeoutMs, everyMs: 2, what: () => `${what}; came ${this.described}` });
  }

  /** Waits for the server's close frame or the end of the connection; returns the code, or undefined when it was cut. */
  async closeOrCut(timeoutMs = patienceMs) {
    await waitFor(() => this.closeCode !== undefined || this.ended, { timeoutMs, everyMs: 2, what: () =>
      `a close frame or the end; came ${this.described}` });
    return this.closeCode;
  }

  get described() {
    return this.frames.map(({ opcode, payload }) => `${opcode}:${payload.toString('latin1').slice(0, 80)}`).join(' ') || 'nothing';
  }
}
