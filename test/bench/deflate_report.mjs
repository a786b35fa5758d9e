// The page's part about permessage-deflate.
import { row, whole } from './report_text.mjs';

/** @typedef {import('./deflate.mjs').DeflateResult} DeflateResult */

/** @param {number | null} level */
const name = (level) => (level === null ? 'off' : `level ${level}`);

/** @param {import('./report.mjs').Raw<DeflateResult>} raw */
export function deflateSection({ result }) {
  let text = `## permessage-deflate

${whole(result.events)} events of about 300 bytes of varied JSON replayed to one client in batches of 200, from memory, and ${result.liveEvents} live events, a message
each, to ${result.subscribers} clients that share the compressed bytes. zlib's time is the server's (\`oa_sync_deflate_seconds_total\`); one run, so the CPU
figures are as good as the clock's ticks.

| encoding | | replay, B an event | of plain JSON | zlib, µs an event | live, B a delivery | zlib, µs an event | CPU, µs a delivery |
|---|---|--:|--:|--:|--:|--:|--:|
`;
  const plain = result.replays.find((one) => one.encoding === 'json' && one.level === null)?.bytes ?? NaN;
  for (const [i, replay] of result.replays.entries()) {
    const live = /** @type {import('./deflate.mjs').Live} */ (result.lives[i]);
    text += row(replay.encoding, name(replay.level), whole(replay.bytes / result.events), (replay.bytes / plain).toFixed(2),
      (replay.deflateSeconds * 1e6 / result.events).toFixed(2), whole(live.bytesEach), live.deflateUsAnEvent.toFixed(0), live.cpuUsEach.toFixed(1));
  }
  return `${text}
`;
}
