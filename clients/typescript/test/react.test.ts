// The hooks: hold a topic while a component is there, render what changed, and only then.
import './support/dom.js';
import { createElement, type ReactElement, StrictMode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, expect, test } from 'vitest';
import { SyncLane, type LaneDocument, type LaneMode } from '../src/lane.js';
import { SyncProvider, useDocument, useLane, useSync, useSyncStatus, useTopic } from '../src/react.js';
import { Stand, waitFor } from './support/stand.js';

const stand = await Stand.create();
const roots: Root[] = [];
afterEach(() => roots.splice(0).forEach((root) => root.unmount()));

function render(element: ReactElement): { text: () => string; root: Root; again: (element: ReactElement) => void } {
  const place = document.createElement('div');
  const root = createRoot(place);
  roots.push(root);
  root.render(element);
  return { text: () => place.textContent ?? '', root, again: (next) => root.render(next) };
}

test('useTopic follows while the component is there, also in StrictMode; useSyncStatus tells', async () => {
  await stand.insert('react', 2);
  const client = stand.client();
  function View(): ReactElement {
    const { status, documents, lag, error, cursor, currentAsOf } = useTopic('react');
    return createElement('p', null, [useSyncStatus(), status, [...documents.keys()].join(), lag, String(error), cursor?.watermark,
      currentAsOf !== null].join(' '));
  }
  const { text, root } = render(createElement(StrictMode, null, createElement(SyncProvider, { client }, createElement(View))));
  await waitFor(() => text() === 'live live item:1,item:2 0 null 2 true', { what: text });
  expect(client.wire.opened).toBe(1);
  await stand.query(`DELETE FROM app.items WHERE topic = 'react' AND id = 1`);
  await waitFor(() => text() === 'live live item:2 0 null 3 true', { what: text });
  root.unmount();
  await waitFor(async () => (await stand.fanout.metric('oa_sync_subscriptions')) === 0);
});

test('a topic that is held already is there from the first rendering on', async () => {
  await stand.insert('react.held', 1);
  const client = stand.client();
  const topic = client.subscribe('react.held');
  await topic.live();
  const rendered: string[] = [];
  function View(): ReactElement {
    const { status, documents } = useTopic('react.held');
    const document = useDocument('react.held', 'item:1');
    rendered.push([status, documents.size, document?.docKey].join(' '));
    return createElement('p', null, rendered.at(-1));
  }
  const { text, root } = render(createElement(SyncProvider, { client }, createElement(View)));
  await waitFor(() => text() !== '');
  expect(rendered[0]).toBe('live 1 item:1');
  // To look at it is not to hold it.
  expect(client.peek('react.none')).toBeUndefined();
  root.unmount();
  topic.release();
  await waitFor(async () => (await stand.fanout.metric('oa_sync_subscriptions')) === 0);
});

test('useDocument renders when its document changes, and not for others', async () => {
  await stand.insert('react.one', 2);
  const client = stand.client();
  let renderings = 0;
  function View({ id }: { id: number }): ReactElement {
    renderings++;
    const document = useDocument('react.one', `item:${id}`);
    return createElement('p', null, document ? String((document.payload as { body: string }).body) : 'none');
  }
  const view = (id: number): ReactElement => createElement(SyncProvider, { client }, createElement(View, { id }));
  const { text, again } = render(view(1));
  await waitFor(() => text() === 'x', { what: text });
  const before = renderings;
  await stand.query(`UPDATE app.items SET body = 'other' WHERE topic = 'react.one' AND id = 2`);
  const topic = client.subscribe('react.one');
  await waitFor(() => topic.cursor?.watermark === 3);
  await stand.query(`UPDATE app.items SET body = 'mine' WHERE topic = 'react.one' AND id = 1`);
  await waitFor(() => text() === 'mine', { what: text });
  expect(renderings).toBe(before + 1);
  again(view(2));
  await waitFor(() => text() === 'other', { what: text });
  again(view(3));
  await waitFor(() => text() === 'none', { what: text });
});

test('useLane shows the mode and the documents of the lane', async () => {
  const documents = new Map<string, LaneDocument>([['a', { docKey: 'a' }]]);
  const source = { documents, start: () => {}, stop: () => {}, on: () => () => {} };
  const lane = new SyncLane({ flag: () => 'off' as LaneMode, earlier: () => source, sync: () => source });
  function View(): ReactElement {
    const { mode, documents: shown } = useLane(lane);
    return createElement('p', null, `${mode} ${shown.size}`);
  }
  const { text } = render(createElement(View));
  await waitFor(() => text() === 'off 1', { what: text });
  lane.setMode('on');
  await waitFor(() => text() === 'on 1', { what: text });
  await lane.close();
});

test('without a provider it says so', async () => {
  let message = '';
  function View(): ReactElement {
    try {
      useSync();
    } catch (error) {
      message = (error as Error).message;
    }
    return createElement('p');
  }
  const { again } = render(createElement(View));
  again(createElement(View));
  await waitFor(() => message.includes('SyncProvider'));
});
