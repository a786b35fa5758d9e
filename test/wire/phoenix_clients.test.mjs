// Conformance with the stock `phoenix` clients as they are: the current release, and 1.5, which earlier applications ship.
// Nothing between the test and the library; what an application would write is written here.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import WebSocket from 'ws';
import { Stand, range, waitFor } from '../harness/index.mjs';
import { batchFromProto } from '../harness/updates.mjs';

const require = createRequire(import.meta.url);
/** @type {Record<string, any>} */
const clients = { 'phoenix 1.8': require('phoenix'), 'phoenix 1.5': require('phoenix-1.5') };

const stand = await Stand.create();
const { fanout } = stand;
/** @type {any[]} */
const sockets = [];
after(() => sockets.forEach((socket) => socket.disconnect()));

/** @param {any} library @param {object} [options] */
function connect(library, options = {}) {
  /** @type {WebSocket[]} */
  const transports = [];
  const Transport = class extends WebSocket {
    /** @param {string} url @param {string[]} [protocols] */
    constructor(url, protocols) {
      super(url, protocols ?? []);
      transports.push(this);
    }
  };
  const socket = new library.Socket(fanout.socketUrl, { transport: Transport, params: () => ({ token: fanout.token(['*']) }),
    reconnectAfterMs: () => 30, rejoinAfterMs: () => 30, timeout: 60_000, ...options });
  sockets.push(socket);
  socket.connect();
  return { socket, transports };
}

/** The reply to a push or join. @param {any} push @returns {Promise<{status: string, response: any}>} */
const reply = (push) => new Promise((resolve) => ['ok', 'error', 'timeout'].forEach((status) =>
  push.receive(status, (/** @type {any} */ response) => resolve({ status, response }))));

/** A channel that keeps a topic's cursor and what came. @param {any} socket @param {string} topic @param {object} [params] */
function follow(socket, topic, params = {}) {
  const state = { cursor: /** @type {number | undefined} */ (undefined), got: /** @type {number[]} */ ([]), gaps: 0, joins: 0, closes: 0 };
  const channel = socket.channel('sync:v1', () => ({ ...params, topics: [topic], ...(state.cursor === undefined ? {} : { resume_after: { [topic]: state.cursor } }) }));
  channel.on('sync:update_batch', (/** @type {any} */ payload) => {
    const batch = payload instanceof ArrayBuffer ? batchFromProto(payload) : { after: payload.after_watermark, through: payload.through_watermark, updates: payload.updates };
    if (state.cursor !== undefined && batch.after > state.cursor) state.gaps++;
    for (const { watermark } of batch.updates) if (watermark > (state.cursor ?? 0)) state.got.push(watermark);
    state.cursor = batch.through;
  });
  channel.onClose(() => void state.closes++);
  return { channel, state };
}
/** @param {{got: number[], gaps: number}} state @param {number} last @param {string} name */
async function reach(state, last, name) {
  await waitFor(() => state.got.at(-1) === last, { what: () => `${name} reaches ${last}; has ${state.got.length}` });
  assert.deepEqual(state.got, range(1, last));
  assert.equal(state.gaps, 0);
}

for (const [name, library] of Object.entries(clients)) {
  const tag = name.replace(/\W/g, '');

  test(`${name}: joins, subscribes by its join, is sent what was and what comes`, async () => {
    await stand.insert(`${tag}.a`, 10);
    const { socket } = connect(library);
    const { channel, state } = follow(socket, `${tag}.a`);
    const { status, response } = await reply(channel.join());
    assert.equal(status, 'ok');
    assert.match(response.subscription_id, /^sub_/);
    await reach(state, 10, name);
    await stand.insert(`${tag}.a`, 5, { first: 11 });
    await reach(state, 15, name);
    socket.disconnect();
  });

  test(`${name}: subscribes later, unsubscribes, asks for a heartbeat`, async () => {
    await stand.insert(`${tag}.b`, 3);
    const { socket } = connect(library);
    const channel = socket.channel('sync:v1', {});
    /** @type {any[]} */
    const batches = [];
    /** @type {any[]} */
    const beats = [];
    channel.on('sync:update_batch', (/** @type {any} */ batch) => batches.push(batch));
    channel.on('sync:heartbeat', (/** @type {any} */ beat) => beats.push(beat));
    assert.equal((await reply(channel.join())).status, 'ok');
    const subscribed = await reply(channel.push('sync:subscribe', { topics: [`${tag}.b`], resume_after: { [`${tag}.b`]: 1 } }));
    assert.equal(subscribed.status, 'ok');
    await waitFor(() => batches.length > 0, { what: 'a batch' });
    assert.deepEqual(batches[0].updates.map((/** @type {any} */ update) => update.watermark), [2, 3]);
    assert.equal((await reply(channel.push('sync:heartbeat', {}))).response.watermarks[0].watermark, 3);
    await waitFor(() => beats.length > 0, { what: 'a pushed heartbeat' });
    assert.deepEqual((await reply(channel.push('sync:unsubscribe', { topics: [`${tag}.b`] }))).response.topics, []);
    const refused = await reply(channel.push('sync:unheard_of', {}));
    assert.equal(refused.status, 'error');
    socket.disconnect();
  });

  test(`${name}: reconnects after a cut and rejoins with what its params function says then`, async () => {
    const topic = `${tag}.c`;
    await stand.insert(topic, 20);
    const { socket, transports } = connect(library);
    const { channel, state } = follow(socket, topic);
    await reply(channel.join());
    await reach(state, 20, name);
    for (let round = 0; round < 3; round++) {
      const sofar = transports.length;
      transports.at(-1)?.terminate();
      await stand.insert(topic, 10, { first: 21 + 10 * round });
      await waitFor(() => transports.length > sofar, { what: 'it connects again' });
      await reach(state, 30 + 10 * round, name);
    }
    socket.disconnect();
  });

  test(`${name}: leaves with a reply, and joins anew on the same socket`, async () => {
    const topic = `${tag}.d`;
    await stand.insert(topic, 4);
    const { socket } = connect(library);
    const first = follow(socket, topic);
    await reply(first.channel.join());
    await reach(first.state, 4, name);
    assert.equal((await reply(first.channel.leave())).status, 'ok');
    await waitFor(() => first.state.closes === 1, { what: 'the channel is closed' });
    const second = follow(socket, topic);
    assert.equal((await reply(second.channel.join())).status, 'ok');
    await reach(second.state, 4, name);
    await stand.insert(topic, 1, { first: 5 });
    await reach(second.state, 5, name);
    assert.deepEqual(first.state.got, range(1, 4), 'what was left is sent nothing');
    socket.disconnect();
  });

  test(`${name}: its own heartbeats are answered, so it stays connected`, async () => {
    // A client whose heartbeat is not answered before the next is due takes another connection: five answers on one are
    // five for which it stayed. Which connection that is, the machine has a say in.
    const { socket, transports } = connect(library, { heartbeatIntervalMs: 250 });
    /** @type {Map<WebSocket | undefined, string[]>} */
    const answers = new Map();
    socket.onMessage((/** @type {any} */ message) => {
      if (message.topic !== 'phoenix') return;
      const here = transports.at(-1);
      answers.set(here, [...(answers.get(here) ?? []), message.payload.status]);
    });
    const longest = await waitFor(() => [...answers.values()].find((statuses) => statuses.length >= 5), { what: 'five answers on one connection' });
    assert.ok(longest.every((status) => status === 'ok'), longest.join());
    socket.disconnect();
  });

  test(`${name}: protobuf batches`, async () => {
    const topic = `${tag}.e`;
    await stand.insert(topic, 6);
    const { socket } = connect(library);
    const { channel, state } = follow(socket, topic, { encoding: 'proto' });
    assert.equal((await reply(channel.join())).status, 'ok');
    await reach(state, 6, name);
    await stand.insert(topic, 2, { first: 7 });
    await reach(state, 8, name);
    socket.disconnect();
  });

  test(`${name}: refusals come as errors of the join`, async () => {
    const { socket } = connect(library, { params: () => ({ token: fanout.token(['only.this']) }) });
    const other = socket.channel('room:lobby', {});
    const unmatched = await reply(other.join());
    assert.deepEqual([unmatched.status, unmatched.response.reason], ['error', 'unmatched topic']);
    other.leave();
    const channel = socket.channel('sync:v1', { topics: ['not.this'] });
    const forbidden = await reply(channel.join());
    assert.deepEqual([forbidden.status, forbidden.response.code, forbidden.response.forbidden_topics], ['error', 'forbidden_topic', ['not.this']]);
    socket.disconnect();
  });
}

test('phoenix 1.8: the token as a subprotocol, which phoenix answers to', async () => {
  const { socket, transports } = connect(clients['phoenix 1.8'], { params: {}, authToken: fanout.token(['*']) });
  const { channel } = follow(socket, 'subprotocol');
  assert.equal((await reply(channel.join())).status, 'ok');
  assert.equal(transports[0]?.protocol, 'phoenix');
  socket.disconnect();
});

test('a wrong token: the client goes on trying, and gets in when its params are right', async () => {
  for (const [name, library] of Object.entries(clients)) {
    let token = 'wrong';
    const { socket, transports } = connect(library, { params: () => ({ token }) });
    await waitFor(() => transports.length >= 3, { what: `${name} tries again` });
    token = fanout.token(['*']);
    const { channel } = follow(socket, 'wrong.token');
    assert.equal((await reply(channel.join())).status, 'ok', name);
    socket.disconnect();
  }
});
