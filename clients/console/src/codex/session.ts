// What the Codex page stands on: the token, one client of OA Sync, and a lane for each of its two topics.
import { SyncClient, type SyncDocument, type SyncStatus, type SyncStore, type SyncTopic } from '@openagents/sync';
import { SyncLane, type LaneDocument, type LaneMode, type LaneSource } from '@openagents/sync/lane';
import { indexedDbStore } from '@openagents/sync/stores/idb';
import { explain } from '../api/http';
import { parseJson } from '../lib/json';
import { plural } from '../lib/format';
import { summarizer, type Summary } from './model';
import { TokenKeeper, type TokenSource, type Want } from './tokens';
import { runsTopic, workersTopic } from './topics';

export type Mode = LaneMode;
export type CodexDocument = LaneDocument & { readonly docVersion: number | bigint; readonly payload: unknown; readonly updatedAt?: number | null };

export type CodexView = {
  mode: Mode; status: SyncStatus; online: boolean;
  /** When OA Sync last knew that it had everything; null before. */
  currentAsOf: number | null; lag: number;
  runs: Summary[]; workers: Summary[];
  /** Whether the documents are known: from the store, the server or the earlier source. */
  loaded: boolean;
  /** What is stored on this device was looked at. */
  storeRead: boolean;
  /** The latest change among them, by the summaries' own times. */
  lastChange: number | null;
  wants: Want | null; source: TokenSource['kind'] | undefined;
  earlier: { loaded: boolean; at: number | null; error: unknown };
  comparison: string;
  /** `passed`: it is told, and may be put away. */
  problem: { title: string; text: string; passed?: true } | null;
};

const storeName = 'oa-sync-codex';
/** Where the flag is remembered: a preference of this device, nothing secret. */
const flagName = 'oa-sync.lane';
/** Changes are shown in groups: at most so often. */
const groupMs = 80;

const isMode = (value: unknown): value is Mode => value === 'off' || value === 'shadow' || value === 'on';

/** The flag: from the address (`?lane=off`), else as it was left on this device, else on. */
function firstMode(): Mode {
  const asked = new URLSearchParams(location.search).get('lane');
  let left: string | null = null;
  try {
    left = localStorage.getItem(flagName);
  } catch {
    // A browser that stores nothing.
  }
  return isMode(asked) ? asked : isMode(left) ? left : 'on';
}

type Side = { topic: string; lane: SyncLane<CodexDocument>; summarize: ReturnType<typeof summarizer>; seen: ReadonlyMap<string, CodexDocument> | undefined; rows: Summary[] };

export class CodexSession {
  readonly #keeper = new TokenKeeper(() => this.#changed());
  #mode = firstMode();
  #sides: Side[] = [];
  #client: SyncClient | undefined;
  readonly #topics = new Map<string, SyncTopic>();
  /** Ends starts of OA Sync that wait for what may never come, so that the lane can be turned back. */
  readonly #abandon = new Set<() => void>();
  /** Topics whose stored documents were looked at. */
  #read = new Set<string>();
  #earlierLoaded = false;
  /** What the earlier source last said of each topic: when it was answered, and why not since. */
  readonly #earlier = new Map<string, { at: number | null; error: unknown }>();
  #problem: CodexView['problem'] = null;
  #reloaded: CodexView['problem'] = null;
  #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing: Promise<unknown> = Promise.resolve();
  #view: CodexView = this.#look();
  /** The way by which the last token came: offered first. */
  lastWay: TokenSource['kind'] | undefined;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  getSnapshot = (): CodexView => this.#view;

  /** The page is shown: begins with what is stored. */
  resume(): void {
    if (this.#sides.length > 0) return;
    addEventListener('online', this.#changed);
    addEventListener('offline', this.#changed);
    this.#earlier.clear();
    this.#sides = [runsTopic, workersTopic].map((topic) => this.#side(topic));
    this.#changed();
  }

  /** The page is left: nothing stays connected. The token stays in memory. */
  pause(): void {
    removeEventListener('online', this.#changed);
    removeEventListener('offline', this.#changed);
    const sides = this.#sides;
    this.#sides = [];
    this.#abandonStarts();
    this.#closing = Promise.all([this.#closing, ...sides.map((side) => side.lane.close())]).catch(() => {});
  }

  setMode(mode: Mode): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    try {
      localStorage.setItem(flagName, mode);
    } catch {
      // Then the flag holds until the page is loaded again.
    }
    this.#problem = null;
    this.#abandonStarts();
    for (const side of this.#sides) side.lane.setMode(mode);
    this.#show();
  }

  use(source: TokenSource): void {
    this.lastWay = source.kind;
    this.#problem = null;
    this.#keeper.use(source);
    if (source.kind === 'operator') {
      const { api } = source;
      api.ended.addEventListener('abort', () => this.#keeper.uses(api) && this.forgetToken(), { once: true });
    }
    // A client that was refused for good tries again with the new token.
    if (this.#client && this.#client.status !== 'live') this.#client.connect();
  }

  /** What was told of something that has passed is put away. */
  dismiss(): void {
    this.#reloaded = null;
    this.#show();
  }

  /** Ends the connection that the token opened, too. */
  forgetToken(): void {
    this.#keeper.forget();
    this.#restart();
  }

  /** Deletes the documents and cursors on this device. Forgets the token first: with it they would be loaded, and stored, again at once. */
  async forgetStored(): Promise<void> {
    const begin = this.#sides.length > 0;
    this.#keeper.forget();
    this.pause();
    await this.#closing;
    const store = indexedDbStore({ name: storeName });
    try {
      await store.clear();
    } finally {
      await store.close?.();
      if (begin) this.resume();
    }
  }

  /** How many documents are stored on this device, whatever is shown. */
  async countStored(): Promise<number> {
    const store = indexedDbStore({ name: storeName });
    try {
      // The SDK's key for a topic whose documents are kept.
      const topics = await Promise.all([runsTopic, workersTopic].map((topic) => store.load(`documents:${topic}`)));
      return topics.reduce((sum, stored) => sum + (stored?.documents.length ?? 0), 0);
    } finally {
      await store.close?.();
    }
  }

  #restart(): void {
    if (this.#sides.length === 0) return;
    this.pause();
    void this.#closing.then(() => this.resume());
  }

  #side(topic: string): Side {
    const lane = new SyncLane<CodexDocument>({
      flag: () => this.#mode,
      earlier: async () => {
        const { earlierSource } = await import('./earlier');
        this.#earlierLoaded = true;
        return earlierSource({ topic, token: () => this.#keeper.current(),
          onAnswer: (at) => {
            this.#earlier.set(topic, { at, error: null });
            // Beside OA Sync an answer says nothing of the next token; alone, that one could be had.
            if (this.#mode === 'off') this.#keeper.accepted();
            this.#changed();
          },
          onFailure: (error) => {
            this.#earlier.set(topic, { at: this.#earlier.get(topic)?.at ?? null, error });
            this.#keeper.failed(error);
            this.#changed();
          } });
      },
      sync: () => this.#syncSource(topic),
    });
    lane.on('documents', this.#changed);
    lane.on('mismatch', this.#changed);
    lane.on('error', (error) => {
      if (error instanceof Abandoned) return;
      this.#problem = { title: 'The other source did not start', text: `${error.message} What was shown stays.` };
      this.#changed();
    });
    return { topic, lane, summarize: summarizer(), seen: undefined, rows: [] };
  }

  /** OA Sync's side: both lanes share one client, which is there while one of them needs it. */
  #syncSource(topic: string): LaneSource<CodexDocument> {
    const none: ReadonlyMap<string, SyncDocument> = new Map();
    const listeners = new Set<(keys?: Iterable<string>) => void>();
    let held: SyncTopic | undefined;
    return {
      get documents() {
        return held?.documents ?? none;
      },
      start: () => new Promise<void>((resolve, reject) => {
        const mine = (held = this.#acquire().subscribe(topic));
        this.#topics.set(topic, mine);
        mine.on('documents', ({ changed, reset }) => {
          resolve();
          for (const listener of [...listeners]) listener(reset ? undefined : changed);
        });
        mine.on('status', this.#changed);
        mine.on('error', this.#changed);
        mine.on('stale', ({ reason }) => {
          this.#reloaded = { title: 'Documents were loaded anew', text: `${staleWords[reason] ?? `The place of this page was refused (${reason.replaceAll('_', ' ')}).`} Everything is shown as it is now.`, passed: true };
          this.#changed();
        });
        mine.live().then(resolve, () => {});
        this.#abandon.add(() => reject(new Abandoned()));
      }),
      stop: async () => {
        held?.release();
        held = undefined;
        this.#topics.delete(topic);
        if (this.#topics.size === 0) await this.#release();
      },
      on(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
  }

  #acquire(): SyncClient {
    if (this.#client) return this.#client;
    const client = new SyncClient({ url: `${location.origin.replace(/^http/, 'ws')}/socket`, client: 'codex', token: this.#keeper.provide,
      store: this.#store(), parse: parseJson });
    client.on('status', (status) => {
      if (status === 'live') this.#keeper.accepted();
      this.#changed();
    });
    client.on('reauthenticated', () => {
      this.#keeper.accepted();
      this.#changed();
    });
    client.on('error', this.#changed);
    return (this.#client = client);
  }

  /** The device's store, which says when it was looked at: until then nothing is known, and nothing is asked for. */
  #store(): SyncStore {
    const store = indexedDbStore({ name: storeName });
    return { ...store, load: async (topic) => {
      try {
        return await store.load(topic);
      } finally {
        this.#read.add(topic);
        this.#changed();
      }
    } };
  }

  async #release(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
    this.#changed();
  }

  #abandonStarts(): void {
    for (const end of this.#abandon) end();
    this.#abandon.clear();
  }

  #changed = (): void => {
    this.#timer ??= setTimeout(this.#show, groupMs);
  };

  #show = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#view = this.#look();
    for (const listener of [...this.#listeners]) listener();
  };

  #look(): CodexView {
    for (const side of this.#sides) {
      const { documents } = side.lane;
      if (documents === side.seen) continue;
      side.seen = documents;
      side.rows = side.summarize(documents);
    }
    const rows = (topic: string) => this.#sides.find((side) => side.topic === topic)?.rows ?? [];
    const [runs, workers] = [rows(runsTopic), rows(workersTopic)];
    const topics = [...this.#topics.values()];
    const asOf = topics.map((topic) => topic.currentAsOf);
    const refused = topics.find((topic) => topic.status === 'denied')?.error ?? null;
    let lastChange: number | null = null;
    for (const { lastActivity } of [...runs, ...workers]) if (lastActivity !== null && lastActivity > (lastChange ?? 0)) lastChange = lastActivity;
    const answers = [runsTopic, workersTopic].map((topic) => this.#earlier.get(topic) ?? { at: null, error: null });
    // As old as the older of the two, and failing if one fails.
    const earlierAt = answers.map((answer) => answer.at);
    const earlier: CodexView['earlier'] = { loaded: this.#earlierLoaded, error: answers.find((answer) => answer.error !== null)?.error ?? null,
      at: earlierAt.every((at) => at !== null) ? Math.min(...(earlierAt as number[])) : null };
    const { error } = earlier;
    const problem = this.#problem
      ?? (refused ? { title: 'The server refused a topic', text: `${refused.message} The token’s scopes decide what it opens.` } : null)
      ?? (this.#mode !== 'on' && error !== null ? { title: explain(error).title, text: `The earlier source is not answered. ${explain(error).todo}` } : null)
      ?? this.#reloaded;
    return {
      mode: this.#mode, status: this.#client?.status ?? 'idle', online: navigator.onLine, runs, workers, lastChange,
      loaded: this.#sides.length > 0 && this.#sides.every((side) => side.lane.shown === 'sync' || (side.lane.shown === 'earlier' && (this.#earlier.get(side.topic)?.at ?? null) !== null)),
      storeRead: this.#mode === 'off' || this.#read.size >= 2,
      currentAsOf: topics.length > 0 && asOf.every((at) => at !== null) ? Math.min(...(asOf as number[])) : null,
      lag: topics.reduce((sum, topic) => sum + topic.lag, 0),
      wants: this.#keeper.wants, source: this.#keeper.source, earlier, problem,
      comparison: this.#comparison(),
    };
  }

  /** What the shadow found, in words. */
  #comparison(): string {
    const reports = this.#sides.map((side) => side.lane.report());
    if (reports.every((report) => report.comparingSince === null)) return 'not under way';
    const sum = (of: (report: (typeof reports)[number]) => number) => reports.reduce((total, report) => total + of(report), 0);
    const differing = sum((report) => report.differing);
    return `${plural(sum((report) => report.compared), 'comparison')}, ${differing === 0 ? 'no document differs' : `${plural(differing, 'document')} differ`}`;
  }
}

class Abandoned extends Error {}

const staleWords: Record<string, string> = {
  retention_floor_breach: 'This page was away for longer than events are kept.', replay_budget_exceeded: 'This page was too far behind to be sent every change.',
  cursor_ahead_of_head: 'The server’s database is older than this page.', epoch_diverged: 'The server’s database has begun a new history.',
};

let session: CodexSession | undefined;
/** One for the page's life: leaving the Codex page and coming back asks for no new token. */
export const codexSession = (): CodexSession => (session ??= new CodexSession());
