// Fetches what updates only point to, some at a time; the batch that needs them waits, so nothing is overtaken.
import type { Backoff } from './backoff.js';
import { SyncError, messageOf } from './errors.js';
import { type HttpApi, isPassing } from './http.js';
import { sleep } from './sleep.js';
import type { Hydrated } from './topic_state.js';
import type { WireUpdate } from './wire.js';

const atOnce = 4;
/** After so many failures in a row the application is told; the next tries go on. */
const tellAfter = 3;

export interface FetchControl {
  /** Ends it without a result. */
  signal: AbortSignal;
  backoff(): Backoff;
  online(signal: AbortSignal): Promise<void>;
  failed(error: SyncError): void;
}

/** By watermark of the update. Undefined when it is no longer wanted. */
export async function fetchPayloads(api: HttpApi, topic: string, updates: readonly WireUpdate[], control: FetchControl):
  Promise<ReadonlyMap<number, Hydrated> | undefined> {
  // A document is fetched once for all its updates in the batch: as it is at the last of them, or later.
  const last = new Map<string, WireUpdate>();
  for (const update of updates) if (update.hydrationRequired) last.set(update.docKey, update);
  const fetched = new Map<string, Hydrated>();
  const queue = [...last.values()];
  const worker = async (): Promise<void> => {
    for (let update = queue.shift(); update; update = queue.shift()) {
      const one = await fetchOne(api, topic, update, control);
      if (!one) return;
      fetched.set(update.docKey, one);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, worker));
  if (fetched.size < last.size) return undefined;
  const byWatermark = new Map<number, Hydrated>();
  for (const update of updates) {
    const one = fetched.get(update.docKey);
    if (update.hydrationRequired && one) byWatermark.set(update.watermark, one);
  }
  return byWatermark;
}

async function fetchOne(api: HttpApi, topic: string, update: WireUpdate, control: FetchControl): Promise<Hydrated | undefined> {
  const backoff = control.backoff();
  const { docKey, watermark, payloadHash } = update;
  for (;;) {
    await control.online(control.signal);
    if (control.signal.aborted) return undefined;
    let failure: SyncError;
    try {
      const found = await api.document(topic, docKey, { watermark, payloadHash }, control.signal);
      if (found.watermark >= watermark || found.document?.payloadHash === payloadHash) return found;
      failure = new SyncError('hydration_failed', `document ${docKey} of ${topic} came as it was before the event`, { topic, docKey });
    } catch (error) {
      failure = error instanceof SyncError ? error
        : new SyncError('hydration_failed', `document ${docKey} of ${topic}: ${messageOf(error)}`, { topic, docKey, cause: error });
    }
    if (control.signal.aborted) return undefined;
    // A commit can reach subscribers a moment before other sessions see it: no failure.
    const isSoon = failure.reason === 'not_yet_visible';
    backoff.advise(isSoon ? undefined : failure.retryAfterMs);
    const wait = backoff.next();
    if (!isPassing(failure) || backoff.failures === tellAfter) {
      control.failed(new SyncError('hydration_failed', `${failure.message}; it is tried again`, { topic, docKey, cause: failure }));
    }
    await sleep(wait, control.signal);
  }
}
