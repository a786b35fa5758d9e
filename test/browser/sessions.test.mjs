// Sessions: who is connected and how far; ending one ends its socket.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/index.mjs';
import { patience } from './browser.mjs';
import { browserStand, keys, openAsOperator } from './stand.mjs';

const { stand, browser, adminUrl } = await browserStand();
const { fanout } = stand;
/** @param {string} subject @param {Record<string, unknown>} [claims] */
const client = async (subject, claims = {}) => {
  const one = stand.client({ topics: ['sessions.a', `sessions.of.${subject}`], token: () => fanout.token(['*'], { sub: subject, ...claims }), params: { client: 'a test' } });
  await one.connect();
  return one;
};
await stand.insert('sessions.a', 4);
const anna = await client('user:anna', { oa_session_id: 'login-anna', oa_device_id: 'phone-anna', oa_org_id: 'org_a' });
const bert = await client('user:bert', { oa_session_id: 'login-bert', oa_org_id: 'org_b' });
await Promise.all([anna.reach('sessions.a', 4), bert.reach('sessions.a', 4)]);

test('who is there, from where, and how far', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/sessions`);
  const grid = page.getByRole('grid', { name: 'Sessions' });
  await page.getByText('2 sessions').waitFor();
  const row = grid.getByRole('row').filter({ hasText: 'user:anna' });
  for (const text of ['org_a', '127.0.0.1', 'a test', 'Live']) await row.getByText(text).first().waitFor();
  await row.click();
  const detail = page.getByRole('region', { name: 'user:anna' });
  for (const text of ['login-anna', 'phone-anna']) await detail.getByText(text).waitFor();
  await detail.getByRole('listitem').filter({ hasText: 'sessions.a' }).getByText('4 of 4').waitFor();
  await visit.picture('sessions');
  await page.getByLabel('Filter').fill('org_b 127.0.0.1');
  await row.waitFor({ state: 'detached' });
  await grid.getByRole('row').filter({ hasText: 'user:bert' }).waitFor();
  await page.getByText('1 match').waitFor();
  await page.getByLabel('Filter').fill('nobody');
  await page.getByText('No session matches').waitFor();
  await page.getByLabel('Filter').fill('');
  await page.getByLabel('Follows the topic').fill('sessions.of.user:anna');
  await page.getByText('1 session', { exact: true }).waitFor();
});

test('a key that may not revoke: nothing happens, and it is said', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/sessions`, keys.watcher);
  await page.getByRole('row').filter({ hasText: 'user:bert' }).click();
  await page.getByRole('button', { name: 'Revoke…' }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.getByText('Nothing was revoked.').waitFor();
  await page.getByText('This key may not do that').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.deepEqual(bert.closes, []);
});

test('revoking ends the socket of the one, with the reason, and not of others', async () => {
  const visit = await browser.visit();
  const { page } = visit;
  await openAsOperator(page, `${adminUrl}/sessions`);
  await page.getByRole('row').filter({ hasText: 'user:anna' }).click();
  await page.getByRole('button', { name: 'Revoke…' }).click();
  const dialog = page.getByRole('dialog', { name: 'End the session of user:anna?' });
  await dialog.getByText('login-anna').waitFor();
  await dialog.getByLabel('Reason, which the client is told').selectOption('security_policy');
  await visit.picture('sessions-revoke');
  await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
  assert.equal((await anna.error('reauth_required', patience)).reason, 'security_policy');
  await waitFor(() => anna.closes.length > 0, { what: 'its socket is closed' });
  assert.equal(anna.closes[0], 1008);
  await page.getByText('Revoked: the login session of user:anna').waitFor();
  await page.getByText('Its socket on this server has ended.').waitFor();
  await visit.picture('sessions-revoked');
  await page.getByRole('row').filter({ hasText: 'user:anna' }).waitFor({ state: 'detached' });
  await page.getByRole('row').filter({ hasText: 'user:bert' }).waitFor();
  assert.deepEqual(bert.closes, []);
});

test('a login with two sockets: the dialog says that both end, also when the list is of one topic only', async () => {
  const both = { oa_session_id: 'login-dora' };
  const dora = await client('user:dora', both);
  const tablet = await client('user:dora.tablet', both);
  const { page } = await browser.visit();
  await openAsOperator(page, `${adminUrl}/sessions?topic=sessions.of.user%3Adora`);
  await page.getByText('1 session', { exact: true }).waitFor();
  await page.getByRole('row').filter({ hasText: 'user:dora' }).click();
  await page.getByRole('button', { name: 'Revoke…' }).click();
  await page.getByText('This ends 2 connected sessions.').waitFor();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.getByText('Its 2 sockets on this server have ended.').waitFor();
  for (const one of [dora, tablet]) assert.equal((await one.error('reauth_required', patience)).reason, 'admin_revoked');
});

test('a token without a session or device: that token can be revoked', async () => {
  const carl = await client('user:carl');
  const { page } = await browser.visit();
  await openAsOperator(page, `${adminUrl}/sessions`);
  await page.getByRole('row').filter({ hasText: 'user:carl' }).click();
  await page.getByRole('button', { name: 'Revoke…' }).click();
  await page.getByText('Only this token').waitFor();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  assert.equal((await carl.error('reauth_required', patience)).reason, 'admin_revoked');
});
