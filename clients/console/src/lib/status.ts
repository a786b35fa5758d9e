// The SDK's words for a connection, as people read them.
import type { SyncStatus } from '@openagents/sync';
import type { Tone } from '../components/parts';

const words: Record<SyncStatus, [Tone, string]> = {
  idle: ['idle', 'Not connected'], connecting: ['busy', 'Connecting'], catching_up: ['busy', 'Catching up'], live: ['ok', 'Live'],
  reconnecting: ['warn', 'Reconnecting'], stale: ['warn', 'Loading anew'], denied: ['bad', 'Refused'], closed: ['idle', 'Closed'],
};

export const syncStatus = (status: SyncStatus): [Tone, string] => words[status] ?? ['idle', status];
