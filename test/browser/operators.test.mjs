// The operators' pages: the key, the overview, topics and health, and what is shown when something is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { patience } from './browser.mjs';
import { browserStand, connectionIs, keys, leaveDefaultPartition, openAsOperator, writeRuns } from './stand.mjs';

const { stand, browser, publicUrl, adminUrl } = await browserStand();
const { fanout } = stand;
const figure = (/** @type {import('playwright-core').Page} */ page, /** @type {string} */ name) => page.locator('.figure').filter({ hasText: name }).locator('.value');

await writeRuns(stand, 20);
await leaveDefaultPartition(stand);
await stand.query(`INSERT INTO app.items (topic, id, n, body) SELECT 'many:' || lpad(i::text, 4, '0'), 1, i, 'x' FROM generate_series(1, 230) i`);

test('a key that is wrong, or may not, is said to be in plain words; the key is in memory only', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/`, 'oask_nobody');
  await page.getByText('The server does not know this key').waitFor();
  await visit.picture('key-wrong');
  await page.getByLabel('Service key').fill(keys.app);
  await page.keyboard.press('Enter');
  await page.getByText('This key may not do that').waitFor();
  await page.getByLabel('Service key').fill(keys.operator);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
  await page.getByText('Commit to socket, p99').waitFor();
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  assert.ok(!stored.includes('oask_'), 'the key is stored nowhere');
  await page.getByRole('link', { name: 'Health', exact: true }).click();
  await page.getByText('What was looked at').waitFor();
  await page.reload();
  await page.getByLabel('Service key').waitFor();
  await visit.picture('key');
  assert.ok(!visit.requests.some((url) => url.includes('oask_')), 'nor in a URL');
});

test('"Forget the key" does, also on the Codex page, which made its tokens with it', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/health`);
  await page.getByText('What was looked at').waitFor();
  await page.getByRole('link', { name: 'Codex', exact: true }).click();
  await page.getByLabel('The service key of the operators’ pages').check();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await connectionIs(page, 'Live');
  await page.getByRole('button', { name: 'Forget the key' }).click();
  await connectionIs(page, 'Needs a token');
  await waitFor(async () => await fanout.metric('oa_sync_connections') === 0, { what: 'the socket that its token opened is closed' });
  const made = () => visit.requests.filter((url) => url.endsWith('/api/sync/token')).length;
  const before = made();
  assert.ok(before > 0, 'tokens were made with it');
  await page.getByRole('button', { name: 'Enter a token' }).click();
  await page.getByLabel('Sync token').waitFor();
  assert.equal(await page.getByLabel('The service key of the operators’ pages').count(), 0, 'it is offered no more');
  await page.getByRole('link', { name: 'Health', exact: true }).click();
  await page.getByLabel('Service key').waitFor();
  assert.equal(await page.getByLabel('Service key').inputValue(), '');
  await page.getByRole('link', { name: 'Codex', exact: true }).click();
  await connectionIs(page, 'Needs a token');
  assert.equal(made(), before, 'and no token was made with it since');
});

test('on the public listener there is nothing for operators, and it says where they go', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${publicUrl}/`);
  await page.getByText('This seems to be the public listener').waitFor();
  await page.getByText('open the console there').waitFor();
  await visit.check('the public listener');
  await page.getByRole('link', { name: 'the Codex page' }).click();
  await page.getByRole('heading', { name: 'Codex', level: 1 }).waitFor();
});

test('a server without service keys says how to get them', async () => {
  const other = await stand.startFanout({ 'console-dir': String(fanout.flags['console-dir']) });
  const { page } = await browser.visit();
  await openAsOperator(page, `${other.adminUrl()}/`);
  await page.getByText('The server is not set up for this').waitFor();
  await other.stop();
});

test('the overview shows what the server does, and follows it', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/`);
  await figure(page, 'Connections').filter({ hasText: /^0$/ }).waitFor();
  const clients = Array.from({ length: 3 }, () => stand.client({ topics: ['overview.a'] }));
  for (const client of clients) await client.connect();
  await figure(page, 'Connections').filter({ hasText: /^3$/ }).waitFor();
  await page.getByText('Replication slot', { exact: true }).or(page.getByText('Reading the journal')).first().waitFor();
  let id = 1;
  await waitFor(async () => {
    await stand.insert('overview.a', 20, { first: id });
    id += 20;
    const [inward, outward, latency] = await Promise.all(['Events in', 'Events out', 'Commit to socket, p99'].map((name) => figure(page, name).innerText()));
    return Number(inward?.replace(',', '')) > 0 && Number(outward?.replace(',', '')) > 0 && Number(latency?.replace(',', '')) > 0;
  }, { timeoutMs: 2 * patience, everyMs: 250, what: 'rates and a latency are shown' });
  assert.equal(await page.locator('figure.chart canvas').count(), 4, 'four charts');
  await page.getByRole('img', { name: /^Events per second over the last minutes\. Latest: in [\d.,]+, out [\d.,]+\.$/ }).waitFor();
  await visit.picture('overview', { fullPage: true });
  for (const client of clients) await client.close();
  await figure(page, 'Connections').filter({ hasText: /^0$/ }).waitFor();
});

test('a hidden tab asks for nothing', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await page.clock.install();
  await openAsOperator(page, `${adminUrl}/`);
  await figure(page, 'Connections').waitFor();
  const asked = () => visit.requests.filter((url) => url.endsWith('/api/admin/overview')).length;
  const first = asked();
  await waitFor(async () => {
    await page.clock.runFor(2100);
    return asked() >= first + 2;
  }, { what: 'a tab in sight polls' });
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  const hidden = asked();
  await page.clock.runFor(60_000);
  await page.clock.runFor(60_000);
  // The answer of a poll that was under way when it was hidden may have been counted after.
  assert.ok(asked() <= hidden + 1, `it polled ${asked() - hidden} times in two minutes`);
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await waitFor(() => asked() > hidden + 1, { what: 'it goes on when it is shown again' });
});

test('the server goes away: what is shown is marked with its age; it comes back by itself', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/`);
  await figure(page, 'Connections').waitFor();
  await fanout.kill9();
  await page.getByText('The server does not answer').waitFor();
  await page.locator('.stale-age').filter({ hasText: /These figures are from (just now|\d+ s ago)\./ }).waitFor();
  await page.getByText('No answer').waitFor();
  await visit.picture('overview-lost');
  await page.getByRole('link', { name: 'Health', exact: true }).click();
  await page.getByRole('heading', { name: 'Health', level: 1 }).waitFor();
  await page.getByText('The server does not answer').waitFor();
  // Before it is back: from then on the page finds it by itself at any moment, and the button is gone.
  const asked = () => visit.requests.filter((url) => url.endsWith('/api/admin/overview')).length;
  const before = asked();
  await page.getByRole('button', { name: 'Try again' }).click();
  await waitFor(() => asked() > before, { what: 'it asks again' });
  await fanout.launch();
  await fanout.ready();
  // It asks every 15 s at the longest.
  await page.getByText('Nothing is wrong', { exact: true }).waitFor({ timeout: 2 * patience });
  await page.getByText('The server does not answer').waitFor({ state: 'detached' });
});

test('health says that nothing is wrong, and what is when something is', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/health`);
  await page.getByText('Nothing is wrong', { exact: true }).waitFor();
  await page.getByText('Clients may be sent here.').waitFor();
  await visit.picture('health-well');
  await stand.cluster.stop('immediate');
  try {
    await page.locator('.problem.critical').first().waitFor();
    assert.ok(await page.locator('.problem').first().locator('p').first().innerText() !== '', 'it says what to do');
    // A database that does not answer says nothing of its worker.
    await page.locator('.checks li').filter({ hasText: 'Worker' }).getByText('Not known').waitFor();
    await visit.picture('health-trouble');
  } finally {
    await stand.cluster.start();
  }
  await page.locator('.problem.critical').first().waitFor({ state: 'detached' });
});

test('topics: found by how they begin, a page at a time', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/topics`);
  const grid = page.getByRole('grid', { name: 'Topics' });
  await grid.getByRole('link', { name: 'many:0001' }).waitFor();
  await visit.picture('topics');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('Page 2').waitFor();
  await grid.getByRole('link', { name: 'many:0201' }).waitFor();
  await grid.getByRole('link', { name: 'many:0001' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Previous' }).click();
  await page.getByText('Page 1').waitFor();
  await page.getByLabel('Begins with').fill('runtime.');
  const row = grid.getByRole('row').filter({ hasText: 'runtime.run_summaries' });
  await row.waitFor();
  await grid.getByRole('link', { name: 'many:0001' }).waitFor({ state: 'detached' });
  assert.deepEqual((await row.getByRole('gridcell').allInnerTexts()).slice(0, 4), ['runtime.run_summaries', '20', '0', '20']);
  assert.match(page.url(), /\/topics\?prefix=runtime\.$/);
  await page.getByLabel('Begins with').fill('no such');
  await page.getByText('No topic begins like that').waitFor();
  await visit.check('no topics');
});

test('dark, and on a phone: every page for operators', async () => {
  for (const [name, options] of /** @type {const} */ ([
    ['dark', { colorScheme: 'dark' }], ['phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }]])) {
    const visit = await browser.visit(options);
    const { page } = visit;
    await openAsOperator(page, `${adminUrl}/`);
    await figure(page, 'Connections').waitFor();
    await visit.picture(`${name}-overview`);
    for (const [link, shown] of /** @type {const} */ ([['Topics', 'many:0001'], ['Sessions', 'Nobody is connected'], ['Health', 'What was looked at']])) {
      await page.getByRole('link', { name: link, exact: true }).click();
      await page.getByText(shown).first().waitFor();
      await visit.picture(`${name}-${link.toLowerCase()}`);
    }
  }
});

test('an unknown path is a page that says so', async () => {
  const visit = await browser.visit();
  await visit.page.goto(`${adminUrl}/nowhere`);
  await visit.page.getByRole('heading', { name: 'No such page' }).waitFor();
  await visit.check('no such page');
});
