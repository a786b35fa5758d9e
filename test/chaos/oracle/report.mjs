// What a run did and found, as facts and as text.
import { groupBy } from '../../integration/oracle/checks.mjs';

/** @typedef {import('../../integration/oracle/checks.mjs').Received} Received */
/**
 * @typedef {object} Facts
 * @property {string} seed
 * @property {number} seconds
 * @property {{total: number, outcomes: Record<string, number>, kinds: Record<string, number>, reasons: Record<string, number>}} transactions
 * @property {{events: number, voids: number, topics: number, operations: Record<string, number>}} journal
 * @property {Record<string, number>} faults
 * @property {number} delivered
 * @property {number} losses events that a subscriber which stayed did not get
 * @property {number} duplicates events that got past a client twice
 * @property {number} dropped events that came again and that clients dropped
 * @property {{illegitimate: number, retention: number, snapshots: number, wrongCursors: Record<string, number>}} resets
 * @property {number} visits of subscribers with old cursors
 * @property {number} refusedWrites
 * @property {{memoryKb: number, windowEvents: number, slots: number}} most
 * @property {{name: string, events: number, connections: number, medianMs: number, p99Ms: number, longestMs: number}[]} subscribers those that were there throughout
 */
/** @typedef {{problems: string[], facts: Facts, summary: string}} Outcome */

/** Who comes when all is over, and gets everything from the floor. */
export const lateName = 'late/json';

/** @template T @param {T[]} all @param {(one: T) => string} name */
function tally(all, name) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const one of all) counts[name(one)] = (counts[name(one)] ?? 0) + 1;
  return counts;
}

/** @param {Record<string, number>} counts */
export const list = (counts) => Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, n]) => `${name} ${n}`).join(', ');

/** Events of the journal that are not among what came. @param {import('../../integration/oracle/evidence.mjs').Entry[]} journal @param {Map<string, Received[]>} received */
export function countLosses(journal, received) {
  let losses = 0;
  for (const [topic, entries] of groupBy(journal.filter(({ op }) => op !== 'void'), (entry) => entry.topic)) {
    const came = new Set((received.get(topic) ?? []).map(([watermark]) => watermark));
    losses += entries.filter(({ watermark }) => !came.has(watermark)).length;
  }
  return losses;
}

/** Events that were applied twice. @param {Map<string, Received[]>} received */
export function countDuplicates(received) {
  return [...received.values()].reduce((sum, all) => sum + all.length - new Set(all.map(([watermark]) => watermark)).size, 0);
}

/** From the acknowledgement of each commit to its arrival, milliseconds, sorted. @param {Map<string, number>} marks @param {import('../../integration/oracle/transaction.mjs').Transaction[]} transactions */
export function delays(marks, transactions) {
  return transactions.filter(({ outcome }) => outcome === 'committed').flatMap(({ label, endedAt }) => {
    const at = marks.get(label);
    return at === undefined ? [] : [Math.max(0, at - endedAt)];
  }).sort((a, b) => a - b);
}

/**
 * @param {object} run
 * @param {string} run.seed @param {number} run.seconds
 * @param {import('../../integration/oracle/evidence.mjs').Evidence} run.evidence
 * @param {import('../../integration/oracle/transaction.mjs').Transaction[]} run.transactions
 * @param {import('./faults.mjs').ChaosFaults[]} run.lanes
 * @param {import('./subscribers.mjs').Habitual[]} run.holders
 * @param {import('./fleeting.mjs').FleetingSubscriber[]} run.fleet
 * @param {import('./historian.mjs').Historian} run.historian
 * @param {import('./intruder.mjs').Intruder} run.intruder
 * @param {import('./watch.mjs').Watch} run.watch
 * @param {string[]} run.problems
 * @returns {Outcome}
 */
export function report({ seed, seconds, evidence, transactions, lanes, holders, fleet, historian, intruder, watch, problems }) {
  const { journal } = evidence;
  const voids = journal.filter(({ op }) => op === 'void').length;
  /** @type {Facts} */
  const facts = {
    seed, seconds,
    transactions: { total: transactions.length, outcomes: tally(transactions, (t) => t.outcome), kinds: tally(transactions, (t) => t.kind),
      reasons: tally(transactions.filter((t) => t.reason), (t) => String(t.reason)) },
    journal: { events: journal.length - voids, voids, topics: evidence.heads.length, operations: tally(journal, ({ op }) => op) },
    faults: { ...lanes[0]?.counts, ...lanes[1]?.counts, tokensExpired: holders.flatMap(({ errors }) => errors).filter(({ code }) => code === 'token_expired').length },
    delivered: holders.reduce((sum, { count }) => sum + count, 0),
    losses: holders.reduce((sum, { received }) => sum + countLosses(journal, received), 0),
    duplicates: holders.reduce((sum, { received }) => sum + countDuplicates(received), 0),
    dropped: holders.reduce((sum, holder) => sum + holder.sum((client) => client.duplicates), 0),
    resets: { illegitimate: problems.filter((problem) => /stale|reset/.test(problem)).length, retention: fleet.reduce((sum, { resets }) => sum + resets.length, 0),
      snapshots: fleet.reduce((sum, { snapshots }) => sum + snapshots, 0), wrongCursors: historian.refusals },
    visits: historian.visits.length,
    refusedWrites: intruder.refused,
    most: { memoryKb: watch.mostMemoryKb, windowEvents: watch.mostWindowEvents, slots: watch.mostSlots },
    subscribers: holders.filter(({ name }) => name !== lateName).map((holder) => {
      const all = delays(holder.marks, transactions);
      const at = (/** @type {number} */ share) => Math.round(all[Math.min(all.length - 1, Math.floor(all.length * share))] ?? 0);
      return { name: holder.name, events: holder.count, connections: holder.sum((client) => client.opened), medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
    }),
  };
  return { problems, facts, summary: text(facts) };
}

/** @param {Facts} f */
export function text(f) {
  return [
    `seed ${f.seed}, ${f.seconds} s of faults`,
    `transactions: ${f.transactions.total} (${list(f.transactions.outcomes)}); kinds: ${list(f.transactions.kinds)}`,
    `  that failed: ${list(f.transactions.reasons)}`,
    `journal: ${f.journal.events} events and ${f.journal.voids} voids on ${f.journal.topics} topics (${list(f.journal.operations)})`,
    `faults: ${Object.values(f.faults).reduce((sum, n) => sum + n, 0)} (${list(f.faults)})`,
    `delivered: ${f.delivered} events; lost ${f.losses}; twice past a client ${f.duplicates}; came again and were dropped by clients ${f.dropped}`,
    `resets: without need ${f.resets.illegitimate}; by retention ${f.resets.retention}, with ${f.resets.snapshots} snapshots loaded; cursors nobody gave out ${list(f.resets.wrongCursors)}`,
    `old cursors: ${f.visits} resumed; writes over WebSockets refused: ${f.refusedWrites}`,
    `most: ${f.most.memoryKb} kB of a fan-out, ${f.most.windowEvents} events in windows, ${f.most.slots} slots`,
    ...f.subscribers.map((s) => `subscriber ${s.name}: ${s.events} events, ${s.connections} connections, commit to client ${s.medianMs} ms median, ` +
      `${s.p99Ms} ms p99, longest stall ${s.longestMs} ms`),
  ].join('\n');
}
