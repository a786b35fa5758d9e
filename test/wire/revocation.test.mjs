// Revocation: in the database, on every fan-out, at once and for good.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { RawSocket, Stand, waitFor } from '../harness/index.mjs';

const stand = await Stand.create({ flags: { loops: 2 } });
const second = await stand.startFanout({ loops: 1, tail: 'journal' });
await second.ready();
const fanouts = [stand.fanout, second];
for (const fanout of fanouts) {
  await waitFor(async () => (await fanout.metric('oa_sync_revocations_known')) === 1, { what: 'revocations are known' });
}

/** @param {string} kind @param {string[]} values @param {string} [reason] */
const revoke = (kind, values, reason = 'admin_revoked') =>
  stand.query('SELECT runtime.sync_revoke($1, $2, $3)', [kind, values, reason]);

/** The reason of the refusal of a token. @param {string} token @param {import('../harness/fanout.mjs').Fanout} fanout */
async function refusal(token, fanout) {
  try {
    (await RawSocket.connect(`${fanout.socketUrl}/websocket?vsn=2.0.0&token=${token}`)).end();
    return undefined;
  } catch (error) {
    return JSON.parse(/** @type {any} */ (error).body).error.reason;
  }
}

for (const [kind, claim] of [['session', 'oa_session_id'], ['device', 'oa_device_id'], ['jti', 'jti']]) {
  test(`by ${kind}: told why, closed, and refused from then on, on both fan-outs`, async () => {
    const value = randomUUID();
    const token = stand.fanout.token(['*'], { [/** @type {string} */ (claim)]: value });
    const revoked = await Promise.all(fanouts.map((fanout) => stand.raw({ fanout, token })));
    const others = await Promise.all(fanouts.map((fanout) => stand.raw({ fanout })));
    for (const raw of [...revoked, ...others]) await raw.join({ topics: [`revoked.${kind}`] });
    await revoke(/** @type {string} */ (kind), [value], 'device_replaced');
    for (const raw of revoked) {
      const notice = await raw.frame((f) => f[3] === 'sync:error', 'a notice');
      assert.equal(notice[4].code, 'reauth_required');
      assert.equal(notice[4].reason, 'device_replaced');
      assert.equal(await raw.closed(), 1008);
    }
    for (const fanout of fanouts) {
      assert.equal(await refusal(token, fanout), 'token_revoked');
      assert.equal(await fanout.metric('oa_sync_closed_total', '"revoked"') > 0, true);
    }
    await stand.insert(`revoked.${kind}`, 1);
    for (const raw of others) await raw.frame((f) => f[3] === 'sync:update_batch', 'others go on');
  });
}

test('a revocation is there after a restart of the fan-out', async () => {
  const token = second.token(['*'], { oa_session_id: 'kept' });
  await revoke('session', ['kept']);
  await second.stop();
  await second.launch();
  await waitFor(async () => (await refusal(token, second)) === 'token_revoked', { what: 'the revocation is read at the start' });
});

test('what was revoked while a fan-out had lost the database ends its sockets when it is back', async () => {
  const raw = await stand.raw({ fanout: second, token: second.token(['*'], { oa_device_id: 'lost' }) });
  await raw.join({ topics: ['lost.t'] });
  const ended = await stand.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE 'oa-sync-fanout%'`);
  assert.ok(ended.length > 0);
  await revoke('device', ['lost']);
  assert.equal(await raw.closed(), 1008);
});

test('a new token is no way around: of a revoked session, or of another one', async () => {
  const raw = await stand.raw({ token: stand.fanout.token(['*'], { oa_session_id: 'one' }) });
  await raw.join();
  await revoke('jti', ['spent']);
  await waitFor(async () => (await refusal(stand.fanout.token(['*'], { jti: 'spent' }), stand.fanout)) === 'token_revoked',
    { what: 'the revocation is known' });
  for (const [claims, reason] of /** @type {const} */ ([
    [{ oa_session_id: 'two' }, 'claim_mismatch'], [{}, 'claim_mismatch'],
    [{ oa_session_id: 'one', oa_org_id: 'org_2' }, 'claim_mismatch'], [{ oa_session_id: 'one', sub: 'user:2' }, 'claim_mismatch'],
    [{ oa_session_id: 'one', jti: 'spent' }, 'token_revoked']])) {
    const { status, response } = await raw.ask('sync:v1', 'sync:reauthenticate', { token: stand.fanout.token(['*'], claims) });
    assert.deepEqual([status, response.code, response.reason], ['error', 'unauthorized', reason], JSON.stringify(claims));
  }
  const { status } = await raw.ask('sync:v1', 'sync:reauthenticate',
    { token: stand.fanout.token(['*'], { oa_session_id: 'one', oa_device_id: 'new' }) });
  assert.equal(status, 'ok');
  await revoke('device', ['new']);
  assert.equal(await raw.closed(), 1008, 'the new token counts now');
});

test('while nothing is known of revocations, --require-revocations refuses', async () => {
  const strict = await stand.startFanout({ 'require-revocations': 'on', database: 'host=/nowhere dbname=test' });
  assert.equal(await refusal(strict.token(['*']), strict), 'revocations_unknown');
  const lenient = await stand.startFanout({ database: 'host=/nowhere dbname=test' });
  assert.equal(await refusal(lenient.token(['*']), lenient), undefined);
});
