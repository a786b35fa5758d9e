#include "pg.h"

extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

#include <csignal>

#include "settings.h"
#include "shared_state.h"
#include "topic_heads.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr int kSuspendMs = 10000;
constexpr int kRestartMs = 1000;
constexpr int kStartWaitMs = 10000;

struct ListedDatabase {
  Oid oid;
  bool connectable;
};

ListedDatabase* databases = nullptr;  // in TopMemoryContext, as of the last look
int database_count = 0;
List* probed = NIL;  // in TopMemoryContext: databases without a place, which did not have the extension

void ReadDatabases() {
  database_count = 0;
  int cap = 64;
  if (databases != nullptr) pfree(databases);
  databases = static_cast<ListedDatabase*>(
      MemoryContextAlloc(TopMemoryContext, sizeof(ListedDatabase) * static_cast<Size>(cap)));
  Relation rel = table_open(DatabaseRelationId, AccessShareLock);
  TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
  while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
    const auto* form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    if (database_count == cap) {
      cap *= 2;
      databases = static_cast<ListedDatabase*>(repalloc(databases, sizeof(ListedDatabase) * static_cast<Size>(cap)));
    }
    databases[database_count++] = {form->oid, form->datallowconn};
  }
  table_endscan(scan);
  table_close(rel, AccessShareLock);
}

bool IsListed(Oid database) {
  for (int i = 0; i < database_count; ++i) {
    if (databases[i].oid == database) return true;
  }
  return false;
}

void ForgetDroppedDatabases() {
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  for (int i = 0; i < max_databases; ++i) {
    DatabaseState& state = shared->databases[i];
    if (state.database == InvalidOid || state.worker_pid != 0 || IsListed(state.database)) continue;
    ForgetVoids(state.database);
    state.database = InvalidOid;
  }
  LWLockRelease(shared->databases_lock);
}

// Also when the clock was set back since that time was noted: nothing is put off for longer than this.
bool MayStart(const DatabaseState& state, TimestampTz now) {
  const long longest = Max(database_check_interval_s * 1000L, static_cast<long>(kSuspendMs));
  return state.not_before <= now || state.not_before > TimestampTzPlusMilliseconds(now, longest);
}

// Whether a worker is to be started now. A database that has no place in shared memory is looked at once: what then
// brings the extension there, takes a place for it.
bool WantsWorker(const ListedDatabase& database) {
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  DatabaseState* state = FindDatabase(database.oid);
  const TimestampTz now = GetCurrentTimestamp();
  bool wants = state == nullptr && database.connectable && !list_member_oid(probed, database.oid);
  if (state != nullptr && state->worker_pid == 0 && MayStart(*state, now)) {
    wants = database.connectable;
    state->not_before =
        TimestampTzPlusMilliseconds(now, database.connectable ? kRestartMs : database_check_interval_s * 1000L);
  }
  LWLockRelease(shared->databases_lock);
  return wants;
}

// Whether the worker of a database has made up its mind: it stays, or it has gone.
bool IsSettled(Oid database, BackgroundWorkerHandle* handle) {
  LWLockAcquire(shared->databases_lock, LW_SHARED);
  const DatabaseState* state = FindDatabase(database);
  const bool stays = state != nullptr && state->worker_pid != 0;
  LWLockRelease(shared->databases_lock);
  pid_t pid = 0;
  return stays || GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
}

void NoteProbed(Oid database) {
  const ContextSwitch in(TopMemoryContext);
  probed = list_append_unique_oid(probed, database);
  in.Back();
}

// Starts the worker of a database and waits until it has looked for the extension, so that databases without it take
// up one place for a worker between them.
void StartWorker(Oid database) {
  BackgroundWorker worker = {};
  strlcpy(worker.bgw_name, "oa_sync worker", BGW_MAXLEN);
  strlcpy(worker.bgw_type, "oa_sync worker", BGW_MAXLEN);
  strlcpy(worker.bgw_library_name, "oa_sync", BGW_MAXLEN);
  strlcpy(worker.bgw_function_name, "oa_sync_worker_main", BGW_MAXLEN);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;  // the launcher does it
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  worker.bgw_notify_pid = MyProcPid;
  BackgroundWorkerHandle* handle = nullptr;
  if (!RegisterDynamicBackgroundWorker(&worker, &handle)) {
    ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                      errmsg("there is no place for the oa_sync worker of database %u", database),
                      errhint("Raise max_worker_processes and restart the server.")));
    return;
  }
  const TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kStartWaitMs);
  while (!IsSettled(database, handle) && GetCurrentTimestamp() < deadline) {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  pfree(handle);
  NoteProbed(database);
}

// Milliseconds until the launcher has to look again.
long SleepTime() {
  long sleep = database_check_interval_s * 1000L;
  const TimestampTz now = GetCurrentTimestamp();
  LWLockAcquire(shared->databases_lock, LW_SHARED);
  for (int i = 0; i < max_databases; ++i) {
    const DatabaseState& state = shared->databases[i];
    if (state.database == InvalidOid || state.worker_pid != 0) continue;
    sleep = Min(sleep, Max(10L, TimestampDifferenceMilliseconds(now, state.not_before)));
  }
  LWLockRelease(shared->databases_lock);
  return sleep;
}

void Launch() {
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    if (RunInTransaction("look for databases", ReadDatabases)) {
      ForgetDroppedDatabases();
      for (int i = 0; i < database_count; ++i) {
        if (WantsWorker(databases[i])) StartWorker(databases[i].oid);
      }
    }
    pgstat_report_activity(STATE_IDLE, nullptr);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SleepTime(), PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

void LeaveLauncher(int, Datum) { shared->launcher_pgprocno = -1; }

}  // namespace

void InstallWorkers() {
  BackgroundWorker launcher = {};
  strlcpy(launcher.bgw_name, "oa_sync launcher", BGW_MAXLEN);
  strlcpy(launcher.bgw_type, "oa_sync launcher", BGW_MAXLEN);
  strlcpy(launcher.bgw_library_name, "oa_sync", BGW_MAXLEN);
  strlcpy(launcher.bgw_function_name, "oa_sync_launcher_main", BGW_MAXLEN);
  launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
  launcher.bgw_restart_time = 1;
  RegisterBackgroundWorker(&launcher);
}

void SuspendWorker(Oid database) {
  const TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kSuspendMs / 2);
  for (;;) {
    LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
    DatabaseState* state = FindDatabase(database);
    const pid_t pid = state == nullptr ? 0 : state->worker_pid;
    if (state != nullptr) state->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kSuspendMs);
    LWLockRelease(shared->databases_lock);
    if (pid == 0 || GetCurrentTimestamp() >= give_up) return;
    kill(pid, SIGTERM);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
}

extern "C" {

PGDLLEXPORT void oa_sync_launcher_main(Datum);

void oa_sync_launcher_main(Datum) {
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  pgstat_report_appname("oa_sync launcher");
  MemoryContextSwitchTo(TopMemoryContext);
  shared->launcher_pgprocno = MyProc->pgprocno;
  on_shmem_exit(LeaveLauncher, 0);
  Launch();
}
}

}  // namespace oasync
