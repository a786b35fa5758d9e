// Where the project's parts lie.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The repository's top directory, without a trailing slash. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The fan-out binary under test. */
export const fanoutBinary = process.env.OA_SYNC_FANOUT_BIN ?? `${root}/build/fanout/oa-sync-fanout`;

/** True when the binary under test is slowed down by a sanitizer. */
export const sanitized = /-(asan|tsan)\//.test(fanoutBinary);

/** PostgreSQL's programs (initdb, postgres), of the installation that `pg_config` names. */
export const pgBinDir = execFileSync(process.env.PG_CONFIG ?? 'pg_config', ['--bindir'], { encoding: 'utf8' }).trim();
