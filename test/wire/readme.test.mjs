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
  assert.ok(code.includes(address) && code.includes('`http://localhost:4400/'));
  const script = `import WebSocket from 'ws';
    export const applied = [];
    export const forgotten = [];
    const apply = (update) => applied.push(update);
    const forget = (topic) => forgotten.push(topic);
    const token = ${JSON.stringify(token)};
    ${code.replace('`http://localhost:4400/', `\`${stand.fanout.url('http', '/')}`).replace(address, `'${stand.fanout.socketUrl}', { params: { token }, transport: WebSocket }`)}
    export { socket, channel, cursors };`;
  mkdirSync(`${root}/build`, { recursive: true });
  const file = `${root}/build/readme_example.mjs`;
  writeFileSync(file, script);
  const { applied, forgotten, socket, channel, cursors } = await import(file);
  try {
    await waitFor(() => applied.length === 2, { what: 'the two orders of shop 7' });
    await stand.query('DELETE FROM orders WHERE id = 1');
    await waitFor(() => applied.length === 3, { what: 'the deletion' });
    assert.deepEqual(applied.map((/** @type {any} */ u) => [u.watermark, u.op, u.doc_key]),
      [[1, 'upsert', 'order:1'], [2, 'upsert', 'order:3'], [3, 'delete', 'order:1']]);
    const topic = 'shop:7:orders';
    const { epoch } = cursors.get(topic);
    assert.deepEqual([...cursors.values()], [{ topic, watermark: 3, epoch }]);

    // A cursor of another history, refused by a push: everything comes afresh.
    channel.push('sync:subscribe', { topics: [topic], resume_after: [{ topic, watermark: 3, epoch: epoch + 1 }] });
    await waitFor(() => applied.length === 4, { what: 'the document that there is' });
    await stand.query('UPDATE orders SET total = 3 WHERE id = 3');
    await waitFor(() => applied.length === 5, { what: 'what happens afterwards' });
    assert.deepEqual(forgotten, [topic]);
    assert.deepEqual([...cursors.values()], [{ topic, watermark: 4, epoch }]);
    // And one refused in the reply to a join.
    cursors.get(topic).watermark = 99;
    await new Promise((resolve) => { socket.disconnect(() => resolve(undefined)); });
    socket.connect();
    await waitFor(() => applied.length === 6, { what: 'the document after the stale join' });
    assert.deepEqual(applied.slice(3).map((/** @type {any} */ d) => [d.op, d.doc_key, d.payload.total]),
      [['upsert', 'order:3', 2], ['upsert', 'order:3', 3], ['upsert', 'order:3', 3]]);
    assert.deepEqual(forgotten, [topic, topic]);
    assert.deepEqual([...cursors.values()], [{ topic, watermark: 4, epoch }]);
  } finally {
    socket.disconnect();
  }
});
