// What arrives in an update batch, in one shape for both encodings, and the check of its payload hash.
import { fromBinary } from '@bufbuild/protobuf';
import { SyncOp, UpdateBatchSchema } from '../../build/proto-es/openagents/sync/v1/sync_pb.js';
import { canonicalJson, nullHash, parseExact, sha256 } from './canonical.mjs';

/**
 * @typedef {object} Update
 * @property {string} topic
 * @property {number} watermark
 * @property {number} epoch
 * @property {string} docKey
 * @property {number} docVersion
 * @property {'upsert' | 'delete' | 'truncate'} op
 * @property {any} payload parsed; null when there is none
 * @property {string} payloadHash hex
 * @property {boolean} hydrationRequired
 * @property {number} insertedAtUs microseconds since 1970
 * @property {string} [traceparent] where there is one
 * @property {number} receivedAt milliseconds since 1970, with fractions, at the client
 */
/**
 * @typedef {object} Batch
 * @property {string} topic
 * @property {number} after
 * @property {number} through
 * @property {boolean} replayComplete
 * @property {{topic: string, watermark: number}[]} heads
 * @property {Update[]} updates
 * @property {string[]} problems what is wrong with the batch by itself; empty when all is well
 */

/** Milliseconds since 1970, finer than Date.now(). */
export const now = () => performance.timeOrigin + performance.now();

/** A watermark, number or decimal string. @param {unknown} value @returns {number} */
export function integer(value) {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw new Error(`not an integer: ${String(value)}`);
  return number;
}

const opNames = /** @type {const} */ ({
  [SyncOp.UPSERT]: 'upsert', [SyncOp.DELETE]: 'delete', [SyncOp.TRUNCATE]: 'truncate',
});

/**
 * Reads a JSON sync:update_batch payload.
 * @param {any} body the parsed payload
 * @param {string} rawFrame the whole text frame, to verify hashes over the digits that were sent
 * @returns {Batch}
 */
export function batchFromJson(body, rawFrame) {
  /** @type {any[] | undefined} */
  let exact;
  const updates = body.updates.map((/** @type {any} */ u, /** @type {number} */ index) => ({
    topic: u.topic, watermark: integer(u.watermark), epoch: integer(u.epoch), docKey: u.doc_key,
    docVersion: integer(u.doc_version), op: u.op, payload: u.payload,
    payloadHash: Buffer.from(u.payload_hash, 'base64').toString('hex'), hydrationRequired: u.hydration_required,
    insertedAtUs: microseconds(u.inserted_at), ...('traceparent' in u && { traceparent: u.traceparent }), receivedAt: now(),
    canonical: () => {
      const quick = canonicalJson(u.payload);
      if (sha256(quick) === Buffer.from(u.payload_hash, 'base64').toString('hex')) return quick;
      exact ??= /** @type {any} */ (parseExact(rawFrame))[4].get('updates');
      return canonicalJson(/** @type {any[]} */ (exact)[index].get('payload'));
    },
  }));
  return checked(updates, {
    after: integer(body.after_watermark), through: integer(body.through_watermark),
    replayComplete: body.replay_complete,
    heads: body.head_watermarks.map((/** @type {any} */ h) => ({ topic: h.topic, watermark: integer(h.watermark) })),
  });
}

/** Reads a binary frame's payload: a serialized UpdateBatch. @param {ArrayBuffer} bytes @returns {Batch} */
export function batchFromProto(bytes) {
  const batch = fromBinary(UpdateBatchSchema, new Uint8Array(bytes));
  const updates = batch.updates.map((u) => {
    const text = Buffer.from(u.payload).toString('utf8');
    return {
      topic: u.topic, watermark: Number(u.watermark), epoch: Number(u.epoch), docKey: u.docKey,
      docVersion: Number(u.docVersion), op: opNames[/** @type {keyof typeof opNames} */ (u.op)],
      payload: text === '' ? null : JSON.parse(text), payloadHash: Buffer.from(u.payloadHash).toString('hex'),
      hydrationRequired: u.hydrationRequired, insertedAtUs: Number(u.insertedAtUs),
      ...(u.traceparent !== '' && { traceparent: u.traceparent }), receivedAt: now(),
      canonical: () => (text === '' ? 'null' : text),
    };
  });
  return checked(updates, {
    after: Number(batch.afterWatermark), through: Number(batch.throughWatermark), replayComplete: batch.replayComplete,
    heads: batch.headWatermarks.map((h) => ({ topic: h.topic, watermark: Number(h.watermark) })),
  });
}

/** @param {string} iso @returns {number} microseconds since 1970 of an ISO 8601 time */
export function microseconds(iso) {
  const match = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::?\d\d)?)$/.exec(iso);
  if (!match) throw new Error(`not a time: ${iso}`);
  const zone = match[3] === 'Z' ? 'Z' : `${match[3]}:00`.slice(0, 6);
  return Date.parse(`${match[1]?.replace(' ', 'T')}${zone}`) * 1000 + Number((match[2] ?? '').padEnd(6, '0'));
}

/** @param {any[]} updates @param {Omit<Batch, 'updates' | 'topic' | 'problems'>} rest @returns {Batch} */
function checked(updates, rest) {
  const problems = [];
  const topic = updates[0]?.topic ?? '';
  let last = rest.after;
  if (updates.length === 0) problems.push('empty batch');
  if (updates.length > 200) problems.push(`${updates.length} updates in a batch`);
  if (!(rest.through > rest.after)) problems.push(`covers (${rest.after}, ${rest.through}]`);
  for (const u of updates) {
    const where = `${u.topic}@${u.watermark}`;
    if (u.topic !== topic) problems.push(`${where}: a second topic in the batch of ${topic}`);
    if (u.watermark <= last) problems.push(`${where}: after ${last}`);
    last = u.watermark;
    if (!['upsert', 'delete', 'truncate'].includes(u.op)) problems.push(`${where}: op ${u.op}`);
    if (u.payload === null && !u.hydrationRequired && u.payloadHash !== nullHash) {
      problems.push(`${where}: no payload, but hash ${u.payloadHash}`);
    }
    if (u.payload !== null && sha256(u.canonical()) !== u.payloadHash) {
      problems.push(`${where}: payload ${u.canonical().slice(0, 200)} hashes to ${sha256(u.canonical())}, ` +
        `sent was ${u.payloadHash}`);
    }
    if (u.op !== 'upsert' && (u.payload !== null || u.hydrationRequired)) problems.push(`${where}: ${u.op} with payload`);
    delete u.canonical;
  }
  if (last > rest.through) problems.push(`${topic}@${last}: past through_watermark ${rest.through}`);
  return { topic, updates, problems, ...rest };
}
