// The few statistics that the benches report.

/** @param {number[]} values @param {number} fraction 0 to 1 @returns {number} NaN for no values */
export function quantile(values, fraction) {
  if (values.length === 0) return NaN;
  const sorted = Float64Array.from(values).sort();
  return /** @type {number} */ (sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]);
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? /** @type {number} */ (sorted[middle])
    : (/** @type {number} */ (sorted[middle - 1]) + /** @type {number} */ (sorted[middle])) / 2;
}

/**
 * A ratio measured in several rounds: of each round's own pair, then the median.
 * @param {number[]} above @param {number[]} below
 */
export function ratio(above, below) {
  const each = above.map((value, i) => value / /** @type {number} */ (below[i]));
  return { median: median(each), min: Math.min(...each), max: Math.max(...each) };
}
/** @typedef {ReturnType<typeof ratio>} Ratio */

/**
 * The order of a round: there and back again, so that a drift of the machine hits no way more than another.
 * @template T @param {readonly T[]} ways @param {number} round
 */
export const inTurn = (ways, round) => (round % 2 === 0 ? [...ways] : [...ways].reverse());
