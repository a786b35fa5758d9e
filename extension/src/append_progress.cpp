#include "append_progress.h"

extern "C" {
#include "funcapi.h"
#include "port/atomics.h"
#include "utils/builtins.h"
}

#include "result_set.h"
#include "shared_state.h"

namespace oasync {

// Readers may see some numbers newer than others, none torn: it is progress, not an account.
struct alignas(64) ProgressSlot {
  pg_atomic_uint32 phase;  // AppendPhase; kNone: the rest means nothing
  int32 pid;
  Oid database;
  int32 topics;
  pg_atomic_uint64 events;
  pg_atomic_uint64 appended;
  pg_atomic_uint64 spilled_bytes;
  pg_atomic_uint64 started_at;  // a TimestampTz
};
static_assert(sizeof(ProgressSlot) == 64, "a cache line each");

namespace {

bool reporting = false;

const char* PhaseName(AppendPhase phase) {
  switch (phase) {
    case AppendPhase::kNone:
      break;
    case AppendPhase::kCapture:
      return "capture";
    case AppendPhase::kAppend:
      return "append";
    case AppendPhase::kCommit:
      return "commit";
  }
  return "";
}

Datum Number(pg_atomic_uint64* value) { return Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(value))); }

}  // namespace

void ReportProgress(const AppendState& state) {
  ProgressSlot* slot = &shared->progress[MyBackendId];
  slot->pid = MyProcPid;
  slot->database = MyDatabaseId;
  slot->topics = state.topics;
  pg_atomic_write_u64(&slot->events, state.events);
  pg_atomic_write_u64(&slot->appended, state.appended);
  pg_atomic_write_u64(&slot->spilled_bytes, state.spilled_bytes);
  if (!reporting) {
    pg_atomic_write_u64(&slot->started_at, static_cast<uint64>(GetCurrentTransactionStartTimestamp()));
    reporting = true;
    pg_write_barrier();
  }
  pg_atomic_write_u32(&slot->phase, static_cast<uint32>(state.phase));
}

void EndProgress() {
  if (likely(!reporting)) return;
  pg_atomic_write_u32(&shared->progress[MyBackendId].phase, static_cast<uint32>(AppendPhase::kNone));
  reporting = false;
}

Size ProgressTableSize() { return mul_size(static_cast<Size>(MaxBackends) + 1, sizeof(ProgressSlot)); }

void InitProgressTable(void* memory) {
  shared->progress = static_cast<ProgressSlot*>(memory);
  for (int i = 0; i <= MaxBackends; ++i) {
    ProgressSlot* slot = &shared->progress[i];
    pg_atomic_init_u32(&slot->phase, static_cast<uint32>(AppendPhase::kNone));
    pg_atomic_init_u64(&slot->events, 0);
    pg_atomic_init_u64(&slot->appended, 0);
    pg_atomic_init_u64(&slot->spilled_bytes, 0);
    pg_atomic_init_u64(&slot->started_at, 0);
  }
}

extern "C" {

PG_FUNCTION_INFO_V1(sync_append_progress);

// Every transaction of the cluster that reports, behind the view sync_progress_append.
Datum sync_append_progress(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  for (int i = 0; i <= MaxBackends; ++i) {
    ProgressSlot* slot = &shared->progress[i];
    const auto phase = static_cast<AppendPhase>(pg_atomic_read_u32(&slot->phase));
    if (phase == AppendPhase::kNone) continue;
    pg_read_barrier();
    Datum values[8] = {
        Int32GetDatum(slot->pid),
        ObjectIdGetDatum(slot->database),
        CStringGetTextDatum(PhaseName(phase)),
        Int32GetDatum(slot->topics),
        Number(&slot->events),
        Number(&slot->appended),
        Number(&slot->spilled_bytes),
        TimestampTzGetDatum(static_cast<TimestampTz>(pg_atomic_read_u64(&slot->started_at))),
    };
    bool isnull[8] = {};
    tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
  }
  return static_cast<Datum>(0);
}
}

}  // namespace oasync
