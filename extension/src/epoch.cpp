#include "epoch.h"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

#include <algorithm>

#include "restore_watch.h"
#include "settings.h"
#include "shared_state.h"
#include "worker.h"

namespace oasync {
namespace {

// The columns of sync_epochs.
enum { kEpochNumber = 1, kEpochSystem, kEpochTimeline, kEpochReason, kEpochStartedAt, kEpochDatabase, kEpochJournal };

constexpr char kRestoring[] = "being restored";

struct EpochRow {
  int64 epoch = 0;
  int64 system_identifier = 0;
  int64 timeline = 0;
  Oid database = InvalidOid;
  Oid journal = InvalidOid;
  bool is_restoring = false;  // its reason is kRestoring
  int64 count = 0;            // of all rows
};

int64 Int8Column(TupleTableSlot* slot, int column) {
  bool isnull = true;
  return DatumGetInt64(slot_getattr(slot, column, &isnull));
}

Oid OidColumn(TupleTableSlot* slot, int column) {
  bool isnull = true;
  return DatumGetObjectId(slot_getattr(slot, column, &isnull));
}

// The row with the largest epoch as committed now, whatever the transaction's isolation. The table has one row for
// each history: a handful.
EpochRow ReadNewestRow(const Journal* journal) {
  EpochRow newest;
  int64 count = 0;
  Relation rel = table_open(journal->epochs, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    ++count;
    const int64 epoch = Int8Column(slot, kEpochNumber);
    if (epoch <= newest.epoch) continue;
    newest.epoch = epoch;
    newest.system_identifier = Int8Column(slot, kEpochSystem);
    newest.timeline = Int8Column(slot, kEpochTimeline);
    bool isnull = true;
    newest.is_restoring = strcmp(TextDatumGetCString(slot_getattr(slot, kEpochReason, &isnull)), kRestoring) == 0;
    // 0.1.0's table, until ALTER EXTENSION oa_sync UPDATE, does not say which database and journal it is of.
    const bool is_complete = RelationGetNumberOfAttributes(rel) >= kEpochJournal;
    newest.database = is_complete ? OidColumn(slot, kEpochDatabase) : MyDatabaseId;
    newest.journal = is_complete ? OidColumn(slot, kEpochJournal) : journal->journal;
  }
  newest.count = count;
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  return newest;
}

uint32 WalTimeline() { return GetWALInsertionTimeLine(); }

bool IsThisHistory(const Journal* journal, const EpochRow& row) {
  return row.epoch != 0 && static_cast<uint64>(row.system_identifier) == GetSystemIdentifier() &&
         row.timeline == static_cast<int64>(WalTimeline()) && row.database == MyDatabaseId &&
         row.journal == journal->journal;
}

// Remembers the epoch in shared memory if it is of this history. The row may be this transaction's own only while
// CREATE EXTENSION runs; if that fails, its journal, and so what is remembered, is never asked for again.
bool Publish(const Journal* journal, const EpochRow& row) {
  if (!IsThisHistory(journal, row)) return false;
  DatabaseState* database = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  database->epoch_journal = journal->journal;
  database->epoch_timeline = WalTimeline();
  database->epoch_count = row.count;
  pg_atomic_write_u64(&database->epoch, static_cast<uint64>(row.epoch));
  LWLockRelease(shared->databases_lock);
  return true;
}

// The epoch in shared memory, 0 when it is not of this history of this journal.
uint64 PublishedEpoch(const DatabaseState& database, Oid journal) {
  const uint64 epoch = pg_atomic_read_u64(const_cast<pg_atomic_uint64*>(&database.epoch));
  return database.epoch_journal == journal && database.epoch_timeline == WalTimeline() ? epoch : 0;
}

// A number that no other history of these events can have taken: a restored or copied database does not know of the
// epochs that the one it came from opened since, so the next number would not do.
void AddEpoch(const Journal* journal, const char* reason) {
  // Where the clock is behind the newest epoch, two that part from here still take different numbers.
  uint32 step = 0;
  if (!pg_strong_random(&step, sizeof(step))) elog(ERROR, "could not make a random number");
  step = step % 1000000 + 1;
  Oid types[6] = {INT8OID, INT8OID, TEXTOID, OIDOID, OIDOID, INT8OID};
  Datum values[6] = {Int64GetDatum(static_cast<int64>(GetSystemIdentifier())),
                     Int64GetDatum(static_cast<int64>(WalTimeline())),
                     CStringGetTextDatum(reason),
                     ObjectIdGetDatum(MyDatabaseId),
                     ObjectIdGetDatum(journal->journal),
                     Int64GetDatum(step)};
  const char* table = quote_qualified_identifier(get_namespace_name(journal->schema), "sync_epochs");
  const bool is_complete = get_attnum(journal->epochs, "journal") > 0;  // 0.1.0's table is not
  char* sql = psprintf(
      "INSERT INTO %s (epoch, system_identifier, timeline, reason%s) SELECT greatest(coalesce(max(epoch), 0) + $6, "
      "pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8), $1, $2, $3%s "
      "FROM "
      "%s",
      table, is_complete ? ", database, journal" : "", is_complete ? ", $4, $5" : "", table);
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute_with_args(sql, lengthof(types), types, values, nullptr, false, 0) != SPI_OK_INSERT) {
    elog(ERROR, "could not open a new epoch");
  }
  PopActiveSnapshot();
  SPI_finish();
}

const char* ReasonFor(const Journal* journal, const EpochRow& newest) {
  if (newest.epoch == 0) return CreatedByDump() ? kRestoring : "installed";
  if (static_cast<uint64>(newest.system_identifier) != GetSystemIdentifier()) return "restored into another cluster";
  if (newest.database != MyDatabaseId || newest.journal != journal->journal) return "restored or copied";
  return "promotion or point-in-time recovery";
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
  if (EpochWillBeForgotten()) {
    // Others append in the old epoch until this is committed, so that there is no right one for events of this.
    ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                    errmsg("events cannot be written in the transaction that begins a new epoch"),
                    errhint("COMMIT after sync_new_epoch().")));
  }
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

void CheckEpochStillIs(const Journal* journal, uint64 epoch) {
  if (PublishedEpoch(*MyDatabaseState(), journal->journal) == epoch) return;
  ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                  errmsg("a new epoch began while the transaction was committing"), errhint("Retry the transaction.")));
}

uint64 ReadNewestEpoch(const Journal* journal) { return static_cast<uint64>(ReadNewestRow(journal).epoch); }

int64* ReadEpochs(const Journal* journal, int* count) {
  int cap = 16;
  auto* epochs = static_cast<int64*>(palloc(sizeof(int64) * static_cast<Size>(cap)));
  *count = 0;
  Relation rel = table_open(journal->epochs, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    if (*count == cap) {
      cap *= 2;
      epochs = static_cast<int64*>(repalloc(epochs, sizeof(int64) * static_cast<Size>(cap)));
    }
    epochs[(*count)++] = Int8Column(slot, kEpochNumber);
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  std::sort(epochs, epochs + *count);
  return epochs;
}

void NoteFork(const Journal* journal, std::string_view topic, uint64 epoch, uint64 watermark) {
  const char* schema = get_namespace_name(journal->schema);
  // Not there before ALTER EXTENSION oa_sync UPDATE.
  if (!OidIsValid(get_relname_relid("sync_epoch_forks", journal->schema))) return;
  Oid types[3] = {TEXTOID, INT8OID, INT8OID};
  Datum values[3] = {PointerGetDatum(cstring_to_text_with_len(topic.data(), static_cast<int>(topic.size()))),
                     Int64GetDatum(static_cast<int64>(epoch)), Int64GetDatum(static_cast<int64>(watermark))};
  // Holes are filled upwards: the first one stays.
  const char* sql = psprintf("INSERT INTO %s (topic, epoch, watermark) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                             quote_qualified_identifier(schema, "sync_epoch_forks"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute_with_args(sql, lengthof(types), types, values, nullptr, false, 0) != SPI_OK_INSERT) {
    elog(ERROR, "could not note where epochs go apart");
  }
  PopActiveSnapshot();
  SPI_finish();
}

void OpenEpochIfNeeded(const Journal* journal) {
  const EpochRow row = ReadNewestRow(journal);
  if (IsThisHistory(journal, row)) {
    Publish(journal, row);
    return;
  }
  AddEpoch(journal, ReasonFor(journal, row));
}

void NoticeRestoredEpochs(const Journal* journal) {
  const EpochRow row = ReadNewestRow(journal);
  DatabaseState* database = MyDatabaseState();
  LWLockAcquire(shared->databases_lock, LW_EXCLUSIVE);
  const bool is_loaded = database->epoch_journal == journal->journal && row.count != database->epoch_count;
  if (row.is_restoring && !database->restoring) {
    database->recovered = false;
    database->restoring = true;
  }
  if (is_loaded) {
    // Rows that no process of ours wrote: a dump was loaded, and its journal with it.
    database->recovered = false;
    database->restoring = true;
    database->epoch_count = row.count;
    // Also when it is another one of this history: who read the table just before a commit may have published too late.
    if (!IsThisHistory(journal, row) || static_cast<uint64>(row.epoch) != pg_atomic_read_u64(&database->epoch))
      pg_atomic_write_u64(&database->epoch, 0);
  }
  LWLockRelease(shared->databases_lock);
}

bool NewestEpochIsOfRestore(const Journal* journal) { return ReadNewestRow(journal).is_restoring; }

void NoteEndOfRestore(const Journal* journal) {
  const char* sql =
      psprintf("UPDATE %s SET reason = 'restored' WHERE reason = '%s'",
               quote_qualified_identifier(get_namespace_name(journal->schema), "sync_epochs"), kRestoring);
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(sql, false, 0) != SPI_OK_UPDATE) elog(ERROR, "could not note the end of a restore");
  PopActiveSnapshot();
  SPI_finish();
}

extern "C" {

PG_FUNCTION_INFO_V1(sync_new_epoch);

// sync_new_epoch(reason): begins a new epoch, for histories that PostgreSQL does not show.
Datum sync_new_epoch(PG_FUNCTION_ARGS) {
  PreventCommandIfReadOnly("sync_new_epoch()");
  const Journal* journal = GetJournal();
  AddEpoch(journal, text_to_cstring(PG_GETARG_TEXT_PP(0)));
  CommandCounterIncrement();
  const auto epoch = static_cast<int64>(ReadNewestEpoch(GetJournal()));
  // Whoever commits after this asks the table again; the worker does so when this is committed.
  ForgetEpochAfterCommit();
  PG_RETURN_INT64(epoch);
}
}

}  // namespace oasync
