// Files, for Node.js: one for each topic, replaced whole by a rename, so that a crash leaves the old state or the new.
//
// One process per directory. Two do no harm beyond work done twice: each file is one whole state at any time, and the
// older of two only has what follows it come again.
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type Exclusive, oneByOne } from '../exclusive.js';
import { afterCommit, judgeCommit, type StoredTopic, type SyncStore } from './store.js';

export interface FileStoreOptions {
  /** Made when it is not there, readable by its owner only. */
  dir: string;
  /** Least time between two writes of a topic. Default 250. */
  commitIntervalMs?: number;
  /** Whether each write waits for the disk (default true). */
  fsync?: boolean;
}

const suffix = '.oa-sync.json';
/** What is being written, or was when a process died. */
const isTemporary = (name: string): boolean => name.includes(`${suffix}.`) && name.endsWith('.tmp');
/** By directory: stores over the same one do not meet. */
const ofThisProcess = new Map<string, Exclusive>();
let writes = 0;

/** A store in a directory. */
export function fileStore(options: FileStoreOptions): SyncStore {
  const { dir, fsync = true } = options;
  const fileOf = (topic: string): string => {
    const readable = topic.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 60);
    return join(dir, `${readable}-${createHash('sha256').update(topic).digest('hex').slice(0, 16)}${suffix}`);
  };
  const key = resolve(dir);
  const exclusive = ofThisProcess.get(key) ?? oneByOne();
  ofThisProcess.set(key, exclusive);

  const read = async (topic: string): Promise<StoredTopic | undefined> => {
    let text;
    try {
      text = await readFile(fileOf(topic), 'utf8');
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const record = JSON.parse(text) as StoredTopic & { format?: number; topic?: string };
      if (record.format !== 1 || record.topic !== topic) return undefined;
      return { cursor: record.cursor, documents: record.documents };
    } catch {
      // Not written by this store: as if there were none.
      return undefined;
    }
  };

  const write = async (topic: string, state: StoredTopic): Promise<void> => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const file = fileOf(topic);
    const temporary = `${file}.${process.pid}.${writes++}.tmp`;
    try {
      const handle = await open(temporary, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify({ format: 1, topic, ...state }));
        if (fsync) await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  };

  return {
    commitIntervalMs: options.commitIntervalMs ?? 250,
    load: (topic) => exclusive(() => read(topic)),
    commit: (topic, change) => exclusive(async () => {
      const stored = await read(topic);
      const result = judgeCommit(stored?.cursor, change);
      if (result === 'stored') await write(topic, afterCommit(stored, change));
      return result;
    }),
    remove: (topic) => exclusive(async () => {
      const names = await readdir(dir).catch(() => []);
      for (const name of names) if (name.startsWith(basename(fileOf(topic))) && isTemporary(name)) await rm(join(dir, name), { force: true });
      await rm(fileOf(topic), { force: true });
    }),
    clear: () => exclusive(async () => {
      const names = await readdir(dir).catch(() => []);
      for (const name of names) if (name.endsWith(suffix) || isTemporary(name)) await rm(join(dir, name), { force: true });
    }),
  };
}
