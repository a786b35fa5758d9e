#include "partition_attach.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

#include "journal.h"

namespace oasync {
namespace {

bool HasColumn(Oid relid, const char* name) { return get_attnum(relid, name) != InvalidAttrNumber; }

void AddTraceparent(Oid relid) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfo(&command, "ALTER TABLE %s ADD COLUMN traceparent pg_catalog.text COLLATE pg_catalog.\"C\"",
                   quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid)));
  SPI_connect();
  if (SPI_execute(command.data, false, 0) != SPI_OK_UTILITY) elog(ERROR, "could not run: %s", command.data);
  SPI_finish();
}

}  // namespace

void CompleteAttachedPartition(const Node* statement) {
  if (!IsA(statement, AlterTableStmt) || !IsTransactionState()) return;
  const auto* alter = reinterpret_cast<const AlterTableStmt*>(statement);
  const ListCell* cell;
  foreach (cell, alter->cmds) {
    const auto* command = static_cast<const AlterTableCmd*>(lfirst(cell));
    if (!IsA(command, AlterTableCmd) || command->subtype != AT_AttachPartition) continue;
    const Journal* journal = FindJournal();
    if (journal == nullptr || RangeVarGetRelid(alter->relation, NoLock, true) != journal->journal) return;
    const Oid partition = RangeVarGetRelid(castNode(PartitionCmd, command->def)->name, NoLock, true);
    if (!OidIsValid(partition) || !HasColumn(journal->journal, "traceparent") || HasColumn(partition, "traceparent") ||
        !HasColumn(partition, "watermark")) {
      return;
    }
    AddTraceparent(partition);
  }
}

}  // namespace oasync
