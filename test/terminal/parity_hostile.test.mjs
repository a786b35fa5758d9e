// oa-sync parity and earlier lanes that are slow, huge, broken or hostile: no crash, no false mismatch, and it is said.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { Stand, atExit, waitFor } from '../harness/index.mjs';
import { Authority } from '../harness/certificates.mjs';
import { EarlierServer, audit, found } from './parity_lane.mjs';
import { Run, directory, run } from './program.mjs';

/** @typedef {import('node:http').ServerResponse} Response */

const stand = await Stand.create();
const database = stand.cluster.conninfo(stand.database);
const dir = directory();
const topic = 'p.hostile';
const count = 12;
await stand.insert(topic, count);
const server = await new EarlierServer().start();
for (const { doc_key, doc_version, payload } of await stand.query('SELECT doc_key, doc_version, payload FROM runtime.sync_snapshot($1, 1000)', [topic])) {
  server.documents.set(doc_key, { doc_version, payload });
}
/** @param {string} address @param {Record<string, string | number>} [more] */
const lane = (address, more = {}) => {
  const settings = { topic, adapter: 'http', address, samples: 5000, lag_limit: '300 ms', ...more };
  const names = Object.keys(settings);
  return stand.query(`SELECT runtime.sync_parity_set_lane('hostile', ${names.map((name, i) => `${name} => $${i + 1}`).join(', ')}, enabled => true)`, Object.values(settings));
};
beforeEach(async () => {
  await stand.query('SELECT runtime.sync_parity_drop_lane(name) FROM runtime.sync_parity_lanes');
  server.odd = () => false;
  server.asked = [];
  await lane(server.url);
});

/** One document is answered oddly, the others as they should. @param {(response: Response) => void} answer */
const oddOne = (answer) => {
  server.odd = (url, response) => {
    if (url.searchParams.get('doc_key') !== 'item:7') return false;
    answer(response);
    return true;
  };
};

test('one document that is answered with nonsense is not compared; the others are', async () => {
  const answers = [
    '', 'null', '[]', '"text"', '{', '{}', '{"doc_version":1}', '{"doc_version":-1,"payload":{}}', '{"doc_version":1.5,"payload":{}}',
    '{"doc_version":"x","payload":{}}', '{"doc_version":99999999999999999999,"payload":{}}', '{"doc_version":1,"payload_hash":"00"}',
    '{"doc_version":1,"payload_hash":7}', `{"doc_version":1,"payload_hash":"${'z'.repeat(64)}"}`, '{"doc_version":1,"payload":{},"payload":{}}',
    `{"doc_version":1,"payload":${'['.repeat(5000)}${']'.repeat(5000)}}`, `{"doc_version":1,"payload":${'{"a":'.repeat(200_000)}`,
    Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), '{"doc_version":{"a":1},"payload":1}', '\u0000\u0000',
  ];
  for (const answer of answers) {
    oddOne((response) => response.writeHead(200).end(answer));
    const { code, lane: one, signal, stderr } = await audit(database, []);
    assert.deepEqual([code, signal, one?.checked, one?.mismatched, one?.unanswered], [0, null, count - 1, 0, 1], `${String(answer).slice(0, 60)}: ${stderr}`);
    assert.ok(one.last_unanswered.length > 0);
  }
  for (const status of [100, 204, 206, 301, 302, 400, 418, 429, 500, 503]) {
    oddOne((response) => {
      if (status === 100) response.socket?.end('HTTP/1.1 100 Continue\r\n\r\n');
      else response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end(status === 204 ? undefined : '{"doc_version":1,"payload":{}}');
    });
    const { code, lane: one, stderr } = await audit(database, []);
    assert.deepEqual([code, one?.checked, one?.unanswered], [0, count - 1, 1], `${status}: ${stderr}`);
  }
  for (const status of [404, 410]) {
    oddOne((response) => response.writeHead(status).end('<html>'));
    assert.deepEqual(found((await audit(database, [])).lane), { 'item:7': 'missing earlier oa_sync' });
  }
  oddOne((response) => response.writeHead(200).end('{"deleted":true}'));
  assert.deepEqual(found((await audit(database, [])).lane), { 'item:7': 'missing earlier oa_sync' });
});

test('an answer that is too large, or does not end, or is cut', async () => {
  const odd = [
    (/** @type {Response} */ response) => response.writeHead(200).end(`{"doc_version":1,"payload":"${'x'.repeat(200_000)}"}`),
    (/** @type {Response} */ response) => response.writeHead(200, { 'content-length': 1e15 }).write('{'),
    (/** @type {Response} */ response) => response.socket?.end(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`),
    (/** @type {Response} */ response) => response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"doc'),
    (/** @type {Response} */ response) => response.socket?.end('SSH-2.0-OpenSSH\r\n'),
    (/** @type {Response} */ response) => response.socket?.destroy(),
  ];
  for (const [i, answer] of odd.entries()) {
    oddOne(answer);
    const { code, lane: one, stderr } = await audit(database, ['--max-answer-bytes', '65536', '--earlier-timeout', '5']);
    assert.deepEqual([code, one?.checked, one?.mismatched, one?.unanswered], [0, count - 1, 0, 1], `${i}: ${stderr}`);
  }
});

test('slow answers: one in time is taken, one that is not is none', async () => {
  // Never answered; the others have the same time.
  oddOne((response) => void response.flushHeaders());
  const late = await audit(database, ['--earlier-timeout', '5']);
  assert.deepEqual([late.code, late.lane?.checked, late.lane?.unanswered], [0, count - 1, 1], late.stderr);
  assert.match(late.lane.last_unanswered, /no answer in time/);
  // Drop by drop, and whole in the end.
  oddOne((response) => {
    const body = JSON.stringify(server.documents.get('item:7'));
    let at = 0;
    const drip = setInterval(() => {
      if (at < body.length) response.write(body[at++]);
      else {
        clearInterval(drip);
        response.end();
      }
    }, 5);
  });
  const slow = await audit(database, ['--earlier-timeout', '60']);
  assert.deepEqual([slow.code, slow.lane?.checked, slow.lane?.unanswered], [0, count, 0], slow.stderr);
});

test('nobody there: the audit failed, is recorded as such, and gives up soon', async () => {
  await lane('http://127.0.0.1:9/x');
  const gone = await audit(database, []);
  assert.equal(gone.code, 3);
  assert.match(gone.lane.error, /gave no answer that can be used: Connection refused/);
  assert.deepEqual([gone.lane.checked, gone.lane.mismatched], [0, 0]);
  const [row] = await stand.query('SELECT checked, unanswered, error FROM runtime.sync_parity_audits');
  assert.deepEqual([row.checked, row.unanswered], [0, count]);
  assert.equal((await stand.query('SELECT runtime.sync_parity_rate($1) AS rate', ['hostile']))[0].rate, null);
  // All of them 500: after five in a row it asks no more.
  await lane(server.url);
  server.odd = (_, response) => {
    response.writeHead(500).end();
    return true;
  };
  const broken = await audit(database, []);
  assert.equal(broken.code, 3);
  assert.equal(server.asked.filter((url) => url.searchParams.has('doc_key')).length, 5);
  // More than a tenth without an answer closes the gate, whatever the rest says.
  server.odd = (url, response) => {
    if (!['item:1', 'item:3'].includes(url.searchParams.get('doc_key') ?? '')) return false;
    response.writeHead(500).end();
    return true;
  };
  await stand.query('DELETE FROM runtime.sync_parity_audits');
  assert.equal((await audit(database, [])).code, 0);
  const gate = await run(['parity', 'gate', '--min-samples', '1', '--database', database]);
  assert.deepEqual([gate.code, gate.stdout], [1, `closed: hostile: 2 of ${count} documents were asked for without an answer\n`]);
});

test('a topic whose only document is answered with nonsense does not end the audit of the others', async () => {
  await stand.insert(`${topic}.alone`, 1);
  server.odd = (url, response) => {
    if (url.searchParams.get('topic') === topic) return false;
    response.writeHead(500).end();
    return true;
  };
  await lane(server.url, { topic: `${topic}*` });
  const { code, lane: one, stderr } = await audit(database, []);
  assert.deepEqual([code, one?.error, one?.checked, one?.mismatched, one?.unanswered], [0, undefined, count, 0, 1], stderr);
});

test('lists of strangers: keys that are none, too many, and such as a terminal would obey', async () => {
  /** @param {unknown} body */
  const list = (body) => {
    server.odd = (url, response) => {
      if (url.searchParams.has('doc_key')) return false;
      response.writeHead(200).end(typeof body === 'string' ? body : JSON.stringify(body));
      return true;
    };
  };
  for (const body of ['no', '{}', '[]', { documents: 7 }, { documents: [1, null, {}, { doc_key: 5 }, { doc_key: '' }, { doc_key: 'x'.repeat(5000) }, { doc_key: 'a\u0000b' }] }]) {
    list(body);
    const { code, lane: one, stderr } = await audit(database, []);
    assert.deepEqual([code, one?.checked, one?.mismatched], [0, count, 0], `${JSON.stringify(body).slice(0, 50)}: ${stderr}`);
  }
  await stand.query(`SELECT runtime.sync_parity_set_lane('hostile', samples => 20)`);
  list({ documents: Array.from({ length: 100_000 }, (_, i) => `many:${i}`) });
  const many = await audit(database, []);
  assert.deepEqual([many.code, many.lane?.checked], [0, count], 'keys that neither side has are no documents');
  assert.ok(server.asked.filter((url) => url.searchParams.has('doc_key')).length <= 400);
  const key = 'evil\u001b[2J\u202e"; DROP TABLE app.items; --\n';
  list({ documents: [key] });
  server.documents.set(key, { doc_version: 1, payload: { a: 1 } });
  const evil = await run(['parity', 'audit', '--database', database]);
  server.documents.delete(key);
  assert.equal(evil.code, 0, evil.stderr);
  assert.match(evil.stderr, /reason=missing/);
  assert.ok(!/[\u001b\u202e]/.test(evil.stderr), JSON.stringify(evil.stderr));
  assert.equal(evil.stderr.trim().split('\n').length, 1, 'one line');
  assert.deepEqual((await stand.query('SELECT doc_key FROM runtime.sync_parity_results'))[0].doc_key, key);
});

test('TLS: the certificate has to be believed', async () => {
  const authority = new Authority();
  const { cert, key } = authority.issue('earlier');
  const { createServer: createTls } = await import('node:https');
  const { readFileSync } = await import('node:fs');
  const tls = createTls({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    const document = server.documents.get(new URL(request.url ?? '', 'https://x').searchParams.get('doc_key') ?? '');
    response.writeHead(document ? 200 : 404).end(JSON.stringify(document ?? {}));
  });
  await new Promise((resolve) => tls.listen(0, '127.0.0.1', () => resolve(undefined)));
  tls.unref();
  atExit(() => tls.close());
  await lane(`https://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (tls.address()).port}/earlier`);
  const strange = await audit(database, []);
  assert.equal(strange.code, 3);
  assert.match(strange.lane.error, /TLS|certificate/i);
  const believed = await audit(database, ['--earlier-ca-file', authority.file]);
  assert.deepEqual([believed.code, believed.lane?.checked, believed.lane?.mismatched], [0, count, 0], believed.stderr);
});

test('what can not be done is said, with an exit code of its own', async () => {
  const cases = [
    { args: ['parity'], code: 2, says: /ACTION|action/ },
    { args: ['parity', 'dance', '--database', database], code: 2, says: /action/ },
    { args: ['parity', 'audit'], code: 2, says: /--database/ },
    { args: ['parity', 'run', '--every', '10', '--database', database], code: 2, says: /--every/ },
    { args: ['parity', 'gate', '--window', 'soon', '--database', database], code: 2, says: /--window/ },
    { args: ['parity', 'audit', '--seed', 'x', '--database', database], code: 2, says: /--seed/ },
    { args: ['parity', 'audit', '--lane', 'nobody', '--database', database], code: 2, says: /there is no lane nobody/ },
    { args: ['parity', 'audit', '--database', 'host=/nonexistent dbname=x'], code: 3, says: /the database: / },
    { args: ['parity', 'audit', '--token', 'x', '--database', database], code: 2, says: /--token-file/ },
  ];
  for (const { args, code, says } of cases) {
    const ended = await run(args);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, says);
  }
  const noFile = await audit(database, ['--earlier-token-file', `${dir}/nothing`]);
  assert.equal(noFile.code, 3);
  assert.match(noFile.lane.error, /--earlier-token-file: .*nothing/);
  writeFileSync(`${dir}/bad`, 'two words\n');
  assert.match((await audit(database, ['--earlier-token-file', `${dir}/bad`])).lane.error, /holds no token/);
  await stand.query(`SELECT runtime.sync_parity_set_lane('hostile', enabled => false)`);
  const off = await audit(database, ['--lane', 'hostile']);
  assert.deepEqual([off.code, /is not enabled/.test(off.stderr)], [2, true]);
});

test('SIGTERM ends it in the middle of an audit, and of an answer', async () => {
  server.odd = (url) => url.searchParams.has('doc_key');
  const auditor = new Run(['parity', 'run', '--database', database, '--earlier-timeout', '60']);
  await waitFor(() => server.asked.some((url) => url.searchParams.has('doc_key')), { what: 'it waits for an answer' });
  const { code } = await auditor.kill('SIGTERM');
  assert.equal(code, 0);
  assert.equal((await stand.query('SELECT count(*)::int AS n FROM runtime.sync_parity_audits'))[0].n, 0, 'half an audit is not recorded');
});
