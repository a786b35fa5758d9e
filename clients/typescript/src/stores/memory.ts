// A store that lasts as long as it is held: the default, and right for tests. Several clients may share one.
import { afterCommit, judgeCommit, type StoreCommit, type StoredTopic, type SyncStore } from './store.js';

export function memoryStore(): SyncStore {
  const topics = new Map<string, StoredTopic>();
  return {
    load: async (topic) => {
      const found = topics.get(topic);
      return found && { cursor: found.cursor, documents: [...found.documents] };
    },
    commit: async (topic: string, change: StoreCommit) => {
      const stored = topics.get(topic);
      const result = judgeCommit(stored?.cursor, change);
      if (result === 'stored') topics.set(topic, afterCommit(stored, change));
      return result;
    },
    remove: async (topic) => void topics.delete(topic),
    clear: async () => topics.clear(),
  };
}
