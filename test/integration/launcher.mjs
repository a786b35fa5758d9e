// The launcher, held: no database gets a worker until it is let go.
import { waitFor } from '../harness/index.mjs';

/**
 * Stops the launcher between two looks, when it is there and holds nothing that others need; returns what lets it go on.
 * @param {import('pg').Client} client
 */
export async function holdLauncher(client) {
  const idle = async () => (await client.query(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'oa_sync launcher'
    AND state = 'idle' AND wait_event = 'Extension'`)).rows[0]?.pid;
  const pid = await waitFor(async () => {
    const found = await idle();
    if (!found) return undefined;
    process.kill(found, 'SIGSTOP');
    // It may have begun a look since it was found.
    if (await idle() === found) return found;
    process.kill(found, 'SIGCONT');
    return undefined;
  }, { what: 'the launcher is idle' });
  return () => process.kill(pid, 'SIGCONT');
}
