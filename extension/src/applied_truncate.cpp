// TRUNCATE of partitions by logical replication.
//
// An apply worker empties the tables it is told of and fires their statement triggers; it does not come by the object
// access hook, in which truncate.cpp sees partitions. A source without publish_via_partition_root sends partitions,
// also for a TRUNCATE of the whole table. When that happens to a publication that is `always`, the rows are gone and
// nobody can say any more which they were: the transaction fails, rather than lose events in silence.
#include "applied_truncate.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "replication/logicalworker.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include "journal.h"
#include "publication.h"
#include "truncate.h"

namespace oasync {
namespace {

bool something_changed = false;  // a table did, in this transaction; TRUNCATE is one way
List* truncated = NIL;           // in TopTransactionContext: published tables whose truncate was captured

void OnInvalidation(Datum, Oid) { something_changed = true; }

// The partition of a published table that was emptied by this transaction and should have been captured, or 0.
Oid MissedPartition(Oid root, int32 id) {
  if (list_member_oid(truncated, root) || get_rel_relkind(root) != RELKIND_PARTITIONED_TABLE) return InvalidOid;
  Oid missed = InvalidOid;
  const ListCell* cell;
  foreach (cell, find_all_inheritors(root, AccessShareLock, nullptr)) {
    Relation rel = table_open(lfirst_oid(cell), NoLock);
    const bool emptied = rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_createSubid == InvalidSubTransactionId &&
                         rel->rd_firstRelfilenodeSubid != InvalidSubTransactionId;
    table_close(rel, NoLock);
    if (emptied && RowTriggerFires(lfirst_oid(cell), id)) missed = lfirst_oid(cell);
  }
  return missed;
}

void CheckTruncated() {
  const Journal* journal = FindJournal();
  if (journal == nullptr) return;
  Relation rel = table_open(journal->publications, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
  Oid missed = InvalidOid;
  while (missed == InvalidOid && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    bool isnull = true;
    const Oid root = DatumGetObjectId(slot_getattr(slot, kPubRelation, &isnull));
    missed = MissedPartition(root, DatumGetInt32(slot_getattr(slot, kPubId, &isnull)));
  }
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  if (missed == InvalidOid) return;
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("TRUNCATE of partition \"%s\" by logical replication can not be captured", get_rel_name(missed)),
           errdetail("Its table's publication is `always`, and its rows are not seen when an apply worker empties it."),
           errhint("At the source, set publish_via_partition_root for the publication. To let this one pass, "
                   "publish the table here without `always`, and with it again afterwards.")));
}

void OnTransaction(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      if (something_changed && IsLogicalWorker()) CheckTruncated();
      return;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      something_changed = false;
      truncated = NIL;
      return;
    default:
      return;
  }
}

}  // namespace

void InstallAppliedTruncate() {
  CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr));
  RegisterXactCallback(OnTransaction, nullptr);
}

void NoteTruncated(Oid root) {
  if (!IsLogicalWorker()) return;
  const ContextSwitch in(TopTransactionContext);
  truncated = list_append_unique_oid(truncated, root);
  in.Back();
}

}  // namespace oasync
