// One topic: live events by the SDK, documents, the history of one with what changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { browserStand, connectionIs, keys, openAsOperator } from './stand.mjs';

const { stand, browser, adminUrl } = await browserStand();
const { fanout } = stand;
const topic = 'orders:7';
const url = `${adminUrl}/topic?name=${encodeURIComponent(topic)}`;

await stand.insert(topic, 5);
await stand.query(`UPDATE app.items SET version = 2, body = 'second', n = 12345678901234567890.5 WHERE topic = $1 AND id = 3`, [topic]);

test('events as they come, the history of a document, and what changed in it', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, url);
  const grid = page.getByRole('grid', { name: 'Events, newest first' });
  await page.getByText('Live', { exact: true }).waitFor();
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '7', { what: 'the events before are there' });
  await stand.query(`UPDATE app.items SET version = 3, body = 'third' WHERE topic = $1 AND id = 3`, [topic]);
  await grid.getByRole('row').filter({ hasText: '7' }).first().waitFor();
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '8', { what: 'the new event is there' });
  await waitFor(async () => await page.locator('.figure').filter({ hasText: 'Head' }).locator('.value').innerText() === '7', { what: 'the head follows' });

  await grid.getByRole('row').nth(1).click();
  const detail = page.getByRole('region', { name: 'item:3' });
  await detail.getByRole('heading', { name: 'From version 2 to 3' }).waitFor();
  assert.deepEqual(await detail.locator('.diff ins').allTextContents(), ['+  "body": "third",', '+  "version": 3']);
  assert.equal(await detail.locator('.diff del').count(), 2);
  await visit.picture('topic');
  // Every digit as the database has it.
  await detail.getByLabel('Payload of version 3').getByText('12345678901234567890.5').waitFor();
  await detail.getByRole('grid', { name: 'Versions, newest first' }).getByRole('row').nth(2).click();
  await detail.getByRole('heading', { name: 'From version 1 to 2' }).waitFor();
  await stand.query('DELETE FROM app.items WHERE topic = $1 AND id = 3', [topic]);
  await detail.getByRole('gridcell', { name: 'delete' }).waitFor();
  assert.match(page.url(), /doc=item%3A3/);
});

test('holding stops the list, and counts what comes', async () => {
  const { page } = await browser.visit();
  await openAsOperator(page, url);
  const grid = page.getByRole('grid', { name: 'Events, newest first' });
  await page.getByText('Live', { exact: true }).waitFor();
  await grid.getByRole('row').nth(5).waitFor();
  await page.getByRole('button', { name: 'Hold' }).click();
  const rows = await grid.getAttribute('aria-rowcount');
  await stand.insert(topic, 3, { first: 100 });
  await page.getByText('3 came meanwhile').waitFor();
  assert.equal(await grid.getAttribute('aria-rowcount'), rows);
  await page.getByRole('button', { name: 'Go on' }).click();
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === String(Number(rows) + 3), { what: 'it goes on with what came' });
  await page.getByLabel('Document key contains').fill('item:101');
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '2', { what: 'filtered' });
});

test('documents, a page at a time', async () => {
  await stand.insert('docs:many', 700);
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/topic?name=docs%3Amany`);
  await page.getByRole('tab', { name: 'Documents' }).click();
  const grid = page.getByRole('grid', { name: 'Documents' });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '501', { what: 'the first page' });
  await page.getByRole('button', { name: 'Load more' }).click();
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '701', { what: 'the second page' });
  await grid.getByRole('row').nth(1).click();
  await page.getByRole('region', { name: 'item:1', exact: true }).getByRole('heading', { name: 'The document then' }).waitFor();
  await visit.picture('topic-documents');
});

test('a log of events has no documents, and the page says so', async () => {
  await stand.query(`SELECT runtime.sync_emit('log:1', 'line:1', 1, '{"text":"hello"}')`);
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/topic?name=log%3A1`);
  await page.getByRole('grid', { name: 'Events, newest first' }).getByText('line:1').waitFor();
  await page.getByRole('tab', { name: 'Documents' }).click();
  await page.getByText(/no source of documents|No documents/).first().waitFor();
  await visit.check('no documents');
});

test('a key that may not make tokens: events are read from the journal', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, url, keys.watcher);
  await page.getByText('Events are read from the journal').waitFor();
  await stand.insert(topic, 1, { first: 500 });
  await page.getByRole('grid', { name: 'Events, newest first' }).getByText('item:500').waitFor();
  await page.getByRole('tab', { name: 'Documents' }).click();
  await page.getByText('This key may not do that').waitFor();
  assert.equal(visit.sockets.length, 0);
});

test('more events between two looks at the journal than it gives at once: all are shown', async () => {
  await stand.insert('busy:1', 2);
  const { page } = await browser.visit();
  await openAsOperator(page, `${adminUrl}/topic?name=busy%3A1`, keys.watcher);
  const grid = page.getByRole('grid', { name: 'Events, newest first' });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '3', { what: 'the first events are there' });
  await stand.insert('busy:1', 250, { first: 100 });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '253', { what: 'every event is there' });
  await page.getByText('Some events were missed').waitFor({ state: 'detached' });
});

test('the server goes and comes: no event is missed', async () => {
  const { page } = await browser.visit();
  await openAsOperator(page, url);
  const grid = page.getByRole('grid', { name: 'Events, newest first' });
  await page.getByText('Live', { exact: true }).waitFor();
  await grid.getByRole('row').nth(3).waitFor();
  await fanout.kill9();
  await page.getByText('The connection is lost').waitFor();
  await stand.insert(topic, 2, { first: 600 });
  await fanout.launch();
  await fanout.ready();
  for (const key of ['item:600', 'item:601']) await grid.getByText(key).waitFor();
});

test('a topic that nobody wrote to, and no topic at all', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/topic?name=not.there`);
  await page.getByText('This topic has no event yet').waitFor();
  await page.getByText('No events are retained').waitFor();
  await visit.check('an empty topic');
  await stand.insert('not.there', 1);
  await page.getByRole('grid', { name: 'Events, newest first' }).getByText('item:1').waitFor();
  await page.goto(`${adminUrl}/topic`);
  await page.getByLabel('Service key').fill(keys.operator);
  await page.keyboard.press('Enter');
  await page.getByText('No topic is named').waitFor();
});

test('the operator\'s key opens the Codex page too', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/`);
  await page.getByText('Commit to socket, p99').waitFor();
  await page.getByRole('link', { name: 'Codex', exact: true }).click();
  await page.getByLabel('The service key of the operators’ pages').check();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await connectionIs(page, 'Live');
  await page.getByText('There are no runs').waitFor();
  await visit.check('no runs');
  // Left and come back to: without another token.
  await page.getByRole('link', { name: 'Health', exact: true }).click();
  await page.getByText('What was looked at').waitFor();
  await page.getByRole('link', { name: 'Codex', exact: true }).click();
  await connectionIs(page, 'Live');
});
