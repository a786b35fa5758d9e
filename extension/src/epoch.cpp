#include "epoch.h"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

#include "settings.h"
#include "shared_state.h"

namespace oasync {
namespace {

struct EpochRow {
  int64 epoch = 0;
  int64 system_identifier = 0;
  int64 timeline = 0;
};

// The row with the largest epoch as committed now, whatever the transaction's isolation. The table has one row for
// each history: a handful.
EpochRow ReadNewestRow(const Journal* journal) {
  EpochRow newest;
  Relation rel = table_open(journal->epochs, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    bool isnull = true;
    const int64 epoch = DatumGetInt64(slot_getattr(slot, 1, &isnull));
    if (epoch <= newest.epoch) continue;
    newest.epoch = epoch;
    newest.system_identifier = DatumGetInt64(slot_getattr(slot, 2, &isnull));
    newest.timeline = DatumGetInt64(slot_getattr(slot, 3, &isnull));
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  return newest;
}

uint32 WalTimeline() { return GetWALInsertionTimeLine(); }

bool IsThisHistory(const EpochRow& row) {
  return row.epoch != 0 && static_cast<uint64>(row.system_identifier) == GetSystemIdentifier() &&
         row.timeline == static_cast<int64>(WalTimeline());
}

// Remembers the epoch in shared memory if it is of this history. The row may be this transaction's own only while
// CREATE EXTENSION runs; if that fails, its journal, and so what is remembered, is never asked for again.
bool Publish(const Journal* journal, const EpochRow& row) {
  if (!IsThisHistory(row)) return false;
  DatabaseState* database = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  database->epoch_journal = journal->journal;
  database->epoch_timeline = WalTimeline();
  pg_atomic_write_u64(&database->epoch, static_cast<uint64>(row.epoch));
  LWLockRelease(shared->databases_lock);
  return true;
}

// The epoch in shared memory, 0 when it is not of this history of this journal.
uint64 PublishedEpoch(const DatabaseState& database, Oid journal) {
  const uint64 epoch = pg_atomic_read_u64(const_cast<pg_atomic_uint64*>(&database.epoch));
  return database.epoch_journal == journal && database.epoch_timeline == WalTimeline() ? epoch : 0;
}

}  // namespace

bool EpochIsPublished(const Journal* journal) {
  // A database that has no place yet knows nothing.
  LWLockAcquire(shared->databases_lock, LW_SHARED);
  const DatabaseState* database = FindDatabase(MyDatabaseId);
  LWLockRelease(shared->databases_lock);
  return database != nullptr && PublishedEpoch(*database, journal->journal) != 0;
}

uint64 CurrentEpoch(const Journal* journal) {
  const DatabaseState* database = MyDatabaseState();
  const TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), epoch_wait_ms);
  const Oid relid = journal->journal;
  for (;;) {
    if (const uint64 epoch = PublishedEpoch(*database, relid); epoch != 0) return epoch;
    journal = GetJournal();
    const EpochRow row = ReadNewestRow(journal);
    if (Publish(journal, row)) return static_cast<uint64>(row.epoch);
    WakeLauncher();
    WakeWorker(database);
    if (GetCurrentTimestamp() >= deadline) break;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  ereport(ERROR, (errcode(ERRCODE_CANNOT_CONNECT_NOW),
                  errmsg("the oa_sync worker has not opened an epoch for this history of the database"),
                  errdetail("The cluster was promoted, recovered to a point in time, or restored, and events must not "
                            "be numbered as if it were not."),
                  errhint("Retry. If it stays, look for the worker in pg_stat_activity, and raise "
                          "max_worker_processes if there is no place for it.")));
}

uint64 ReadNewestEpoch(const Journal* journal) { return static_cast<uint64>(ReadNewestRow(journal).epoch); }

void OpenEpochIfNeeded(const Journal* journal) {
  EpochRow row = ReadNewestRow(journal);
  if (IsThisHistory(row)) {
    Publish(journal, row);
    return;
  }
  Oid types[2] = {INT8OID, INT8OID};
  Datum values[2] = {Int64GetDatum(static_cast<int64>(GetSystemIdentifier())),
                     Int64GetDatum(static_cast<int64>(WalTimeline()))};
  char* sql = psprintf(
      "INSERT INTO %s (epoch, system_identifier, timeline, reason) "
      "SELECT coalesce(max(epoch), 0) + 1, $1, $2, CASE WHEN count(*) = 0 THEN 'installed' "
      "WHEN bool_or(system_identifier = $1) THEN 'promotion or point-in-time recovery' ELSE 'restored into another "
      "cluster' END FROM %s",
      quote_qualified_identifier(get_namespace_name(journal->schema), "sync_epochs"),
      quote_qualified_identifier(get_namespace_name(journal->schema), "sync_epochs"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute_with_args(sql, 2, types, values, nullptr, false, 0) != SPI_OK_INSERT) {
    elog(ERROR, "could not open a new epoch");
  }
  PopActiveSnapshot();
  SPI_finish();
}

}  // namespace oasync
