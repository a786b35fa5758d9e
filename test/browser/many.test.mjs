// 10 000 documents: the document of the page stays small, rows are right wherever one scrolls, the keyboard finds its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { browserStand, connectionIs, pasteToken, writeRuns } from './stand.mjs';

const { stand, browser, publicUrl } = await browserStand();
const { fanout } = stand;
const count = 10_000;
const scopes = ['runtime.*'];
const id = (/** @type {number} */ n) => `run-${String(n).padStart(5, '0')}`;
/** @typedef {import('playwright-core').Page} Page */

await writeRuns(stand, count);

/** The Codex page with every run, in the order of their names. @param {import('./browser.mjs').ContextOptions} [options] */
async function openAll(options = {}) {
  const visit = await browser.visit(options);
  const { page } = visit;
  await page.goto(`${publicUrl}/codex`);
  await pasteToken(page, fanout.token(scopes));
  await connectionIs(page, 'Live');
  await page.getByLabel('Order').selectOption('name');
  const grid = page.getByRole('grid', { name: 'Runs' });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === String(count + 1), { timeoutMs: 60_000, what: 'every run is there' });
  await grid.locator('[aria-rowindex="2"]').getByText(id(1)).waitFor();
  return { visit, page, grid };
}

/** The rows in sight by what they should be, and how many elements the page has. @param {Page} page */
const look = (page) => page.evaluate(() => {
  const table = /** @type {HTMLElement} */ (document.querySelector('[role=grid]'));
  const view = table.getBoundingClientRect();
  const rows = [...table.querySelectorAll('.body [role=row]')].map((row) => ({ box: row.getBoundingClientRect(), index: Number(row.getAttribute('aria-rowindex')), text: row.textContent ?? '' }));
  const seen = rows.filter(({ box }) => box.bottom > view.top + 40 && box.top < view.bottom - 1).sort((a, b) => a.box.top - b.box.top);
  return { rows: rows.length, elements: document.getElementsByTagName('*').length, top: table.scrollTop,
    seen: seen.map(({ index, text }) => ({ index, text })), covered: seen[0] !== undefined && seen[0].box.top <= view.top + 40 && (seen.at(-1)?.box.bottom ?? 0) >= view.bottom - 2 };
});

test('rows are right wherever one scrolls, and the page stays small', async () => {
  const { visit, page, grid } = await openAll();
  const height = await grid.evaluate((table) => table.scrollHeight);
  assert.ok(height > count * 40, 'the scroll bar is that of all rows');
  for (const part of [0, 0.1, 0.37, 0.5, 0.731, 0.99]) {
    const top = Math.round(height * part);
    await grid.evaluate((table, to) => void (table.scrollTop = to), top);
    const at = await waitFor(async () => {
      const now = await look(page);
      return now.covered ? now : undefined;
    }, { what: `rows cover the view at ${part}` });
    assert.ok(at.rows < 80, `${at.rows} rows in the document`);
    assert.ok(at.elements < 1500, `${at.elements} elements`);
    at.seen.forEach(({ index, text }, i) => {
      assert.ok(text.startsWith(id(index - 1)), `row ${index} is ${text}`);
      if (i > 0) assert.equal(index, (at.seen[i - 1]?.index ?? 0) + 1, 'no row is left out');
    });
  }
  // A wheel, as a hand turns it: many small steps, rows in sight after each frame.
  await grid.hover();
  for (let i = 0; i < 30; i++) await page.mouse.wheel(0, -700);
  await waitFor(async () => (await look(page)).covered, { what: 'rows cover the view' });
  await visit.picture('codex-10000');
});

test('a change far away keeps the place that is read; one in sight is shown', async () => {
  const { page, grid } = await openAll();
  await grid.evaluate((table) => void (table.scrollTop = 44 * 5000));
  await grid.getByText(id(5002), { exact: true }).waitFor();
  const before = (await look(page)).top;
  await stand.query(`DELETE FROM runtime.sync_run_summaries WHERE doc_key = 'runtime/run_summary:${id(10)}'`);
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === String(count), { what: 'a run above is gone' });
  await waitFor(async () => (await look(page)).top === before - 44, { what: 'what is read stays in place' });
  await grid.getByText(id(5002), { exact: true }).waitFor();
  await writeRuns(stand, 1, { first: 5002, version: 2, status: 'changed' });
  await grid.getByRole('row').filter({ hasText: id(5002) }).getByText('changed').waitFor();
  await writeRuns(stand, 1, { first: 10 });
  await waitFor(async () => await grid.getAttribute('aria-rowcount') === String(count + 1), { what: 'it is back' });
});

test('the keyboard: from the first stop of the page to the last row and back', async () => {
  const { visit, page, grid } = await openAll();
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    return { row: Number(element?.getAttribute('aria-rowindex') ?? 0), text: (element?.textContent ?? '').trim(), tag: element?.tagName ?? '', id: element?.id ?? '',
      visible: element !== null && (element.matches(':focus-visible') || element.tagName === 'BODY') };
  });
  // From the end of the page Tab goes on with its first stop.
  await page.locator('h1').click();
  await page.locator('a.skip').focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  /** @type {string[]} */
  const stops = [];
  for (let i = 0; i < 30; i++) {
    const at = await focused();
    assert.ok(at.visible, `the focus is not to be seen on ${at.tag} ${at.text}`);
    stops.push(at.row > 0 ? 'row' : at.id || at.text.slice(0, 20) || at.tag);
    if (at.row > 0) break;
    await page.keyboard.press('Tab');
  }
  assert.deepEqual(stops, ['Skip to the page', 'OA Sync', 'Overview', 'Topics', 'Sessions', 'Health', 'Codex', 'Status at a glance', 'INPUT', 'Details', 'tab-runs', 'find', 'order', 'row']);
  for (const [key, row] of /** @type {const} */ ([['ArrowDown', 3], ['ArrowDown', 4], ['ArrowUp', 3], ['End', count + 1], ['ArrowDown', count + 1], ['Home', 2]])) {
    await page.keyboard.press(key);
    await waitFor(async () => (await focused()).row === row, { what: `${key} goes to row ${row}` });
    assert.ok((await focused()).text.startsWith(id(row - 1)));
  }
  await page.keyboard.press('PageDown');
  await waitFor(async () => (await focused()).row > 5, { what: 'a page down' });
  const { row } = await focused();
  // Scrolled away by a wheel the focus stays with its row.
  await grid.evaluate((table) => void (table.scrollTop = 300_000));
  await waitFor(async () => (await look(page)).covered, { what: 'scrolled' });
  assert.equal((await focused()).row, row);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: id(row - 1) }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal((await focused()).text, 'Close');
  await visit.check('with a detail');
  // The tabs by arrows.
  await page.locator('#tab-runs').focus();
  await page.keyboard.press('ArrowRight');
  await waitFor(async () => (await focused()).id === 'tab-workers', { what: 'an arrow goes to the next tab' });
  await page.getByText('There are no workers').waitFor();
  // The skip link leads to the page.
  await page.locator('a.skip').focus();
  await page.keyboard.press('Enter');
  assert.equal((await focused()).id, 'main');
});

test('screen readers are told of the connection, not of every change', async () => {
  const { page } = await openAll();
  const live = page.locator('[role=status], [role=alert], [aria-live]');
  const said = () => live.allInnerTexts();
  await waitFor(async () => (await said()).join().includes('Connection: Live'), { what: 'the connection is said' });
  await page.evaluate(() => {
    const spoken = /** @type {any} */ (window).spoken = /** @type {string[]} */ ([]);
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const element = target instanceof Element ? target : target.parentElement;
        if (element?.closest('[role=status], [role=alert], [aria-live]')) spoken.push(element.textContent ?? '');
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  for (let version = 10; version < 20; version++) await writeRuns(stand, 5, { version, status: `state ${version}` });
  await page.getByRole('row').filter({ hasText: id(1) }).getByText('state 19').waitFor();
  const spoken = await page.evaluate(() => /** @type {string[]} */ ((/** @type {any} */ (window)).spoken));
  // Fifty documents changed. A slow machine may have been catching up for a while, which is said.
  assert.deepEqual(spoken.filter((text) => !text.startsWith('Connection: ')), []);
  // Fewer than one word for each of the ten commits, also when the connection was lost and made again.
  assert.ok(spoken.length < 10, spoken.join());
});
