// Looks at the servers throughout: memory, windows, slots.
import { readFileSync } from 'node:fs';
import { pause, sanitized } from '../../harness/index.mjs';
import { database, windowEvents } from './stand.mjs';

/** More than the page caches, windows and queues of this stand can take. */
const memoryLimitKb = sanitized ? 2 << 20 : 400 << 10;

export class Watch {
  /** @type {Set<string>} */
  problems = new Set();
  mostMemoryKb = 0;
  mostWindowEvents = 0;
  mostSlots = 0;
  looks = 0;
  #stopping = false;
  #running = Promise.resolve();

  /** @param {import('./stand.mjs').Stand} stand @param {number} topics that can have windows */
  constructor(stand, topics) {
    this.stand = stand;
    this.topics = topics;
  }

  start() {
    this.#running = (async () => {
      while (!this.#stopping) {
        await this.#look();
        await pause(500);
      }
    })();
  }

  async #look() {
    this.looks++;
    for (const [n, fanout] of this.stand.fanouts.entries()) {
      try {
        const kb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${fanout.pid}/status`, 'utf8'))?.[1] ?? 0);
        this.mostMemoryKb = Math.max(this.mostMemoryKb, kb);
        if (kb > memoryLimitKb) this.problems.add(`a fan-out takes ${kb} kB`);
        const answer = await fanout.fetchAdmin('/metrics', { signal: AbortSignal.timeout(1000) });
        const events = [...(await answer.text()).matchAll(/^oa_sync_window_events(?:\{[^}]*\})? (\d+)/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
        this.mostWindowEvents = Math.max(this.mostWindowEvents, events);
        const most = (windowEvents[n] ?? 0) * this.topics * 2;
        if (events > most) this.problems.add(`windows hold ${events} events, ${most} are allowed`);
      } catch {
        // It is away, or stands still.
      }
    }
    try {
      const client = await this.stand.cluster.connect(database);
      const { rows } = await client.query('SELECT slot_name, temporary FROM pg_replication_slots');
      await client.end();
      this.mostSlots = Math.max(this.mostSlots, rows.length);
      for (const { slot_name: name, temporary } of rows) if (!temporary) this.problems.add(`the slot ${name} is not temporary`);
    } catch {
      // The server is away.
    }
  }

  async stop() {
    this.#stopping = true;
    await this.#running;
  }
}
