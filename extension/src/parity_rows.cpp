// What the parity auditor asks of single rows: which document a sampled row of a published table is.
#include "pg.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include "capture.h"
#include "owner_context.h"

namespace oasync {
namespace {

Datum TextOf(const Bytes& bytes) {
  return PointerGetDatum(cstring_to_text_with_len(bytes.data, static_cast<int>(bytes.len)));
}

// Renders topic and key of the row at `tid`, as the active snapshot shows it; false when there is none, or it is no
// document.
bool IdentifyAt(Relation rel, int32 publication, ItemPointer tid, RowIdentity* identity) {
  const OwnerContext saved = BecomeOwner(rel->rd_rel->relowner);
  TablePublication* pub = FindPublication(rel, publication);
  ++pub->uses;
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  const bool found =
      table_tuple_fetch_row_version(rel, tid, GetActiveSnapshot(), slot) && IdentifyRow(identity, pub, slot);
  ExecDropSingleTupleTableSlot(slot);
  --pub->uses;
  BecomeCallerAgain(saved);
  return found;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_published_key);

// oa_sync_published_key(publication_id, tableoid, ctid): topic and document key of a row; null when it is not there, or
// names no document.
Datum oa_sync_published_key(PG_FUNCTION_ARGS) {
  TupleDesc desc = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "oa_sync: not a row type");
  desc = BlessTupleDesc(desc);
  Relation rel = table_open(PG_GETARG_OID(1), AccessShareLock);
  RowIdentity identity = {};
  const bool found =
      IdentifyAt(rel, PG_GETARG_INT32(0), reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(2)), &identity);
  table_close(rel, AccessShareLock);
  if (!found) PG_RETURN_NULL();
  Datum values[2] = {TextOf(identity.topic), TextOf(identity.doc_key)};
  bool isnull[2] = {};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}
}

}  // namespace oasync
