// Commands that the extension takes part in:
//  - CREATE EXTENSION oa_sync without SCHEMA installs into `runtime`, made when it is missing. (A control file can
//    only force one schema, and SCHEMA x has to work too.)
//  - ALTER SCHEMA RENAME of the extension's own schema is refused: its functions name it.
//  - ALTER TABLE of the journal ATTACH PARTITION completes a partition that a dump of 0.4.0 brought.
//  - DROP, RENAME, MOVE and copy of a database first end its worker, whose connection would make them fail.
#include "pg.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/schemacmds.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
}

#include "journal.h"
#include "partition_attach.h"
#include "restore_watch.h"
#include "utility_hook.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr char kDefaultSchema[] = "runtime";

ProcessUtility_hook_type previous_hook = nullptr;

bool HasOption(const List* options, const char* name) {
  const ListCell* cell;
  foreach (cell, options) {
    if (strcmp(static_cast<DefElem*>(lfirst(cell))->defname, name) == 0) return true;
  }
  return false;
}

// Gives the statement its default schema. The caller's tree may be cached, so a copy is changed.
PlannedStmt* WithDefaultSchema(PlannedStmt* planned) {
  const auto* create = castNode(CreateExtensionStmt, planned->utilityStmt);
  if (strcmp(create->extname, "oa_sync") != 0 || HasOption(create->options, "schema")) return planned;
  if (!OidIsValid(get_namespace_oid(kDefaultSchema, true))) {
    auto* schema = makeNode(CreateSchemaStmt);
    schema->schemaname = pstrdup(kDefaultSchema);
    schema->if_not_exists = true;
    CreateSchemaCommand(schema, "(generated CREATE SCHEMA command)", -1, -1);
    CommandCounterIncrement();
  }
  auto* copy = static_cast<PlannedStmt*>(copyObjectImpl(planned));
  auto* with_schema = castNode(CreateExtensionStmt, copy->utilityStmt);
  with_schema->options =
      lappend(with_schema->options,
              makeDefElem(pstrdup("schema"), reinterpret_cast<Node*>(makeString(pstrdup(kDefaultSchema))), -1));
  return copy;
}

bool OwnsDatabase(Oid database) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
  return pg_database_ownercheck(database, GetUserId());
#endif
}

bool IsTemplate(Oid database) {
  HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
  if (!HeapTupleIsValid(tuple)) return false;
  const bool is_template = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datistemplate;
  ReleaseSysCache(tuple);
  return is_template;
}

bool MayCopyDatabase(Oid database) {
  if (superuser()) return true;
  if (!IsTemplate(database) && !OwnsDatabase(database)) return false;
  HeapTuple role = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
  if (!HeapTupleIsValid(role)) return false;
  const bool may = reinterpret_cast<Form_pg_authid>(GETSTRUCT(role))->rolcreatedb;
  ReleaseSysCache(role);
  return may;
}

// Somebody whose command PostgreSQL will refuse must not be able to hold the worker up.
void SuspendWorkerOf(const char* database, bool (*may)(Oid)) {
  const Oid oid = get_database_oid(database, true);
  if (OidIsValid(oid) && may(oid)) SuspendWorker(oid);
}

const char* TemplateOf(const CreatedbStmt* create) {
  const ListCell* cell;
  foreach (cell, create->options) {
    auto* option = static_cast<DefElem*>(lfirst(cell));
    if (strcmp(option->defname, "template") == 0 && option->arg != nullptr) return defGetString(option);
  }
  return "template1";
}

// Ends the worker of a database that the command needs for itself. What may not be, PostgreSQL refuses afterwards;
// the launcher then starts the worker again.
void MakeWay(const Node* statement) {
  switch (nodeTag(statement)) {
    case T_DropdbStmt:
      SuspendWorkerOf(reinterpret_cast<const DropdbStmt*>(statement)->dbname, OwnsDatabase);
      break;
    case T_CreatedbStmt:
      SuspendWorkerOf(TemplateOf(reinterpret_cast<const CreatedbStmt*>(statement)), MayCopyDatabase);
      break;
    case T_RenameStmt: {
      const auto* rename = reinterpret_cast<const RenameStmt*>(statement);
      if (rename->renameType == OBJECT_DATABASE) SuspendWorkerOf(rename->subname, OwnsDatabase);
      break;
    }
    case T_AlterDatabaseStmt: {
      const auto* alter = reinterpret_cast<const AlterDatabaseStmt*>(statement);
      if (HasOption(alter->options, "tablespace")) SuspendWorkerOf(alter->dbname, OwnsDatabase);
      break;
    }
    default:
      break;
  }
}

void RefuseRenameOfSchema(const Node* statement) {
  if (!IsA(statement, RenameStmt) || !IsTransactionState()) return;
  const auto* rename = reinterpret_cast<const RenameStmt*>(statement);
  if (rename->renameType != OBJECT_SCHEMA) return;
  const Journal* journal = FindJournal();
  if (journal == nullptr || get_namespace_oid(rename->subname, true) != journal->schema) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("schema \"%s\" can not be renamed while extension \"oa_sync\" is in it", rename->subname),
                  errdetail("The extension's functions name their schema.")));
}

void OnUtility(PlannedStmt* planned, const char* query, bool read_only_tree, ProcessUtilityContext context,
               ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest, QueryCompletion* completion) {
  if (IsA(planned->utilityStmt, CreateExtensionStmt)) {
    NoteCreateExtension(SessionLoadsDump());
    planned = WithDefaultSchema(planned);
  }
  RefuseRenameOfSchema(planned->utilityStmt);
  CompleteAttachedPartition(planned->utilityStmt);
  MakeWay(planned->utilityStmt);
  const auto next = previous_hook != nullptr ? previous_hook : standard_ProcessUtility;
  next(planned, query, read_only_tree, context, params, environment, dest, completion);
}

}  // namespace

void InstallUtilityHook() {
  previous_hook = ProcessUtility_hook;
  ProcessUtility_hook = OnUtility;
}

}  // namespace oasync
