// What all benches stand on: one cluster whose fdatasync() can be made slow, and one database with a table for each
// way to capture: not at all, by oa_sync, by a counter row in PL/pgSQL, by NOTIFY, and by the peers (peers.mjs).
import { copyFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Cluster, atExit } from '../harness/index.mjs';
import { fsyncDelayLibrary } from './programs.mjs';
import { installPeers } from './peers.mjs';

export const database = 'bench';

/**
 * The ways to capture a row that are compared: names of tables.
 * @typedef {'plain' | 'sync' | 'counter' | 'notify' | import('./peers.mjs').Peer} Way
 */

const columns = `(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id int NOT NULL,
  kind text NOT NULL,
  status text NOT NULL,
  seq bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp())`;

const schema = `
CREATE SCHEMA bench;
CREATE TABLE bench.plain ${columns};
CREATE TABLE bench.sync ${columns};
CREATE TABLE bench.counter ${columns};
CREATE TABLE bench.notify ${columns};

SELECT runtime.sync_publish('bench.sync', topic => 'run:{run_id}:events', doc_key => 'event:{id}', doc_version => 'seq');

-- The first allocator of the roadmap: the topic's row is updated, and so locked, until the commit.
CREATE TABLE bench.counters (topic text COLLATE "C" PRIMARY KEY, watermark bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO bench.counters SELECT 'run:' || i || ':events', 0 FROM generate_series(1, 1000) i;
CREATE TABLE bench.counter_journal (
  topic text COLLATE "C" NOT NULL, watermark bigint NOT NULL, doc_key text COLLATE "C" NOT NULL, op text NOT NULL,
  payload json, payload_hash bytea NOT NULL, inserted_at timestamptz NOT NULL, PRIMARY KEY (topic, watermark));
CREATE FUNCTION bench.counter_capture() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  allocated bench.counters;
  document json := row_to_json(NEW);
BEGIN
  UPDATE bench.counters SET watermark = watermark + 1 WHERE topic = 'run:' || NEW.run_id || ':events'
    RETURNING * INTO STRICT allocated;
  INSERT INTO bench.counter_journal VALUES (allocated.topic, allocated.watermark, 'event:' || NEW.id, 'upsert',
    document, sha256(convert_to(document::text, 'UTF8')), clock_timestamp());
  RETURN NULL;
END $$;
CREATE TRIGGER capture AFTER INSERT ON bench.counter FOR EACH ROW EXECUTE FUNCTION bench.counter_capture();

CREATE FUNCTION bench.notify_capture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('events', row_to_json(NEW)::text);
  RETURN NULL;
END $$;
CREATE TRIGGER capture AFTER INSERT ON bench.notify FOR EACH ROW EXECUTE FUNCTION bench.notify_capture();
`;

/** An insert of one row, the same for every way. @param {Way} way @param {string} run */
export const insertOne = (way, run) =>
  `INSERT INTO bench.${way} (run_id, kind, status, seq) VALUES (${run}, 'tool_call', 'running', 1);`;

export class Ground {
  /** Use Ground.create. @param {Cluster} cluster @param {string} delayFile */
  constructor(cluster, delayFile) {
    this.cluster = cluster;
    this.delayFile = delayFile;
    this.db = cluster.pool(database);
    /** Those that are installed. */
    this.peers = installPeers(cluster, database, columns);
  }

  static async create() {
    // The server's account has to reach both files.
    const dir = mkdtempSync('/tmp/oa-sync-bench-');
    atExit(() => rmSync(dir, { recursive: true, force: true }));
    chmodSync(dir, 0o755);
    const library = `${dir}/fsync_delay.so`;
    const delayFile = `${dir}/delay_us`;
    copyFileSync(fsyncDelayLibrary(), library);
    writeFileSync(delayFile, new Uint32Array([0]), { mode: 0o644 });
    Object.assign(process.env, { LD_PRELOAD: library, OA_BENCH_FSYNC_DELAY_FILE: delayFile });
    try {
      const cluster = await Cluster.create({ settings: { shared_buffers: '512MB', max_wal_size: '16GB',
        checkpoint_timeout: '30min', max_connections: 200, log_min_messages: 'warning' } });
      await cluster.createDatabase(database);
      cluster.psql(database, schema);
      const ground = new Ground(cluster, delayFile);
      await ground.query('SELECT runtime.sync_maintain_partitions()');
      return ground;
    } finally {
      delete process.env.LD_PRELOAD;
    }
  }

  /** Sets what every fdatasync() takes longer. @param {number} us */
  slowSync(us) {
    // Written in place: the server has the file mapped.
    writeFileSync(this.delayFile, new Uint32Array([us]), { flag: 'r+' });
  }

  /** @param {string} text @param {unknown[]} [values] @returns {Promise<any[]>} */
  async query(text, values) {
    return (await this.db.query(text, values)).rows;
  }

  /** Between comparisons: nobody pays for what another one wrote. */
  async settle() {
    await this.query('VACUUM ANALYZE bench.counters');
    await this.query('CHECKPOINT');
  }

  async destroy() {
    await this.cluster.destroy();
  }
}
