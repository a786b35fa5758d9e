#include "publication.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "mb/pg_wchar.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
}

#include <algorithm>

#include "canonical_json.h"
#include "publication_storage.h"

namespace oasync {
namespace {

struct PublicationKey {
  Oid relid;
  int32 id;
};

struct CacheEntry {
  PublicationKey key;
  TablePublication* publication;  // null until the first compilation
};

struct PublicationRow {
  Oid relation;
  const char* topic;
  const char* doc_key;
  const char* doc_version;  // null: the watermark
  const char* payload;
  bool skip_unchanged;
};

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

[[noreturn]] void RaiseNoColumn(Relation rel, const char* what, const char* column) {
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                  errmsg("column \"%s\" of table \"%s\" does not exist", column, RelationGetRelationName(rel)),
                  errdetail("The %s of the table's publication names it.", what),
                  errhint("Publish the table again with sync_publish().")));
}

int ColumnNumber(Relation rel, const char* what, const char* column) {
  const AttrNumber number = get_attnum(RelationGetRelid(rel), column);
  if (number <= 0) RaiseNoColumn(rel, what, column);
  return number;
}

void Compile(Relation rel, const char* what, const char* text, MemoryContext context, CompiledTemplate* out) {
  TextTemplate parsed;
  const char* kept = pstrdup(text);
  if (const char* wrong = ParseTemplate(kept, parsed); wrong != nullptr) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid %s template \"%s\"", what, text),
                    errdetail("It is not a template over columns: %s.", wrong),
                    errhint("Write it like 'run:{run_id}:events'.")));
  }
  out->count = parsed.count;
  for (int i = 0; i < parsed.count; ++i) {
    CompiledTemplate::Part& part = out->parts[i];
    part = {};
    const std::string_view piece = parsed.parts[i].text;
    if (parsed.parts[i].is_column) {
      part.column_name = pnstrdup(piece.data(), piece.size());
      part.number = ColumnNumber(rel, what, part.column_name);
      InitValueWriter(&part.writer, TupleDescAttr(RelationGetDescr(rel), part.number - 1)->atttypid, context);
    } else {
      Bytes literal;
      AppendLiteral(literal, piece);
      part.literal = literal.view();
    }
  }
}

bool TemplateDependsOnSettings(const CompiledTemplate& compiled) {
  for (int i = 0; i < compiled.count; ++i) {
    if (compiled.parts[i].number != 0 && compiled.parts[i].writer.depends_on_settings) return true;
  }
  return false;
}

void AddColumn(TablePublication* pub, Relation rel, int number) {
  const FormData_pg_attribute* attr = TupleDescAttr(RelationGetDescr(rel), number - 1);
  PublishedColumn& column = pub->columns[pub->column_count++];
  column.number = number;
  const char* name = NameStr(attr->attname);
  Bytes key;
  AppendJsonString(key, pg_server_to_any(name, static_cast<int>(strlen(name)), PG_UTF8));
  key.Append(':');
  column.key = key.view();
  InitValueWriter(&column.writer, attr->atttypid, pub->context);
  pub->depends_on_settings |= column.writer.depends_on_settings;
}

void CompileFunction(TablePublication* pub, Oid root, const char* name) {
  List* names = stringToQualifiedNameList(name);
  const Oid row_type = get_rel_type_id(root);
  Oid arguments[1] = {row_type};
  const Oid function = LookupFuncName(names, 1, arguments, false);
  const Oid result = get_func_rettype(function);
  if (get_func_retset(function) || (result != JSONOID && result != JSONBOID)) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("payload function %s returns %s%s", name, get_func_retset(function) ? "SETOF " : "",
                           format_type_be(result)),
                    errhint("It has to return json or jsonb.")));
  }
  pub->has_function = true;
  pub->function_is_jsonb = result == JSONBOID;
  fmgr_info_cxt(function, &pub->function, pub->context);
}

// The payload is `*`, a list of columns, or `function(*)`.
void CompilePayload(TablePublication* pub, Relation rel, const char* text) {
  TupleDesc desc = RelationGetDescr(rel);
  pub->columns = static_cast<PublishedColumn*>(palloc0(sizeof(PublishedColumn) * static_cast<Size>(desc->natts + 1)));
  const std::string_view spec(text);
  if (spec == "*") {
    for (int i = 0; i < desc->natts; ++i) {
      if (!TupleDescAttr(desc, i)->attisdropped) AddColumn(pub, rel, i + 1);
    }
  } else if (spec.size() > 3 && spec.ends_with("(*)")) {
    CompileFunction(pub, pub->root, pnstrdup(text, spec.size() - 3));
  } else {
    List* names = NIL;
    if (!SplitIdentifierString(pstrdup(text), ',', &names) || names == NIL) {
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid payload \"%s\"", text),
                      errhint("Write '*' for the row, 'id, title' for columns, or 'app.make_payload(*)' for a function "
                              "of the row.")));
    }
    ListCell* cell;
    foreach (cell, names) {
      const int number = ColumnNumber(rel, "payload", static_cast<const char*>(lfirst(cell)));
      bool twice = false;
      for (int i = 0; i < pub->column_count; ++i) twice |= pub->columns[i].number == number;
      if (!twice) AddColumn(pub, rel, number);
    }
  }
  std::sort(pub->columns, pub->columns + pub->column_count, [](const PublishedColumn& a, const PublishedColumn& b) {
    return CompareCanonicalKeys(Part(a.key, 0, a.key.size() - 1), Part(b.key, 0, b.key.size() - 1)) < 0;
  });
}

void CompileVersion(TablePublication* pub, Relation rel, const char* column) {
  if (column == nullptr) return;
  pub->version_column = ColumnNumber(rel, "doc_version", column);
  pub->version_type = getBaseType(TupleDescAttr(RelationGetDescr(rel), pub->version_column - 1)->atttypid);
  switch (pub->version_type) {
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
      return;
    default:
      ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                      errmsg("doc_version column \"%s\" is of type %s", column, format_type_be(pub->version_type)),
                      errhint("Name a column of an integer type or a timestamp, or none: then the watermark is the "
                              "version.")));
  }
}

List* AncestorsOf(Relation rel) {
  return rel->rd_rel->relispartition ? get_partition_ancestors(RelationGetRelid(rel)) : NIL;
}

void Fill(TablePublication* pub, Relation rel) {
  PublicationRow row = {};
  int32 id = 0;
  if (!ReadRow(pub->id, InvalidOid, &row, &id)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("table \"%s\" has an oa_sync trigger but no publication", RelationGetRelationName(rel)),
                    errhint("Publish it again with sync_publish(), or drop its triggers with sync_unpublish().")));
  }
  pub->root = row.relation;
  if (row.relation != pub->relid && !list_member_oid(AncestorsOf(rel), row.relation)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("publication %d is not of table \"%s\"", pub->id, RelationGetRelationName(rel)),
                    errhint("Publish the table with sync_publish(); its triggers are not made by hand.")));
  }
  pub->skip_unchanged = row.skip_unchanged;
  Compile(rel, "topic", row.topic, pub->context, &pub->topic);
  Compile(rel, "doc_key", row.doc_key, pub->context, &pub->doc_key);
  CompileVersion(pub, rel, row.doc_version);
  CompilePayload(pub, rel, row.payload);
  if (pub->has_function && pub->root != pub->relid) {
    pub->root_row = lookup_rowtype_tupdesc_copy(get_rel_type_id(pub->root), -1);
    pub->to_root = convert_tuples_by_name(RelationGetDescr(rel), pub->root_row);
  }
  pub->depends_on_settings |= TemplateDependsOnSettings(pub->topic) || TemplateDependsOnSettings(pub->doc_key);
  const CompiledTemplate::Part& first = pub->doc_key.parts[0];
  if (first.number == 0) pub->truncate_key = first.literal;
}

}  // namespace

TablePublication* FindPublication(Relation rel, int32 id) {
  if (cache == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(PublicationKey);
    control.entrysize = sizeof(CacheEntry);
    control.hcxt = TopMemoryContext;
    cache = hash_create("oa_sync publications", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  const PublicationKey key = {RelationGetRelid(rel), id};
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
  pub->context = context;
  // The fill reads through the caches and may process invalidations; one of this table would only say what the fill
  // already saw, because the caller holds a lock on it.
  CheckStorage(rel);
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
