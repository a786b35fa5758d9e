#include "journal.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace oasync {
namespace {

Journal cache;
bool cache_valid = false;
uint64 invalidations = 0;  // counts, so that one that comes while the cache is filled is not missed
MemoryContext cache_context = nullptr;

void OnInvalidation(Datum, Oid relid) {
  // May be called at any time: only mark.
  if (relid != InvalidOid && relid != cache.journal && relid != cache.sequences && relid != cache.publications &&
      relid != cache.epochs && relid != cache.policies && relid != cache.projections) {
    return;
  }
  cache_valid = false;
  ++invalidations;
}

// The schema of the extension, or InvalidOid.
Oid ExtensionSchema() {
  Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("oa_sync"));
  SysScanDesc scan = systable_beginscan(catalog, ExtensionNameIndexId, true, nullptr, 1, &key);
  HeapTuple tuple = systable_getnext(scan);
  Oid schema = InvalidOid;
  if (HeapTupleIsValid(tuple)) schema = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extnamespace;
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return schema;
}

TimestampTz BoundValue(List* datums, TimestampTz otherwise) {
  const PartitionRangeDatum* datum = static_cast<PartitionRangeDatum*>(linitial(datums));
  if (datum->kind != PARTITION_RANGE_DATUM_VALUE) return otherwise;
  return DatumGetTimestampTz(castNode(Const, datum->value)->constvalue);
}

// Reads the bounds of a partition; false when it is no longer one.
bool ReadBounds(Oid relid, JournalPartition* out) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return false;
  bool isnull = true;
  const Datum stored = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
  if (!isnull) {
    const auto* bound = static_cast<PartitionBoundSpec*>(stringToNode(TextDatumGetCString(stored)));
    *out = {relid, bound->is_default, PG_INT64_MIN, PG_INT64_MAX};
    if (!bound->is_default) {
      out->from = BoundValue(bound->lowerdatums, PG_INT64_MIN);
      out->to = BoundValue(bound->upperdatums, PG_INT64_MAX);
    }
  }
  ReleaseSysCache(tuple);
  return !isnull;
}

void ReadPartitions(Journal* journal) {
  List* children = find_inheritance_children(journal->journal, NoLock);
  journal->partitions = static_cast<JournalPartition*>(
      MemoryContextAlloc(cache_context, sizeof(JournalPartition) * static_cast<Size>(list_length(children) + 1)));
  journal->partition_count = 0;
  ListCell* cell;
  foreach (cell, children) {
    if (ReadBounds(lfirst_oid(cell), &journal->partitions[journal->partition_count])) ++journal->partition_count;
  }
  list_free(children);
}

bool Fill() {
  cache = Journal{};
  const Oid schema = ExtensionSchema();
  if (schema == InvalidOid) return false;
  Journal found = {};
  found.schema = schema;
  found.journal = get_relname_relid("sync_stream_events", schema);
  found.sequences = get_relname_relid("sync_topic_sequences", schema);
  found.publications = get_relname_relid("sync_publications", schema);
  found.epochs = get_relname_relid("sync_epochs", schema);
  found.policies = get_relname_relid("sync_topic_policies", schema);
  found.projections = get_relname_relid("sync_projections", schema);
  // The others came later: until ALTER EXTENSION oa_sync UPDATE a new library serves what 0.1.0 had.
  for (const Oid relid : {found.journal, found.sequences, found.publications, found.epochs}) {
    if (relid == InvalidOid) return false;
  }
  cache.journal = found.journal;  // from here on invalidations of it are seen
  cache.epochs = found.epochs;
  cache.policies = found.policies;
  cache.projections = found.projections;
  cache.publications = found.publications;
  cache.sequences = found.sequences;
  ReadPartitions(&found);
  cache = found;
  return true;
}

}  // namespace

const Journal* FindJournal() {
  for (int attempt = 0; !cache_valid; ++attempt) {
    const uint64 before = invalidations;
    if (cache_context == nullptr) {
      cache_context = AllocSetContextCreate(TopMemoryContext, "oa_sync journal", ALLOCSET_SMALL_SIZES);
    }
    MemoryContextReset(cache_context);
    if (!Fill()) return nullptr;
    cache_valid = before == invalidations;
    // An invalidation during the fill: what was read may be old. After a few turns it is used this once.
    if (attempt >= 3) break;
  }
  return &cache;
}

const Journal* GetJournal() {
  const Journal* journal = FindJournal();
  if (journal == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("extension \"oa_sync\" is not installed in this database"),
                    errhint("Run CREATE EXTENSION oa_sync as a superuser.")));
  }
  return journal;
}

const JournalPartition* PartitionFor(const Journal* journal, TimestampTz when) {
  const JournalPartition* otherwise = nullptr;
  for (int i = 0; i < journal->partition_count; ++i) {
    const JournalPartition* part = &journal->partitions[i];
    if (part->is_default) {
      otherwise = part;
    } else if (part->from <= when && when < part->to) {
      return part;
    }
  }
  if (otherwise == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the journal has no partition for %s", timestamptz_to_str(when)),
             errdetail("Its default partition is gone."),
             errhint("Create it again: CREATE TABLE %s PARTITION OF %s DEFAULT.",
                     quote_qualified_identifier(get_namespace_name(journal->schema), "sync_stream_events_default"),
                     quote_qualified_identifier(get_namespace_name(journal->schema), "sync_stream_events"))));
  }
  return otherwise;
}

void CheckJournalColumns(Oid relid, TupleDesc columns) {
  static constexpr Oid kTypes[kJournalColumns] = {TEXTOID, INT8OID,  INT8OID, TEXTOID,        INT8OID, TEXTOID,
                                                  JSONOID, BYTEAOID, XID8OID, TIMESTAMPTZOID, TEXTOID};
  bool same = columns->natts == kJournalColumns || columns->natts == kJournalColumnsOf040;
  for (int i = 0; same && i < columns->natts; ++i) {
    same = columns->attrs[i].atttypid == kTypes[i] && !columns->attrs[i].attisdropped;
  }
  if (same) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                  errmsg("partition \"%s\" does not have the columns of the journal", get_rel_name(relid)),
                  errhint("Make it with CREATE TABLE ... (LIKE sync_stream_events), then attach it.")));
}

void WatchJournal() { CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr)); }

}  // namespace oasync
