// Who goes when: the cohorts and limits as the cutover runbook's tables state them, and the flag that turns users' lanes.
import { createHash } from 'node:crypto';
import { textOf } from '../harness/pages.mjs';

export const runbook = 'docs/sync/RUNTIME_CODEX_CUTOVER_RUNBOOK.md';

/** @typedef {{name: string, buckets: number}} Cohort buckets: those below it; 0: the list of staff */
/** @typedef {import('@openagents/sync/lane').LaneMode} LaneMode */

/** The rows of the table below a heading, as cells. @param {string} heading */
function tableBelow(heading) {
  const [, section = ''] = new RegExp(`^## ${heading}\\n([^]*?)(?=^## )`, 'm').exec(textOf(runbook)) ?? [];
  return [...section.matchAll(/^\| `(\w+)` \|(.*)\|$/gm)].map(([, name = '', rest = '']) => [name, ...rest.split('|').map((cell) => cell.trim())]);
}

/** @returns {{cohorts: Cohort[], limits: Record<string, number>}} */
export function readRunbook() {
  const cohorts = tableBelow('Cohorts').map(([name = '', who = '']) => {
    const last = /^buckets 0 to (\d+)$/.exec(who)?.[1];
    if (!last && !who.includes('list')) throw new Error(`${runbook}: cohort ${name} is neither a list nor "buckets 0 to N"`);
    return { name, buckets: last ? Number(last) + 1 : 0 };
  });
  const limits = Object.fromEntries(tableBelow('Gates').map(([name, limit]) => [name, Number(limit)]));
  if (cohorts.length !== 3 || Object.values(limits).some(Number.isNaN)) throw new Error(`${runbook}: its tables can't be read`);
  return { cohorts, limits };
}

/** 0 to 99, for ever the same for a user. @param {string} user */
export const bucketOf = (user) => createHash('sha256').update(`oa-sync-cutover:${user}`).digest().readUInt32BE(0) % 100;

/** The first cohort that has a user. @param {Cohort[]} cohorts @param {string} user */
export function cohortOf(cohorts, user) {
  const found = cohorts.find(({ buckets }) => (buckets === 0 ? user.startsWith('staff-') : bucketOf(user) < buckets));
  if (!found) throw new Error(`${user} is in no cohort`);
  return found.name;
}

/** The flag service: a mode for each cohort, and one switch for all. */
export class Flags {
  /** @type {Map<string, LaneMode>} */
  #modes = new Map();
  #isKilled = false;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /** @param {Cohort[]} cohorts */
  constructor(cohorts) {
    this.cohorts = cohorts;
  }

  /** @param {string} cohort @param {LaneMode} mode */
  set(cohort, mode) {
    this.#modes.set(cohort, mode);
    this.#tell();
  }

  /** `off` for everybody, whatever the cohorts say; `false` gives them back what they had. */
  kill(isKilled = true) {
    this.#isKilled = isKilled;
    this.#tell();
  }

  #tell() {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The flag as a lane takes it. @param {string} user @returns {import('@openagents/sync/lane').LaneFlag} */
  of(user) {
    const cohort = cohortOf(this.cohorts, user);
    return { get: () => (this.#isKilled ? 'off' : this.#modes.get(cohort) ?? 'off'),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      } };
  }
}
