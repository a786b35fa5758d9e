// What the browser tests stand on: Debian's Chromium, pages that report what they must not do, and checks of any page.
import { mkdirSync } from 'node:fs';
import { after, afterEach } from 'node:test';
import { chromium } from 'playwright-core';
import { root } from '../harness/index.mjs';
import { contrastProblems, structureProblems } from './page_checks.mjs';

// Requests of the service worker are in the log too.
process.env.PW_EXPERIMENTAL_SERVICE_WORKER_NETWORK_EVENTS = '1';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').BrowserContextOptions} ContextOptions */

/** Where screenshots are left. */
export const pictures = `${root}/build/browser`;
mkdirSync(pictures, { recursive: true });

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
  // Nothing but this machine can be reached, whatever a page tries.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'];

/** How long a condition of a page may take, on a busy machine. */
export const patience = 30_000;

export class Browser {
  /** @type {import('playwright-core').BrowserContext[]} */
  #contexts = [];
  /** What no page may do, as it was seen. @type {string[]} */
  #wrong = [];

  /** Use Browser.start. @param {import('playwright-core').Browser} browser */
  constructor(browser) {
    this.browser = browser;
  }

  /** Starts Chromium; it ends after the file's tests, and fails them when a page did what it must not. */
  static async start() {
    const browser = new Browser(await chromium.launch({ executablePath: '/usr/bin/chromium', args, headless: true, timeout: 3 * patience }));
    afterEach(() => browser.closeVisits());
    after(() => browser.stop());
    return browser;
  }

  /** Ends what a test opened, also one that failed: the next one finds no connections of others. */
  async closeVisits() {
    for (const context of this.#contexts.splice(0)) await context.close();
  }

  async stop() {
    try {
      this.assertClean();
    } finally {
      await this.browser.close();
    }
  }

  /** Throws when a page broke its security policy, asked a third party, or threw. */
  assertClean() {
    if (this.#wrong.length > 0) throw new Error(`pages did what they must not:\n${[...new Set(this.#wrong)].slice(0, 10).join('\n')}`);
  }

  /**
   * A page in a context of its own (its own storage, its own service worker).
   * @param {ContextOptions} [options]
   * @returns {Promise<Visit>}
   */
  async visit(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 860 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(patience);
    this.#contexts.push(context);
    const visit = new Visit(context, this.#wrong);
    await visit.begin();
    return visit;
  }
}

/** One person's browser window, with a log of what it asked for. */
export class Visit {
  /** Every URL that was asked for, the service worker's too. @type {string[]} */
  requests = [];
  /** URLs of WebSockets that were opened. @type {string[]} */
  sockets = [];
  /** @type {string[]} */
  #wrong;

  /** @param {import('playwright-core').BrowserContext} context @param {string[]} wrong */
  constructor(context, wrong) {
    this.context = context;
    this.#wrong = wrong;
    /** @type {Page} */
    this.page = /** @type {any} */ (undefined);
  }

  async begin() {
    this.context.on('request', (request) => {
      this.requests.push(request.url());
      const url = new URL(request.url());
      if (!['127.0.0.1', 'localhost'].includes(url.hostname) && !['data:', 'blob:'].includes(url.protocol)) this.#wrong.push(`a request to a third party: ${request.url()}`);
    });
    await this.context.exposeBinding('reportViolation', (_source, what) => void this.#wrong.push(`against the security policy: ${what}`));
    await this.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) =>
        /** @type {any} */ (window).reportViolation(`${event.violatedDirective} ${event.blockedURI} in ${location.pathname}`));
    });
    this.page = await this.open();
  }

  /** One more tab. */
  async open() {
    const page = await this.context.newPage();
    page.on('websocket', (socket) => void this.sockets.push(socket.url()));
    page.on('pageerror', (error) => void this.#wrong.push(`an error in the page: ${error.stack ?? error}`));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) this.#wrong.push(message.text());
    });
    return page;
  }

  async close() {
    await this.context.close();
  }

  /** Leaves a screenshot, after what any page has to be: accessible by the checks of page_checks.mjs. @param {string} name @param {{fullPage?: boolean}} [options] */
  async picture(name, { fullPage = false } = {}) {
    await this.check(name);
    await this.page.screenshot({ path: `${pictures}/${name}.png`, fullPage });
  }

  /** Throws with everything that is wrong with the page as it is now. @param {string} name */
  async check(name) {
    const problems = [...await this.page.evaluate(structureProblems), ...await this.page.evaluate(contrastProblems)];
    if (problems.length > 0) throw new Error(`${name} (${this.page.url()}):\n${problems.join('\n')}`);
  }
}
