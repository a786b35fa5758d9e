#include "publication.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

#include "publication_storage.h"

namespace oasync {
namespace {

// Hashed by its bytes: no padding.
struct PublicationKey {
  Oid relid;
  int32 id;
  int32 is_projection;
};

struct CacheEntry {
  PublicationKey key;
  TablePublication* publication;  // null until the first compilation
};

// The columns of sync_projections.
enum { kProjId = 1, kProjSource, kProjReadModel, kProjDocKey, kProjPayload, kProjDocVersion, kProjOnDelete };

HTAB* cache = nullptr;

void OnInvalidation(Datum, Oid relid) {
  // May be called at any time: only mark.
  if (cache == nullptr) return;
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, cache);
  while (auto* entry = static_cast<CacheEntry*>(hash_seq_search(&all))) {
    TablePublication* pub = entry->publication;
    if (pub == nullptr) continue;
    if (relid == InvalidOid || relid == pub->relid || relid == pub->root) pub->valid = false;
  }
}

// A function or a cast changed: what was looked up may be of the old one.
void OnFunctionInvalidation(Datum arg, int, uint32) { OnInvalidation(arg, InvalidOid); }

char* TextColumn(TupleTableSlot* slot, int column) {
  bool isnull = true;
  const Datum value = slot_getattr(slot, column, &isnull);
  return isnull ? nullptr : TextDatumGetCString(value);
}

// Finds a row of sync_publications by id or by relation (whichever is not 0). The table is small and read once per
// backend and publication; application roles need no grant on it.
bool ReadRow(int32 id, Oid relid, PublicationRow* row, int32* found_id) {
  Relation rel = table_open(GetJournal()->publications, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  bool found = false;
  while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    bool isnull = true;
    const int32 row_id = DatumGetInt32(slot_getattr(slot, kPubId, &isnull));
    const Oid row_rel = DatumGetObjectId(slot_getattr(slot, kPubRelation, &isnull));
    if (id != 0 ? row_id != id : row_rel != relid) continue;
    found = true;
    *found_id = row_id;
    if (row == nullptr) continue;
    row->relation = row_rel;
    row->topic = TextColumn(slot, kPubTopic);
    row->doc_key = TextColumn(slot, kPubDocKey);
    row->doc_version = TextColumn(slot, kPubDocVersion);
    row->payload = TextColumn(slot, kPubPayload);
    row->skip_unchanged = DatumGetBool(slot_getattr(slot, kPubSkipUnchanged, &isnull));
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  return found;
}

List* AncestorsOf(Relation rel) {
  return rel->rd_rel->relispartition ? get_partition_ancestors(RelationGetRelid(rel)) : NIL;
}

// Finds a row of sync_projections.
bool ReadProjection(int32 id, PublicationRow* row) {
  if (GetJournal()->projections == InvalidOid) return false;
  Relation rel = table_open(GetJournal()->projections, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  SnapshotData self;
  self.snapshot_type = SNAPSHOT_SELF;
  TableScanDesc scan = table_beginscan(rel, &self, 0, nullptr);
  bool found = false;
  while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    bool isnull = true;
    if (DatumGetInt32(slot_getattr(slot, kProjId, &isnull)) != id) continue;
    found = true;
    row->relation = DatumGetObjectId(slot_getattr(slot, kProjSource, &isnull));
    row->read_model = DatumGetObjectId(slot_getattr(slot, kProjReadModel, &isnull));
    row->doc_key = TextColumn(slot, kProjDocKey);
    row->payload = TextColumn(slot, kProjPayload);
    row->doc_version = TextColumn(slot, kProjDocVersion);
    row->on_delete = TextColumn(slot, kProjOnDelete);
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  return found;
}

OnDelete OnDeleteFrom(const char* text) {
  if (strcmp(text, "delete") == 0) return OnDelete::kDelete;
  return strcmp(text, "project") == 0 ? OnDelete::kProject : OnDelete::kIgnore;
}

Oid OwnerOf(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", relid);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

void Fill(TablePublication* pub, Relation rel) {
  PublicationRow row = {};
  int32 id = 0;
  if (pub->is_projection ? !ReadProjection(pub->id, &row) : !ReadRow(pub->id, InvalidOid, &row, &id)) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             pub->is_projection
                 ? errmsg("table \"%s\" has a trigger of projection %d, which does not exist",
                          RelationGetRelationName(rel), pub->id)
                 : errmsg("table \"%s\" has an oa_sync trigger but no publication", RelationGetRelationName(rel)),
             pub->is_projection
                 ? errhint("Project it again with sync_project(), or drop the trigger.")
                 : errhint("Publish it again with sync_publish(), or drop its triggers with sync_unpublish().")));
  }
  if (row.relation != pub->relid && !list_member_oid(AncestorsOf(rel), row.relation)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("%s %d is not of table \"%s\"", pub->is_projection ? "projection" : "publication", pub->id,
                           RelationGetRelationName(rel)),
                    pub->is_projection
                        ? errhint("Project the table with sync_project(); its triggers are not made by hand.")
                        : errhint("Publish the table with sync_publish(); its triggers are not made by hand.")));
  }
  pub->of_extension = getExtensionOfObject(RelationRelationId, row.relation) == get_extension_oid("oa_sync", true);
  pub->owner = OwnerOf(row.relation);
  if (pub->is_projection) {
    pub->read_model = row.read_model;
    pub->on_delete = OnDeleteFrom(row.on_delete);
  }
  FillPublication(pub, rel, row);
}

TablePublication* Find(Relation rel, int32 id, bool is_projection) {
  if (cache == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(PublicationKey);
    control.entrysize = sizeof(CacheEntry);
    control.hcxt = TopMemoryContext;
    cache = hash_create("oa_sync publications", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  const PublicationKey key = {RelationGetRelid(rel), id, is_projection};
  bool found = false;
  auto* entry = static_cast<CacheEntry*>(hash_search(cache, &key, HASH_ENTER, &found));
  if (!found) entry->publication = nullptr;
  TablePublication* old = entry->publication;
  if (old != nullptr && old->valid) return old;
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync publication", ALLOCSET_SMALL_SIZES);
  const ContextSwitch in(context);
  auto* pub = static_cast<TablePublication*>(palloc0(sizeof(TablePublication)));
  pub->relid = key.relid;
  pub->id = key.id;
  pub->is_projection = is_projection;
  pub->context = context;
  // The fill reads through the caches and may process invalidations; one of this table would only say what the fill
  // already saw, because the caller holds a lock on it.
  if (!is_projection) CheckStorage(rel);
  Fill(pub, rel);
  pub->valid = true;
  in.Back();
  // The entry is looked up again: the fill may have compiled another publication.
  entry = static_cast<CacheEntry*>(hash_search(cache, &key, HASH_ENTER, &found));
  MemoryContextSetParent(context, TopMemoryContext);
  // A payload function that wrote to its own table may have come here from a capture that still uses the old one.
  if (old != nullptr && old->uses == 0) MemoryContextDelete(old->context);
  entry->publication = pub;
  return pub;
}

}  // namespace

TablePublication* FindPublication(Relation rel, int32 id) { return Find(rel, id, false); }

TablePublication* FindProjection(Relation rel, int32 id) { return Find(rel, id, true); }

TablePublication* CompilePublication(Relation rel, int32 id) {
  OnInvalidation(PointerGetDatum(nullptr), RelationGetRelid(rel));
  return FindPublication(rel, id);
}

int32 PublicationOf(Oid relid) {
  int32 id = 0;
  return ReadRow(0, relid, nullptr, &id) ? id : 0;
}

void WatchPublications() {
  CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr));
  CacheRegisterSyscacheCallback(PROCOID, OnFunctionInvalidation, PointerGetDatum(nullptr));
  CacheRegisterSyscacheCallback(CASTSOURCETARGET, OnFunctionInvalidation, PointerGetDatum(nullptr));
}

}  // namespace oasync
