// What a run's or worker's summary says, whatever an application put into it: nothing in a payload is required.
import { ExactNumber } from '../lib/json';
import type { Tone } from '../components/parts';

/** What both sources of the lane give. */
export type SummaryDocument = {
  readonly docKey: string; readonly docVersion: number | bigint; readonly payload: unknown; readonly updatedAt?: number | null;
};

export type Summary = {
  key: string; id: string; title: string; status: string; tone: Tone; counters: [name: string, value: string][];
  /** Milliseconds since 1970; null when neither the payload nor the event says it. */
  lastActivity: number | null;
  version: number | bigint; seq: string | null; source: string | null; payload: unknown;
};

const tones: [Tone, RegExp][] = [
  ['bad', /^(fail|error|crash|dead|lost|offline|abort|timed?_?out)/], ['warn', /^(warn|degraded|stall|retry|block|cancel|stopp|paus|drain|stale)/],
  ['ok', /^(finish|complet|succe|done|ok$|passed|healthy)/], ['busy', /^(run|activ|busy|work|start|progress|in_progress|online|live|connect|execut)/],
];

/** A status in the payload's own word, with a tone for the words that are known. */
export function toneOf(status: string): Tone {
  const word = status.toLowerCase().replace(/[\s-]+/g, '_');
  return tones.find(([, pattern]) => pattern.test(word))?.[0] ?? 'idle';
}

const text = (value: unknown): string | null =>
  typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'bigint' || value instanceof ExactNumber ? String(value) : null;
const object = (value: unknown): Record<string, unknown> =>
  (value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof ExactNumber) ? value as Record<string, unknown> : {});

/** A time as applications write it: ISO text, seconds or milliseconds since 1970. */
export function timeOf(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? (value < 1e11 ? value * 1000 : value) : NaN;
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}

/** Numbers that are no counts of anything. */
const noCounter = /(^|_)(id|seq|version|at|ms|ts|timestamp|epoch|pid|port)$/;

/** Where counts may be, beside the payload itself. */
const counterHolders = ['counters', 'counts', 'totals', 'stats'];

function countersOf(payload: Record<string, unknown>): [string, string][] {
  const found: [string, string][] = [];
  for (const holder of [payload, ...counterHolders.map((name) => object(payload[name]))]) {
    for (const [name, value] of Object.entries(holder)) {
      const n = typeof value === 'number' ? value.toLocaleString('en') : value instanceof ExactNumber ? value.text : null;
      if (n !== null && !noCounter.test(name)) found.push([name.replaceAll('_', ' '), n]);
    }
  }
  return found;
}

export function summaryOf(document: SummaryDocument): Summary {
  const payload = object(document.payload);
  const source = object(payload['runtime_source']);
  const key = document.docKey;
  const id = text(source['run_id']) ?? text(source['worker_id']) ?? text(payload['run_id']) ?? text(payload['worker_id']) ?? (key.slice(key.indexOf(':') + 1) || key);
  const status = text(payload['status']) ?? text(payload['state']) ?? text(payload['phase']) ?? 'unknown';
  const lastActivity = timeOf(payload['last_activity_at']) ?? timeOf(payload['last_event_at']) ?? timeOf(payload['heartbeat_at'])
    ?? timeOf(payload['updated_at']) ?? timeOf(payload['projected_at']) ?? document.updatedAt ?? null;
  return {
    key, id, title: text(payload['title']) ?? text(payload['name']) ?? id, status, tone: toneOf(status), counters: countersOf(payload), lastActivity,
    version: document.docVersion, seq: text(source['seq']), source: text(source['entity']), payload: document.payload,
  };
}

/** Summaries of documents, each made once: a document that has not changed keeps its row. */
export function summarizer(): (documents: ReadonlyMap<string, SummaryDocument>) => Summary[] {
  const made = new WeakMap<SummaryDocument, Summary>();
  return (documents) => {
    const result: Summary[] = [];
    for (const document of documents.values()) {
      let summary = made.get(document);
      if (!summary) made.set(document, (summary = summaryOf(document)));
      result.push(summary);
    }
    return result;
  };
}

export type Order = 'activity' | 'name' | 'status';

const toneRank: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, idle: 3, ok: 4 };
const byId = new Intl.Collator('en', { numeric: true });

const byName = (a: Summary, b: Summary) => byId.compare(a.id, b.id);
const comparisons: Record<Order, (a: Summary, b: Summary) => number> = {
  name: byName,
  status: (a, b) => toneRank[a.tone] - toneRank[b.tone] || byId.compare(a.status, b.status) || byName(a, b),
  activity: (a, b) => (b.lastActivity ?? 0) - (a.lastActivity ?? 0) || byName(a, b),
};

export const ordered = (rows: Summary[], order: Order): Summary[] => [...rows].sort(comparisons[order]);

/** `ordered`, again and again: begins with the order of the time before, so that few of many comparisons are left. */
export function sorter(): typeof ordered {
  let last: string[] = [];
  return (rows, order) => {
    const left = new Map(rows.map((row) => [row.key, row]));
    const start: Summary[] = [];
    for (const key of last) {
      const row = left.get(key);
      if (row && left.delete(key)) start.push(row);
    }
    const result = [...start, ...left.values()].sort(comparisons[order]);
    last = result.map((row) => row.key);
    return result;
  };
}

/** How many have which status, the most worrying first. */
export function tally(rows: Summary[]): { status: string; tone: Tone; count: number }[] {
  const found = new Map<string, { status: string; tone: Tone; count: number }>();
  for (const { status, tone } of rows) {
    const entry = found.get(status);
    if (entry) entry.count++;
    else found.set(status, { status, tone, count: 1 });
  }
  return [...found.values()].sort((a, b) => toneRank[a.tone] - toneRank[b.tone] || b.count - a.count);
}
