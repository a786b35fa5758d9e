// Subscribers that hold every event in the end, each with a habit: fast, far away, slow, flapping, between two servers, with
// tokens that run out, with a session that is revoked.
import { RawSocket, pause } from '../../harness/index.mjs';
import { ledgerTopic } from '../../integration/oracle/schema.mjs';
import { Subscriber, harmless } from '../../integration/oracle/subscribers.mjs';

/** @typedef {import('../../integration/oracle/random.mjs').Random} Random */
/** @typedef {import('../../harness/index.mjs').Fanout} Fanout */
/** @typedef {import('./stand.mjs').Stand} Stand */

export class Habitual extends Subscriber {
  /** When each transaction's mark came, milliseconds since 1970, by label. @type {Map<string, number>} */
  marks = new Map();
  stopping = false;
  /** @type {() => Promise<void>} */
  #turn = async () => {
    await pause(50);
  };
  #running = Promise.resolve();

  /**
   * @param {string} name @param {Fanout} fanout @param {'json' | 'proto'} encoding
   * @param {ConstructorParameters<typeof Subscriber>[3]} [options]
   */
  constructor(name, fanout, encoding, options = () => ({})) {
    super(name, fanout, encoding, (where) => ({ heartbeatMs: 2000, ...options(where) }));
    // A closed door is no fault of the oracle's: a server that has lost its database, a slow one's three strikes, a token.
    this.harmless = new Set([...harmless, 'slow_consumer', 'unauthorized']);
  }

  /** @param {import('../../harness/client.mjs').Update} update @override */
  note(update) {
    super.note(update);
    if (update.topic === ledgerTopic) this.marks.set(update.docKey.slice('tx:'.length), update.receivedAt);
  }

  /** What it is used to do, again and again. @param {() => Promise<void>} turn */
  keep(turn) {
    this.#turn = turn;
  }

  /** Lives by its habit until it is told to be calm. */
  begin() {
    this.#running = (async () => {
      while (!this.stopping) await this.#turn();
    })();
  }

  async calm() {
    this.stopping = true;
    await this.#running;
    this.client.resume();
  }
}

/** @param {Habitual} subscriber @param {number} ms */
async function rest(subscriber, ms) {
  for (const until = Date.now() + ms; Date.now() < until && !subscriber.stopping;) await pause(50);
}

/** Stops reading for some seconds, now and then. @param {Stand} stand @param {Random} random */
export function slow(stand, random) {
  const subscriber = new Habitual('slow/json', stand.b, 'json');
  subscriber.keep(async () => {
    subscriber.client.pause();
    await rest(subscriber, random.integer(500, 5000));
    subscriber.client.resume();
    await rest(subscriber, random.integer(500, 3000));
  });
  return subscriber;
}

/** Loses its connection again and again. @param {Stand} stand @param {Random} random */
export function flapping(stand, random) {
  const subscriber = new Habitual('flapping/proto', stand.a, 'proto');
  subscriber.keep(async () => {
    await rest(subscriber, random.integer(200, 2500));
    subscriber.client.cut();
  });
  return subscriber;
}

/** Is sent from one server to the other, as by a balancer. @param {Stand} stand @param {Random} random */
export function roaming(stand, random) {
  const subscriber = new Habitual('roaming/json', stand.a, 'json');
  subscriber.keep(async () => {
    await rest(subscriber, random.integer(1000, 5000));
    if (!subscriber.stopping) await subscriber.moveTo(random.pick(stand.fanouts));
  });
  return subscriber;
}

/** Has tokens for some seconds. When it is warned it brings another one, or lets the server close. @param {Stand} stand @param {Random} random */
export function expiring(stand, random) {
  const token = () => stand.b.token(['*'], { exp: Math.floor(Date.now() / 1000) + 6 });
  const subscriber = new Habitual('expiring/json', stand.b, 'json', () => ({ token }));
  let seen = 0;
  subscriber.keep(async () => {
    const warned = subscriber.client.errors.slice(seen).some((error) => error.code === 'token_expired');
    seen = subscriber.client.errors.length;
    if (warned && random.chance(0.5)) subscriber.client.channel.push('sync:reauthenticate', { token: token() });
    await pause(100);
  });
  return subscriber;
}

/** Belongs to a session, which can be revoked; then it logs in anew. */
export class Revocable extends Habitual {
  /** @param {Stand} stand */
  constructor(stand) {
    const who = { session: 1 };
    super('revoked/proto', stand.a, 'proto', (fanout) => ({ token: () => fanout.token(['*'], { oa_session_id: `session-${who.session}` }) }));
    this.who = who;
  }

  get session() {
    return `session-${this.who.session}`;
  }

  logInAnew() {
    this.who.session++;
  }

  /** Whether the server still takes a token of this session. @param {string} session @returns {Promise<boolean | undefined>} undefined when it cannot be asked */
  async isTaken(session) {
    try {
      const token = this.fanout.token(['*'], { oa_session_id: session });
      (await RawSocket.connect(`${this.fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`)).end();
      return true;
    } catch (error) {
      return /** @type {any} */ (error).status === 401 ? false : undefined;
    }
  }
}
