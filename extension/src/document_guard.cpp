#include "document_guard.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

#include "canonical_json.h"
#include "payload_hash.h"
#include "shared_state.h"
#include "value_json.h"

namespace oasync {
namespace {

DocumentWatch watch = {};

// One state of a document.
struct DocumentState {
  std::string_view doc_key;
  int64 doc_version;
  const uint8* hash;  // null: unknown
};

// A proposed row: its canonical payload and the hash of that.
struct Proposed {
  DocumentState state;
  Datum payload;
  Datum payload_hash;
};

uint64 HashKey(std::string_view key) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(key.data()), static_cast<int>(key.size()), 0);
}

[[noreturn]] void RaiseNoReadModel(Oid relid, const char* column, const char* what) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table \"%s\" is not a read model", get_rel_name(relid)),
                  errdetail("Its column \"%s\" %s.", column, what),
                  errhint("A read model has doc_key text, doc_version bigint, payload json (or jsonb), payload_hash "
                          "bytea, inserted_at timestamptz and updated_at timestamptz.")));
}

int ColumnOf(Oid relid, const char* name, Oid type, Oid other_type) {
  const AttrNumber number = get_attnum(relid, name);
  if (number <= 0) RaiseNoReadModel(relid, name, "is missing");
  const Oid actual = get_atttype(relid, number);
  if (actual != type && actual != other_type) {
    RaiseNoReadModel(relid, name, psprintf("is of type %s", format_type_be(actual)));
  }
  return number;
}

Datum Attribute(HeapTuple tuple, TupleDesc desc, int number, bool* isnull) {
  return heap_getattr(tuple, number, desc, isnull);
}

Datum NotNull(HeapTuple tuple, Relation rel, int number) {
  bool isnull = true;
  const Datum value = Attribute(tuple, RelationGetDescr(rel), number, &isnull);
  if (isnull) {
    ereport(ERROR,
            (errcode(ERRCODE_NOT_NULL_VIOLATION),
             errmsg("null value in column \"%s\" of read model \"%s\"",
                    NameStr(TupleDescAttr(RelationGetDescr(rel), number - 1)->attname), RelationGetRelationName(rel)),
             errhint("A document without content is 'null'::json; to take it away, delete its row.")));
  }
  return value;
}

std::string_view TextView(Datum value) {
  const auto* varlena = DatumGetTextPP(value);
  return {VARDATA_ANY(varlena), VARSIZE_ANY_EXHDR(varlena)};
}

DocumentState ReadState(HeapTuple tuple, Relation rel, const DocumentColumns& at) {
  DocumentState state = {};
  state.doc_key = TextView(NotNull(tuple, rel, at.doc_key));
  state.doc_version = DatumGetInt64(NotNull(tuple, rel, at.doc_version));
  bool isnull = true;
  const Datum hash = Attribute(tuple, RelationGetDescr(rel), at.payload_hash, &isnull);
  if (!isnull) {
    const std::string_view bytes = TextView(hash);
    if (bytes.size() == kHashBytes) state.hash = reinterpret_cast<const uint8*>(bytes.data());
  }
  return state;
}

void ReadProposed(Proposed* out, HeapTuple tuple, Relation rel, const DocumentColumns& at) {
  out->state = ReadState(tuple, rel, at);
  const Datum payload = NotNull(tuple, rel, at.payload);
  Bytes canonical;
  ValueWriter writer;
  writer.kind = at.payload_is_jsonb ? ValueKind::kJsonb : ValueKind::kJson;
  AppendJsonValue(canonical, &writer, payload);
  auto* hash = static_cast<bytea*>(palloc(VARHDRSZ + kHashBytes));
  SET_VARSIZE(hash, VARHDRSZ + kHashBytes);
  HashPayload(canonical.view(), reinterpret_cast<uint8*>(VARDATA(hash)));
  out->state.hash = reinterpret_cast<const uint8*>(VARDATA(hash));
  out->payload_hash = PointerGetDatum(hash);
  out->payload = payload;
  if (!at.payload_is_jsonb) {
    Bytes scratch;
    const std::string_view stored = JsonToServerEncoding(scratch, canonical.view());
    out->payload = PointerGetDatum(cstring_to_text_with_len(stored.data(), static_cast<int>(stored.size())));
  }
}

// Columns of the user's own beside ours: a change of one of them is a change.
bool OthersDiffer(HeapTuple before, HeapTuple after, Relation rel, const DocumentColumns& at) {
  TupleDesc desc = RelationGetDescr(rel);
  for (int number = 1; number <= desc->natts; ++number) {
    const FormData_pg_attribute* attr = TupleDescAttr(desc, number - 1);
    if (attr->attisdropped || attr->attgenerated != '\0' || number == at.doc_key || number == at.doc_version ||
        number == at.payload || number == at.payload_hash || number == at.updated_at ||
        strcmp(NameStr(attr->attname), "inserted_at") == 0) {
      continue;
    }
    bool null_before = true;
    bool null_after = true;
    const Datum old_value = Attribute(before, desc, number, &null_before);
    const Datum new_value = Attribute(after, desc, number, &null_after);
    if (null_before != null_after) return true;
    if (!null_before && !datum_image_eq(old_value, new_value, attr->attbyval, attr->attlen)) return true;
  }
  return false;
}

// An UPDATE that changes doc_key makes another document of the row: there is nothing to compare it with.
Outcome Judge(const DocumentState& before, const DocumentState& after) {
  if (before.doc_key != after.doc_key) return Outcome::kInserted;
  if (after.doc_version < before.doc_version) return Outcome::kStale;
  if (after.doc_version > before.doc_version) return Outcome::kUpdated;
  const bool same = before.hash != nullptr && memcmp(before.hash, after.hash, kHashBytes) == 0;
  return same ? Outcome::kUnchanged : Outcome::kDrift;
}

const TriggerData* CheckTrigger(FunctionCallInfo fcinfo) {
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("oa_sync_guard_document() has to be fired BEFORE INSERT OR UPDATE, FOR EACH ROW"),
                    errhint("Guard the table with sync_guard().")));
  }
  return trigger;
}

// The guard of a partition fires for what was written into its read model.
bool IsWatched(Relation rel) {
  if (watch.relid == RelationGetRelid(rel)) return true;
  return OidIsValid(watch.relid) && rel->rd_rel->relispartition &&
         list_member_oid(get_partition_ancestors(RelationGetRelid(rel)), watch.relid);
}

void Report(Relation rel, std::string_view doc_key, Outcome outcome) {
  if (IsWatched(rel) && watch.key_hash == HashKey(doc_key)) watch.outcome = outcome;
}

}  // namespace

const char* OutcomeName(Outcome outcome) {
  static constexpr const char* kNames[] = {"none", "inserted", "updated", "drift", "unchanged", "stale"};
  return kNames[static_cast<int>(outcome)];
}

DocumentWatch BeginWatch(Oid relid, std::string_view doc_key) {
  const DocumentWatch before = watch;
  watch = {relid, HashKey(doc_key), Outcome::kNone};
  return before;
}

Outcome EndWatch(const DocumentWatch& before) {
  const Outcome outcome = watch.outcome;
  watch = before;
  return outcome;
}

void CountOutcome(Outcome outcome) {
  DatabaseState* state = MyDatabaseState();
  switch (outcome) {
    case Outcome::kNone:
      return;
    case Outcome::kStale:
      pg_atomic_fetch_add_u64(&state->documents_stale, 1);
      return;
    case Outcome::kUnchanged:
      pg_atomic_fetch_add_u64(&state->documents_unchanged, 1);
      return;
    case Outcome::kDrift:
      pg_atomic_fetch_add_u64(&state->documents_drifted, 1);
      break;
    case Outcome::kInserted:
    case Outcome::kUpdated:
      break;
  }
  pg_atomic_fetch_add_u64(&state->documents_written, 1);
}

DocumentColumns FindDocumentColumns(Oid relid) {
  DocumentColumns at = {};
  at.doc_key = ColumnOf(relid, "doc_key", TEXTOID, TEXTOID);
  at.doc_version = ColumnOf(relid, "doc_version", INT8OID, INT8OID);
  at.payload = ColumnOf(relid, "payload", JSONOID, JSONBOID);
  at.payload_hash = ColumnOf(relid, "payload_hash", BYTEAOID, BYTEAOID);
  at.updated_at = ColumnOf(relid, "updated_at", TIMESTAMPTZOID, TIMESTAMPTZOID);
  ColumnOf(relid, "inserted_at", TIMESTAMPTZOID, TIMESTAMPTZOID);
  at.payload_is_jsonb = get_atttype(relid, static_cast<AttrNumber>(at.payload)) == JSONBOID;
  return at;
}

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_guard_document);
PG_FUNCTION_INFO_V1(oa_sync_count_document);
PG_FUNCTION_INFO_V1(oa_sync_check_read_model);

// BEFORE INSERT OR UPDATE row trigger of every read model.
Datum oa_sync_guard_document(PG_FUNCTION_ARGS) {
  const TriggerData* trigger = CheckTrigger(fcinfo);
  Relation rel = trigger->tg_relation;
  const DocumentColumns at = FindDocumentColumns(RelationGetRelid(rel));
  const bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
  HeapTuple tuple = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
  Proposed proposed = {};
  ReadProposed(&proposed, tuple, rel, at);
  Outcome outcome = Outcome::kInserted;
  if (is_update) {
    outcome = Judge(ReadState(trigger->tg_trigtuple, rel, at), proposed.state);
    if (outcome == Outcome::kUnchanged && OthersDiffer(trigger->tg_trigtuple, tuple, rel, at)) {
      outcome = Outcome::kUpdated;
    }
  }
  Report(rel, proposed.state.doc_key, outcome);
  // A row that is proposed for insertion may still meet its document (ON CONFLICT): that is then judged as an update,
  // and counted there; insertions are counted by a trigger of their own when the row is in.
  if (is_update) CountOutcome(outcome);
  if (outcome == Outcome::kStale || outcome == Outcome::kUnchanged) return PointerGetDatum(nullptr);
  int columns[3] = {at.payload, at.payload_hash, at.updated_at};
  Datum values[3] = {proposed.payload, proposed.payload_hash,
                     TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
  bool isnull[3] = {};
  // An inserted row keeps the time it brings (the column's default, or what a dump says).
  tuple = heap_modify_tuple_by_cols(tuple, RelationGetDescr(rel), is_update ? 3 : 2, columns, values, isnull);
  return PointerGetDatum(tuple);
}

// AFTER INSERT row trigger of every read model.
Datum oa_sync_count_document(PG_FUNCTION_ARGS) {
  if (CALLED_AS_TRIGGER(fcinfo)) CountOutcome(Outcome::kInserted);
  return PointerGetDatum(nullptr);
}

// ERROR 42809 when a relation does not have the columns of a read model. Called by sync_guard().
Datum oa_sync_check_read_model(PG_FUNCTION_ARGS) {
  FindDocumentColumns(PG_GETARG_OID(0));
  PG_RETURN_VOID();
}
}

}  // namespace oasync
