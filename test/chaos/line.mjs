// The relay of relay.mjs, in a host of the network, as its users see it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atExit } from '../harness/index.mjs';

export class Relay {
  /** @param {import('node:child_process').ChildProcess} child @param {Record<string, number>} ports by line */
  constructor(child, ports) {
    this.child = child;
    this.ports = ports;
    this.forget = atExit(() => child.kill('SIGKILL'));
  }

  /**
   * @param {import('./network.mjs').Network} network @param {string} host
   * @param {Record<string, {host: string, port: number}>} lines where each leads
   */
  static async start(network, host, lines) {
    const child = spawn('nsenter', [`--net=${network.file(host)}`, '--', process.execPath, fileURLToPath(new URL('relay.mjs', import.meta.url)),
      ...Object.entries(lines).map(([name, to]) => `${name}=${network.address(host)}:0=${to.host}:${to.port}`)],
    { stdio: ['pipe', 'pipe', 'inherit'] });
    const first = await new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the relay ended: ${code}`)));
      createInterface({ input: child.stdout }).once('line', resolve);
    });
    return new Relay(child, JSON.parse(first));
  }

  /** @param {string} name @param {{delayMs?: number, silent?: boolean, reset?: boolean}} command */
  tell(name, command) {
    this.child.stdin?.write(`${JSON.stringify({ name, ...command })}\n`);
  }

  end() {
    this.forget();
    this.child.kill('SIGKILL');
  }
}
