#include "table_query.h"

extern "C" {
#include "access/genam.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"
}

#include "template_reverse.h"
#include "value_input.h"

namespace oasync {
namespace {

// More ways than this to read a topic are not worth conditions.
constexpr int kMaxWays = 64;

// Conditions that one template gives, for each way to read the text.
struct Conditions {
  TableQuery* query;
  Relation rel;
  int column_count;
  int numbers[kMaxTemplateParts];  // of the table, by the template's own number
  const ValueWriter* writers[kMaxTemplateParts];
  StringInfoData sql;  // ways, joined by OR
  int ways;            // that some row may have
  bool open;           // a way has no condition: all rows may be of it
};

int AddParameter(TableQuery* query, Oid type, Datum value) {
  query->types[query->parameter_count] = type;
  query->values[query->parameter_count] = value;
  return ++query->parameter_count;
}

const char* ColumnName(Relation rel, int number) {
  return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), number - 1)->attname));
}

bool AddWay(const std::string_view* texts, void* context) {
  auto* found = static_cast<Conditions*>(context);
  Datum values[kMaxTemplateParts];
  Oid types[kMaxTemplateParts];
  int usable = 0;
  for (int i = 0; i < found->column_count; ++i) {
    types[i] = InvalidOid;
    if (!CanLookUp(*found->writers[i])) continue;
    if (!ValueFromText(*found->writers[i], texts[i], &values[i], &types[i])) return true;  // no row is of this way
    ++usable;
  }
  ++found->ways;
  if (usable == 0 || found->ways > kMaxWays || found->query->parameter_count + usable > kMaxQueryParameters - 64) {
    found->open = true;
    return false;
  }
  appendStringInfoString(&found->sql, found->ways == 1 ? "(" : " OR (");
  const char* separator = "";
  for (int i = 0; i < found->column_count; ++i) {
    if (types[i] == InvalidOid) continue;
    appendStringInfo(&found->sql, "%s%s.%s OPERATOR(pg_catalog.=) $%d", separator, found->query->alias,
                     ColumnName(found->rel, found->numbers[i]), AddParameter(found->query, types[i], values[i]));
    separator = " AND ";
  }
  appendStringInfoChar(&found->sql, ')');
  return true;
}

// Adds the conditions of one template; notes in `fixed` the columns that can have one value only.
void Narrow(TableQuery* query, Relation rel, const CompiledTemplate& compiled, std::string_view text,
            Bitmapset** fixed) {
  Conditions found = {};
  found.query = query;
  found.rel = rel;
  initStringInfo(&found.sql);
  ReversePart parts[kMaxTemplateParts];
  for (int i = 0; i < compiled.count; ++i) {
    parts[i] = {-1, compiled.parts[i].literal};
    if (compiled.parts[i].number == 0) continue;
    int column = 0;
    while (column < found.column_count && found.numbers[column] != compiled.parts[i].number) ++column;
    if (column == found.column_count) {
      found.numbers[column] = compiled.parts[i].number;
      found.writers[column] = &compiled.parts[i].writer;
      ++found.column_count;
    }
    parts[i].column = column;
  }
  const int parameters_before = query->parameter_count;
  const Reversal result = ReverseTemplate(parts, compiled.count, text, AddWay, &found);
  if (result != Reversal::kAll || found.open) {
    query->parameter_count = parameters_before;
    return;
  }
  if (found.ways == 0) {
    query->impossible = true;
    return;
  }
  appendStringInfo(&query->sql, " AND (%s)", found.sql.data);
  if (found.ways > 1) return;
  for (int i = 0; i < found.column_count; ++i) {
    if (CanLookUp(*found.writers[i])) *fixed = bms_add_member(*fixed, found.numbers[i]);
  }
}

bool HasPlainOrder(Oid type) {
  const TypeCacheEntry* cached = lookup_type_cache(getBaseType(type), TYPECACHE_GT_OPR | TYPECACHE_LT_OPR);
  return OidIsValid(cached->gt_opr) && cached->gt_opr < FirstGenbkiObjectId && OidIsValid(cached->lt_opr);
}

bool IsRowOrder(Relation rel, Relation index) {
  const FormData_pg_index* form = index->rd_index;
  if (!form->indisunique || !form->indisvalid || !form->indisready || form->indnkeyatts > kMaxPositionValues ||
      !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr)) {
    return false;
  }
  for (int i = 0; i < form->indnkeyatts; ++i) {
    const int number = form->indkey.values[i];
    if (number <= 0) return false;
    const FormData_pg_attribute* attr = TupleDescAttr(RelationGetDescr(rel), number - 1);
    if (!attr->attnotnull || !HasPlainOrder(attr->atttypid)) return false;
  }
  return true;
}

// The primary key, or another unique key without nulls.
void FindOrder(RowOrder* order, Relation rel, const Bitmapset* fixed) {
  *order = RowOrder{};
  List* oids = RelationGetIndexList(rel);
  const Oid primary = rel->rd_pkindex;
  if (OidIsValid(primary)) oids = lcons_oid(primary, oids);
  const ListCell* cell;
  foreach (cell, oids) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const bool fits = IsRowOrder(rel, index);
    for (int i = 0; fits && i < index->rd_index->indnkeyatts; ++i) {
      const int number = index->rd_index->indkey.values[i];
      if (!bms_is_member(number, fixed)) order->columns[order->count++] = number;
    }
    index_close(index, AccessShareLock);
    if (!fits) continue;
    order->exists = true;
    break;
  }
}

// A name for the table that is none of its columns: `SELECT name` has to be the row.
const char* FreeAlias(Relation rel) {
  const char* alias = "document_row";
  for (int i = 2; get_attnum(RelationGetRelid(rel), alias) != InvalidAttrNumber; ++i) {
    alias = psprintf("document_row_%d", i);
  }
  return alias;
}

void AppendColumns(StringInfo sql, const TableQuery& query, Relation rel) {
  for (int i = 0; i < query.order.count; ++i) {
    appendStringInfo(sql, "%s%s.%s", i == 0 ? "" : ", ", query.alias, ColumnName(rel, query.order.columns[i]));
  }
}

void AppendPosition(TableQuery* query, Relation rel, const DocumentPage& page) {
  if (page.by_key || page.position_count != query->order.count) RaiseBadToken("the table has another key now");
  appendStringInfoString(&query->sql, " AND ROW(");
  AppendColumns(&query->sql, *query, rel);
  appendStringInfoString(&query->sql, ") OPERATOR(pg_catalog.>) ROW(");
  for (int i = 0; i < page.position_count; ++i) {
    const FormData_pg_attribute* attr = TupleDescAttr(RelationGetDescr(rel), query->order.columns[i] - 1);
    ValueWriter writer;
    InitValueWriter(&writer, attr->atttypid, CurrentMemoryContext);
    Oid type = writer.type;
    Datum value = 0;
    if (!CanLookUp(writer)) {
      Oid function = InvalidOid;
      Oid io_param = InvalidOid;
      getTypeInputInfo(type, &function, &io_param);
      value = OidInputFunctionCall(function, pstrdup(page.position[i]), io_param, -1);
    } else if (!ValueFromText(writer, page.position[i], &value, &type)) {
      RaiseBadToken("it is damaged");
    }
    const int number = AddParameter(query, type, value);
    appendStringInfo(&query->sql, "%s$%d", i == 0 ? "" : ", ", number);
  }
  appendStringInfoChar(&query->sql, ')');
}

}  // namespace

void BuildTableQuery(TableQuery* query, Relation rel, const TablePublication* pub, const DocumentPage& page) {
  *query = TableQuery{};
  query->alias = FreeAlias(rel);
  initStringInfo(&query->sql);
  // Rows of a table's inheritance children are not the table's: they fire no trigger of it.
  appendStringInfo(
      &query->sql, "SELECT %s FROM %s%s AS %s WHERE true", query->alias,
      rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
      quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)),
      query->alias);
  Bitmapset* fixed = nullptr;
  Narrow(query, rel, pub->topic, page.topic, &fixed);
  if (page.IsLookUp() && !query->impossible) Narrow(query, rel, pub->doc_key, page.only_key, &fixed);
  FindOrder(&query->order, rel, fixed);
}

void AppendPageBounds(TableQuery* query, Relation rel, const DocumentPage& page, int64 limit) {
  if (query->order.count == 0) return;
  if (page.position_count > 0) AppendPosition(query, rel, page);
  appendStringInfoString(&query->sql, " ORDER BY ");
  AppendColumns(&query->sql, *query, rel);
  appendStringInfo(&query->sql, " LIMIT " INT64_FORMAT, limit);
}

}  // namespace oasync
