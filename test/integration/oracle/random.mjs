// Reproducible chance: every writer and the faults draw from streams of their own, all made from one seed.
import { createHash } from 'node:crypto';

export class Random {
  #state;

  /** @param {string | number} seed */
  constructor(seed) {
    this.seed = String(seed);
    this.#state = createHash('sha256').update(this.seed).digest().readUInt32LE(0);
  }

  /** A stream that does not depend on how much was drawn from this one. @param {string | number} name */
  fork(name) {
    return new Random(`${this.seed}/${name}`);
  }

  /** In [0, 1). mulberry32. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** An integer in [low, high]. @param {number} low @param {number} high */
  integer(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** @param {number} probability */
  chance(probability) {
    return this.next() < probability;
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return /** @type {T} */ (list[Math.floor(this.next() * list.length)]);
  }

  /** One name, as often as its weight says. @template {string} N @param {Record<N, number>} weights @returns {N} */
  weighted(weights) {
    const entries = /** @type {[N, number][]} */ (Object.entries(weights));
    let at = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) if ((at -= weight) < 0) return name;
    return /** @type {[N, number]} */ (entries[0])[0];
  }
}
