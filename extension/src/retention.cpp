#include "retention.h"

extern "C" {
#include "access/xlog.h"
#include "funcapi.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

#include "epoch.h"
#include "floor_raiser.h"
#include "head_keeper.h"
#include "journal_scan.h"
#include "partition_dropper.h"
#include "policy.h"
#include "settings.h"
#include "topic_heads.h"
#include "void_filler.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr int64 kMaxSlackUs = 10 * USECS_PER_SEC;
// How long sync_retain() waits for a worker to be there.
constexpr int kWorkerWaitMs = 10000;

TimestampTz last_cycle = 0;
bool is_open = false;

// Before the worker has filled what a crash left, nothing is known to be dense. Before there is an epoch of this
// history nothing happens in it: a restore may be under way that has brought heads, and has yet to bring their events.
void LookWhetherOpen() {
  const Journal* journal = FindJournal();
  is_open = journal != nullptr && MyDatabaseState()->recovered && EpochIsPublished(journal) && KnowsFloors();
}

void Run(RetentionCycle* cycle) {
  if (!RunInTransaction("look", LookWhetherOpen)) {
    cycle->failed = true;
    return;
  }
  if (!is_open) return;
  PersistHeads();
  DropOldPartitions(cycle);
  RaiseFloors(cycle);
}

void Publish(const RetentionCycle& cycle, uint64 asked) {
  DatabaseState* database = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  database->retention = cycle;
  LWLockRelease(shared->databases_lock);
  pg_atomic_fetch_add_u64(&database->retention_cycles, 1);
  pg_atomic_fetch_add_u64(&database->partitions_dropped, static_cast<uint64>(cycle.dropped));
  pg_atomic_fetch_add_u64(&database->bytes_dropped, static_cast<uint64>(cycle.bytes));
  pg_atomic_fetch_add_u64(&database->floors_raised, static_cast<uint64>(cycle.floors));
  pg_atomic_fetch_add_u64(&database->retention_skipped, static_cast<uint64>(cycle.skipped));
  pg_atomic_write_u64(&database->retention_done, asked);
}

void Log(const RetentionCycle& cycle) {
  const bool changed = cycle.dropped != 0 || cycle.floors != 0 || cycle.skipped != 0 || cycle.failed;
  if (log_retention == kLogNone || (log_retention == kLogChanges && !changed)) return;
  ereport(
      LOG,
      (errmsg("oa_sync retention: dropped %d partitions (%lld bytes), raised %lld floors, skipped %d (locked), "
              "in %lld ms%s",
              cycle.dropped, static_cast<long long>(cycle.bytes), static_cast<long long>(cycle.floors), cycle.skipped,
              static_cast<long long>(cycle.duration_us / 1000), cycle.failed ? ", with errors" : "")));
}

}  // namespace

bool RetentionIsDue() {
  const DatabaseState* database = MyDatabaseState();
  auto* state = const_cast<DatabaseState*>(database);
  if (pg_atomic_read_u64(&state->retention_asked) != pg_atomic_read_u64(&state->retention_done)) return true;
  if (retention_interval_s == 0) return false;
  if (last_cycle == 0) last_cycle = GetCurrentTimestamp();  // the worker has other things to do first
  return HasPassed(last_cycle, retention_interval_s * 1000);
}

void Retain() {
  DatabaseState* database = MyDatabaseState();
  const uint64 asked = pg_atomic_read_u64(&database->retention_asked);
  RetentionCycle cycle = {};
  cycle.started_at = last_cycle = GetCurrentTimestamp();
  Run(&cycle);
  cycle.duration_us = GetCurrentTimestamp() - cycle.started_at;
  Publish(cycle, asked);
  if (is_open || cycle.failed) Log(cycle);
}

TimestampTz RetentionCutoff(TimestampTz now, int64 horizon_us) {
  if (horizon_us == kNoLimit) return PG_INT64_MIN;
  return now - horizon_us - Min(horizon_us / 100, kMaxSlackUs);
}

bool IsDenseTo(std::string_view topic, int64 watermark) {
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(topic, nullptr, &next, &floor);
  // A topic that nobody pins and that has no voids to come is dense to its end.
  return Max(next - 1, floor) >= watermark || AllocatedHead(GetJournal()->journal, topic) == 0;
}

void ServeMeanwhile() {
  while (FillQueuedVoids()) CHECK_FOR_INTERRUPTS();
  CHECK_FOR_INTERRUPTS();
}

extern "C" {

PG_FUNCTION_INFO_V1(sync_retain);

// sync_retain(): has the worker do a cycle now, and waits for it. Not done here: the caller's transaction would hold
// the locks until its end, and they are in everybody's way.
Datum sync_retain(PG_FUNCTION_ARGS) {
  TupleDesc desc = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "a row type was expected");
  if (RecoveryInProgress()) {
    ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("retention works on the primary only")));
  }
  GetJournal();
  DatabaseState* database = MyDatabaseState();
  const uint64 ticket = pg_atomic_fetch_add_u64(&database->retention_asked, 1) + 1;
  TimestampTz seen = GetCurrentTimestamp();
  while (pg_atomic_read_u64(&database->retention_done) < ticket) {
    const TimestampTz now = GetCurrentTimestamp();
    if (database->worker_pid != 0) {
      seen = now;
      WakeWorker(database);
    } else if (TimestampDifferenceExceeds(seen, now, kWorkerWaitMs)) {
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("no oa_sync worker is running"),
                      errhint("Look for its reason in the server's log, and raise max_worker_processes if there is no "
                              "place for it.")));
    } else {
      WakeLauncher();
    }
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  LWLockAcquire(shared->databases_lock, LW_SHARED);
  const RetentionCycle cycle = database->retention;
  LWLockRelease(shared->databases_lock);
  if (cycle.failed) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("a step of retention failed"),
                    errhint("The worker's error is in the server's log. What the other steps did is done.")));
  }
  Datum values[5] = {Int32GetDatum(cycle.dropped), Int64GetDatum(cycle.bytes), Int64GetDatum(cycle.floors),
                     Int32GetDatum(cycle.skipped), Float8GetDatum(static_cast<double>(cycle.duration_us) / 1000.0)};
  bool isnull[5] = {};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
}

}  // namespace oasync
