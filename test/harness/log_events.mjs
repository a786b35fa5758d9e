// The log events of the fan-out as its source has them: every call of Log… with its event, level and fields.
import { readFileSync, readdirSync } from 'node:fs';
import { root } from './paths.mjs';

/** @typedef {{event: string, level: string, fields: string[], file: string}} LogEvent */

/** The end of the call whose parenthesis opens at `open`. @param {string} text @param {number} open */
function endOfCall(text, open) {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '"') {
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
    } else if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  throw new Error('a call without end');
}

/** @returns {LogEvent[]} */
export function logEvents() {
  const files = readdirSync(`${root}/fanout/src`, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(cpp|h)$/.test(name) && !name.startsWith('base/log.'));
  return files.sort().flatMap((file) => {
    const text = readFileSync(`${root}/fanout/src/${file}`, 'utf8');
    return [...text.matchAll(/\bLog(Debug|Info|Warn|Error|Critical)?\((?=[^)]*")/g)].map((match) => {
      const open = match.index + match[0].length - 1;
      const call = text.slice(open, endOfCall(text, open));
      const [, event = ''] = /"([\w.]+)"/.exec(call) ?? [];
      const fields = [...call.matchAll(/\{\s*"(\w+)"\s*,/g)].map(([, name = '']) => name);
      return { event, level: (match[1] ?? 'info, warn').toLowerCase(), fields, file };
    });
  });
}
