// A topic that is given up ends on the server too, whatever it is doing. Against a scripted server.
import { afterAll, expect, test } from 'vitest';
import { SyncClient, type SyncUpdate } from '../src/index.js';
import { accept, type Script, ScriptedServer } from './support/scripted.js';
import { waitFor, Wire } from './support/stand.js';

const clients: SyncClient[] = [];
afterAll(async () => {
  for (const client of clients) await client.close();
});

async function connect(script: Script) {
  const server = await ScriptedServer.start(script);
  const wire = new Wire();
  const client = new SyncClient({ url: server.url, token: () => 'h.e30.s', transport: wire.transport, encoding: 'json', random: () => 0,
    backoff: { baseMs: 10, maxMs: 200, jitterMs: 0 } });
  clients.push(client);
  /** What the server was told to end. */
  const ended = (): string[] => server.events.flatMap((one) => (one.event === 'sync:unsubscribe' ? one.payload.topics : []));
  return { server, wire, client, ended };
}

test('released while the join that asks for it is under way', async () => {
  let released = false;
  const { client, ended } = await connect({ onEvent: (event) => {
    if (event !== 'phx_join' || released) return undefined;
    released = true;
    gone.release();
    return undefined;
  } });
  const gone = client.subscribe('gone', { start: 'floor' });
  const stays = client.subscribe('stays', { start: 'floor' });
  // The reply is on its way when it is released: it waits for no more than a turn of the event loop.
  await stays.live();
  await waitFor(() => ended().length > 0);
  expect(ended()).toEqual(['gone']);
});

test('released while it is loaded anew', async () => {
  const { client, server, ended } = await connect({});
  const topic = client.subscribe('t', { start: 'floor' });
  await topic.live();
  const fetching = new Promise<void>((resolve) => {
    server.script.onHttp = () => {
      resolve();
      return { status: 503, body: {}, headers: { 'retry-after': '3600' } };
    };
  });
  const loading = topic.resync();
  await fetching;
  topic.release();
  await expect(loading).rejects.toMatchObject({ code: 'closed' });
  await waitFor(() => ended().length > 0);
  expect(ended()).toEqual(['t']);
});

test('released while it waits after a gap; one that is not subscribed is not ended', async () => {
  const { client, server, ended } = await connect({ onEvent: (event, payload) =>
    (event === 'phx_join' || event === 'sync:subscribe' ? accept(payload, 9) : undefined) });
  const never = client.subscribe('never', { start: 'snapshot' });
  const topic = client.subscribe('t', { start: 'floor' });
  const phases: string[] = [];
  topic.on('error', (error) => {
    phases.push(error.code);
    topic.release();
    never.release();
  });
  await waitFor(() => server.events.some((one) => one.payload.topics?.includes('t')));
  [...server.peers][0]!.batch('t', 5, 6);
  await waitFor(() => ended().length > 0);
  expect([phases, ended()]).toEqual([['gap'], ['t']]);
});

test('iterating ends when the client is closed, also what begins later', async () => {
  const { client } = await connect({});
  const topic = client.subscribe('t', { start: 'floor' });
  await topic.live();
  const seen: SyncUpdate[] = [];
  const reading = (async () => {
    for await (const update of topic) seen.push(update);
    return 'over';
  })();
  const waiting = topic.updates();
  const next = waiting.next();
  await client.close();
  expect([await reading, (await next).done, (await topic.updates().next()).done, seen]).toEqual(['over', true, true, []]);
});
