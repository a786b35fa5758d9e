// Module: what PostgreSQL calls when it loads the library.
#include "pg.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_namespace.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
}

#include "applied_truncate.h"
#include "commit.h"
#include "dropped_tables.h"
#include "epoch.h"
#include "journal.h"
#include "partition_dropper.h"
#include "policy.h"
#include "publication.h"
#include "settings.h"
#include "shared_state.h"
#include "truncate.h"
#include "utility_hook.h"
#include "worker.h"

namespace oasync {
namespace {

// Some minor releases let only listed libraries be output plugins. Without it fan-outs work, but poll the journal.
void WarnIfNotListedAsPlugin() {
  const char* listed = GetConfigOption("output_plugin_libraries", true, false);
  List* names = NIL;
  if (listed == nullptr || !SplitIdentifierString(pstrdup(listed), ',', &names)) return;
  const ListCell* cell;
  foreach (cell, names) {
    if (strcmp(static_cast<const char*>(lfirst(cell)), "oa_sync") == 0) return;
  }
  ereport(WARNING, (errmsg("oa_sync is not in output_plugin_libraries"),
                    errdetail("The server refuses to stream from the write-ahead log to fan-outs, which will poll the "
                              "journal instead."),
                    errhint("Set output_plugin_libraries = '%s' in postgresql.conf and reload.",
                            listed[0] == '\0' ? "oa_sync" : psprintf("%s, oa_sync", listed))));
}

// The worker runs the extension's functions as superuser, and they name their schema: whoever owns it could rename it
// and put something else in its place.
void RequireTrustedSchema() {
  const Oid schema = GetJournal()->schema;
  HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for schema %u", schema);
  const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
  ReleaseSysCache(tuple);
  if (superuser_arg(owner)) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("schema \"%s\" is owned by \"%s\", who is not a superuser", get_namespace_name(schema),
                         GetUserNameFromId(owner, false)),
                  errdetail("oa_sync's worker trusts what is in its schema."),
                  errhint("Give the schema to a superuser (ALTER SCHEMA ... OWNER TO; grant CREATE or USAGE to the "
                          "others), or use another one: CREATE EXTENSION oa_sync SCHEMA ...")));
}

}  // namespace

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
  if (IsBinaryUpgrade) return;
  if (!process_shared_preload_libraries_in_progress) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("oa_sync has to be loaded when the server starts"),
                    errhint("Add oa_sync to shared_preload_libraries in postgresql.conf and restart the server.")));
  }
  DefineSettings();
  InstallSharedState();
  InstallCommit();
  InstallTruncate();
  InstallDroppedTables();
  InstallAppliedTruncate();
  InstallUtilityHook();
  InstallWorkers();
  WatchJournal();
  WatchPublications();
  WatchHorizons();
  WatchPolicies();
}

PG_FUNCTION_INFO_V1(oa_sync_install);

// The last statement of the installation script: checks what the server needs, opens the first epoch and has the
// worker started once the extension is committed.
Datum oa_sync_install(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  if (wal_level < WAL_LEVEL_LOGICAL) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("oa_sync needs wal_level = logical"),
                    errdetail("The streams are read from the write-ahead log by logical decoding."),
                    errhint("Set wal_level = logical in postgresql.conf and restart the server.")));
  }
  WarnIfNotListedAsPlugin();
  RequireTrustedSchema();
  MyDatabaseState();  // takes the database's place in shared memory, or says that there is none
  OpenEpochIfNeeded(GetJournal());
  LookAgainAfterCommit();
  PG_RETURN_VOID();
}
}

}  // namespace oasync
