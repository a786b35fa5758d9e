// TRUNCATE of published tables.
//
// The published table's BEFORE TRUNCATE trigger logs one truncate event for each topic that has rows now. A
// partition that is truncated by itself is not the whole table: each of its rows becomes a delete event. Partitions
// have no statement triggers of their own, also not those that are attached later, so they are seen by PostgreSQL's
// object access hook.
#include "pg.h"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include "applied_truncate.h"
#include "capture.h"
#include "commit.h"
#include "event_log.h"
#include "truncate.h"

namespace oasync {
namespace {

object_access_hook_type previous_hook = nullptr;

// Tables and partitions whose rows the present TRUNCATE command already accounts for. A table comes before its
// partitions, and may come again when its lock had to be waited for.
struct {
  LocalTransactionId transaction;
  CommandId command;
  List* relids;  // in TopMemoryContext
} covered;

struct TopicSeen {
  char name[kMaxTopicBytes];
};

// Calls visit(pub, row) for each row of a table, or of all its partitions. REQUIRES a lock on the table.
template <typename Visit>
void ForEachRow(Oid root, int32 id, LOCKMODE lock, Visit visit) {
  List* relids = get_rel_relkind(root) == RELKIND_PARTITIONED_TABLE ? find_all_inheritors(root, lock, nullptr)
                                                                    : list_make1_oid(root);
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync truncate", ALLOCSET_SMALL_SIZES);
  ListCell* cell;
  foreach (cell, relids) {
    Relation rel = table_open(lfirst_oid(cell), lock);
    if (rel->rd_rel->relkind == RELKIND_RELATION) {
      TablePublication* pub = FindPublication(rel, id);
      ++pub->uses;
      TupleTableSlot* slot = table_slot_create(rel, nullptr);
      TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
      const int nest_level = pub->depends_on_settings ? BeginFixedSettings() : 0;
      while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        const ContextSwitch in(row_context);
        visit(pub, slot);
        in.Back();
        MemoryContextReset(row_context);
      }
      if (nest_level != 0) EndFixedSettings(nest_level);
      table_endscan(scan);
      ExecDropSingleTupleTableSlot(slot);
      --pub->uses;
    }
    table_close(rel, NoLock);
  }
  MemoryContextDelete(row_context);
  UnregisterSnapshot(snapshot);
}

void CaptureTruncatedTopics(Relation rel, int32 id) {
  const TablePublication* root = FindPublication(rel, id);
  Bytes fixed;
  if (FixedTopic(fixed, root)) {
    CaptureTruncate(root, fixed.view());
    return;
  }
  HASHCTL control = {};
  control.keysize = kMaxTopicBytes;
  control.entrysize = sizeof(TopicSeen);
  control.hcxt = CurrentMemoryContext;
  HTAB* seen = hash_create("oa_sync truncated topics", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  ForEachRow(RelationGetRelid(rel), id, AccessShareLock, [seen](TablePublication* pub, TupleTableSlot* row) {
    Bytes topic;
    // A row that is older than the publication and can't be named was never an event.
    if (!TryRenderTopic(topic, pub, row)) return;
    char key[kMaxTopicBytes] = {};
    memcpy(key, topic.data, topic.len);
    bool found = false;
    hash_search(seen, key, HASH_ENTER, &found);
    if (!found) CaptureTruncate(pub, topic.view());
  });
  hash_destroy(seen);
}

bool IsCovered(Oid relid, const List* ancestors) {
  if (list_member_oid(covered.relids, relid)) return true;
  const ListCell* cell;
  foreach (cell, ancestors) {
    if (list_member_oid(covered.relids, lfirst_oid(cell))) return true;
  }
  return false;
}

void Cover(Oid relid) {
  const ContextSwitch in(TopMemoryContext);
  covered.relids = lappend_oid(covered.relids, relid);
  in.Back();
}

void BeginCommand() {
  const CommandId command = GetCurrentCommandId(false);
  if (covered.transaction == MyProc->lxid && covered.command == command) return;
  list_free(covered.relids);
  covered = {MyProc->lxid, command, NIL};
}

// Whether a trigger is to fire now, by the same rule as PostgreSQL's.
bool Fires(const Trigger* trigger) {
  const bool replica = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
  return trigger->tgenabled == TRIGGER_FIRES_ALWAYS ||
         trigger->tgenabled == (replica ? TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ON_ORIGIN);
}

void CaptureTruncatedPartition(Oid relid, const List* ancestors) {
  if (FindJournal() == nullptr) return;
  const ListCell* cell;
  foreach (cell, ancestors) {
    const int32 id = PublicationOf(lfirst_oid(cell));
    if (id == 0) continue;
    // PostgreSQL calls before it has its own lock; without one, rows that come meanwhile would go unseen.
    LockRelationOid(relid, AccessExclusiveLock);
    if (get_rel_relkind(relid) == '\0' || !RowTriggerFires(relid, id)) return;
    CheckMayCapture();
    ForEachRow(relid, id, AccessExclusiveLock,
               [](TablePublication* pub, TupleTableSlot* row) { CaptureDelete(pub, row); });
    return;
  }
}

// ERROR 0A000 when a projection takes the documents of an ancestor's rows with them: its trigger sees a TRUNCATE of the
// whole table only.
void RefuseOfProjection(Oid relid, const List* ancestors) {
  const ListCell* cell;
  foreach (cell, ancestors) {
    Relation rel = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (rel == nullptr) continue;
    for (int i = 0; rel->trigdesc != nullptr && i < rel->trigdesc->numtriggers; ++i) {
      const Trigger* trigger = &rel->trigdesc->triggers[i];
      if (!TRIGGER_FOR_TRUNCATE(trigger->tgtype) || trigger->tgnargs != 1 || !Fires(trigger) ||
          strcmp(get_func_name(trigger->tgfoid), "oa_sync_refuse_truncate") != 0) {
        continue;
      }
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot truncate table %s", get_rel_name(relid)),
                      errdetail("It is a partition, and projection %s of table %s takes the documents of its rows with "
                                "them, one by one.",
                                trigger->tgargs[0], RelationGetRelationName(rel)),
                      errhint("DELETE its rows, or SELECT sync_unproject(%s) first.", trigger->tgargs[0])));
    }
    relation_close(rel, AccessShareLock);
  }
}

void OnObjectAccess(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void* arg) {
  if (previous_hook != nullptr) previous_hook(access, class_id, object_id, sub_id, arg);
  if (access != OAT_TRUNCATE || class_id != RelationRelationId) return;
  BeginCommand();
  const List* ancestors = get_rel_relispartition(object_id) ? get_partition_ancestors(object_id) : NIL;
  if (IsCovered(object_id, ancestors)) return;
  if (ancestors != NIL) {
    // Who may not is refused by PostgreSQL, after this.
    if (pg_class_aclcheck(object_id, GetUserId(), ACL_TRUNCATE) != ACLCHECK_OK) return;
    RefuseOfProjection(object_id, ancestors);
    CaptureTruncatedPartition(object_id, ancestors);
  }
  Cover(object_id);
}

}  // namespace

void InstallTruncate() {
  previous_hook = object_access_hook;
  object_access_hook = OnObjectAccess;
}

bool RowTriggerFires(Oid relid, int32 id) {
  Relation rel = table_open(relid, NoLock);
  bool fires = false;
  for (int i = 0; rel->trigdesc != nullptr && i < rel->trigdesc->numtriggers; ++i) {
    const Trigger* trigger = &rel->trigdesc->triggers[i];
    if (trigger->tgnargs != 1 || strtol(trigger->tgargs[0], nullptr, 10) != id || !Fires(trigger)) continue;
    fires |= strcmp(get_func_name(trigger->tgfoid), "oa_sync_capture_row") == 0;
  }
  table_close(rel, NoLock);
  return fires;
}

void ForgetTruncate() { covered.transaction = InvalidLocalTransactionId; }

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_capture_truncate);

// BEFORE TRUNCATE trigger of every published table. Its argument is the publication's id.
Datum oa_sync_capture_truncate(PG_FUNCTION_ARGS) {
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) || trigger->tg_trigger->tgnargs != 1) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("oa_sync_capture_truncate() has to be fired BEFORE TRUNCATE, with a publication's id"),
                    errhint("Publish the table with sync_publish().")));
  }
  CheckMayCapture();
  NoteTruncated(RelationGetRelid(trigger->tg_relation));
  CaptureTruncatedTopics(trigger->tg_relation, pg_strtoint32(trigger->tg_trigger->tgargs[0]));
  return PointerGetDatum(nullptr);
}
}

}  // namespace oasync
