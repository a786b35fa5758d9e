// Shared memory: what backends, the workers and the launcher know together.
//
// Everything here is lost with a crash of the server, and rebuilt from the journal. Nothing here is needed to know
// which events exist.
#pragma once

#include "pg.h"

extern "C" {
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
}

#include "text_template.h"

namespace oasync {

// A topic's place in the hash table is claimed before its head is read, so that a head is read by one process.
enum class TopicState : uint8_t { kFree, kLoading, kReady, kFailed };

// The head of a hot topic. Stable while `pins` is not 0; changed under the partition's lock or atomically.
struct TopicEntry {
  int32 next;  // the chain of the hash bucket, an index in the partition, -1 at the end
  Oid database;
  Oid journal;  // so that a dropped and recreated extension starts afresh
  TopicState state;
  bool recently_used;  // for the clock that makes room
  uint16 topic_len;
  pg_atomic_uint64 head;           // the last allocated watermark
  uint64 loaded_head;              // the head when it was loaded: a hole at or below it belongs to nobody who lives
  pg_atomic_uint64 persisted;      // the dense head that sync_topic_sequences knows
  pg_atomic_uint32 pins;           // transactions (and the worker) that use the entry now
  pg_atomic_uint32 pending_voids;  // failed ranges that are not yet filled
  pg_atomic_uint32 holes;          // not 0: failed ranges did not fit in the queue, look for holes in the journal
  ConditionVariable loaded;
  char topic[kMaxTopicBytes];

  std::string_view name() const { return {topic, topic_len}; }
};

// A share of the hash table, with its own lock and its own entries.
struct TopicPartition {
  LWLock* lock;
  int32* buckets;       // bucket_count first entries, -1 for none
  TopicEntry* entries;  // entry_count
  uint32 hand;          // of the clock
};

// A range of watermarks whose transaction failed after allocation.
struct VoidRange {
  TopicEntry* topic;  // not evicted while its pending_voids is not 0
  uint64 first;
  uint64 count;
};

// One for each backend: odd while it is between allocation and the end of its transaction.
struct alignas(64) CommitSlot {  // a cache line each: neighbours commit at the same time
  pg_atomic_uint64 sequence;
};

// What one cycle of retention did.
struct RetentionCycle {
  TimestampTz started_at;
  int64 duration_us;
  int32 dropped;  // partitions, the default one emptied included
  int64 bytes;    // of them
  int64 floors;   // raised
  int32 skipped;  // partitions that stay for now, because somebody uses them or a topic is not dense
  bool failed;    // an error of some step is in the log
};

// What is known of a database that has, or may have, the extension.
struct DatabaseState {
  Oid database;                      // InvalidOid: a free place
  pid_t worker_pid;                  // 0: none runs
  int worker_pgprocno;               // for its latch; -1: none
  TimestampTz not_before;            // the launcher starts no worker earlier
  bool recovered;                    // holes that a crash left are filled
  bool restoring;                    // a dump is being loaded: holes are looked for when that has ended
  TimestampTz checkpoint_at;         // when heads were last persisted
  pg_atomic_uint64 epoch;            // 0: not known
  Oid epoch_journal;                 // the journal that `epoch` is of
  uint32 epoch_timeline;             // the WAL time line that `epoch` is of
  int64 epoch_count;                 // rows of sync_epochs when `epoch` was read
  RetentionCycle retention;          // the last one; under databases_lock
  pg_atomic_uint64 retention_asked;  // how often sync_retain() asked for a cycle,
  pg_atomic_uint64 retention_done;   // and up to which of these one has run
  // Counters since the server started.
  pg_atomic_uint64 transactions;
  pg_atomic_uint64 write_failures;  // transactions that failed while they appended events
  pg_atomic_uint64 events;
  pg_atomic_uint64 event_bytes;
  pg_atomic_uint64 spilled_bytes;
  pg_atomic_uint64 voids_queued;
  pg_atomic_uint64 voids_filled;
  pg_atomic_uint64 heads_loaded;
  pg_atomic_uint64 retention_cycles;
  pg_atomic_uint64 partitions_dropped;
  pg_atomic_uint64 bytes_dropped;
  pg_atomic_uint64 floors_raised;
  pg_atomic_uint64 retention_skipped;
  // Writes to read models, whether their transactions committed or not (document_guard.cpp).
  pg_atomic_uint64 documents_written;
  pg_atomic_uint64 documents_stale;
  pg_atomic_uint64 documents_unchanged;
  pg_atomic_uint64 documents_drifted;
};

struct RateSet;       // rate_limit.cpp
struct ProgressSlot;  // append_progress.cpp

struct SharedState {
  LWLock* databases_lock;
  LWLock* voids_lock;
  int32 launcher_pgprocno;  // -1: none runs
  pg_atomic_uint64 evictions;
  pg_atomic_uint64 overflows;  // failed ranges that did not fit in the queue, of all databases
  int32 void_count;            // under voids_lock
  uint32 bucket_count;         // of each topic partition, a power of two
  uint32 entry_count;          // of each topic partition
  TopicPartition* topics;      // kTopicPartitions
  DatabaseState* databases;    // max_databases
  VoidRange* voids;            // void_queue_size
  CommitSlot* slots;           // MaxBackends
  RateSet* rate_sets;
  ProgressSlot* progress;  // MaxBackends
};

constexpr uint32 kTopicPartitions = 64;

extern SharedState* shared;

// Asks for shared memory; called from _PG_init.
void InstallSharedState();

// This database's entry, made when it is not there. ERROR 53400 when all places are taken. Cached.
DatabaseState* MyDatabaseState();
// The entry of a database or null; REQUIRES databases_lock.
DatabaseState* FindDatabase(Oid database);
// The same, made when it is not there; null when all places are taken. REQUIRES databases_lock exclusively.
DatabaseState* ClaimDatabase(Oid database);

// Wakes a database's worker, or the launcher. Never raises an ERROR: called at the end of transactions.
void WakeWorker(const DatabaseState* database);
void WakeLauncher();

}  // namespace oasync
