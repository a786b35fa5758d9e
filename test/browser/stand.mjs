// A database, a fan-out that serves build/console, keys of operators, and Chromium: what every browser test begins with.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { after } from 'node:test';
import { Stand, root, waitFor } from '../harness/index.mjs';
import { Browser } from './browser.mjs';

/** @typedef {import('../harness/fanout.mjs').Flags} Flags */
/** @typedef {import('./browser.mjs').Visit} Visit */
/** @typedef {import('playwright-core').Page} Page */

/** Service keys by what they may. */
export const keys = {
  operator: `oask_${'o'.repeat(40)}`, watcher: `oask_${'w'.repeat(40)}`, app: `oask_${'a'.repeat(40)}`,
};
const keyFile = { keys: [
  { id: 'operator', secret: keys.operator, subject: 'service:operator', scopes: ['*'], may: ['observe', 'token', 'revoke'] },
  { id: 'watcher', secret: keys.watcher, may: ['observe'] },
  { id: 'app', secret: keys.app, subject: 'service:app', scopes: ['*'] }] };

/**
 * @param {{flags?: Flags}} [options]
 * @returns {Promise<{stand: Stand, browser: Browser, publicUrl: string, adminUrl: string}>}
 */
export async function browserStand({ flags = {} } = {}) {
  const console = `${root}/build/console`;
  if (!existsSync(`${console}/index.html`)) throw new Error(`${console} is not built: make console`);
  const dir = mkdtempSync('/tmp/oa-sync-browser-keys-');
  after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(`${dir}/service-keys.json`, JSON.stringify(keyFile), { mode: 0o600 });
  const [stand, browser] = await Promise.all([
    Stand.create({ flags: { 'console-dir': console, 'service-keys': `${dir}/service-keys.json`, 'http-requests-per-second': 0, ...flags } }),
    Browser.start(),
  ]);
  return { stand, browser, publicUrl: stand.fanout.url('http'), adminUrl: stand.fanout.adminUrl() };
}

/** Opens an operators' page and enters a key. @param {Page} page @param {string} url @param {string} [key] */
export async function openAsOperator(page, url, key = keys.operator) {
  await page.goto(url);
  await page.getByLabel('Service key').fill(key);
  await page.getByRole('button', { name: 'Open the console' }).click();
}

/** Summaries of runs 1 … count, in one statement. @param {Stand} stand @param {number} count @param {{first?: number, version?: number, status?: string}} [options] */
export async function writeRuns(stand, count, { first = 1, version = 1, status } = {}) {
  await stand.query(`INSERT INTO runtime.sync_run_summaries (doc_key, doc_version, payload)
    SELECT 'runtime/run_summary:run-' || lpad(i::text, 5, '0'), $3, json_build_object('run_id', 'run-' || lpad(i::text, 5, '0'),
      'status', coalesce($4::text, (ARRAY['running', 'running', 'finished', 'queued', 'failed'])[1 + i % 5]), 'steps', i % 40, 'events', i * 3,
      'runtime_source', json_build_object('entity', 'run', 'run_id', 'run-' || lpad(i::text, 5, '0'), 'seq', i),
      'projected_at', to_char(now() AT TIME ZONE 'UTC' - i * interval '7 seconds', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'projection_version', 3)
    FROM generate_series($1::int, $1::int + $2::int - 1) i
    ON CONFLICT (doc_key) DO UPDATE SET doc_version = excluded.doc_version, payload = excluded.payload`, [first, count, version, status ?? null]);
}

/** Summaries of workers. @param {Stand} stand @param {number} count @param {number} [version] */
export async function writeWorkers(stand, count, version = 1) {
  await stand.query(`INSERT INTO runtime.sync_codex_worker_summaries (doc_key, doc_version, payload)
    SELECT 'runtime/codex_worker_summary:worker-' || i, $2, json_build_object('status', (ARRAY['online', 'busy', 'offline'])[1 + i % 3], 'tasks_done', i * 11,
      'runtime_source', json_build_object('entity', 'codex_worker', 'worker_id', 'worker-' || i, 'seq', i), 'heartbeat_at', now())
    FROM generate_series(1, $1::int) i
    ON CONFLICT (doc_key) DO UPDATE SET doc_version = excluded.doc_version, payload = excluded.payload`, [count, version]);
}

/** Retention as it ends up: events at and below the floor are gone. @param {Stand} stand @param {string} topic @param {number} floor */
export async function raiseFloor(stand, topic, floor) {
  await stand.query(`INSERT INTO runtime.sync_topic_sequences (topic, next_watermark, floor)
      SELECT $1, max(watermark) + 1, $2 FROM runtime.sync_stream_events WHERE topic = $1
      ON CONFLICT (topic) DO UPDATE SET floor = excluded.floor`, [topic, floor]);
  await stand.query('DELETE FROM runtime.sync_stream_events WHERE topic = $1 AND watermark <= $2', [topic, floor]);
}

/** Opens the form for a token where something stored is shown instead. @param {Page} page */
async function openTokenForm(page) {
  const button = page.getByRole('button', { name: 'Enter a token' });
  await button.or(page.getByRole('form', { name: 'Token' })).waitFor();
  if (await button.isVisible()) await button.click();
}

/**
 * Moves the first events of a database, which came before there were partitions, into one: health warns of them.
 * @param {Stand} stand
 */
export async function leaveDefaultPartition(stand) {
  const db = await stand.cluster.connect(stand.database);
  try {
    await db.query(`BEGIN;
      LOCK TABLE runtime.sync_stream_events IN ACCESS EXCLUSIVE MODE;
      CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM runtime.sync_stream_events_default;
      DELETE FROM runtime.sync_stream_events_default;
      SELECT runtime.sync_maintain_partitions();
      INSERT INTO runtime.sync_stream_events SELECT * FROM kept;
      COMMIT`);
  } finally {
    await db.end();
  }
}

/** Pastes a token on the Codex page. @param {Page} page @param {string} token */
export async function pasteToken(page, token) {
  await openTokenForm(page);
  await page.getByLabel('Sync token').fill(token);
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
}

/** The application behind the same address: gives tokens to who asks. Returns how often it was asked. @param {Visit} visit @param {() => string} make */
export async function applicationTokens(visit, make) {
  const asked = { count: 0 };
  await visit.context.route('**/api/token', async (route) => {
    asked.count++;
    await route.fulfill({ json: { token: make() }, headers: { 'cache-control': 'no-store' } });
  });
  return asked;
}

/** Has the Codex page get its tokens from the application. @param {Page} page */
export async function useApplication(page) {
  await openTokenForm(page);
  await page.getByLabel('The application, which gives me one when I am logged in').check();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
}

/** Waits until the service worker has stored the shell and controls the page. @param {Page} page */
export async function shellStored(page) {
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await waitFor(() => page.evaluate(() => navigator.serviceWorker.controller !== null), { what: 'the service worker controls the page' });
}

/** The connection's word on the Codex page. @param {Page} page @param {string | RegExp} word */
export async function connectionIs(page, word) {
  await page.getByRole('region', { name: 'Connection' }).locator('.status').filter({ hasText: word }).waitFor();
}
