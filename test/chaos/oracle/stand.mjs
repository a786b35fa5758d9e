// What the chaos stands on: PostgreSQL, two fan-outs and a relay, each in a host of its own; this process is the clients' host.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { Cluster, Fanout, atExit, sanitized } from '../../harness/index.mjs';
import { script } from '../../integration/oracle/schema.mjs';
import { Relay } from '../line.mjs';
import { Network } from '../network.mjs';
import { Clock } from './clock.mjs';
import { Disk } from './disk.mjs';
import * as fleeting from './fleeting.mjs';

export const database = 'test';
/** The role of the fan-outs: it may read what they read by, and writes nothing. */
export const reader = 'sync_reader';

/** As in the oracle; and slots are ended that hold more WAL than a burst, the journal has a clock that can be set, and room that ends. */
const serverSettings = { 'oa_sync.checkpoint_interval': '1s', 'oa_sync.void_queue_size': 16, 'oa_sync.naptime': '200ms',
  'oa_sync.retention_interval': '1s', 'oa_sync.log_retention': 'changes', max_slot_wal_keep_size: '64MB', wal_init_zero: 'off' };

/** Small windows, caches and batches, and little patience, so that the schedule goes through all of them. */
export const windowEvents = [256, 64];
/** @type {import('../../harness/fanout.mjs').Flags} */
const common = { 'heartbeat-interval-ms': 1000, 'client-timeout-ms': 8000, 'stall-ms': 1000, 'token-grace-ms': 1000, 'token-warning-ms': 3000,
  'max-requests-per-second': 1000, 'http-requests-per-second': 0, 'canary-interval-ms': 1000, 'shutdown-spread-ms': 200, 'page-cache-bytes': 16 << 20,
  'memory-limit-mb': 1024 };
/** @type {import('../../harness/fanout.mjs').Flags[]} */
const fanoutFlags = [
  { ...common, loops: 2, 'window-events': windowEvents[0] ?? 0, 'reconnect-max-ms': 1000 },
  { ...common, loops: 1, 'window-events': windowEvents[1] ?? 0, 'max-batch-events': 20, 'reconnect-max-ms': 300 },
];

export class Stand {
  /** @type {Fanout[]} */
  fanouts = [];
  /** @type {Relay[]} */
  relays = [];
  /** @type {Disk | undefined} */
  disk;

  constructor() {
    this.network = Network.get();
    this.dir = mkdtempSync('/tmp/oa-sync-chaos-');
    chmodSync(this.dir, 0o755);
    this.forget = atExit(() => rmSync(this.dir, { recursive: true, force: true }));
    this.clockLibrary = Clock.build(this.dir);
    this.serverClock = new Clock(`${this.dir}/server`);
    this.fanoutClocks = fanoutFlags.map((_, n) => new Clock(`${this.dir}/fanout${n}`));
    /** @type {Cluster} */
    this.cluster = /** @type {any} */ (undefined);
  }

  static async create() {
    const stand = new Stand();
    try {
      await stand.#make();
    } catch (error) {
      await stand.destroy().catch(() => {});
      throw error;
    }
    return stand;
  }

  async #make() {
    const { network } = this;
    this.cluster = await Cluster.create({ settings: { ...serverSettings, listen_addresses: network.address('primary') },
      place: { netns: network.file('primary'), env: this.serverClock.environment(this.clockLibrary), hba: [`host all all ${network.range} trust`] } });
    const { cluster } = this;
    this.disk = new Disk(`${this.dir}/journal`, cluster.account);
    await cluster.createDatabase(database);
    cluster.psql('postgres', `CREATE TABLESPACE journal LOCATION '${this.disk.path}';`);
    cluster.psql(database, script + fleeting.script + `
      CREATE ROLE ${reader} LOGIN REPLICATION;
      SELECT runtime.sync_grant_reader('${reader}');
      GRANT EXECUTE ON FUNCTION runtime.sync_revoke(text, text[], text, timestamptz) TO ${reader};
      SELECT runtime.sync_set_policy('*', horizon => '0', replay_budget => 0);
      SELECT runtime.sync_set_policy('${fleeting.prefix}*', horizon => '2 seconds');
      SELECT runtime.sync_maintain_partitions();`);
    this.moveJournal();
    const relay = await Relay.start(network, 'middle', { database: { host: network.address('primary'), port: 5432 } });
    this.relays.push(relay);
    // One goes to the database through the relay, the other directly.
    const ways = [{ host: network.address('middle'), port: relay.ports.database }, { host: network.address('primary'), port: 5432 }];
    for (const [n, { host, port }] of ways.entries()) {
      this.fanouts.push(await Fanout.start({ database: `host=${host} port=${port} user=${reader} dbname=${database}`, admin: true,
        flags: fanoutFlags[n] ?? {}, where: { host: network.address('fanout'), netns: network.file('fanout') },
        ...(this.fanouts[0] ? { keyring: this.fanouts[0].keyring } : {}),
        env: sanitized ? {} : /** @type {Clock} */ (this.fanoutClocks[n]).environment(this.clockLibrary) }));
    }
    for (const fanout of this.fanouts) await fanout.ready({ timeoutMs: 60_000 });
    this.relays.push(await Relay.start(network, 'middle', { clients: { host: this.a.host, port: this.a.port } }));
  }

  /** All of the journal onto the disk that can be full, also what the worker makes later. */
  moveJournal() {
    this.cluster.psql(database, `ALTER DATABASE ${database} SET default_tablespace = journal;
      SELECT format('ALTER TABLE %s SET TABLESPACE journal', c.oid::regclass) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'runtime.sync_stream_events'::regclass
      UNION ALL SELECT format('ALTER INDEX %s SET TABLESPACE journal', x.indexrelid::regclass) FROM pg_inherits i
        JOIN pg_index x ON x.indrelid = i.inhrelid WHERE i.inhparent = 'runtime.sync_stream_events'::regclass \\gexec
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'oa_sync worker';`);
  }

  /** @returns {Fanout} */
  get a() {
    return /** @type {Fanout} */ (this.fanouts[0]);
  }

  /** @returns {Fanout} */
  get b() {
    return /** @type {Fanout} */ (this.fanouts[1]);
  }

  /** Tells both relays' lines; the clients' line is to the first fan-out. @param {'clients' | 'database'} line @param {Parameters<Relay['tell']>[1]} command */
  tell(line, command) {
    this.relays[line === 'database' ? 0 : 1]?.tell(line, command);
  }

  /** The first fan-out by way of the relay. */
  get farUrl() {
    return `ws://${this.network.address('middle')}:${this.relays[1]?.ports.clients}/socket`;
  }

  /** Ends everything; throws when something crashed. */
  async destroy() {
    /** @type {unknown[]} */
    const failures = [];
    for (const relay of this.relays) relay.end();
    for (const fanout of this.fanouts) await fanout.destroy().catch((error) => failures.push(error));
    if (this.cluster) await this.cluster.destroy().catch((error) => failures.push(error));
    this.disk?.remove();
    this.forget();
    rmSync(this.dir, { recursive: true, force: true });
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }
}
