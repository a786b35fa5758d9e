// Each check of the chaos is able to fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentOf } from '../integration/oracle/checks.mjs';
import { checkFollower } from './failover/load.mjs';
import { checkResets } from './oracle/fleeting.mjs';
import { checkVisits } from './oracle/historian.mjs';
import { countDuplicates, countLosses, delays } from './oracle/report.mjs';

/** @param {number} watermark @param {Partial<import('../integration/oracle/evidence.mjs').Entry>} [more] */
const entry = (watermark, more = {}) => /** @type {import('../integration/oracle/evidence.mjs').Entry} */ (
  { topic: 't', watermark, epoch: 7, key: `k${watermark}`, version: 1, op: 'upsert', payload: '1', hash: 'aa', txid: '1', ...more });
const journal = [entry(1), entry(2), entry(3, { op: 'void' }), entry(4)];
/** @param {number[]} watermarks @returns {import('../integration/oracle/checks.mjs').Received[]} */
const came = (...watermarks) => watermarks.map((w) => [w, contentOf(entry(w))]);

test('visits: what follows the cursor, all of it, and nothing else', () => {
  const visit = { topic: 't', after: 1, through: 4 };
  assert.deepEqual(checkVisits(journal, [{ ...visit, received: came(2, 4) }]), []);
  assert.deepEqual(checkVisits(journal, [{ ...visit, through: 3, received: came(2) }]), []);
  for (const received of [came(4), came(2), came(1, 2, 4), came(2, 4, 4), [...came(2), /** @type {[number, string]} */ ([4, 'other'])]]) {
    assert.equal(checkVisits(journal, [{ ...visit, received }]).length, 1, JSON.stringify(received));
  }
});

test('resets: by the floor only, and only below it', () => {
  const floors = new Map([['t', 9]]);
  const reset = { topic: 't', reason: 'retention_floor_breach', after: 3, floor: 5 };
  assert.deepEqual(checkResets('s', [reset], floors), []);
  for (const wrong of [{ ...reset, reason: 'epoch_diverged' }, { ...reset, after: 5 }, { ...reset, floor: 10 }, { ...reset, topic: 'other' }]) {
    assert.equal(checkResets('s', [wrong], floors).length, 1, JSON.stringify(wrong));
  }
});

test('losses, duplicates and delays are counted', () => {
  assert.equal(countLosses(journal, new Map([['t', came(1, 2, 4)]])), 0);
  assert.equal(countLosses(journal, new Map([['t', came(1, 4)]])), 1);
  assert.equal(countLosses(journal, new Map()), 3);
  assert.equal(countDuplicates(new Map([['t', came(1, 2, 2, 4)]])), 1);
  const transactions = /** @type {any[]} */ ([{ label: 'a', outcome: 'committed', endedAt: 100 }, { label: 'b', outcome: 'unknown', endedAt: 1 }]);
  assert.deepEqual(delays(new Map([['a', 130], ['b', 200]]), transactions), [30]);
});

test('a follower over a promotion: told when it saw what is lost, and only then', () => {
  /** @param {number} watermark @param {number} epoch @param {string} [key] */
  const place = (watermark, epoch, key = `k${watermark}`) => ({ topic: 'f.a', watermark, epoch, key, at: 0 });
  const there = [place(1, 1), place(2, 1), place(3, 2, 'new3'), place(4, 2, 'new4')];
  const none = { told: [], reloaded: new Map() };
  const told = { told: [{ topic: 'f.a', reason: 'epoch_diverged' }], reloaded: new Map([['f.a', 3]]) };
  assert.deepEqual(checkFollower('c', { got: there, ...none }, there), { problems: [], lost: 0 });
  assert.deepEqual(checkFollower('c', { got: [place(1, 1), place(2, 1), place(3, 1), place(4, 2, 'new4')], ...told }, there), { problems: [], lost: 1 });
  const wrong = {
    'reset without need': { got: there, ...told },
    'not told': { got: [place(1, 1), place(2, 1), place(3, 1), place(4, 2, 'new4')], ...none },
    'a hole': { got: [place(1, 1), place(3, 2, 'new3'), place(4, 2, 'new4')], ...none },
    'an end that is missing': { got: there.slice(0, 3), ...none },
    'twice': { got: [...there, place(4, 2, 'new4')], ...none },
    'another reason': { got: [place(1, 1), place(2, 1), place(3, 1), place(4, 2, 'new4')], ...told, told: [{ topic: 'f.a', reason: 'retention_floor_breach' }] },
    'a hole after the reload': { got: [place(1, 1), place(2, 1), place(3, 1)], ...told },
    'both histories mixed': { got: [place(1, 1), place(2, 1), place(3, 1), place(3, 2, 'new3'), place(4, 1), place(4, 2, 'new4')], ...told },
  };
  for (const [what, follower] of Object.entries(wrong)) assert.notDeepEqual(checkFollower('c', follower, there).problems, [], what);
});
