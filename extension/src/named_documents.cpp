#include "named_documents.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
}

#include "owner_context.h"
#include "table_sources.h"
#include "text_template.h"
#include "value_json.h"

namespace oasync {
namespace {

constexpr int64 kFetchRows = 32;

struct NamedSource {
  Oid owner;
  const char* from;  // what stands after FROM
  bool has_topic;
};

Oid FunctionOwner(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for function %u", function);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
  ReleaseSysCache(tuple);
  return owner;
}

List* QualifiedName(const char* source, const char* name) {
  List* names = stringToQualifiedNameList(name);
  if (list_length(names) < 2) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid snapshot source \"%s\"", source),
                    errdetail("What it names is not qualified with a schema."),
                    errhint("Write 'schema.table', 'schema.function(topic)' or 'journal'.")));
  }
  return names;
}

NamedSource FindFunction(const char* source, size_t name_len) {
  List* names = QualifiedName(source, pnstrdup(source, name_len));
  Oid arguments[1] = {TEXTOID};
  const Oid function = LookupFuncName(names, 1, arguments, false);
  return {FunctionOwner(function),
          psprintf("%s($1)", quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
                                                        get_func_name(function))),
          false};
}

// The relation is locked until the end of the transaction, and its rows are those of the snapshot.
NamedSource FindRelation(const char* source) {
  RangeVar* name = makeRangeVarFromNameList(QualifiedName(source, source));
  const Oid relid = RangeVarGetRelid(name, AccessShareLock, false);
  Relation rel = table_open(relid, NoLock);
  if (rel->rd_rel->relkind != RELKIND_VIEW) CheckFilesUnchanged(rel);
  const NamedSource found = {
      rel->rd_rel->relowner,
      quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)),
      get_attnum(relid, "topic") != InvalidAttrNumber};
  table_close(rel, NoLock);
  return found;
}

NamedSource FindSource(const char* source) {
  static constexpr std::string_view kOfTopic = "(topic)";
  const std::string_view text(source);
  return text.ends_with(kOfTopic) ? FindFunction(source, text.size() - kOfTopic.size()) : FindRelation(source);
}

// Also where it is compared: of a uuid or a number, pages go by its text. Of a text column this is the column itself.
constexpr char kKey[] = "s.doc_key::pg_catalog.text";

const char* BuildQuery(const NamedSource& source, const DocumentPage& page) {
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfo(&sql,
                   "SELECT %s, s.doc_version::pg_catalog.int8, s.payload::pg_catalog.text "
                   "FROM %s AS s WHERE $1::pg_catalog.text IS NOT NULL",
                   kKey, source.from);
  if (source.has_topic) appendStringInfoString(&sql, " AND s.topic OPERATOR(pg_catalog.=) $1");
  if (page.IsLookUp()) {
    appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.=) $2 LIMIT 1", kKey);
    return sql.data;
  }
  if (page.position_count > 0) appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.>) $2", kKey);
  appendStringInfo(&sql, " ORDER BY %s LIMIT " INT64_FORMAT, kKey, page.max_documents - page.count + 1);
  return sql.data;
}

std::string_view DatumView(Datum value) {
  const struct varlena* t = PG_DETOAST_DATUM_PACKED(value);
  return {VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)};
}

// A source can give anything: what no event could have is not passed on.
void CheckDocument(const char* source, std::string_view doc_key, int64 doc_version) {
  if (doc_key.empty() || doc_key.size() > kMaxDocKeyBytes) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("snapshot source \"%s\" gave a document key of %zu bytes", source, doc_key.size()),
                    errdetail("A document key is 1 to %zu bytes.", kMaxDocKeyBytes)));
  }
  if (doc_version < 0) {
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("snapshot source \"%s\" gave a document with version %lld", source,
                           static_cast<long long>(doc_version))));
  }
}

// False when the page is full.
bool PutRow(DocumentPage* page, const char* source, HeapTuple row, TupleDesc desc) {
  Datum values[3];
  for (int i = 0; i < 3; ++i) {
    bool isnull = true;
    values[i] = SPI_getbinval(row, desc, i + 1, &isnull);
    if (isnull && i != 1) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("snapshot source \"%s\" gave a document without %s", source, i == 0 ? "key" : "payload")));
    }
    if (isnull) values[i] = Int64GetDatum(page->head);
  }
  CheckDocument(source, DatumView(values[0]), DatumGetInt64(values[1]));
  Bytes payload;
  const std::string_view json = DatumView(values[2]);
  AppendCanonicalSqlJson(payload, json.data(), json.size());
  if (!PutDocument(page, {DatumView(values[0]), DatumGetInt64(values[1]), payload.view()})) return false;
  const char* key = TextDatumGetCString(values[0]);
  SetPosition(page, true, 1, &key);
  return !page->IsLookUp();
}

bool PutRows(const char* source, const char* sql, DocumentPage* page, MemoryContext row_context) {
  Oid types[2] = {TEXTOID, TEXTOID};
  Datum values[2] = {
      PointerGetDatum(cstring_to_text_with_len(page->topic.data(), static_cast<int>(page->topic.size()))), 0};
  const std::string_view second = page->IsLookUp()           ? page->only_key
                                  : page->position_count > 0 ? std::string_view(page->position[0])
                                                             : std::string_view("");
  values[1] = PointerGetDatum(cstring_to_text_with_len(second.data(), static_cast<int>(second.size())));
  Portal portal = SPI_cursor_open_with_args(nullptr, sql, 2, types, values, nullptr, true, CURSOR_OPT_NO_SCROLL);
  bool room = true;
  while (room) {
    SPI_cursor_fetch(portal, true, kFetchRows);
    SPITupleTable* table = SPI_tuptable;
    const uint64 fetched = SPI_processed;
    for (uint64 i = 0; i < fetched && room; ++i) {
      CHECK_FOR_INTERRUPTS();
      const ContextSwitch in(row_context);
      room = PutRow(page, source, table->vals[i], table->tupdesc);
      in.Back();
      MemoryContextReset(row_context);
    }
    SPI_freetuptable(table);
    if (fetched < static_cast<uint64>(kFetchRows)) break;
  }
  SPI_cursor_close(portal);
  return room;
}

}  // namespace

bool NamesJournal(const char* source) { return strcmp(source, "journal") == 0; }

bool ReadNamedDocuments(const char* source, DocumentPage* page) {
  if (page->position_count > 0 && !page->by_key) RaiseBadToken("it is of another source");
  const NamedSource found = FindSource(source);
  const OwnerContext saved = BecomeOwner(found.owner);
  SPI_connect();
  const char* sql = BuildQuery(found, *page);
  MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync row", ALLOCSET_DEFAULT_SIZES);
  const bool finished = PutRows(source, sql, page, row_context);
  SPI_finish();
  BecomeCallerAgain(saved);
  return finished;
}

}  // namespace oasync
