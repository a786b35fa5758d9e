#include "shared_state.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
}

#include "append_progress.h"
#include "rate_limit.h"
#include "settings.h"

namespace oasync {

SharedState* shared = nullptr;

namespace {

constexpr const char* kTranche = "oa_sync";
constexpr int kLocks = kTopicPartitions + 2;

#if PG_VERSION_NUM >= 150000
shmem_request_hook_type previous_request_hook = nullptr;
#endif
shmem_startup_hook_type previous_startup_hook = nullptr;

uint32 EntryCount() { return (static_cast<uint32>(max_hot_topics) + kTopicPartitions - 1) / kTopicPartitions; }

uint32 BucketCount() {
  uint32 buckets = 16;
  while (buckets < EntryCount()) buckets *= 2;
  return buckets;
}

// Calls `take(size)` for each piece of shared memory, in a fixed order; the one place that knows the layout.
template <typename Take>
void ForEachPiece(Take take) {
  take(sizeof(SharedState));
  take(mul_size(kTopicPartitions, sizeof(TopicPartition)));
  take(mul_size(mul_size(kTopicPartitions, BucketCount()), sizeof(int32)));
  take(mul_size(mul_size(kTopicPartitions, EntryCount()), sizeof(TopicEntry)));
  take(mul_size(static_cast<Size>(max_databases), sizeof(DatabaseState)));
  take(mul_size(static_cast<Size>(void_queue_size), sizeof(VoidRange)));
  take(mul_size(static_cast<Size>(MaxBackends) + 1, sizeof(CommitSlot)));
  take(RateTableSize());
  take(ProgressTableSize());
}

Size SharedSize() {
  Size total = 0;
  ForEachPiece([&total](Size size) { total = add_size(total, CACHELINEALIGN(size)); });
  return total;
}

void InitTopics(char* buckets, char* entries) {
  const LWLockPadded* locks = GetNamedLWLockTranche(kTranche);
  shared->bucket_count = BucketCount();
  shared->entry_count = EntryCount();
  for (uint32 i = 0; i < kTopicPartitions; ++i) {
    TopicPartition& part = shared->topics[i];
    part.lock = const_cast<LWLock*>(&locks[i].lock);
    part.buckets = reinterpret_cast<int32*>(buckets) + static_cast<Size>(i) * shared->bucket_count;
    part.entries = reinterpret_cast<TopicEntry*>(entries) + static_cast<Size>(i) * shared->entry_count;
    part.hand = 0;
    for (uint32 b = 0; b < shared->bucket_count; ++b) part.buckets[b] = -1;
    for (uint32 e = 0; e < shared->entry_count; ++e) {
      TopicEntry& entry = part.entries[e];
      entry.state = TopicState::kFree;
      pg_atomic_init_u64(&entry.head, 0);
      pg_atomic_init_u64(&entry.persisted, 0);
      pg_atomic_init_u32(&entry.pins, 0);
      pg_atomic_init_u32(&entry.pending_voids, 0);
      pg_atomic_init_u32(&entry.holes, 0);
      ConditionVariableInit(&entry.loaded);
    }
  }
  shared->databases_lock = const_cast<LWLock*>(&locks[kTopicPartitions].lock);
  shared->voids_lock = const_cast<LWLock*>(&locks[kTopicPartitions + 1].lock);
}

void ShmemStartup() {
  if (previous_startup_hook != nullptr) previous_startup_hook();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found = false;
  char* memory = static_cast<char*>(ShmemInitStruct("oa_sync", SharedSize(), &found));
  char* pieces[9];
  int n = 0;
  ForEachPiece([&](Size size) {
    pieces[n++] = memory;
    memory += CACHELINEALIGN(size);
  });
  shared = reinterpret_cast<SharedState*>(pieces[0]);
  if (!found) {
    memset(pieces[0], 0, SharedSize());
    shared->launcher_pgprocno = -1;
    pg_atomic_init_u64(&shared->evictions, 0);
    pg_atomic_init_u64(&shared->overflows, 0);
    shared->topics = reinterpret_cast<TopicPartition*>(pieces[1]);
    shared->databases = reinterpret_cast<DatabaseState*>(pieces[4]);
    shared->voids = reinterpret_cast<VoidRange*>(pieces[5]);
    shared->slots = reinterpret_cast<CommitSlot*>(pieces[6]);
    InitRateTable(pieces[7]);
    InitProgressTable(pieces[8]);
    InitTopics(pieces[2], pieces[3]);
    for (int i = 0; i <= MaxBackends; ++i) pg_atomic_init_u64(&shared->slots[i].sequence, 0);
  }
  LWLockRelease(AddinShmemInitLock);
}

void ShmemRequest() {
#if PG_VERSION_NUM >= 150000
  if (previous_request_hook != nullptr) previous_request_hook();
#endif
  RequestAddinShmemSpace(SharedSize());
  RequestNamedLWLockTranche(kTranche, kLocks);
}

}  // namespace

void InstallSharedState() {
#if PG_VERSION_NUM >= 150000
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = ShmemRequest;
#else
  ShmemRequest();
#endif
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = ShmemStartup;
}

DatabaseState* FindDatabase(Oid database) {
  for (int i = 0; i < max_databases; ++i) {
    if (shared->databases[i].database == database) return &shared->databases[i];
  }
  return nullptr;
}

DatabaseState* ClaimDatabase(Oid database) {
  if (DatabaseState* state = FindDatabase(database); state != nullptr) return state;
  DatabaseState* state = FindDatabase(InvalidOid);
  if (state == nullptr) return nullptr;
  memset(state, 0, sizeof(*state));
  state->database = database;
  state->worker_pgprocno = -1;
  pg_atomic_init_u64(&state->epoch, 0);
  pg_atomic_init_u64(&state->transactions, 0);
  pg_atomic_init_u64(&state->events, 0);
  pg_atomic_init_u64(&state->event_bytes, 0);
  pg_atomic_init_u64(&state->spilled_bytes, 0);
  pg_atomic_init_u64(&state->voids_queued, 0);
  pg_atomic_init_u64(&state->voids_filled, 0);
  pg_atomic_init_u64(&state->heads_loaded, 0);
  pg_atomic_init_u64(&state->retention_asked, 0);
  pg_atomic_init_u64(&state->retention_done, 0);
  pg_atomic_init_u64(&state->retention_cycles, 0);
  pg_atomic_init_u64(&state->partitions_dropped, 0);
  pg_atomic_init_u64(&state->bytes_dropped, 0);
  pg_atomic_init_u64(&state->floors_raised, 0);
  pg_atomic_init_u64(&state->retention_skipped, 0);
  pg_atomic_init_u64(&state->documents_written, 0);
  pg_atomic_init_u64(&state->documents_stale, 0);
  pg_atomic_init_u64(&state->documents_unchanged, 0);
  pg_atomic_init_u64(&state->documents_drifted, 0);
  pg_atomic_init_u64(&state->write_failures, 0);
  return state;
}

DatabaseState* MyDatabaseState() {
  static DatabaseState* mine = nullptr;
  // A place is only given away when its database is gone, and then nobody is connected to it.
  if (mine != nullptr) return mine;
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  DatabaseState* state = ClaimDatabase(MyDatabaseId);
  LWLockRelease(shared->databases_lock);
  if (state == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("oa_sync is used in more than %d databases", max_databases),
                    errhint("Raise oa_sync.max_databases and restart the server.")));
  }
  mine = state;
  return mine;
}

void WakeWorker(const DatabaseState* database) {
  const int pgprocno = database->worker_pgprocno;
  if (pgprocno >= 0) SetLatch(&ProcGlobal->allProcs[pgprocno].procLatch);
}

void WakeLauncher() {
  const int pgprocno = shared->launcher_pgprocno;
  if (pgprocno >= 0) SetLatch(&ProcGlobal->allProcs[pgprocno].procLatch);
}

}  // namespace oasync
