// Compares what a subscriber got with the journal, event by event.

/** @typedef {import('../test/harness/updates.mjs').Update & {liveSince: number}} Delivery */

/**
 * @param {import('pg').Pool} db a database with track_commit_timestamp on
 * @param {Delivery[]} deliveries in the order of arrival
 * @returns {Promise<{written: number, problems: string[], latencies: number[]}>} latencies: commit to client in
 *   milliseconds, sorted, of events that were committed while their topic was followed
 */
export async function compareWithJournal(db, deliveries) {
  const { rows: journal } = await db.query(`
    SELECT topic, watermark, epoch, doc_key, doc_version, op, encode(payload_hash, 'hex') AS hash,
      extract(epoch FROM pg_xact_commit_timestamp(txid::xid)) * 1000 AS committed_at
    FROM runtime.sync_stream_events WHERE topic NOT LIKE 'oa_sync.%' ORDER BY topic, watermark`);  // those are the server's own
  /** @type {Map<string, Delivery[]>} */
  const byTopic = new Map();
  for (const delivery of deliveries) {
    const list = byTopic.get(delivery.topic);
    if (list) list.push(delivery);
    else byTopic.set(delivery.topic, [delivery]);
  }
  const problems = [];
  const latencies = [];
  let written = 0;
  /** @type {Map<string, {next: number, delivered: number}>} */
  const places = new Map();
  for (const event of journal) {
    const place = places.get(event.topic) ?? { next: 1, delivered: 0 };
    places.set(event.topic, place);
    const where = `${event.topic}@${event.watermark}`;
    if (event.watermark !== place.next) problems.push(`${where}: the journal has a hole, ${place.next} is missing`);
    place.next = event.watermark + 1;
    if (event.op === 'void') continue;
    written++;
    const got = byTopic.get(event.topic)?.[place.delivered++];
    const expected = [event.watermark, event.epoch, event.doc_key, event.doc_version, event.op, event.hash].join(' ');
    const found = got ? [got.watermark, got.epoch, got.docKey, got.docVersion, got.op, got.payloadHash].join(' ') : 'nothing';
    if (expected !== found) problems.push(`${where}: the journal has ${expected}, delivered was ${found}`);
    const committedAt = Number(event.committed_at);
    if (got && committedAt >= got.liveSince) latencies.push(got.receivedAt - committedAt);
  }
  for (const [topic, list] of byTopic) {
    const more = list.length - (places.get(topic)?.delivered ?? 0);
    if (more > 0) problems.push(`${topic}: ${more} events delivered that the journal does not have`);
  }
  return { written, problems, latencies: latencies.sort((a, b) => a - b) };
}

/** @param {number[]} sorted @param {number} share between 0 and 1 @returns {string} with one decimal */
export function percentile(sorted, share) {
  if (sorted.length === 0) return 'none';
  return /** @type {number} */ (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]).toFixed(1);
}
