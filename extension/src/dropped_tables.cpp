// DROP TABLE of published tables.
//
// The row in sync_publications goes in the transaction that drops the table, and comes back when that is rolled back.
// A new table that is given the number of a dropped one thus never comes upon its publication. Whoever drops the table
// needs no right on ours; an event trigger would need one, and would be off under session_replication_role = replica.
#include "pg.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include "dropped_tables.h"
#include "journal.h"
#include "publication.h"

namespace oasync {
namespace {

object_access_hook_type previous_hook = nullptr;

void DeletePublicationOf(Oid relid, Oid publications) {
  Relation rel = table_open(publications, RowExclusiveLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  // Sees what this transaction wrote itself, and what others have committed.
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    bool isnull = true;
    if (DatumGetObjectId(slot_getattr(slot, kPubRelation, &isnull)) != relid) continue;
    simple_table_tuple_delete(rel, &slot->tts_tid, &self);
    break;
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, RowExclusiveLock);
}

// What PostgreSQL drops by itself (temporary tables, the former storage of a rewritten table) was never published.
bool MayBePublished(Oid relid, const void* arg) {
  const auto* drop = static_cast<const ObjectAccessDrop*>(arg);
  if (drop != nullptr && (drop->dropflags & PERFORM_DELETION_INTERNAL) != 0) return false;
  const char kind = get_rel_relkind(relid);
  return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
}

void OnObjectAccess(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void* arg) {
  if (previous_hook != nullptr) previous_hook(access, class_id, object_id, sub_id, arg);
  if (access != OAT_DROP || class_id != RelationRelationId || sub_id != 0) return;
  if (object_id < FirstNormalObjectId || !MayBePublished(object_id, arg)) return;
  const Journal* journal = FindJournal();
  if (journal == nullptr || object_id == journal->publications) return;
  DeletePublicationOf(object_id, journal->publications);
}

}  // namespace

void InstallDroppedTables() {
  previous_hook = object_access_hook;
  object_access_hook = OnObjectAccess;
}

}  // namespace oasync
