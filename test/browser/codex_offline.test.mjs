// The Codex page on a phone: installable, there without a network, and going on from its place afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { applicationTokens, browserStand, connectionIs, pasteToken, raiseFloor, shellStored, useApplication, writeRuns, writeWorkers } from './stand.mjs';

const { stand, browser, publicUrl } = await browserStand();
const { fanout } = stand;
const scopes = ['runtime.*'];
const codex = `${publicUrl}/codex`;
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const run = (/** @type {import('playwright-core').Page} */ page, /** @type {string} */ id) => page.getByRole('row').filter({ hasText: id });
/** What is stored on the device. @param {import('playwright-core').Page} page @returns {Promise<any[]>} */
const storedDocuments = (page) => page.evaluate(async () => {
  /** @type {IDBDatabase} */
  const db = await new Promise((resolve) => (indexedDB.open('oa-sync-codex').onsuccess = (event) => resolve(/** @type {any} */ (event.target).result)));
  const all = db.objectStoreNames.contains('documents') ? db.transaction('documents').objectStore('documents').getAll() : undefined;
  const found = all ? await new Promise((resolve) => (all.onsuccess = () => resolve(all.result))) : [];
  db.close();
  return /** @type {any} */ (found);
});

await writeRuns(stand, 30);
await writeWorkers(stand, 5);

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`a phone, ${colorScheme}: every state without a horizontal scroll bar`, async () => {
    const visit = await browser.visit({ ...phone, colorScheme });
    const { page } = visit;
    await page.goto(codex);
    await page.getByLabel('Sync token').waitFor();
    await visit.picture(`phone-${colorScheme}-token`);
    await pasteToken(page, fanout.token(scopes));
    await connectionIs(page, 'Live');
    await run(page, 'run-00003').waitFor();
    await visit.picture(`phone-${colorScheme}-runs`);
    await run(page, 'run-00003').tap();
    await page.getByRole('dialog', { name: 'run-00003' }).waitFor();
    await visit.picture(`phone-${colorScheme}-run`);
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Details' }).click();
    await page.getByRole('dialog', { name: 'Connection and storage' }).waitFor();
    await visit.picture(`phone-${colorScheme}-details`);
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Status at a glance' }).click();
    await page.getByRole('list', { name: 'Workers, the latest' }).waitFor();
    await visit.picture(`phone-${colorScheme}-compact`);
  });
}

test('the browser finds nothing that keeps it from being installed', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await shellStored(page);
  const devtools = await visit.context.newCDPSession(page);
  const manifest = await devtools.send('Page.getAppManifest');
  assert.deepEqual(manifest.errors, []);
  const { start_url: start, display, icons } = JSON.parse(manifest.data ?? '{}');
  assert.deepEqual([start, display], ['/codex', 'standalone']);
  for (const { src, type } of icons) {
    const answer = await fanout.fetch(src);
    assert.deepEqual([answer.status, answer.headers.get('content-type')?.split(';')[0]], [200, type], src);
  }
  // A context of a test is an incognito window, which no browser installs from: the only reason there may be.
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  assert.deepEqual(installabilityErrors.map((/** @type {any} */ error) => error.errorId).filter((/** @type {string} */ id) => id !== 'in-incognito'), []);
});

test('the service worker answers for the app\'s pages only: the server\'s own go to the server', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await shellStored(page);
  assert.equal((await page.goto(`${publicUrl}/codex`))?.fromServiceWorker(), true);
  for (const path of ['/readyz', '/healthz', '/api/sync/heads?topics=a']) {
    const answer = await page.goto(`${publicUrl}${path}`);
    assert.equal(answer?.fromServiceWorker(), false, path);
    assert.equal(await page.getByRole('navigation').count(), 0, `${path} is not the console`);
  }
  // A database that is away: 503, which the worker takes for a reason to show what it stored, where it is asked.
  await stand.cluster.stop('immediate');
  try {
    await waitFor(async () => (await page.goto(`${publicUrl}/readyz`))?.status() === 503, { what: 'it says that it is not ready' });
    assert.equal(await page.getByRole('navigation').count(), 0);
  } finally {
    await stand.cluster.start();
  }
  await fanout.ready();
});

test('without the server the page starts with what is stored, and goes on from there when it is back', async () => {
  const visit = await browser.visit(phone);
  const { page } = visit;
  await applicationTokens(visit, () => fanout.token(scopes));
  await page.goto(codex);
  await shellStored(page);
  await useApplication(page);
  await connectionIs(page, 'Live');
  await run(page, 'run-00004').waitFor();
  await waitFor(async () => (await storedDocuments(page)).length === 35, { what: 'all documents are stored' });
  await fanout.kill9();

  await page.reload();
  await run(page, 'run-00004').waitFor();
  await connectionIs(page, 'Needs a token');
  await page.getByText('The page shows what it has: 35 documents.').waitFor();
  await visit.picture('phone-offline');
  await writeRuns(stand, 2, { first: 4, version: 2, status: 'news' });
  await writeRuns(stand, 1, { first: 31 });
  await useApplication(page);
  await connectionIs(page, /Reconnecting|Connecting/);
  await run(page, 'run-00004').getByText('running').or(run(page, 'run-00004').getByText('failed')).waitFor();

  const before = visit.requests.length;
  await fanout.launch();
  await fanout.ready();
  await connectionIs(page, 'Live');
  for (const id of ['run-00004', 'run-00005']) await run(page, id).getByText('news').waitFor();
  await page.getByRole('tab', { name: 'Runs (31)' }).waitFor();
  assert.deepEqual(visit.requests.slice(before).filter((url) => url.includes('/api/sync/snapshot')), [], 'resumed by its cursor, no snapshot');
});

test('a cursor that is older than what is kept: the documents are loaded anew, and it is said', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await applicationTokens(visit, () => fanout.token(scopes));
  await page.goto(codex);
  await useApplication(page);
  await connectionIs(page, 'Live');
  await run(page, 'run-00010').waitFor();
  await waitFor(async () => (await storedDocuments(page)).length >= 35, { what: 'the documents are stored' });
  await fanout.kill9();
  await connectionIs(page, 'Reconnecting');
  await stand.query(`DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:run-00010'`);
  await writeRuns(stand, 1, { first: 11, version: 2, status: 'changed' });
  await writeRuns(stand, 20, { first: 12, version: 2 });
  const [{ head }] = await stand.query(`SELECT max(watermark) AS head FROM runtime.sync_stream_events WHERE topic = 'runtime.run_summaries'`);
  await raiseFloor(stand, 'runtime.run_summaries', head - 5);
  await fanout.launch();
  await fanout.ready();
  await page.getByText('Documents were loaded anew').waitFor();
  await page.getByText('This page was away for longer than events are kept.').waitFor();
  await connectionIs(page, 'Live');
  await run(page, 'run-00011').getByText('changed').waitFor();
  await run(page, 'run-00010').waitFor({ state: 'detached' });
  await visit.picture('codex-stale');
  assert.ok(visit.requests.some((url) => url.includes('/api/sync/snapshot')), 'by a snapshot');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByText('Documents were loaded anew').waitFor({ state: 'detached' });
  await writeRuns(stand, 1, { first: 11, version: 3, status: 'live again' });
  await run(page, 'run-00011').getByText('live again').waitFor();
});

test('two tabs share what is stored, and neither loses its place', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await pasteToken(page, fanout.token(scopes));
  await connectionIs(page, 'Live');
  const other = await visit.open();
  await other.goto(codex);
  await run(other, 'run-00002').waitFor();
  await pasteToken(other, fanout.token(scopes));
  await connectionIs(other, 'Live');
  await writeRuns(stand, 1, { first: 2, version: 5, status: 'both see it' });
  for (const tab of [page, other]) await run(tab, 'run-00002').getByText('both see it').waitFor();
});
