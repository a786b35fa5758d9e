#include "value_input.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace oasync {
namespace {

// Types of PostgreSQL whose input functions hold no resources when they fail, and which have an `=`.
bool InputIsPlain(Oid type) {
  switch (type) {
    case BOOLOID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case OIDOID:
    case FLOAT4OID:
    case FLOAT8OID:
    case NUMERICOID:
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case NAMEOID:
    case DATEOID:
    case TIMEOID:
    case TIMETZOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case INTERVALOID:
    case BYTEAOID:
    case UUIDOID:
    case INETOID:
    case CIDROID:
    case MACADDROID:
    case MACADDR8OID:
    case BITOID:
    case VARBITOID:
      return true;
    default:
      return false;
  }
}

// Calls an input function and takes a refusal of the text as an answer.
bool TryInput(Oid function, char* text, Oid io_param, Datum* value) {
  const MemoryContext context = CurrentMemoryContext;
  volatile bool ok = true;
  volatile Datum result = 0;
  // No subtransaction: the functions that come here (InputIsPlain) take neither locks nor pins nor catalog scans.
  PG_TRY();
  { result = OidInputFunctionCall(function, text, io_param, -1); }
  PG_CATCH();
  {
    const int category = ERRCODE_TO_CATEGORY(geterrcode());
    if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED) PG_RE_THROW();
    MemoryContextSwitchTo(context);
    FlushErrorState();
    ok = false;
  }
  PG_END_TRY();
  *value = result;
  return ok;
}

}  // namespace

bool CanLookUp(const ValueWriter& writer) {
  switch (writer.kind) {
    case ValueKind::kJson:
    case ValueKind::kJsonb:
    case ValueKind::kArray:
    case ValueKind::kComposite:
    case ValueKind::kCast:
      return false;
    default:
      return InputIsPlain(writer.type) || type_is_enum(writer.type);
  }
}

bool ValueFromText(const ValueWriter& writer, std::string_view text, Datum* value, Oid* type) {
  char* copy = pnstrdup(text.data(), text.size());
  *type = writer.type == VARCHAROID ? TEXTOID : writer.type;
  if (type_is_enum(writer.type)) {
    if (text.size() >= NAMEDATALEN) return false;
    HeapTuple label = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(writer.type), CStringGetDatum(copy));
    if (!HeapTupleIsValid(label)) return false;
    *value = ObjectIdGetDatum(reinterpret_cast<Form_pg_enum>(GETSTRUCT(label))->oid);
    ReleaseSysCache(label);
    return true;
  }
  Oid function = InvalidOid;
  Oid io_param = InvalidOid;
  getTypeInputInfo(*type, &function, &io_param);
  return TryInput(function, copy, io_param, value);
}

}  // namespace oasync
