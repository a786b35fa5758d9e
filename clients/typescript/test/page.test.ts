// In a browser phoenix ends its connection when the page is put away, and makes one by itself when it comes back from the
// cache: the client gets over both.
import './support/dom.js';
import { expect, test } from 'vitest';
import { reach, record, Stand, waitFor } from './support/stand.js';

const stand = await Stand.create();
const page = globalThis.window;
const tell = (event: string): void => void page.dispatchEvent(new page.Event(event));

test.each([
  ['at once', async () => {}],
  ['when the connection is closed', async (isGone: () => boolean) => void (await waitFor(isGone))],
])('put away, and back %s', async (how, wait) => {
  const name = `page.${how.length}`;
  const client = stand.client();
  const topic = client.subscribe(name, { start: 'floor' });
  const updates = record(topic);
  await topic.live();
  for (let id = 1; id <= 3; id++) {
    const opened = client.wire.opened;
    tell('pagehide');
    await wait(() => client.wire.sockets.size === 0 || client.wire.opened > opened);
    tell('pageshow');
    await stand.insert(name, 1, { first: id });
    await reach(topic, id);
    await waitFor(() => topic.status === 'live' && client.wire.sockets.size === 1, { what: () => `one socket; ${topic.status}, ${client.wire.sockets.size}` });
  }
  expect(updates.map((u) => u.watermark)).toEqual([1, 2, 3]);
  await client.close();
  await waitFor(() => client.wire.sockets.size === 0);
});
