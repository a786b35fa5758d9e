// Subscribers that come with cursors of any age, get what follows them, and go. Some come with cursors that nobody gave them.
import { SyncClient, pause, waitFor } from '../../harness/index.mjs';
import { contentOf, groupBy } from '../../integration/oracle/checks.mjs';

/** @typedef {import('../../integration/oracle/checks.mjs').Received} Received */
/** @typedef {import('../../integration/oracle/checks.mjs').Entry} Entry */
/** One topic of a visit: what came behind `after`, up to `through`. @typedef {{topic: string, after: number, through: number, received: Received[]}} Visit */
/** @typedef {'cursor_ahead_of_head' | 'epoch_diverged'} Refusal */

/** What a cursor is that this history never gave out. @param {Refusal} reason @param {{watermark: number, epoch: number}} cursor */
const spoilt = (reason, { watermark, epoch }) => (reason === 'cursor_ahead_of_head'
  ? { cursor: watermark + 1_000_000, epoch } : { cursor: watermark, epoch: epoch - 1000 });

export class Historian {
  /** @type {Visit[]} */
  visits = [];
  /** @type {Record<Refusal, number>} */
  refusals = { cursor_ahead_of_head: 0, epoch_diverged: 0 };
  /** @type {string[]} */
  problems = [];
  #stopping = false;
  #running = Promise.resolve();

  /**
   * @param {import('../../harness/index.mjs').Fanout[]} fanouts
   * @param {import('./subscribers.mjs').Habitual} source whose past cursors are used
   * @param {import('../../integration/oracle/random.mjs').Random} random
   */
  constructor(fanouts, source, random) {
    this.fanouts = fanouts;
    this.source = source;
    this.random = random;
  }

  start() {
    this.#running = (async () => {
      while (!this.#stopping) {
        await pause(this.random.integer(100, 600));
        const topics = [...this.source.received.keys()];
        if (topics.length === 0) continue;
        if (this.random.chance(0.25)) await this.#comeWrongly(this.random.pick(topics));
        else await this.#comeBack(topics);
      }
    })();
  }

  #client() {
    const fanout = this.random.pick(this.fanouts);
    return new SyncClient({ url: fanout.socketUrl, token: () => fanout.token(['*']), encoding: this.random.pick(['json', 'proto']), heartbeatMs: 2000 });
  }

  /** @param {string[]} topics */
  async #comeBack(topics) {
    const client = this.#client();
    /** @type {Map<string, number>} */
    const from = new Map();
    for (let n = this.random.integer(1, 4); n > 0; n--) {
      const topic = this.random.pick(topics);
      const [watermark, content] = this.random.pick(this.source.received.get(topic) ?? []) ?? [0, ''];
      from.set(topic, watermark);
      client.wanted.add(topic);
      Object.assign(client.state(topic), { cursor: watermark, epoch: epochIn(content) });
    }
    try {
      await client.connect();
      await waitFor(() => this.#stopping || [...from.keys()].every((topic) => (client.state(topic).cursor ?? 0) >= client.state(topic).head),
        { timeoutMs: 8000, what: 'it has caught up' });
    } catch {
      // A fault came between: what it has so far has to be right all the same.
    }
    await client.close();
    for (const [topic, after] of from) {
      const { cursor = after, events } = client.state(topic);
      this.visits.push({ topic, after, through: cursor, received: events.map((e) => [e.watermark,
        contentOf({ ...e, key: e.docKey, version: e.docVersion, hash: e.payloadHash })]) });
    }
    if (client.gaps > 0) this.problems.push(`a returning subscriber saw ${client.gaps} gaps`);
    const stale = [...client.joinReplies.map((reply) => reply.stale).filter(Boolean), ...client.errors.filter(({ code }) => code === 'stale_cursor')];
    if (stale.length > 0) this.problems.push(`a returning subscriber was reset: ${JSON.stringify(stale[0]).slice(0, 400)}`);
    this.problems.push(...client.problems);
  }

  /** @param {string} topic */
  async #comeWrongly(topic) {
    /** @type {Refusal} */
    const reason = this.random.pick(['cursor_ahead_of_head', 'epoch_diverged']);
    const [watermark, content] = this.source.received.get(topic)?.at(-1) ?? [0, ''];
    const client = this.#client();
    client.wanted.add(topic);
    Object.assign(client.state(topic), spoilt(reason, { watermark, epoch: epochIn(content) }));
    try {
      const { stale } = await client.connect();
      if (stale?.reason_codes?.length !== 1 || stale.reason_codes[0] !== reason) {
        this.problems.push(`a cursor of ${topic} that should be ${reason} was answered ${JSON.stringify(stale)?.slice(0, 300)}`);
      }
      this.refusals[reason]++;
    } catch {
      // The server was away, or had no database to ask.
    }
    await client.close();
    if (client.applied > 0) this.problems.push(`${client.applied} events behind a cursor of ${topic} that is ${reason}`);
  }

  async stop() {
    this.#stopping = true;
    await this.#running;
  }
}

/** @param {string} content as contentOf made it */
const epochIn = (content) => Number(/ e(\d+) \w+$/.exec(content)?.[1]);

/**
 * Each visit brought what the journal has behind its cursor, all of it up to where it came, and nothing else.
 * @param {Entry[]} journal @param {Visit[]} visits
 */
export function checkVisits(journal, visits) {
  const problems = [];
  const topics = groupBy(journal.filter((entry) => entry.op !== 'void'), (entry) => entry.topic);
  for (const { topic, after, through, received } of visits) {
    const wanted = (topics.get(topic) ?? []).filter(({ watermark }) => watermark > after && watermark <= through);
    const at = wanted.findIndex((entry, i) => received[i]?.[0] !== entry.watermark || received[i]?.[1] !== contentOf(entry));
    if (at >= 0 || received.length !== wanted.length) {
      problems.push(`behind ${topic}@${after} up to ${through} came ${received.length} events, ${wanted.length} are there; ` +
        `the first that differs: ${received[at]?.join(' ')}, should be ${wanted[at]?.watermark} ${wanted[at] && contentOf(wanted[at])}`);
    }
  }
  return problems;
}
