// What the server sends, checked and in one shape for both encodings.
import { fromBinary } from '@bufbuild/protobuf';
import { fromUtf8, toBase64 } from './bytes.js';
import { SyncError } from './errors.js';
import { canonicalJson, type ExactJson, RawNumber } from './exact_json.js';
import { SyncOp, UpdateBatchSchema } from './gen/openagents/sync/v1/sync_pb.js';
import { readHash } from './hash.js';
import { fromBigInt, readInteger, type SyncInteger } from './integers.js';

/** What an update does: the document has this payload; it is gone; every document whose key begins so is gone. */
export type UpdateOp = 'upsert' | 'delete' | 'truncate';

export interface WireUpdate {
  docKey: string;
  docVersion: SyncInteger;
  op: UpdateOp;
  /** Canonical JSON; null when there is none. */
  text: string | null;
  /** Base64 of the 32 bytes. */
  payloadHash: string;
  watermark: number;
  epoch: SyncInteger;
  hydrationRequired: boolean;
  /** Milliseconds since 1970. */
  insertedAt: number;
  traceparent?: string;
}

/** Covers every watermark of its topic in (after, through]. */
export interface WireBatch {
  topic: string;
  after: number;
  through: number;
  updates: WireUpdate[];
  replayComplete: boolean;
  heads: { topic: string; watermark: number }[];
}

const bad = (what: string): SyncError =>
  new SyncError('protocol_error', `the server sent a batch that cannot be read: ${what}`);

/** A watermark: an integer that a number holds exactly. */
export function readWatermark(value: unknown, what = 'watermark'): number {
  const integer = readInteger(value);
  if (typeof integer !== 'number') throw bad(`${what} is ${String(value)}`);
  return integer;
}

const opOf: Partial<Record<SyncOp, UpdateOp>> = {
  [SyncOp.UPSERT]: 'upsert', [SyncOp.DELETE]: 'delete', [SyncOp.TRUNCATE]: 'truncate',
};

/** Reads a serialized UpdateBatch. Throws SyncError. */
export function batchFromProto(bytes: Uint8Array): WireBatch {
  let message;
  try {
    message = fromBinary(UpdateBatchSchema, bytes);
  } catch (cause) {
    throw new SyncError('protocol_error', 'the server sent a batch that is no protobuf', { cause });
  }
  const topic = message.updates[0]?.topic ?? '';
  const updates = message.updates.map((u): WireUpdate => {
    if (u.topic !== topic) throw bad(`topics ${topic} and ${u.topic}`);
    const op = opOf[u.op];
    if (!op) throw bad(`op ${u.op}`);
    if (u.payloadHash.length !== 32) throw bad(`a hash of ${u.payloadHash.length} bytes`);
    return {
      docKey: u.docKey, docVersion: fromBigInt(u.docVersion), op, text: u.payload.length === 0 ? null : fromUtf8(u.payload),
      payloadHash: toBase64(u.payloadHash), watermark: readWatermark(u.watermark), epoch: fromBigInt(u.epoch),
      hydrationRequired: u.hydrationRequired, insertedAt: Number(u.insertedAtUs) / 1000,
      ...(u.traceparent !== '' && { traceparent: u.traceparent }),
    };
  });
  return checked({
    topic, updates, replayComplete: message.replayComplete,
    after: readWatermark(message.afterWatermark), through: readWatermark(message.throughWatermark),
    heads: message.headWatermarks.map((h) => ({ topic: h.topic, watermark: readWatermark(h.watermark) })),
  });
}

/** Exact JSON as the shapes below read it: numbers as SyncInteger, or undefined where they are none. */
const member = (object: ExactJson | undefined, name: string): ExactJson | undefined =>
  object instanceof Map ? object.get(name) : undefined;
const elements = (value: ExactJson | undefined): ExactJson[] => (Array.isArray(value) ? value : []);
const text = (value: ExactJson | undefined): string => {
  if (typeof value !== 'string') throw bad('a text is missing');
  return value;
};
const integer = (value: ExactJson | undefined): SyncInteger => {
  const found = readInteger(value instanceof RawNumber ? value.text : value);
  if (found === undefined) throw bad(`${value instanceof RawNumber ? value.text : String(value)} is no integer`);
  return found;
};
const ops: readonly string[] = ['upsert', 'delete', 'truncate'] satisfies UpdateOp[];

/** Reads a JSON `sync:update_batch`, parsed with every digit. Throws SyncError. */
export function batchFromJson(body: ExactJson): WireBatch {
  const list = elements(member(body, 'updates'));
  const topic = list.length > 0 ? text(member(list[0], 'topic')) : '';
  const updates = list.map((u): WireUpdate => {
    if (member(u, 'topic') !== topic) throw bad(`a second topic in a batch of ${topic}`);
    const op = text(member(u, 'op'));
    if (!ops.includes(op)) throw bad(`op ${op}`);
    const payloadHash = readHash(member(u, 'payload_hash'));
    if (payloadHash === undefined) throw bad('a payload_hash that is none');
    const hydrationRequired = member(u, 'hydration_required') === true;
    const traceparent = member(u, 'traceparent');
    const payload = member(u, 'payload');
    // A document may be `null` itself; its hash says the same as that of no document.
    const none = payload === undefined || hydrationRequired || op !== 'upsert';
    return {
      docKey: text(member(u, 'doc_key')), docVersion: integer(member(u, 'doc_version')), op: op as UpdateOp,
      text: none ? null : canonicalJson(payload), payloadHash, watermark: readWatermark(integer(member(u, 'watermark'))),
      epoch: integer(member(u, 'epoch')), hydrationRequired, insertedAt: Date.parse(text(member(u, 'inserted_at'))),
      ...(typeof traceparent === 'string' && { traceparent }),
    };
  });
  return checked({
    topic, updates, replayComplete: member(body, 'replay_complete') === true,
    after: readWatermark(integer(member(body, 'after_watermark'))),
    through: readWatermark(integer(member(body, 'through_watermark'))),
    heads: elements(member(body, 'head_watermarks')).map((h) =>
      ({ topic: text(member(h, 'topic')), watermark: readWatermark(integer(member(h, 'watermark'))) })),
  });
}

/** What holds for every batch, whatever its encoding. */
function checked(batch: WireBatch): WireBatch {
  if (batch.updates.length === 0) throw bad('no updates');
  if (batch.through <= batch.after) throw bad(`(${batch.after}, ${batch.through}] covers nothing`);
  let last = batch.after;
  for (const { watermark, op, text: payload, hydrationRequired } of batch.updates) {
    if (watermark <= last || watermark > batch.through) throw bad(`${batch.topic}@${watermark} after ${last}`);
    if (op !== 'upsert' && (payload !== null || hydrationRequired)) throw bad(`${op} with a payload`);
    if (op === 'upsert' && payload === null && !hydrationRequired) throw bad('an upsert without a payload');
    last = watermark;
  }
  return batch;
}
