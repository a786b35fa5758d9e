// What a run of the oracle did, in a few lines.

/** @param {Record<string, number>} counts */
const list = (counts) => Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, n]) => `${name} ${n}`).join(', ');

/** @template T @param {T[]} all @param {(one: T) => string} name */
function tally(all, name) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const one of all) counts[name(one)] = (counts[name(one)] ?? 0) + 1;
  return counts;
}

/**
 * @param {object} run
 * @param {string} run.seed
 * @param {number} run.seconds
 * @param {import('./evidence.mjs').Evidence} run.evidence
 * @param {import('./transaction.mjs').Transaction[]} run.transactions
 * @param {import('./faults.mjs').Faults} run.faults
 * @param {import('./subscribers.mjs').Subscriber[]} run.subscribers
 */
export function summarize({ seed, seconds, evidence, transactions, faults, subscribers }) {
  const { journal } = evidence;
  const voids = journal.filter((entry) => entry.op === 'void').length;
  const lines = [
    `seed ${seed}, ${seconds} s of faults`,
    `transactions: ${transactions.length} (${list(tally(transactions, (t) => t.outcome))})`,
    `  that failed: ${list(tally(transactions.filter((t) => t.reason), (t) => String(t.reason)))}`,
    `journal: ${journal.length - voids} events and ${voids} voids on ${evidence.heads.length} topics ` +
      `(${list(tally(journal, (entry) => entry.op))})`,
    `faults: ${list(faults.counts)}`,
  ];
  for (const subscriber of subscribers) {
    const { name, count, longestDelayMs, longestSilenceMs } = subscriber;
    lines.push(`subscriber ${name}: ${count} events, ${subscriber.sum((c) => c.opened)} connections, ` +
      `${subscriber.sum((c) => c.duplicates)} duplicates dropped, ${subscriber.sum((c) => c.gaps)} gaps, ` +
      `longest delay ${Math.round(longestDelayMs)} ms, longest silence ${Math.round(longestSilenceMs)} ms, ` +
      `closes ${JSON.stringify(tally(subscriber.clients.flatMap((c) => c.closes), String))}, ` +
      `errors ${JSON.stringify(tally(subscriber.errors, (e) => String(e.code ?? e.reason)))}`);
  }
  const silences = subscribers.flatMap(({ name, silences: all }) => all.map((silence) => `${name} ${silence}`));
  if (silences.length > 0) lines.push(`silences above 2 s: ${silences.length}, such as ${silences.slice(0, 3).join('; ')}`);
  return lines.join('\n');
}
