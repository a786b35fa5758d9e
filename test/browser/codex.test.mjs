// The Codex page against a real server: what is written is shown, live; tokens end and are renewed; the server goes and
// comes; the lane is turned while it runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { applicationTokens, browserStand, connectionIs, pasteToken, shellStored, useApplication, writeRuns, writeWorkers } from './stand.mjs';

const { stand, browser, publicUrl } = await browserStand({ flags: { 'token-grace-ms': 1000 } });
const { fanout } = stand;
const scopes = ['runtime.*'];
const codex = `${publicUrl}/codex`;
/** A token that the server takes for so many seconds. @param {number} seconds */
const shortToken = (seconds) => fanout.token(scopes, { exp: Math.floor(Date.now() / 1000) + seconds });
const run = (/** @type {import('playwright-core').Page} */ page, /** @type {string} */ id) => page.getByRole('row').filter({ hasText: id });

await writeRuns(stand, 40);
await writeWorkers(stand, 6);

test('asks for a token, shows runs and workers, and every change as it is committed', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await page.getByRole('heading', { name: 'Enter a token to connect' }).waitFor();
  await visit.picture('codex-token');
  await page.getByLabel('Sync token').fill('not a token');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByText('This is no token').waitFor();
  await pasteToken(page, fanout.token(scopes));
  await connectionIs(page, 'Live');
  const grid = page.getByRole('grid', { name: 'Runs' });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '41', { what: 'all runs are there' });
  await stand.query(`UPDATE runtime.sync_run_summaries SET doc_version = 2, payload = '{"run_id":"run-00007","status":"paused by test","steps":99}'
    WHERE doc_key = 'runtime/run_summary:run-00007'`);
  await run(page, 'run-00007').getByText('paused by test').waitFor();
  await stand.query(`DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:run-00008'`);
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === '40', { what: 'a deleted run goes' });
  await visit.picture('codex-runs');
  await run(page, 'run-00005').click();
  await page.getByRole('region', { name: 'run-00005' }).getByText('"projection_version": 3').waitFor();
  await visit.picture('codex-detail');
  await page.getByRole('tab', { name: /Workers/ }).click();
  await run(page, 'worker-3').waitFor();
  await visit.check('workers');
  await page.getByRole('button', { name: 'Status at a glance' }).click();
  await page.getByRole('list', { name: 'Runs, the latest' }).waitFor();
  await visit.picture('codex-compact');
  await page.getByRole('button', { name: 'Details' }).click();
  await page.getByRole('dialog', { name: 'Connection and storage' }).getByText('not loaded', { exact: true }).waitFor();
  await visit.picture('codex-details');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('a summary with nothing that is expected is shown all the same', async () => {
  await stand.query(`INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload) VALUES
    ('odd-null', 1, 'null'), ('odd-array', 1, '[1]'), ('odd:number', 1, '{"status":7,"big":12345678901234567890,"name":"<b>not markup</b>"}')`);
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await pasteToken(page, fanout.token(scopes));
  await page.getByLabel('Find').fill('odd');
  await run(page, 'odd-null').getByText('unknown').waitFor();
  await run(page, 'odd-array').waitFor();
  await page.getByLabel('Find').fill('markup');
  await run(page, '<b>not markup</b>').getByText('big 12345678901234567890').waitFor();
  await stand.query(`DELETE FROM runtime.sync_run_summaries WHERE doc_key LIKE 'odd%'`);
  await page.getByText('No run matches').waitFor();
});

test('tokens of the application are renewed on the open socket before they end', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  /** When the first one ends: some seconds after it is given. The others are good. */
  let end = 0;
  const asked = await applicationTokens(visit, () => {
    if (end > 0) return fanout.token(scopes);
    end = Math.floor(Date.now() / 1000) + 12;
    return fanout.token(scopes, { exp: end });
  });
  await page.goto(codex);
  await useApplication(page);
  await connectionIs(page, 'Live');
  const sockets = visit.sockets.length;
  await waitFor(() => asked.count >= 2, { what: () => `the application was asked ${asked.count} times` });
  // Past the token's end, and what a socket may outlive it.
  await waitFor(() => Date.now() / 1000 > end + 1.5, { what: 'the first token has ended' });
  await writeRuns(stand, 1, { first: 30, version: 2, status: 'after renewal' });
  await page.getByLabel('Find').fill('run-00030');
  await run(page, 'run-00030').getByText('after renewal').waitFor();
  await connectionIs(page, 'Live');
  assert.equal(visit.sockets.length, sockets, 'the socket stayed');
});

test('a pasted token that ends is asked for again, and the page goes on from its place', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await pasteToken(page, shortToken(4));
  // On a very slow machine it may have ended before it was used.
  await page.getByRole('heading', { name: /^The token (ends soon|is no longer good)$/ }).waitFor();
  await visit.picture('codex-token-ends');
  await connectionIs(page, /Reconnecting|Needs a token|Refused/);
  await writeRuns(stand, 1, { first: 31, version: 2, status: 'while away' });
  await pasteToken(page, fanout.token(scopes));
  await connectionIs(page, 'Live');
  await page.getByLabel('Find').fill('run-00031');
  await run(page, 'run-00031').getByText('while away').waitFor();
  await page.getByRole('form', { name: 'Token' }).waitFor({ state: 'detached' });
});

test('a token that the server refuses is said to be refused, with the reason', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await pasteToken(page, fanout.token(scopes, {}, { secret: 'A'.repeat(43) }));
  await page.getByRole('heading', { name: 'The token is no longer good' }).waitFor();
  await page.getByText('It was not signed with a key of this server.').waitFor();
  await connectionIs(page, 'Needs a token');
  await pasteToken(page, fanout.token(scopes));
  await connectionIs(page, 'Live');
});

test('a token that does not open the topics is said to', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  await pasteToken(page, fanout.token(['something.else']));
  await page.getByText('The server refused a topic').waitFor();
  await visit.check('forbidden topics');
});

test('the server goes away and comes back on the same port: nothing is lost', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await applicationTokens(visit, () => fanout.token(scopes));
  await page.goto(codex);
  await useApplication(page);
  await connectionIs(page, 'Live');
  await run(page, 'run-00012').waitFor();
  await fanout.kill9();
  await connectionIs(page, 'Reconnecting');
  await run(page, 'run-00012').waitFor();
  await visit.picture('codex-reconnecting');
  await writeRuns(stand, 2, { first: 12, version: 2, status: 'written meanwhile' });
  await fanout.launch();
  await fanout.ready();
  await connectionIs(page, 'Live');
  for (const id of ['run-00012', 'run-00013']) await run(page, id).getByText('written meanwhile').waitFor();
});

test('the lane is turned at run time; on, the earlier source is not even loaded', async () => {
  const visit = await browser.visit();
  const { page, requests } = visit;
  const earlierChunks = () => requests.filter((url) => /\/assets\/earlier-[^/]*\.js$/.test(url)).length;
  const polls = () => requests.filter((url) => url.includes('/api/sync/snapshot')).length;
  await applicationTokens(visit, () => fanout.token(scopes));
  await page.goto(codex);
  await useApplication(page);
  await connectionIs(page, 'Live');
  await run(page, 'run-00021').waitFor();
  await shellStored(page);
  await waitFor(() => requests.some((url) => url.endsWith('/icons/icon-maskable-512.png')), { what: 'what the service worker asks for is in the log' });
  assert.equal(earlierChunks(), 0, 'on: the earlier source is not loaded');
  const cached = await page.evaluate(async () => {
    const names = await caches.keys();
    return (await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname)))).flat();
  });
  assert.ok(cached.includes('/') && cached.some((path) => path.startsWith('/assets/Codex-')), `the shell is stored: ${cached}`);
  assert.deepEqual(cached.filter((path) => path.includes('earlier') || path.startsWith('/api/')), [], 'and nothing else is');

  const marked = await page.evaluate(() => ((/** @type {any} */ (window)).notReloaded = true));
  assert.ok(marked);
  const before = polls();
  await page.getByLabel('Off', { exact: true }).check();
  await connectionIs(page, 'Asked every 5 s');
  assert.equal(earlierChunks(), 1, 'off: it is loaded');
  await waitFor(() => polls() > before, { what: 'the earlier source asks over HTTP' });
  await waitFor(async () => await fanout.metric('oa_sync_connections') === 0, { what: 'off: OA Sync is not connected' });
  await writeRuns(stand, 1, { first: 21, version: 2, status: 'by polling' });
  await run(page, 'run-00021').getByText('by polling').waitFor();
  await visit.picture('codex-lane-off');

  await page.getByLabel('Shadow', { exact: true }).check();
  await waitFor(async () => await fanout.metric('oa_sync_connections') === 1, { what: 'shadow: OA Sync is connected beside it' });
  await page.getByRole('button', { name: 'Details' }).click();
  await page.getByText('no document differs').waitFor();
  await visit.picture('codex-lane-shadow');
  await page.keyboard.press('Escape');

  await page.getByLabel('On', { exact: true }).check();
  await connectionIs(page, 'Live');
  await writeRuns(stand, 1, { first: 22, version: 2, status: 'by OA Sync' });
  await run(page, 'run-00022').getByText('by OA Sync').waitFor();
  assert.equal(await page.evaluate(() => (/** @type {any} */ (window)).notReloaded), true, 'without a reload');
  assert.equal(earlierChunks(), 1);

  // The flag is remembered, the token is not.
  const fresh = requests.length;
  await page.reload();
  await page.getByRole('button', { name: 'Enter a token' }).waitFor();
  assert.equal(await page.getByLabel('On', { exact: true }).isChecked(), true);
  assert.equal(requests.slice(fresh).filter((url) => url.includes('earlier')).length, 0);
});

test('the lane can be turned back while OA Sync does not come up', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await visit.context.routeWebSocket(/\/socket\/websocket/, (socket) => void socket.close({ code: 1011 }));
  await applicationTokens(visit, () => fanout.token(scopes));
  await page.goto(codex);
  await useApplication(page);
  await connectionIs(page, /Connecting|Reconnecting/);
  await page.getByLabel('Off', { exact: true }).check();
  await connectionIs(page, 'Asked every 5 s');
  await run(page, 'run-00002').waitFor();
});

test('no token is stored anywhere', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.goto(codex);
  const token = fanout.token(scopes);
  await pasteToken(page, token);
  await connectionIs(page, 'Live');
  const stored = () => page.evaluate(async () => {
    const texts = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), document.cookie, location.href];
    for (const { name = '' } of await indexedDB.databases()) {
      /** @type {IDBDatabase} */
      const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = (event) => resolve(/** @type {any} */ (event.target).result)));
      for (const store of db.objectStoreNames) {
        const all = db.transaction(store).objectStore(store).getAll();
        texts.push(JSON.stringify(await new Promise((resolve) => (all.onsuccess = () => resolve(all.result)))));
      }
      db.close();
    }
    for (const name of await caches.keys()) {
      for (const request of await (await caches.open(name)).keys()) texts.push(request.url);
    }
    return texts.join('\n');
  });
  await waitFor(async () => (await stored()).includes('run_summary:run-00001'), { what: 'documents are stored' });
  const text = await stored();
  const [header = '', , signature = ''] = token.split('.');
  assert.ok(!text.includes(signature) && !text.includes(header), 'the token is not');
  assert.ok(visit.sockets.length > 0 && [...visit.sockets, ...visit.requests].every((url) => !url.includes(signature)), 'nor is it in a URL');
  await page.getByRole('button', { name: 'Details' }).click();
  await page.getByText(/^\d+ documents, in IndexedDB$/).waitFor();
  await page.getByRole('button', { name: 'Forget the token and what is stored' }).click();
  await page.getByText('The token, and what was stored on this device, are gone').waitFor();
  await page.getByText('nothing', { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  // Nothing is loaded again, by which it would be stored again.
  await connectionIs(page, 'Needs a token');
  await page.getByText('Nothing is stored on this device').waitFor();
  await waitFor(async () => await fanout.metric('oa_sync_connections') === 0, { what: 'the socket is closed' });
  assert.ok(!/run_summar|worker_summar/.test(await stored()), 'neither documents nor cursors are stored');
});
