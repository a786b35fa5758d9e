// The oracle in a network, its short form: every kind of fault once, in an order that the seed makes.
//
// OA_SYNC_SEED replays a schedule, OA_SYNC_CHAOS_SECONDS sets its length, OA_SYNC_ORACLE_VERBOSE=1 says what happens when.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inside } from './programs.mjs';

const seed = process.env.OA_SYNC_SEED ?? randomBytes(4).toString('hex');

test(`the oracle in a network, OA_SYNC_SEED=${seed}`, { timeout: 900_000 }, async (t) => {
  const { status, output } = await inside(t.signal, 'run_oracle.mjs', '--seed', seed);
  for (const line of output.split('\n')) if (line !== '') t.diagnostic(line);
  assert.equal(status, 0, output.slice(-20_000));
});
