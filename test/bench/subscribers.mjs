// Subscribers that note when they got each event (receiver.c), for the latency benches.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { atExit, within } from '../harness/index.mjs';
import { receiverProgram } from './programs.mjs';

/**
 * A server that subscribers can be attached to.
 * @typedef {object} Endpoint
 * @property {string} host
 * @property {number} port
 * @property {(topic: string) => {target: string, hello: string, ready: string}} script what a subscriber sends, and
 *   how the answer to it is known
 */

const dir = mkdtempSync('/tmp/oa-sync-receiver-');
atExit(() => rmSync(dir, { recursive: true, force: true }));
let files = 0;

/** What stands before an event's number in its payload. */
const mark = '"seq":';

export class Subscribers {
  #file = `${dir}/${++files}.arrivals`;

  /** Use Subscribers.attach. @param {import('node:child_process').ChildProcess} child @param {number} count */
  constructor(child, count) {
    this.child = child;
    this.count = count;
    this.output = '';
    this.forget = atExit(() => child.kill('SIGKILL'));
  }

  /**
   * Resolves when all of them are subscribed.
   * @param {Endpoint} endpoint @param {string} topic @param {number} count
   * @param {number} events how many events will be sent, numbered from 0 in the row's seq
   */
  static async attach(endpoint, topic, count, events) {
    const name = `${dir}/${files + 1}.arrivals`;
    const child = spawn(receiverProgram(), [endpoint.host, String(endpoint.port), String(count), String(events), name],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    const subscribers = new Subscribers(child, count);
    const { target, hello, ready } = endpoint.script(topic);
    child.stdin.on('error', () => {});
    child.stdin.write(`${target}\n${hello}\n${ready}\n${mark}\n`);
    await within(new Promise((resolve, reject) => {
      child.stdout.on('data', (data) => {
        subscribers.output += data;
        if (subscribers.output.includes('ready')) resolve(undefined);
      });
      child.once('exit', () => reject(new Error('the receiver ended before it was subscribed')));
    }), 60_000, `${count} subscribers attached`);
    return subscribers;
  }

  /**
   * Waits until every subscriber has every event, at most `timeoutMs`; returns the arrivals, [event][subscriber], in
   * nanoseconds of the monotonic clock, 0 for never.
   * @param {number} timeoutMs
   */
  async finish(timeoutMs) {
    const gone = new Promise((resolve) => {
      if (this.child.exitCode !== null) resolve(undefined);
      else this.child.once('close', resolve);
    });
    const timer = setTimeout(() => this.child.stdin?.end(), timeoutMs);
    await within(gone, timeoutMs + 30_000, 'the receiver ended');
    clearTimeout(timer);
    this.forget();
    const data = readFileSync(this.#file);
    rmSync(this.#file);
    const duplicates = Number(/duplicates (\d+)/.exec(this.output)?.[1] ?? NaN);
    return { arrivals: new BigInt64Array(data.buffer, data.byteOffset, data.byteLength / 8), duplicates };
  }
}
