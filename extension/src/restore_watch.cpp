#include "restore_watch.h"

#include "pg.h"

extern "C" {
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
}

#include "epoch.h"
#include "shared_state.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr int kQuietMs = 5000;
// A trigger that somebody dropped by hand never comes back.
constexpr int kPatienceMs = 600000;

int64 journal_bytes = -1;
uint64 captured = 0;       // events of this server, which are no sign of a restore
bool is_complete = false;  // every published table has its trigger, and no pg_restore is connected
TimestampTz quiet_since = 0;
bool created_by_dump = false;

void Look() {
  const char* schema = get_namespace_name(GetJournal()->schema);
  const char* sql = psprintf(
      "SELECT (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(i.inhrelid)), 0)::pg_catalog.int8 "
      "FROM pg_catalog.pg_inherits i WHERE i.inhparent = %u), "
      "NOT EXISTS (SELECT FROM %s p WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.relation) "
      "AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = p.relation AND t.tgname = "
      "'!oa_sync_row')) AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a "
      "WHERE a.datname = pg_catalog.current_database() AND a.application_name = 'pg_restore')",
      GetJournal()->journal, quote_qualified_identifier(schema, "sync_publications"));
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(sql, true, 1) != SPI_OK_SELECT || SPI_processed != 1) elog(ERROR, "could not look at the journal");
  bool isnull = true;
  const HeapTuple row = SPI_tuptable->vals[0];
  const int64 bytes = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
  is_complete = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
  PopActiveSnapshot();
  SPI_finish();
  const uint64 events = pg_atomic_read_u64(&MyDatabaseState()->events);
  // Once triggers fire, the data is there: an application that goes on writing does not put the end off.
  const bool is_ours = is_complete && events != captured && journal_bytes >= 0;
  if (bytes != journal_bytes && !is_ours) quiet_since = GetCurrentTimestamp();
  captured = events;
  journal_bytes = bytes;
}

void NoteEnd() { NoteEndOfRestore(GetJournal()); }

}  // namespace

bool SessionLoadsDump() {
  return !check_function_bodies && !row_security && client_min_messages == WARNING &&
         namespace_search_path != nullptr && *namespace_search_path == '\0';
}

bool IsBeingRestored(const Journal* journal) { return NewestEpochIsOfRestore(journal); }

void NoteCreateExtension(bool by_dump) { created_by_dump = by_dump; }

bool CreatedByDump() { return created_by_dump; }

bool RestoreHasSettled() {
  DatabaseState* database = MyDatabaseState();
  if (!database->restoring) return true;
  if (!RunInTransaction("look whether a restore has ended", Look)) return false;
  if (GetCurrentTimestamp() < quiet_since) quiet_since = GetCurrentTimestamp();  // the clock was set back
  if (!HasPassed(quiet_since, is_complete ? kQuietMs : kPatienceMs)) return false;
  if (!RunInTransaction("note the end of a restore", NoteEnd)) return false;
  journal_bytes = -1;
  database->restoring = false;
  ereport(LOG, (errmsg("oa_sync: a dump was loaded, looking for holes in its journal")));
  return true;
}

}  // namespace oasync
