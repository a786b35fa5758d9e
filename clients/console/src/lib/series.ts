// What charts show: rates and percentiles between polled totals. Counters that fall (a restarted server) make a gap,
// never a negative rate.
import type { Int, Overview } from '../api/types';
import { num } from './format';

/** Samples kept: 15 minutes at one in 2 s. */
const maxSamples = 450;
/** Two samples closer together say nothing of a rate: the later one is left out. */
const minGapMs = 1000;
/** Two samples further apart are not joined by a line: nobody looked in between. */
const maxGapMs = 30_000;

export const seriesNames = ['connections', 'eventsIn', 'eventsOut', 'bytesOut', 'p50', 'p95', 'p99', 'lagEvents', 'joins', 'replays', 'stale', 'refused'] as const;
export type SeriesName = (typeof seriesNames)[number];
export type Series = { times: number[]; values: Record<SeriesName, (number | null)[]> };

/** The counts of a histogram between two of its cumulative states. */
export function histogramDelta(now: Overview['latency'], before: Overview['latency'] | undefined): { bounds: number[]; counts: number[]; total: number } {
  const at = (latency: Overview['latency'], i: number) => (i < latency.counts.length ? num(latency.counts[i]!) : num(latency.count));
  const sameShape = before !== undefined && before.buckets_ms.length === now.buckets_ms.length && num(before.count) <= num(now.count);
  const counts: number[] = [];
  let below = 0;
  for (let i = 0; i <= now.buckets_ms.length; i++) {
    const last = i === now.buckets_ms.length;
    const cumulative = (last ? num(now.count) : at(now, i)) - (sameShape ? (last ? num(before.count) : at(before, i)) : 0);
    counts.push(Math.max(0, cumulative - below));
    below = cumulative;
  }
  return { bounds: now.buckets_ms, counts, total: counts.reduce((sum, n) => sum + n, 0) };
}

/** A percentile by interpolation within its bucket; past the last bound, that bound. null without observations. */
export function percentile(histogram: { bounds: number[]; counts: number[]; total: number }, p: number): number | null {
  if (histogram.total <= 0) return null;
  let wanted = p * histogram.total;
  for (let i = 0; i < histogram.counts.length; i++) {
    const n = histogram.counts[i]!;
    if (n >= wanted && n > 0) {
      const lower = i === 0 ? 0 : histogram.bounds[i - 1]!;
      const upper = histogram.bounds[i];
      return upper === undefined ? lower : lower + (upper - lower) * Math.max(0, wanted / n);
    }
    wanted -= n;
  }
  return histogram.bounds.at(-1) ?? null;
}

const noSeries = (): Series => ({ times: [], values: Object.fromEntries(seriesNames.map((name) => [name, []])) as unknown as Series['values'] });

/** Whether one server's totals fell, as they do not: it is another one, or its clock was set. */
const fell = (now: Overview, before: Overview) =>
  (['events_in', 'events_out', 'bytes_out', 'joins', 'replays'] as const).some((name) => num(now.totals[name]) < num(before.totals[name])) || num(now.latency.count) < num(before.latency.count);

/** Keeps what was polled, as series for charts. Snapshots are immutable: a new object with every sample. */
export class SeriesStore {
  #last: Overview | undefined;
  /** Totals of the last minute, oldest first: what "now" is computed from. */
  #recent: Overview[] = [];
  series: Series = noSeries();

  add(sample: Overview): void {
    let before = this.#last;
    if (before && (sample.server.now < before.server.now || (sample.server.started_at === before.server.started_at && fell(sample, before)))) {
      // Time went back, or the totals are of something else: nothing before can be compared with.
      this.series = noSeries();
      this.#recent = [];
      before = undefined;
    }
    const dt = before ? sample.server.now - before.server.now : 0;
    const joined = before !== undefined && before.server.started_at === sample.server.started_at && dt > 0 && dt <= maxGapMs;
    if (before && (dt <= 0 || (dt < minGapMs && before.server.started_at === sample.server.started_at))) return;
    const rate = (of: (overview: Overview) => Int) => {
      const grown = joined ? num(of(sample)) - num(of(before!)) : NaN;
      return Number.isFinite(grown) && grown >= 0 ? (grown * 1000) / dt : null;
    };
    const latency = joined ? histogramDelta(sample.latency, before!.latency) : undefined;
    const refused = (overview: Overview) => Object.values(overview.totals.denials ?? {}).reduce<number>((sum, n) => sum + num(n), num(overview.totals.rate_limited));
    const values: Record<SeriesName, number | null> = {
      connections: sample.connections.open,
      eventsIn: rate((o) => o.totals.events_in), eventsOut: rate((o) => o.totals.events_out), bytesOut: rate((o) => o.totals.bytes_out),
      p50: latency ? percentile(latency, 0.5) : null, p95: latency ? percentile(latency, 0.95) : null, p99: latency ? percentile(latency, 0.99) : null,
      lagEvents: sample.lag.events_max,
      joins: rate((o) => o.totals.joins), replays: rate((o) => o.totals.replays), stale: rate((o) => o.totals.stale_cursors),
      refused: rate(refused),
    };
    const keep = <T>(list: T[], value: T) => [...list.slice(list.length >= maxSamples ? 1 : 0), value];
    this.series = { times: keep(this.series.times, sample.server.now / 1000),
      values: Object.fromEntries(seriesNames.map((name) => [name, keep(this.series.values[name], values[name])])) as Series['values'] };
    if (!joined) this.#recent = [];
    this.#recent = [...this.#recent.filter((old) => sample.server.now - old.server.now <= 60_000), sample];
    this.#last = sample;
  }

  /** The last value of a series. */
  latest(name: SeriesName): number | null {
    return this.series.values[name].at(-1) ?? null;
  }

  /** Commit to socket over the last minute that was watched; null before there are two samples to compare. */
  latencyOfLastMinute(): { p50: number | null; p95: number | null; p99: number | null; total: number } | null {
    const [first, now] = [this.#recent[0], this.#recent.at(-1)];
    if (!first || !now || first === now) return null;
    const histogram = histogramDelta(now.latency, first.latency);
    return { p50: percentile(histogram, 0.5), p95: percentile(histogram, 0.95), p99: percentile(histogram, 0.99), total: histogram.total };
  }
}
