// A standby is promoted while clients are attached; two fan-outs behind haproxy are restarted one after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inside } from './programs.mjs';

for (const [kind, what] of [
  ['async/kill', 'a primary that dies, and a standby that lacks its last commits'],
  ['sync/cut', 'a primary that vanishes from the network and comes back, and a standby that has everything'],
  ['rolling', 'a rolling restart behind haproxy'],
]) {
  test(`${kind}: ${what}`, { timeout: 400_000 }, async (t) => {
    const { status, output } = await inside(t.signal, 'run_failover.mjs', '--only', String(kind));
    for (const line of output.split('\n')) if (line !== '') t.diagnostic(line);
    assert.equal(status, 0, output.slice(-20_000));
  });
}
