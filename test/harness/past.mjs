// Journal partitions of the past, for what looks at the age of events: no test waits for time to pass.

/**
 * Makes a partition of the journal for [fromHours, toHours) ago. Name: sync_stream_events_past_N.
 * @param {(text: string, values?: unknown[]) => Promise<any>} query @param {number} fromHours @param {number} toHours
 * @returns {Promise<string>} its name with its schema
 */
export async function pastPartition(query, fromHours, toHours) {
  const name = `runtime.sync_stream_events_past_${fromHours}`;
  await query(`CREATE TABLE ${name} (LIKE runtime.sync_stream_events INCLUDING ALL)`);
  await query(`CREATE UNIQUE INDEX ON ${name} (topic, watermark)`);
  const bound = (/** @type {number} */ hours) => new Date(Date.now() - hours * 3_600_000).toISOString();
  await query(`ALTER TABLE runtime.sync_stream_events ATTACH PARTITION ${name}
    FOR VALUES FROM ('${bound(fromHours)}') TO ('${bound(toHours)}')`);
  return name;
}

/**
 * Makes a topic's events up to a watermark older than they are.
 * @param {(text: string, values?: unknown[]) => Promise<any>} query
 * @param {string} topic @param {number} through @param {number} hours
 */
export async function age(query, topic, through, hours) {
  await query(`UPDATE runtime.sync_stream_events SET inserted_at = now() - $3 * interval '1 hour'
    WHERE topic = $1 AND watermark <= $2`, [topic, through, hours]);
}
