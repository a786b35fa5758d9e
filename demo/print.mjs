// What the demo shows on the terminal.
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
/** @param {number} code @param {string} text */
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

const opColours = { upsert: 32, delete: 31, truncate: 35 };
/** Lines a second at most; the rest is counted. */
const maxLinesPerSecond = 15;
let second = 0;
let lines = 0;
let skipped = 0;

/** @param {any} payload the few columns that say most */
function brief(payload) {
  if (payload === null) return '';
  const names = ['title', 'kind', 'status', 'run_id', 'tokens', 'cost_usd', 'detail', 'latest_seq'];
  return names.filter((name) => name in payload && payload[name] !== null)
    .map((name) => `${name}=${typeof payload[name] === 'object' ? JSON.stringify(payload[name]) : payload[name]}`).join(' ');
}

/** One arriving update. @param {import('../test/harness/updates.mjs').Update} update @param {boolean} live */
export function printUpdate(update, live) {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    if (skipped > 0) console.log(paint(90, `              … and ${skipped} more in that second`));
    [second, lines, skipped] = [now, 0, 0];
  }
  if (lines++ >= maxLinesPerSecond) {
    skipped++;
    return;
  }
  const time = new Date(update.receivedAt).toISOString().slice(11, 23);
  const mark = live ? ' ' : paint(33, '↺');
  console.log(`${paint(90, time)} ${mark} ${paint(36, update.topic.padEnd(31))}${String(update.watermark).padStart(5)}  ` +
    `${paint(opColours[update.op], update.op.padEnd(8))} ${update.docKey.replace(/^runtime\//, '')}  ${paint(90, brief(update.payload).slice(0, 90))}`);
}

/** Something that the reader should notice. @param {string} text */
export function printNotice(text) {
  console.log(paint(1, `── ${text} ${'─'.repeat(Math.max(3, 100 - text.length))}`));
}

/** @param {[string, string | number][]} rows */
export function printSummary(rows) {
  console.log('');
  for (const [name, value] of rows) console.log(`  ${name.padEnd(34)} ${value}`);
  console.log('');
}
