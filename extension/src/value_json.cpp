#include "value_json.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"
}

#include <algorithm>
#include <cmath>

#include "canonical_json.h"

namespace oasync {
namespace {

std::string_view ToUtf8(const char* text, size_t len) {
  if (GetDatabaseEncoding() == PG_UTF8) return {text, len};
  char* converted = pg_server_to_any(text, static_cast<int>(len), PG_UTF8);
  if (converted == text) return {text, len};
  return {converted, strlen(converted)};
}

void AppendSqlString(Bytes& out, const char* text, size_t len) { AppendJsonString(out, ToUtf8(text, len)); }

void AppendCString(Bytes& out, const char* text) { out.Append(text, strlen(text)); }

std::string_view TextView(const void* value) {
  const auto* varlena = static_cast<const struct varlena*>(value);
  return {VARDATA_ANY(varlena), VARSIZE_ANY_EXHDR(varlena)};
}

template <typename Float>
bool AppendIfNotFinite(Bytes& out, Float value) {
  if (std::isfinite(value)) return false;
  AppendCString(out, std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
  return true;
}

// The plain text of the kinds that need no output function. False when the kind has none.
bool AppendSimple(Bytes& out, const ValueWriter* writer, Datum value) {
  char text[MAXDATELEN + DOUBLE_SHORTEST_DECIMAL_LEN];
  switch (writer->kind) {
    case ValueKind::kBool:
      AppendCString(out, DatumGetBool(value) ? "true" : "false");
      return true;
    case ValueKind::kInt2:
      out.Append(text, static_cast<size_t>(pg_itoa(DatumGetInt16(value), text)));
      return true;
    case ValueKind::kInt4:
      out.Append(text, static_cast<size_t>(pg_ltoa(DatumGetInt32(value), text)));
      return true;
    case ValueKind::kInt8:
      out.Append(text, static_cast<size_t>(pg_lltoa(DatumGetInt64(value), text)));
      return true;
    case ValueKind::kOid:
      out.Append(text, static_cast<size_t>(pg_ultoa_n(DatumGetObjectId(value), text)));
      return true;
    case ValueKind::kFloat4:
      if (AppendIfNotFinite(out, DatumGetFloat4(value))) return true;
      out.Append(text, static_cast<size_t>(float_to_shortest_decimal_bufn(DatumGetFloat4(value), text)));
      return true;
    case ValueKind::kFloat8:
      if (AppendIfNotFinite(out, DatumGetFloat8(value))) return true;
      out.Append(text, static_cast<size_t>(double_to_shortest_decimal_bufn(DatumGetFloat8(value), text)));
      return true;
    case ValueKind::kDateTime: {
      const int utc = 0;
      AppendCString(out,
                    JsonEncodeDateTime(text, value, writer->type, writer->type == TIMESTAMPTZOID ? &utc : nullptr));
      return true;
    }
    case ValueKind::kText:
      if (writer->type == NAMEOID) {
        AppendCString(out, NameStr(*DatumGetName(value)));
      } else {
        out.Append(TextView(PG_DETOAST_DATUM_PACKED(value)));
      }
      return true;
    case ValueKind::kBytea: {
      const std::string_view bytes = TextView(PG_DETOAST_DATUM_PACKED(value));
      AppendCString(out, "\\x");
      out.Reserve(bytes.size() * 2);
      out.len += hex_encode(bytes.data(), bytes.size(), out.data + out.len);
      return true;
    }
    default:
      return false;
  }
}

bool IsQuoted(const ValueWriter* writer, Datum value) {
  switch (writer->kind) {
    case ValueKind::kBool:
    case ValueKind::kInt2:
    case ValueKind::kInt4:
    case ValueKind::kInt8:
    case ValueKind::kOid:
      return false;
    case ValueKind::kFloat4:
      return !std::isfinite(DatumGetFloat4(value));
    case ValueKind::kFloat8:
      return !std::isfinite(DatumGetFloat8(value));
    default:
      return true;
  }
}

void AppendArrayLevel(Bytes& out, ValueWriter* element, int dim, int ndim, const int* dims, const Datum* values,
                      const bool* nulls, int* next) {
  out.Append('[');
  for (int i = 0; i < dims[dim]; ++i) {
    if (i > 0) out.Append(',');
    if (dim + 1 < ndim) {
      AppendArrayLevel(out, element, dim + 1, ndim, dims, values, nulls, next);
    } else {
      const int at = (*next)++;
      if (nulls[at]) {
        AppendCString(out, "null");
      } else {
        AppendJsonValue(out, element, values[at]);
      }
    }
  }
  out.Append(']');
}

void AppendArray(Bytes& out, ValueWriter* writer, Datum value) {
  ArrayType* array = DatumGetArrayTypeP(value);
  if (ARR_NDIM(array) == 0) {
    AppendCString(out, "[]");
    return;
  }
  int16 length = 0;
  bool by_value = false;
  char align = 0;
  get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
  Datum* values = nullptr;
  bool* nulls = nullptr;
  int count = 0;
  deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &values, &nulls, &count);
  int next = 0;
  AppendArrayLevel(out, writer->element, 0, ARR_NDIM(array), ARR_DIMS(array), values, nulls, &next);
}

// A composite carries its type with it; its definition may change, so writers are made for each value.
void AppendComposite(Bytes& out, Datum value) {
  check_stack_depth();
  HeapTupleHeader header = DatumGetHeapTupleHeader(value);
  TupleDesc desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  tuple.t_data = header;
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<Size>(desc->natts + 1)));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * static_cast<Size>(desc->natts + 1)));
  heap_deform_tuple(&tuple, desc, values, nulls);
  Bytes object;
  object.Append('{');
  for (int i = 0; i < desc->natts; ++i) {
    const FormData_pg_attribute* attr = TupleDescAttr(desc, i);
    if (attr->attisdropped) continue;
    if (object.len > 1) object.Append(',');
    AppendSqlString(object, NameStr(attr->attname), strlen(NameStr(attr->attname)));
    object.Append(':');
    if (nulls[i]) {
      AppendCString(object, "null");
      continue;
    }
    ValueWriter writer;
    InitValueWriter(&writer, attr->atttypid, CurrentMemoryContext);
    AppendJsonValue(object, &writer, values[i]);
  }
  object.Append('}');
  // Puts the keys in order.
  if (AppendCanonicalJson(out, object.view()) == JsonStatus::kTooDeep) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("a composite value is nested more than %d levels deep", kMaxJsonDepth)));
  }
  object.Free();
}

bool IsJsonNumber(const char* text) {
  // numeric_out writes digits, or NaN, Infinity and -Infinity.
  return (text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '0' && text[1] <= '9');
}

void SetOutput(ValueWriter* writer, MemoryContext context) {
  Oid function = InvalidOid;
  bool varlena = false;
  getTypeOutputInfo(writer->type, &function, &varlena);
  fmgr_info_cxt(function, &writer->function, context);
}

// Sets kCast when the type has a cast to json made by a function; built-in types never do.
bool SetCast(ValueWriter* writer, MemoryContext context) {
  if (writer->type < FirstNormalObjectId) return false;
  Oid function = InvalidOid;
  if (find_coercion_pathway(JSONOID, writer->type, COERCION_EXPLICIT, &function) != COERCION_PATH_FUNC) return false;
  writer->kind = ValueKind::kCast;
  fmgr_info_cxt(function, &writer->function, context);
  return true;
}

ValueKind KindOf(Oid type) {
  switch (type) {
    case BOOLOID:
      return ValueKind::kBool;
    case INT2OID:
      return ValueKind::kInt2;
    case INT4OID:
      return ValueKind::kInt4;
    case INT8OID:
      return ValueKind::kInt8;
    case OIDOID:
      return ValueKind::kOid;
    case FLOAT4OID:
      return ValueKind::kFloat4;
    case FLOAT8OID:
      return ValueKind::kFloat8;
    case NUMERICOID:
      return ValueKind::kNumeric;
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case NAMEOID:
      return ValueKind::kText;
    case JSONOID:
      return ValueKind::kJson;
    case JSONBOID:
      return ValueKind::kJsonb;
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
      return ValueKind::kDateTime;
    case BYTEAOID:
      return ValueKind::kBytea;
    default:
      return ValueKind::kOutput;
  }
}

void SetConfig(const char* name, const char* value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

void InitValueWriter(ValueWriter* writer, Oid type, MemoryContext context) {
  *writer = ValueWriter{};
  writer->type = getBaseType(type);
  writer->kind = KindOf(writer->type);
  if (writer->kind == ValueKind::kNumeric) SetOutput(writer, context);
  if (writer->kind != ValueKind::kOutput) return;
  const Oid element = get_element_type(writer->type);
  if (OidIsValid(element)) {
    writer->kind = ValueKind::kArray;
    writer->element = static_cast<ValueWriter*>(MemoryContextAlloc(context, sizeof(ValueWriter)));
    InitValueWriter(writer->element, element, context);
    writer->depends_on_settings = writer->element->depends_on_settings;
    return;
  }
  writer->depends_on_settings = true;
  if (SetCast(writer, context)) return;
  if (type_is_rowtype(writer->type)) {
    writer->kind = ValueKind::kComposite;
    return;
  }
  SetOutput(writer, context);
}

void AppendJsonValue(Bytes& out, ValueWriter* writer, Datum value) {
  switch (writer->kind) {
    case ValueKind::kJson: {
      const std::string_view text = TextView(PG_DETOAST_DATUM_PACKED(value));
      AppendCanonicalSqlJson(out, text.data(), text.size());
      return;
    }
    case ValueKind::kJsonb: {
      Jsonb* jsonb = DatumGetJsonbP(value);
      const char* text = JsonbToCString(nullptr, &jsonb->root, static_cast<int>(VARSIZE(jsonb)));
      AppendCanonicalSqlJson(out, text, strlen(text));
      return;
    }
    case ValueKind::kCast: {
      const std::string_view text = TextView(PG_DETOAST_DATUM_PACKED(FunctionCall1(&writer->function, value)));
      AppendCanonicalSqlJson(out, text.data(), text.size());
      return;
    }
    case ValueKind::kArray:
      AppendArray(out, writer, value);
      return;
    case ValueKind::kComposite:
      AppendComposite(out, value);
      return;
    case ValueKind::kNumeric: {
      const char* text = OutputFunctionCall(&writer->function, value);
      if (IsJsonNumber(text)) {
        AppendCString(out, text);
      } else {
        AppendJsonString(out, text);
      }
      return;
    }
    case ValueKind::kOutput: {
      const char* text = OutputFunctionCall(&writer->function, value);
      AppendSqlString(out, text, strlen(text));
      return;
    }
    case ValueKind::kText: {
      if (writer->type == NAMEOID) {
        AppendSqlString(out, NameStr(*DatumGetName(value)), strlen(NameStr(*DatumGetName(value))));
        return;
      }
      const std::string_view text = TextView(PG_DETOAST_DATUM_PACKED(value));
      AppendSqlString(out, text.data(), text.size());
      return;
    }
    default:
      break;
  }
  const bool quoted = IsQuoted(writer, value);
  if (quoted) out.Append('"');
  if (quoted && writer->kind == ValueKind::kBytea) out.Append('\\');  // \x as a JSON string is \\x
  AppendSimple(out, writer, value);
  if (quoted) out.Append('"');
}

void AppendPlainValue(Bytes& out, ValueWriter* writer, Datum value) {
  if (AppendSimple(out, writer, value)) return;
  if (writer->kind == ValueKind::kNumeric || writer->kind == ValueKind::kOutput) {
    AppendCString(out, OutputFunctionCall(&writer->function, value));
    return;
  }
  AppendJsonValue(out, writer, value);
}

void AppendCanonicalSqlJson(Bytes& out, const char* text, size_t len) {
  const std::string_view utf8 = ToUtf8(text, len);
  switch (AppendCanonicalJson(out, utf8)) {
    case JsonStatus::kOk:
      return;
    case JsonStatus::kTooDeep:
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                      errmsg("a json value is nested more than %d levels deep", kMaxJsonDepth),
                      errhint("Publish fewer columns, or a payload function that leaves it out.")));
    case JsonStatus::kInvalid:
      ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("a payload is not valid JSON")));
  }
}

int BeginFixedSettings() {
  const int nest_level = NewGUCNestLevel();
  if (DateStyle != USE_ISO_DATES) SetConfig("datestyle", "ISO");
  if (IntervalStyle != INTSTYLE_POSTGRES) SetConfig("intervalstyle", "postgres");
  if (extra_float_digits < 1) SetConfig("extra_float_digits", "1");
  if (bytea_output != BYTEA_OUTPUT_HEX) SetConfig("bytea_output", "hex");
  if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0) SetConfig("timezone", "UTC");
  if (quote_all_identifiers) SetConfig("quote_all_identifiers", "off");
  SetConfig("search_path", "pg_catalog");
  SetConfig("lc_monetary", "C");
  return nest_level;
}

void EndFixedSettings(int nest_level) { AtEOXact_GUC(true, nest_level); }

std::string_view JsonToServerEncoding(Bytes& scratch, std::string_view utf8) {
  const int encoding = GetDatabaseEncoding();
  if (encoding == PG_UTF8) return utf8;
  if (encoding == PG_SQL_ASCII) {
    // It holds any bytes: the stored text is the UTF-8 text.
    return utf8;
  }
  const char* p = utf8.data();
  const char* end = p + utf8.size();
  scratch.Clear();
  while (p != end) {
    const char* run = p;
    while (p != end && !IS_HIGHBIT_SET(*p)) ++p;
    scratch.Append(run, static_cast<size_t>(p - run));
    if (p == end) break;
    const int len = pg_utf_mblen(reinterpret_cast<const unsigned char*>(p));
    unsigned char one[MAX_MULTIBYTE_CHAR_LEN + 1] = {};
    memcpy(one, p, static_cast<size_t>(len));
    unsigned char converted[MAX_CONVERSION_GROWTH * (MAX_MULTIBYTE_CHAR_LEN + 1)] = {};
    const Oid proc = FindDefaultConversionProc(PG_UTF8, encoding);
    const int done = OidIsValid(proc) ? pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding, one, len, converted,
                                                                      sizeof(converted), true)
                                      : 0;
    if (done == len) {
      scratch.Append(converted, strlen(reinterpret_cast<const char*>(converted)));
    } else {
      const pg_wchar cp = utf8_to_unicode(one);
      char escape[13];
      const int n = cp < 0x10000 ? snprintf(escape, sizeof(escape), "\\u%04x", cp)
                                 : snprintf(escape, sizeof(escape), "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10),
                                            0xDC00 + ((cp - 0x10000) & 0x3FF));
      scratch.Append(escape, static_cast<size_t>(n));
    }
    p += len;
  }
  return scratch.view();
}

std::string_view JsonFromServerEncoding(Bytes& scratch, std::string_view stored) {
  if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII) return stored;
  scratch.Clear();
  AppendCanonicalSqlJson(scratch, stored.data(), stored.size());
  return scratch.view();
}

}  // namespace oasync
