// Many subscribers (`oa-sync bench`), and the bare server they can be attached to (bare_server.cpp).
import { loadCores, serverCores } from './cores.mjs';
import { LineProcess } from './line_process.mjs';
import { bareServerProgram, loadProgram } from './programs.mjs';

/**
 * What has come since the start or the last reset; latencies in milliseconds, from the stamp in the message.
 * @typedef {{deliveries: number, frames: number, bytes: number, gaps: number, closed: number, stamps: number, p50: number,
 *   p99: number, max: number}} Came
 */

export class Load extends LineProcess {
  /**
   * Subscribers that are all subscribed. See clients/terminal/src/load_script.h for the script.
   * @param {{host: string, port: number}} server @param {Record<string, string | number>} script @param {number} [timeoutMs]
   */
  static async attach(server, script, timeoutMs = 60_000) {
    const load = Load.begin(server, script);
    await load.line(timeoutMs);
    return load;
  }

  /** Does not wait; the first line will be `ready`. @param {{host: string, port: number}} server @param {Record<string, string | number>} script */
  static begin(server, script) {
    const load = new Load(loadProgram, ['bench', '--script', `${server.host}:${server.port}`], loadCores);
    load.write(`${Object.entries(script).map(([name, value]) => `${name}=${value}\n`).join('')}\n`);
    return load;
  }

  /** Resolves when so many deliveries have come since the last reset. @param {number} deliveries @param {number} [timeoutMs] */
  async reached(deliveries, timeoutMs) {
    await this.ask(`wait ${deliveries}`, timeoutMs);
  }

  /** @returns {Promise<Came>} */
  async report() {
    return JSON.parse(await this.ask('report'));
  }

  async reset() {
    await this.ask('reset');
  }
}

export class BareServer extends LineProcess {
  host = '127.0.0.1';
  port = 0;

  static async start() {
    const server = new BareServer(bareServerProgram(), [], serverCores);
    server.port = Number((await server.line()).split(' ')[1]);
    return server;
  }
}
