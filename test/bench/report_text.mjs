// Numbers and table rows as the page has them.
import { median } from './statistics.mjs';

export const whole = (/** @type {number} */ n) => Math.round(n).toLocaleString('en-US').replaceAll(',', ' ');
export const ms = (/** @type {number} */ n) => n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0);
export const spread = (/** @type {import('./statistics.mjs').Ratio} */ r, digits = 2) =>
  `${r.median.toFixed(digits)} (${r.min.toFixed(digits)} to ${r.max.toFixed(digits)})`;
export const row = (/** @type {(string | number)[]} */ ...cells) => `| ${cells.join(' | ')} |\n`;
export const reached = (/** @type {boolean} */ yes) => (yes ? 'reached' : '**not reached**');
/** @template T @param {T[]} list @param {(one: T) => number} value */
export const middle = (list, value) => median(list.map(value));
