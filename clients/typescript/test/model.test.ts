// Whatever happens, and in whatever order: documents end up as the table, every watermark is applied once, none is left
// out. Random commands against the real fan-out; two tabs share a store, and die and come back.
//
// OA_SYNC_MODEL_RUNS=500 for a long run, OA_SYNC_MODEL_SEED=n for the same again.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type TabName, World } from './support/model.js';
import { Stand } from './support/stand.js';

const runs = Number(process.env.OA_SYNC_MODEL_RUNS ?? 6);
const seed = Number(process.env.OA_SYNC_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const stand = await Stand.create();

interface Command {
  toString(): string;
  readonly text: string;
  run(world: World): Promise<void> | void;
}

const command = (text: string, run: Command['run']): Command => ({ text, run, toString: () => text });

const tab = fc.constantFrom<TabName>('a', 'b');
const ids = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 });
const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: ids.map((i) => command(`write ${i}`, (w) => w.write(i))) },
  { weight: 3, arbitrary: ids.map((i) => command(`remove ${i}`, (w) => w.remove(i))) },
  { weight: 1, arbitrary: fc.constant(command('truncate', (w) => w.truncate())) },
  { weight: 3, arbitrary: fc.tuple(tab, fc.integer({ min: 0, max: 4 })).map(([t, n]) => command(`cut ${t} after ${n}`, (w) => w.cut(t, n))) },
  { weight: 2, arbitrary: fc.tuple(tab, fc.integer({ min: 0, max: 2 })).map(([t, n]) => command(`kill ${t} commits ${n}`, (w) => w.kill(t, n))) },
  { weight: 3, arbitrary: tab.map((t) => command(`start ${t}`, (w) => w.start(t))) },
  { weight: 1, arbitrary: tab.map((t) => command(`expire ${t}`, (w) => w.expire(t))) },
  { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'stop' as const).map((how) => command(`fan-out ${how}`, (w) => w.stopFanout(how))) },
  { weight: 2, arbitrary: fc.constant(command('fan-out start', (w) => w.startFanout())) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map((p) => command(`purge ${p.toFixed(2)}`, (w) => w.purge(p))) },
  { weight: 2, arbitrary: fc.constant(command('settle', (w) => w.settle())) },
);

test('random commands', async () => {
  console.log(`model: ${runs} runs, OA_SYNC_MODEL_SEED=${seed}`);
  let number = 0;
  await fc.assert(fc.asyncProperty(
    fc.record({ encoding: fc.constantFrom('proto' as const, 'json' as const), pointer: fc.boolean() }),
    fc.array(commands, { minLength: 5, maxLength: 20 }),
    async (kind, list) => {
      const world = await World.create(stand, `${process.pid}_${number++}`, kind);
      try {
        for (const one of list) await one.run(world);
        await world.end();
      } finally {
        await world.abandon();
        await world.startFanout();
      }
    },
  ), { numRuns: runs, seed, endOnFailure: true });
  expect(number).toBeGreaterThanOrEqual(runs);
}, 60_000 + runs * 10_000);
