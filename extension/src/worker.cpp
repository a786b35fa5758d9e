#include "worker.h"

extern "C" {
#include "commands/extension.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

#include "epoch.h"
#include "head_keeper.h"
#include "settings.h"
#include "shared_state.h"
#include "void_filler.h"

namespace oasync {
namespace {

constexpr int kMaintenanceMs = 60000;
constexpr int kMaintenanceRetryMs = 2000;

bool extension_found = false;

void LookForExtension() { extension_found = FindJournal() != nullptr; }

void OpenEpoch() { OpenEpochIfNeeded(GetJournal()); }

void MaintainPartitions() {
  const char* sql = psprintf(
      "SELECT %s()", quote_qualified_identifier(get_namespace_name(GetJournal()->schema), "sync_maintain_partitions"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(sql, false, 0) != SPI_OK_SELECT) elog(ERROR, "could not make partitions");
  PopActiveSnapshot();
  SPI_finish();
}

void SayGoodbye(int, Datum) {
  DatabaseState* state = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  if (state->worker_pid == MyProcPid) {
    state->worker_pid = 0;
    state->worker_pgprocno = -1;
  }
  LWLockRelease(shared->databases_lock);
  WakeLauncher();
}

// False when there already is a worker for this database.
bool SayHello() {
  DatabaseState* state = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  const bool alone = state->worker_pid == 0;
  if (alone) {
    state->worker_pid = MyProcPid;
    state->worker_pgprocno = MyProc->pgprocno;
  }
  LWLockRelease(shared->databases_lock);
  if (alone) before_shmem_exit(SayGoodbye, 0);
  return alone;
}

void Leave() {
  DatabaseState* state = MyDatabaseState();
  state->absent = true;
  state->recovered = false;  // of the journal that is no longer there
  proc_exit(0);
}

bool IsDue(TimestampTz* last, int every_ms) {
  const TimestampTz now = GetCurrentTimestamp();
  if (*last != 0 && !TimestampDifferenceExceeds(*last, now, every_ms)) return false;
  *last = now;
  return true;
}

void Work() {
  TimestampTz maintained = 0;
  TimestampTz persisted = GetCurrentTimestamp();
  TimestampTz looked = 0;
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    if (IsDue(&looked, 1000)) {
      RunInTransaction("look for the extension", LookForExtension);
      if (!extension_found) Leave();
    }
    FillHolesAfterCrash();
    while (FillQueuedVoids()) CHECK_FOR_INTERRUPTS();
    FillOverflowedTopics();
    if (IsDue(&maintained, kMaintenanceMs) && !RunInTransaction("maintain partitions", MaintainPartitions)) {
      // Most likely it gave way to a command that held a lock: again soon.
      maintained = TimestampTzPlusMilliseconds(maintained, kMaintenanceRetryMs - kMaintenanceMs);
    }
    if (IsDue(&persisted, checkpoint_interval_s * 1000)) PersistHeads();
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, nullptr);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, naptime_ms, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

bool look_again = false;  // at this database, when the transaction commits

}  // namespace

bool RunInTransaction(const char* what, void (*body)()) {
  volatile bool done = false;
  MemoryContext context = CurrentMemoryContext;
  PG_TRY();
  {
    SetCurrentStatementStartTimestamp();
    pgstat_report_activity(STATE_RUNNING, what);
    StartTransactionCommand();
    body();
    CommitTransactionCommand();
    done = true;
  }
  PG_CATCH();
  {
    // SIGTERM ends the process by FATAL and does not come here.
    MemoryContextSwitchTo(context);
    HOLD_INTERRUPTS();
    EmitErrorReport();
    AbortCurrentTransaction();
    FlushErrorState();
    RESUME_INTERRUPTS();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  return done;
}

void LookAgainAfterCommit() { look_again = true; }

void OnTransactionEnd(bool committed) {
  if (!look_again) return;
  look_again = false;
  if (!committed) return;
  MyDatabaseState()->absent = false;
  MyDatabaseState()->not_before = 0;
  WakeLauncher();
}

extern "C" {

PGDLLEXPORT void oa_sync_worker_main(Datum database);

void oa_sync_worker_main(Datum database) {
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
  pgstat_report_appname("oa_sync worker");
  SetConfigOption("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION);
  // Below deadlock_timeout: in a deadlock with a user's command (DROP EXTENSION), it is the worker that gives way.
  SetConfigOption("lock_timeout", "500ms", PGC_USERSET, PGC_S_SESSION);
  SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
  // The voids that this worker writes are waited for; the rest can be.
  SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
  MemoryContextSwitchTo(TopMemoryContext);
  if (!SayHello()) proc_exit(0);
  RunInTransaction("look for the extension", LookForExtension);
  if (!extension_found) Leave();
  ereport(DEBUG1, (errmsg("oa_sync worker started")));
  // The second time it is committed, and told to the others.
  RunInTransaction("open an epoch", OpenEpoch);
  RunInTransaction("publish the epoch", OpenEpoch);
  Work();
}
}

}  // namespace oasync
