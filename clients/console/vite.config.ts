// The console's build: content-hashed files in build/console, nothing inline, and a service worker that knows them.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, transformWithEsbuild, type Plugin } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));

/**
 * Writes /sw.js: src/sw.ts with the list of the files that make up the app's shell in front. The earlier source of the
 * lane is not in it: a page whose lane is on never loads it, not even to store it.
 */
function serviceWorker(): Plugin {
  return {
    name: 'oa-sync-service-worker',
    async generateBundle(_options, bundle) {
      const assets = Object.keys(bundle).filter((name) => name.startsWith('assets/') && !name.includes('earlier'));
      const icons = readdirSync(`${here}public/icons`).map((name) => `icons/${name}`);
      const shell = ['/', '/manifest.webmanifest', ...[...icons, ...assets].sort().map((name) => `/${name}`)];
      const source = readFileSync(`${here}src/sw.ts`, 'utf8');
      const version = createHash('sha256').update(JSON.stringify(shell)).update(source)
        .update(readFileSync(`${here}index.html`)).update(readFileSync(`${here}public/manifest.webmanifest`)).digest('hex').slice(0, 16);
      const { code } = await transformWithEsbuild(source, 'sw.ts', { target: 'es2022',
        define: { SHELL: JSON.stringify(shell), VERSION: JSON.stringify(version) } });
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: code });
    },
  };
}

const { version } = JSON.parse(readFileSync(`${here}package.json`, 'utf8')) as { version: string };

export default defineConfig({
  root: here,
  define: { CONSOLE_VERSION: JSON.stringify(version) },
  esbuild: { jsx: 'automatic', legalComments: 'none' },
  plugins: [serviceWorker()],
  build: {
    outDir: '../../build/console',
    emptyOutDir: true,
    target: 'es2022',
    // A data: URL or an inline polyfill would need a weaker content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
