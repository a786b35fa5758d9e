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

#include <utility>

#include "epoch.h"
#include "head_keeper.h"
#include "retention.h"
#include "settings.h"
#include "shared_state.h"
#include "void_filler.h"

namespace oasync {
namespace {

constexpr int kMaintenanceMs = 60000;
constexpr int kMaintenanceRetryMs = 2000;

bool extension_found = false;
bool epoch_is_open = false;

void Look() {
  const Journal* journal = FindJournal();
  extension_found = journal != nullptr;
  if (extension_found && EpochIsPublished(journal)) NoticeRestoredEpochs(journal);
  epoch_is_open = extension_found && EpochIsPublished(journal);
}

void OpenEpoch() { OpenEpochIfNeeded(GetJournal()); }

// A database that a dump is being restored into has to keep the places of the dump's partitions free. They are all
// attached before a dump's data comes, so whoever has an event or publishes a table is past that. Once there is a
// partition, there always are more.
bool needs_partitions = false;

void LookForNeed() {
  const Journal* journal = GetJournal();
  needs_partitions = journal->partition_count > 1;
  if (needs_partitions) return;
  const char* schema = get_namespace_name(journal->schema);
  // Publications of the extension's own tables have negative numbers.
  const char* sql = psprintf("SELECT FROM %s UNION ALL SELECT FROM %s WHERE publication_id > 0 LIMIT 1",
                             quote_qualified_identifier(schema, "sync_stream_events"),
                             quote_qualified_identifier(schema, "sync_publications"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(sql, true, 1) != SPI_OK_SELECT) elog(ERROR, "could not look for events");
  needs_partitions = SPI_processed > 0;
  PopActiveSnapshot();
  SPI_finish();
}

bool present_is_held = false;  // by a partition of its own, when partitions were maintained last

void MaintainPartitions() {
  const char* schema = get_namespace_name(GetJournal()->schema);
  const char* make = psprintf("SELECT %s()", quote_qualified_identifier(schema, "sync_maintain_partitions"));
  const char* look = psprintf("SELECT FROM %s WHERE lower <= clock_timestamp() AND upper > clock_timestamp()",
                              quote_qualified_identifier(schema, "sync_journal_partitions"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(make, false, 0) != SPI_OK_SELECT) elog(ERROR, "could not make partitions");
  if (SPI_execute(look, false, 1) != SPI_OK_SELECT) elog(ERROR, "could not look at the partitions");
  present_is_held = SPI_processed > 0;
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

// The extension is not there. The launcher looks again now and then, and at once when it is created. A database that
// never had it has no place in shared memory, and takes none.
void Leave() {
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  if (DatabaseState* state = FindDatabase(MyDatabaseId); state != nullptr) {
    state->recovered = false;  // of the journal that is no longer there
    state->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), database_check_interval_s * 1000L);
  }
  LWLockRelease(shared->databases_lock);
  proc_exit(0);
}

// Opens an epoch if it has to be; a second time, to tell the others of what is then committed. False when there is
// none, and so nothing can be appended.
bool HaveEpoch() {
  for (int i = 0; i < 2 && !epoch_is_open; ++i) {
    if (!RunInTransaction("open an epoch", OpenEpoch) || !RunInTransaction("look", Look)) return false;
  }
  return epoch_is_open;
}

bool IsDue(TimestampTz* last, int every_ms) {
  if (*last != 0 && !HasPassed(*last, every_ms)) return false;
  *last = GetCurrentTimestamp();
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
      if (RunInTransaction("look", Look) && !extension_found) Leave();
    }
    if (HaveEpoch()) {
      FillHolesAfterCrash();
      while (FillQueuedVoids()) CHECK_FOR_INTERRUPTS();
      FillOverflowedTopics();
    }
    if (!needs_partitions && epoch_is_open) RunInTransaction("look for need of partitions", LookForNeed);
    if (needs_partitions && IsDue(&maintained, kMaintenanceMs) &&
        !(RunInTransaction("maintain partitions", MaintainPartitions) && present_is_held)) {
      // Most likely it gave way to who held a lock: again soon.
      maintained = TimestampTzPlusMilliseconds(maintained, kMaintenanceRetryMs - kMaintenanceMs);
    }
    if (IsDue(&persisted, checkpoint_interval_s * 1000)) PersistHeads();
    if (RetentionIsDue()) Retain();
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, nullptr);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, naptime_ms, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

bool look_again = false;    // at this database, when the transaction commits
bool forget_epoch = false;  // of this database, when the transaction commits

}  // namespace

bool HasPassed(TimestampTz since, int ms) {
  const TimestampTz now = GetCurrentTimestamp();
  return now < since || TimestampDifferenceExceeds(since, now, ms);
}

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

bool EpochWillBeForgotten() { return forget_epoch; }

void ForgetEpochAfterCommit() {
  MyDatabaseState();  // takes the database's place, or says that there is none
  forget_epoch = true;
}

void OnTransactionEnd(bool committed) {
  const bool looks = std::exchange(look_again, false) && committed;
  if (std::exchange(forget_epoch, false) && committed) pg_atomic_write_u64(&MyDatabaseState()->epoch, 0);
  if (!looks) return;
  // The place was taken by oa_sync_install(): nothing here can raise an ERROR, which after a commit would be a PANIC.
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
  // What a database or role may be set to must not stop the worker.
  SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
  SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
  SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
  SetConfigOption("default_transaction_deferrable", "off", PGC_USERSET, PGC_S_SESSION);
  // The voids that this worker writes are waited for; the rest can be.
  SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
  MemoryContextSwitchTo(TopMemoryContext);
  if (!RunInTransaction("look", Look) || !extension_found) Leave();
  if (!SayHello()) proc_exit(0);
  ereport(DEBUG1, (errmsg("oa_sync worker started")));
  Work();
}
}

}  // namespace oasync
