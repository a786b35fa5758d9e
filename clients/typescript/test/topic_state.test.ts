// The state of a topic by itself: no gap is passed, nothing is applied twice, older states never take a newer one's place.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HeldDocument, type Hydrated, TopicState } from '../src/topic_state.js';
import { hashOf, nullHash } from '../src/hash.js';
import { type WireBatch, type WireUpdate } from '../src/wire.js';

const make = (document: HeldDocument): HeldDocument => document;
const stateAt = (watermark: number, epoch = 1): TopicState => {
  const state = new TopicState(true, make);
  state.accepted({ epoch, watermark }, watermark);
  return state;
};

function update(watermark: number, more: Partial<WireUpdate> = {}): WireUpdate {
  const op = more.op ?? 'upsert';
  const text = more.hydrationRequired || op !== 'upsert' ? null : `"${watermark}"`;
  return { docKey: 'k', docVersion: watermark, op, text, payloadHash: text === null ? nullHash : hashOf(text), watermark, epoch: 1,
    hydrationRequired: false, insertedAt: watermark, ...more };
}

const batch = (after: number, through: number, updates: WireUpdate[]): WireBatch =>
  ({ topic: 't', after, through, updates, replayComplete: true, heads: [{ topic: 't', watermark: through }] });

const texts = (state: TopicState): Record<string, string> =>
  Object.fromEntries([...state.documents].map(([key, { text }]) => [key, text]));

test('a batch at the cursor is applied; the cursor covers voids too', () => {
  const state = stateAt(3);
  const { updates, changed } = state.apply(batch(3, 9, [update(5), update(7)]));
  expect(updates.map((u) => u.watermark)).toEqual([5, 7]);
  expect([...changed]).toEqual(['k']);
  expect(state.cursor).toEqual({ epoch: 1, watermark: 9 });
});

test('a gap changes nothing; what was applied is dropped; what overlaps is applied once', () => {
  const state = stateAt(3);
  expect(state.judge(batch(4, 5, [update(5)]))).toBe('gap');
  expect(() => state.apply(batch(4, 5, [update(5)]))).toThrow();
  expect(state.cursor?.watermark).toBe(3);
  expect(state.judge(batch(0, 3, [update(2)]))).toBe('duplicate');
  expect(state.judge(batch(1, 3, [update(3)]))).toBe('duplicate');
  const overlapping = batch(1, 6, [update(2), update(3), update(5)]);
  expect(state.judge(overlapping)).toBe('apply');
  expect(state.apply(overlapping).updates.map((u) => u.watermark)).toEqual([5]);
});

test('without a cursor there is nothing to apply to', () => {
  expect(new TopicState(true, make).judge(batch(0, 1, [update(1)]))).toBe('gap');
});

test('an older version is ignored, and the watermark advances', () => {
  const state = stateAt(0);
  state.apply(batch(0, 1, [update(1, { docVersion: 9 })]));
  const { changed, updates } = state.apply(batch(1, 2, [update(2, { docVersion: 8 })]));
  expect([changed.size, updates.length]).toEqual([0, 1]);
  expect(texts(state)).toEqual({ k: '"1"' });
  expect(state.cursor?.watermark).toBe(2);
  state.apply(batch(2, 3, [update(3, { op: 'delete', docVersion: 8 })]));
  expect(texts(state), 'an older delete').toEqual({ k: '"1"' });
  state.apply(batch(3, 4, [update(4, { docVersion: 9 })]));
  expect(texts(state), 'the same version with another content').toEqual({ k: '"4"' });
});

test('a document that was deleted may begin at version 1 again', () => {
  const state = stateAt(0);
  state.apply(batch(0, 3, [update(1, { docVersion: 7 }), update(2, { op: 'delete', docVersion: 7 }), update(3, { docVersion: 1 })]));
  expect(texts(state)).toEqual({ k: '"3"' });
});

test('versions beyond 2^53 are ordered', () => {
  const state = stateAt(0);
  state.apply(batch(0, 1, [update(1, { docVersion: 9007199254740993n })]));
  state.apply(batch(1, 2, [update(2, { docVersion: 9007199254740992n })]));
  state.apply(batch(2, 3, [update(3, { docVersion: 5 })]));
  expect(texts(state)).toEqual({ k: '"1"' });
  state.apply(batch(3, 4, [update(4, { docVersion: 9007199254740994n })]));
  expect(texts(state)).toEqual({ k: '"4"' });
});

test('truncate takes what begins with its key', () => {
  const state = stateAt(0);
  state.apply(batch(0, 3, [update(1, { docKey: 'item:1' }), update(2, { docKey: 'item:2' }), update(3, { docKey: 'other:1' })]));
  const { changed, truncated } = state.apply(batch(3, 5, [update(4, { op: 'truncate', docKey: 'item:' }), update(5, { docKey: 'item:1' })]));
  expect([...changed].sort()).toEqual(['item:1', 'item:2']);
  expect(truncated).toBe(true);
  expect(Object.keys(texts(state)).sort()).toEqual(['item:1', 'other:1']);
});

test('a document that was fetched in a later state is not taken back by the events between', () => {
  const state = stateAt(0);
  const later: Hydrated = { watermark: 4, document: { docVersion: 1, text: '"later"', payloadHash: hashOf('"later"') } };
  state.apply(batch(0, 1, [update(1, { hydrationRequired: true, docVersion: 5 })]), new Map([[1, later]]));
  expect(texts(state)).toEqual({ k: '"later"' });
  // It was deleted at 3 and made again at 4.
  state.apply(batch(1, 3, [update(2, { docVersion: 6 }), update(3, { op: 'delete', docVersion: 6 })]));
  expect(texts(state)).toEqual({ k: '"later"' });
  state.apply(batch(3, 4, [update(4, { docVersion: 1 })]));
  expect(texts(state)).toEqual({ k: '"later"' });
  state.apply(batch(4, 5, [update(5, { docVersion: 2 })]));
  expect(texts(state)).toEqual({ k: '"5"' });
});

test('a document that was gone when it was fetched is gone, but spoken of', () => {
  const state = stateAt(0);
  const { touched } = state.apply(batch(0, 1, [update(1, { hydrationRequired: true })]), new Map([[1, { watermark: 2, document: null }]]));
  expect(state.documents.size).toBe(0);
  expect([...touched]).toEqual(['k']);
});

test('the epoch grows with what is accepted and applied, and never shrinks', () => {
  const state = stateAt(5, 10);
  state.apply(batch(5, 6, [update(6, { epoch: 9 })]));
  expect(state.cursor).toEqual({ epoch: 10, watermark: 6 });
  state.apply(batch(6, 7, [update(7, { epoch: 11 })]));
  expect(state.cursor?.epoch).toBe(11);
  state.accepted({ epoch: 2n ** 60n, watermark: 7 }, 7);
  expect(state.cursor?.epoch).toBe(2n ** 60n);
});

test('without documents there is a cursor only', () => {
  const state = new TopicState(false, make);
  state.accepted({ epoch: 1, watermark: 0 }, 1);
  expect(state.apply(batch(0, 1, [update(1)])).updates).toHaveLength(1);
  expect(state.documents.size).toBe(0);
  expect(state.cursor?.watermark).toBe(1);
});

test('however a history is cut into batches, repeated and reordered: applied once each, and never past a gap', () => {
  // A history: which watermarks are events, of what. A delivery: intervals of it, any.
  const history = fc.array(fc.record({ isVoid: fc.boolean(), key: fc.constantFrom('a', 'b', 'c'), op: fc.constantFrom('upsert' as const, 'delete' as const) }),
    { minLength: 1, maxLength: 30 });
  const intervals = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 40 });
  fc.assert(fc.property(history, intervals, (events, deliveries) => {
    const all = events.flatMap((event, i) => (event.isVoid ? [] : [update(i + 1, { docKey: event.key, op: event.op,
      ...(event.op === 'delete' ? { text: null, payloadHash: nullHash } : {}) })]));
    const state = stateAt(0);
    const applied: number[] = [];
    const deliver = (after: number, through: number): void => {
      const updates = all.filter((u) => u.watermark > after && u.watermark <= through);
      if (through <= after || updates.length === 0) return;
      const one = batch(after, through, updates);
      const before = state.cursor!.watermark;
      const verdict = state.judge(one);
      expect(verdict).toBe(after > before ? 'gap' : through <= before ? 'duplicate' : 'apply');
      if (verdict === 'apply') applied.push(...state.apply(one).updates.map((u) => u.watermark));
      else expect(state.cursor!.watermark).toBe(before);
    };
    for (const [from, to] of deliveries) deliver(Math.min(from, events.length), Math.min(to, events.length));
    // What a resubscribe from the cursor brings.
    deliver(state.cursor!.watermark, events.length);
    expect(applied).toEqual(all.map((u) => u.watermark).filter((w) => w <= state.cursor!.watermark));
    if (all.length > 0) expect(state.cursor!.watermark).toBeGreaterThanOrEqual(all.at(-1)!.watermark);
    const expected = new Map<string, string>();
    for (const u of all) u.op === 'delete' ? expected.delete(u.docKey) : expected.set(u.docKey, u.text!);
    expect(new Map([...state.documents].map(([key, { text }]) => [key, text]))).toEqual(expected);
  }), { numRuns: 300 });
});
