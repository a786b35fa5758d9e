// The service worker: keeps the app's shell, so that the Codex page starts without a network.
//
// It stores the files that the build lists and nothing else: never an answer of /api/, never a token. Those are
// fetched past it. Pages are asked of the server first, so that a new version is there with the next load.

/** The files of the shell and the build's name, by vite.config.ts. */
declare const SHELL: string[];
declare const VERSION: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const cacheName = `oa-sync-shell-${VERSION}`;
/** Where the app's pages are (app.tsx). Whatever else is navigated to is the server's: /readyz, /metrics, what it says to a wrong address. */
const pages = ['/', '/topics', '/topic', '/sessions', '/health', '/codex'];
/** How long a page may take before the stored one is shown. */
const pageTimeoutMs = 4000;

worker.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(cacheName);
    await cache.addAll(SHELL.map((path) => new Request(path, { cache: 'no-cache' })));
  })());
});

worker.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith('oa-sync-shell-') && name !== cacheName) await caches.delete(name);
    }
    await worker.clients.claim();
  })());
});

/** The page itself: the server's if it answers in time, else the stored one. */
async function page(request: Request): Promise<Response> {
  const stored = async () => await (await caches.open(cacheName)).match('/');
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), pageTimeoutMs));
  const fetched = fetch(request);
  try {
    const response = await Promise.race([fetched, late]);
    // A proxy that answers for a server that is away is no server either.
    if (response && response.status < 500) return response;
    return (await stored()) ?? response ?? await fetched;
  } catch (error) {
    const response = await stored();
    if (response) return response;
    throw error;
  }
}

worker.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== worker.location.origin) return;
  // What is not of the shell is none of ours: the browser fetches it as if there were no worker.
  if (event.request.mode === 'navigate') {
    if (pages.includes(url.pathname.replace(/(.)\/+$/, '$1'))) event.respondWith(page(event.request));
    return;
  }
  if (!SHELL.includes(url.pathname)) return;
  event.respondWith((async () => (await (await caches.open(cacheName)).match(url.pathname)) ?? await fetch(event.request))());
});
