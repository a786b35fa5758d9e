// Which publications a topic's documents come from, and whether the snapshot still shows their rows.
#include "table_sources.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include <algorithm>

#include "journal.h"
#include "template_reverse.h"

namespace oasync {
namespace {

enum { kPubId = 1, kPubRelation = 2, kPubTopic = 3, kPubPublishedAt = 9 };

TableSource SlotSource(TupleTableSlot* slot) {
  bool isnull = true;
  TableSource source = {};
  source.id = DatumGetInt32(slot_getattr(slot, kPubId, &isnull));
  source.relid = DatumGetObjectId(slot_getattr(slot, kPubRelation, &isnull));
  source.published_at = DatumGetTimestampTz(slot_getattr(slot, kPubPublishedAt, &isnull));
  return source;
}

// Calls visit(slot) for each row of sync_publications: a small table.
template <typename Visit>
void VisitPublications(Snapshot snapshot, Visit visit) {
  Relation rel = table_open(GetJournal()->publications, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) visit(slot);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
}

// The file that holds the relation's rows, as a snapshot shows it; InvalidOid when it shows no such relation.
Oid FileIn(Snapshot snapshot, Oid relid) {
  Relation catalog = table_open(RelationRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(catalog, ClassOidIndexId, true, snapshot, 1, &key);
  HeapTuple tuple = systable_getnext(scan);
  const Oid file =
      HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relfilenode : InvalidOid;
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return file;
}

[[noreturn]] void RaiseChanged(Oid relid, const char* detail) {
  ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                  errmsg("table \"%s\" changed while a snapshot of its documents was being taken", get_rel_name(relid)),
                  errdetail("%s", detail), errhint("Take the snapshot again, in a new transaction.")));
}

}  // namespace

int ListTableSources(std::string_view topic, TableSource** sources) {
  int count = 0;
  int room = 4;
  auto* list = static_cast<TableSource*>(palloc(sizeof(TableSource) * static_cast<Size>(room)));
  VisitPublications(GetActiveSnapshot(), [&](TupleTableSlot* slot) {
    bool isnull = true;
    const char* pattern = TextDatumGetCString(slot_getattr(slot, kPubTopic, &isnull));
    TextTemplate parsed;
    if (ParseTemplate(pattern, parsed) != nullptr || !TemplateCanRender(parsed, topic)) return;
    if (count == room) {
      room *= 2;
      list = static_cast<TableSource*>(repalloc(list, sizeof(TableSource) * static_cast<Size>(room)));
    }
    list[count++] = SlotSource(slot);
  });
  std::sort(list, list + count, [](const TableSource& a, const TableSource& b) { return a.id < b.id; });
  *sources = list;
  return count;
}

void CheckSourceUnchanged(const TableSource& source) {
  bool same = false;
  const Snapshot latest = RegisterSnapshot(GetLatestSnapshot());
  VisitPublications(latest, [&](TupleTableSlot* slot) {
    const TableSource now = SlotSource(slot);
    same |= now.id == source.id && now.relid == source.relid && now.published_at == source.published_at;
  });
  UnregisterSnapshot(latest);
  if (!same) RaiseChanged(source.relid, "It was published anew.");
}

void CheckFilesUnchanged(Relation rel) {
  const Oid relid = RelationGetRelid(rel);
  List* relids = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE
                     ? find_all_inheritors(relid, AccessShareLock, nullptr)
                     : list_make1_oid(relid);
  const ListCell* cell;
  foreach (cell, relids) {
    Relation part = table_open(lfirst_oid(cell), AccessShareLock);
    const Oid now = part->rd_rel->relfilenode;
    table_close(part, NoLock);
    const Oid then = FileIn(GetActiveSnapshot(), lfirst_oid(cell));
    if (then == now || then == InvalidOid) continue;  // a partition made since has no row that the snapshot shows
    RaiseChanged(relid,
                 "It, or a partition of it, was truncated or rewritten after the snapshot, which no longer "
                 "shows its rows.");
  }
}

}  // namespace oasync
