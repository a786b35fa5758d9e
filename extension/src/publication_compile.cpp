// From the texts of a publication or a projection to what the capture of a row needs.
#include "publication.h"

extern "C" {
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/bitmapset.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
}

#include <algorithm>
#include <cctype>

#include "canonical_json.h"

namespace oasync {
namespace {

[[noreturn]] void RaiseNoColumn(const TablePublication* pub, Relation rel, const char* what, const char* column) {
  ereport(ERROR,
          (errcode(ERRCODE_UNDEFINED_COLUMN),
           errmsg("column \"%s\" of table \"%s\" does not exist", column, RelationGetRelationName(rel)),
           errdetail("The %s of the table's %s names it.", what, pub->is_projection ? "projection" : "publication"),
           pub->is_projection ? errhint("Project the table again with sync_project().")
                              : errhint("Publish the table again with sync_publish().")));
}

int ColumnNumber(const TablePublication* pub, Relation rel, const char* what, const char* column) {
  const AttrNumber number = get_attnum(RelationGetRelid(rel), column);
  if (number <= 0) RaiseNoColumn(pub, rel, what, column);
  return number;
}

void Compile(const TablePublication* pub, Relation rel, const char* what, const char* text, CompiledTemplate* out) {
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
      part.number = ColumnNumber(pub, rel, what, part.column_name);
      InitValueWriter(&part.writer, TupleDescAttr(RelationGetDescr(rel), part.number - 1)->atttypid, pub->context);
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
  if (pub->is_projection && func_volatile(function) == PROVOLATILE_VOLATILE) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_OBJECT_DEFINITION), errmsg("projection function %s is volatile", name),
             errdetail("A projection reads with a snapshot that is taken when its document is locked; a volatile "
                       "function would read with one of its own."),
             errhint("Declare it STABLE.")));
  }
  pub->has_function = true;
  pub->function_is_jsonb = result == JSONBOID;
  fmgr_info_cxt(function, &pub->function, pub->context);
}

[[noreturn]] void RaisePayload(const char* text) {
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid payload \"%s\"", text),
           errhint("Write '*' for the row, '* EXCEPT (secret)' for the row without some columns, 'id, title' for "
                   "columns, '{document}' for the value of one column, or 'app.make_payload(*)' for a function "
                   "of the row.")));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

// The numbers of the columns in a list of SQL identifiers; never empty.
Bitmapset* ListedColumns(const TablePublication* pub, Relation rel, std::string_view list, const char* text) {
  List* names = NIL;
  if (!SplitIdentifierString(pnstrdup(list.data(), list.size()), ',', &names) || names == NIL) RaisePayload(text);
  Bitmapset* numbers = nullptr;
  ListCell* cell;
  foreach (cell, names) {
    numbers = bms_add_member(numbers, ColumnNumber(pub, rel, "payload", static_cast<const char*>(lfirst(cell))));
  }
  return numbers;
}

// The list in `* EXCEPT (list)`; ERROR when what follows the * is anything else.
std::string_view ExceptList(std::string_view after_star, const char* text) {
  static constexpr std::string_view kExcept = "except";
  std::string_view rest = Trim(after_star);
  if (rest.size() < kExcept.size() || pg_strncasecmp(rest.data(), kExcept.data(), kExcept.size()) != 0) {
    RaisePayload(text);
  }
  rest.remove_prefix(kExcept.size());
  rest = Trim(rest);
  if (rest.size() < 2 || rest.front() != '(' || rest.back() != ')') RaisePayload(text);
  return Part(rest, 1, rest.size() - 2);
}

// The payload is `*`, `* EXCEPT (columns)`, columns, `{column}` or `function(*)`. A column of EXCEPT that is not there
// any more is an error as any other: it may only have another name now, and is not to be published under that.
void CompilePayload(TablePublication* pub, Relation rel, const char* text) {
  TupleDesc desc = RelationGetDescr(rel);
  pub->columns = static_cast<PublishedColumn*>(palloc0(sizeof(PublishedColumn) * static_cast<Size>(desc->natts + 1)));
  const std::string_view spec = Trim(text);
  if (spec.starts_with('*')) {
    const std::string_view after = Part(spec, 1, spec.size() - 1);
    const Bitmapset* hidden = after.empty() ? nullptr : ListedColumns(pub, rel, ExceptList(after, text), text);
    for (int i = 1; i <= desc->natts; ++i) {
      if (!TupleDescAttr(desc, i - 1)->attisdropped && !bms_is_member(i, hidden)) AddColumn(pub, rel, i);
    }
  } else if (spec.size() > 3 && spec.ends_with("(*)")) {
    CompileFunction(pub, pub->root, pnstrdup(spec.data(), spec.size() - 3));
  } else if (spec.size() > 1 && spec.front() == '{' && spec.back() == '}') {
    if (spec.size() == 2) RaisePayload(text);
    AddColumn(pub, rel, ColumnNumber(pub, rel, "payload", pnstrdup(spec.data() + 1, spec.size() - 2)));
    pub->is_column = true;
  } else {
    const Bitmapset* listed = ListedColumns(pub, rel, spec, text);
    int number = -1;
    while ((number = bms_next_member(listed, number)) >= 0) AddColumn(pub, rel, number);
  }
  std::sort(pub->columns, pub->columns + pub->column_count, [](const PublishedColumn& a, const PublishedColumn& b) {
    return CompareCanonicalKeys(Part(a.key, 0, a.key.size() - 1), Part(b.key, 0, b.key.size() - 1)) < 0;
  });
}

void CompileVersion(TablePublication* pub, Relation rel, const char* column) {
  if (column == nullptr) return;
  pub->version_column = ColumnNumber(pub, rel, "doc_version", column);
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
                      errhint("Name a column of an integer type or a timestamp, or none.")));
  }
}

}  // namespace

void FillPublication(TablePublication* pub, Relation rel, const PublicationRow& row) {
  pub->root = row.relation;
  pub->skip_unchanged = row.skip_unchanged;
  if (row.topic != nullptr) Compile(pub, rel, "topic", row.topic, &pub->topic);
  Compile(pub, rel, "doc_key", row.doc_key, &pub->doc_key);
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

}  // namespace oasync
