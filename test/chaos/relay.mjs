// A TCP relay that makes a line long, silent or broken. It stands for netem, which kernels need not have.
//
//   node relay.mjs NAME=LISTEN_HOST:PORT=TO_HOST:PORT...
//
// Port 0 takes any free one. Prints one line of JSON with the ports, then takes a line of JSON for each command:
//   {"name": N, "delayMs": d}   everything takes d longer, each way
//   {"name": N, "silent": true} nothing passes, nobody is told; false: what waited passes
//   {"name": N, "reset": true}  every connection ends with a reset
import net from 'node:net';
import { createInterface } from 'node:readline';

const highWater = 1 << 20;

class Line {
  delayMs = 0;
  silent = false;
  /** @type {Set<net.Socket>} */
  sockets = new Set();
  /** @type {Set<() => void>} */
  waiting = new Set();

  /** @param {string} host @param {number} port */
  constructor(host, port) {
    this.host = host;
    this.port = port;
  }

  /** @param {net.Socket} near */
  join(near) {
    const far = net.connect(this.port, this.host);
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
    }
    this.#carry(near, far);
    this.#carry(far, near);
  }

  /** One direction, in order. @param {net.Socket} from @param {net.Socket} to */
  #carry(from, to) {
    /** @type {{at: number, data: Buffer | undefined}[]} */
    const queue = [];
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const pass = () => {
      timer = undefined;
      while (!this.silent && queue[0] && queue[0].at <= performance.now()) {
        const { data } = /** @type {typeof queue[0]} */ (queue.shift());
        if (data) to.write(data);
        else to.end();
      }
      if (!this.silent && queue[0]) timer = setTimeout(pass, Math.max(1, queue[0].at - performance.now()));
      if (queue.length < 64 && to.writableLength < highWater) from.resume();
    };
    const put = (/** @type {Buffer | undefined} */ data) => {
      queue.push({ at: performance.now() + this.delayMs, data });
      if (queue.length >= 64 || to.writableLength >= highWater) from.pause();
      if (timer === undefined) pass();
    };
    this.waiting.add(pass);
    from.on('data', put);
    from.on('end', () => put(undefined));
    to.on('drain', pass);
    // A reset is handed on as one.
    from.on('close', (failed) => {
      if (failed) to.resetAndDestroy();
    });
    to.on('close', () => {
      this.waiting.delete(pass);
      clearTimeout(timer);
      from.destroy();
    });
  }

  /** @param {{delayMs?: number, silent?: boolean, reset?: boolean}} command */
  command({ delayMs, silent, reset }) {
    if (delayMs !== undefined) this.delayMs = delayMs;
    if (silent !== undefined) this.silent = silent;
    if (reset) for (const socket of [...this.sockets]) socket.resetAndDestroy();
    for (const pass of [...this.waiting]) pass();
  }
}

/** @type {Map<string, Line>} */
const lines = new Map();
/** @type {Record<string, number>} */
const ports = {};
for (const text of process.argv.slice(2)) {
  const [name = '', listen = '', to = ''] = text.split('=');
  const [host, port] = listen.split(':');
  const [toHost = '', toPort] = to.split(':');
  const line = new Line(toHost, Number(toPort));
  lines.set(name, line);
  const server = net.createServer({ allowHalfOpen: true }, (socket) => line.join(socket));
  await new Promise((resolve) => server.listen(Number(port), host, () => resolve(undefined)));
  ports[name] = /** @type {net.AddressInfo} */ (server.address()).port;
}
console.log(JSON.stringify(ports));
for await (const text of createInterface({ input: process.stdin })) {
  const { name, ...command } = JSON.parse(text);
  lines.get(name)?.command(command);
}
process.exit(0);
