// The README's client code, run as it is printed there (with another address and token).
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Stand, root, waitFor } from '../harness/index.mjs';

const stand = await Stand.create();
const readme = readFileSync(`${root}/README.md`, 'utf8');

/** The first code block in a language that contains a text. @param {string} language @param {string} text */
function block(language, text) {
  for (const [, body = ''] of readme.matchAll(new RegExp(`^ *\`\`\`${language}\\n([^]*?)^ *\`\`\``, 'gm'))) {
    if (body.includes(text)) return body;
  }
  assert.fail(`the README has no ${language} block with ${text}`);
}

test('the five steps, from sync_publish to apply', async () => {
  await stand.query('CREATE TABLE orders (id int PRIMARY KEY, shop_id int NOT NULL, total numeric)');
  stand.cluster.psql(stand.database, block('sql', 'sync_publish').replace('CREATE EXTENSION oa_sync;', ''));
  await stand.query('INSERT INTO orders VALUES (1, 7, 10.50), (2, 8, 1), (3, 7, 2)');

  // The claims of the README are those of a token that the server takes.
  const claims = JSON.parse(block('json', 'oa_sync_scopes'));
  const seconds = Math.floor(Date.now() / 1000);
  const token = stand.fanout.token(claims.oa_sync_scopes, { ...claims, iat: seconds, nbf: seconds, exp: seconds + 300 });

  const address = `'ws://localhost:4400/socket', { params: { token } }`;
  const code = block('js', 'phoenix');
  assert.ok(code.includes(address));
  const script = `import WebSocket from 'ws';
    export const applied = [];
    const apply = (update) => applied.push(update);
    const token = ${JSON.stringify(token)};
    ${code.replace(address, `'${stand.fanout.socketUrl}', { params: { token }, transport: WebSocket }`)}
    export { socket, cursors };`;
  mkdirSync(`${root}/build`, { recursive: true });
  const file = `${root}/build/readme_example.mjs`;
  writeFileSync(file, script);
  const { applied, socket, cursors } = await import(file);
  try {
    await waitFor(() => applied.length === 2, { what: 'the two orders of shop 7' });
    await stand.query('DELETE FROM orders WHERE id = 1');
    await waitFor(() => applied.length === 3, { what: 'the deletion' });
    assert.deepEqual(applied.map((/** @type {any} */ u) => [u.watermark, u.op, u.doc_key]),
      [[1, 'upsert', 'order:1'], [2, 'upsert', 'order:3'], [3, 'delete', 'order:1']]);
    assert.deepEqual(cursors, { 'shop:7:orders': 3 });
  } finally {
    socket.disconnect();
  }
});
