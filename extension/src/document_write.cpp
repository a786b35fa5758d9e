#include "document_write.h"

extern "C" {
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

#include "payload_hash.h"

namespace oasync {
namespace {

enum PlanKind { kLock, kTryLock, kFind, kUpsert, kDelete, kPlanKinds };

struct ReadModelPlans {
  Oid relid;  // hash key
  SPIPlanPtr plans[kPlanKinds];
};

HTAB* cache = nullptr;

// Plans that are being executed can not be freed: a trigger of the read model may write to it again, and find the plan
// not valid any more.
struct {
  LocalTransactionId transaction;
  int count;      // executions that have not ended; an ERROR leaves it high until the transaction ends
  List* retired;  // plans to free when there are none; in TopMemoryContext
} running;

void BeginExecution() {
  if (running.transaction != MyProc->lxid) {
    running.transaction = MyProc->lxid;
    running.count = 0;
  }
  if (running.count++ > 0) return;
  while (running.retired != NIL) {
    auto* plan = static_cast<SPIPlanPtr>(llast(running.retired));
    running.retired = list_delete_last(running.retired);
    SPI_freeplan(plan);
  }
}

void Retire(SPIPlanPtr plan) {
  const ContextSwitch in(TopMemoryContext);
  running.retired = lappend(running.retired, plan);
  in.Back();
}

ReadModelPlans* PlansOf(Oid relid) {
  if (cache == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(ReadModelPlans);
    control.hcxt = TopMemoryContext;
    cache = hash_create("oa_sync read models", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  bool found = false;
  auto* entry = static_cast<ReadModelPlans*>(hash_search(cache, &relid, HASH_ENTER, &found));
  if (!found) *entry = ReadModelPlans{relid, {}};
  return entry;
}

const char* QueryOf(PlanKind kind, Oid relid) {
  const char* name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
  static constexpr char kSelect[] =
      "SELECT doc_version, payload_hash FROM %s WHERE doc_key OPERATOR(pg_catalog.=) $1%s";
  switch (kind) {
    case kLock:
      return psprintf(kSelect, name, " FOR UPDATE");
    case kTryLock:
      return psprintf(kSelect, name, " FOR UPDATE SKIP LOCKED");
    case kFind:
      return psprintf(kSelect, name, "");
    case kUpsert:
      return psprintf(
          "INSERT INTO %s (doc_key, doc_version, payload) VALUES ($1, $2, $3::pg_catalog.%s) "
          "ON CONFLICT (doc_key) DO UPDATE SET doc_version = EXCLUDED.doc_version, "
          "payload = EXCLUDED.payload",
          name, FindDocumentColumns(relid).payload_is_jsonb ? "jsonb" : "json");
    default:
      return psprintf("DELETE FROM %s WHERE doc_key OPERATOR(pg_catalog.=) $1", name);
  }
}

SPIPlanPtr PlanFor(PlanKind kind, Oid relid) {
  ReadModelPlans* entry = PlansOf(relid);
  SPIPlanPtr& plan = entry->plans[kind];
  // A plan that is not valid any more may be of a table that was renamed: its text is made anew.
  if (plan != nullptr && SPI_plan_is_valid(plan)) return plan;
  if (get_rel_name(relid) == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("read model %u does not exist", relid),
                    errhint("End its projections with sync_unproject().")));
  }
  if (plan != nullptr) Retire(plan);
  plan = nullptr;
  Oid types[3] = {TEXTOID, INT8OID, JSONOID};
  SPIPlanPtr made = SPI_prepare(QueryOf(kind, relid), kind == kUpsert ? 3 : 1, types);
  if (made == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
  SPI_keepplan(made);
  PlansOf(relid)->plans[kind] = made;
  return made;
}

Datum TextOf(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

void ExecuteWith(Snapshot snapshot, PlanKind kind, Oid relid, Datum* values, int expected) {
  BeginExecution();
  const int result =
      SPI_execute_snapshot(PlanFor(kind, relid), values, nullptr, snapshot, InvalidSnapshot, false, true, 0);
  --running.count;
  if (result != expected) elog(ERROR, "oa_sync: a write of a document gave %s", SPI_result_code_string(result));
}

// With the newest snapshot, whatever the transaction's isolation: what another transaction made of the document
// before we had its lock is seen. A document that was changed under a REPEATABLE READ transaction fails it, 40001.
void Execute(PlanKind kind, Oid relid, Datum* values, int expected) {
  ExecuteWith(GetLatestSnapshot(), kind, relid, values, expected);
}

bool Select(PlanKind kind, Oid relid, Datum key, LockedDocument* document) {
  Datum values[1] = {key};
  Execute(kind, relid, values, SPI_OK_SELECT);
  document->exists = SPI_processed > 0;
  if (!document->exists) return false;
  bool isnull = true;
  HeapTuple tuple = SPI_tuptable->vals[0];
  document->doc_version = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
  const auto* hash = DatumGetByteaPP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
  memset(document->hash, 0, sizeof(document->hash));
  if (VARSIZE_ANY_EXHDR(hash) == kHashBytes) memcpy(document->hash, VARDATA_ANY(hash), kHashBytes);
  SPI_freetuptable(SPI_tuptable);
  return true;
}

// False when another transaction has it and waiting is not wanted.
bool LockAbsent(Oid relid, std::string_view doc_key, bool wait) {
  const uint32 hash =
      hash_bytes(reinterpret_cast<const unsigned char*>(doc_key.data()), static_cast<int>(doc_key.size()));
  LOCKTAG tag;
  // 1024 for each read model: a transaction that makes a million documents takes no more locks than that.
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relid, hash % 1024, kDocumentLockClass);
  return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

}  // namespace

LockedDocument LockDocument(Oid read_model, std::string_view doc_key, bool wait) {
  LockedDocument document = {};
  const Datum key = TextOf(doc_key);
  if (Select(wait ? kLock : kTryLock, read_model, key, &document)) return document;
  document.busy = !wait && Select(kFind, read_model, key, &document);
  if (document.busy) return document;
  // It is not there, or was not a moment ago: one transaction at a time makes it.
  document.busy = !LockAbsent(read_model, doc_key, wait);
  if (document.busy) return document;
  if (Select(wait ? kLock : kTryLock, read_model, key, &document)) return document;
  document.busy = !wait && Select(kFind, read_model, key, &document);
  return document;
}

Outcome UpsertDocument(Oid read_model, std::string_view doc_key, int64 doc_version, std::string_view payload,
                       bool fresh) {
  Datum values[3] = {TextOf(doc_key), Int64GetDatum(doc_version), TextOf(payload)};
  const DocumentWatch before = BeginWatch(read_model, doc_key);
  ExecuteWith(fresh ? GetLatestSnapshot() : InvalidSnapshot, kUpsert, read_model, values, SPI_OK_INSERT);
  const Outcome outcome = EndWatch(before);
  if (outcome == Outcome::kNone) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table \"%s\" is not a read model", get_rel_name(read_model)),
             errdetail("Its guard did not fire, or another trigger kept the row back."),
             errhint("Guard it with sync_guard().")));
  }
  return outcome;
}

void DeleteDocument(Oid read_model, std::string_view doc_key) {
  Datum values[1] = {TextOf(doc_key)};
  Execute(kDelete, read_model, values, SPI_OK_DELETE);
}

extern "C" {

PG_FUNCTION_INFO_V1(sync_upsert_document);

// sync_upsert_document(read_model, doc_key, doc_version, payload): with the rights of the caller.
Datum sync_upsert_document(PG_FUNCTION_ARGS) {
  static constexpr const char* kNames[] = {"read_model", "doc_key", "doc_version", "payload"};
  for (int i = 0; i < 4; ++i) {
    if (PG_ARGISNULL(i)) {
      ereport(ERROR,
              (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", kNames[i]),
               i == 3 ? errhint("A document without content is 'null'::json; to take it away, delete its row.") : 0));
    }
  }
  const Oid read_model = PG_GETARG_OID(0);
  const int64 version = PG_GETARG_INT64(2);
  if (version < 0) {
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("document version %lld is negative", static_cast<long long>(version))));
  }
  if (get_rel_name(read_model) == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %u does not exist", read_model)));
  }
  FindDocumentColumns(read_model);
  const text* key = PG_GETARG_TEXT_PP(1);
  const text* payload = PG_GETARG_TEXT_PP(3);
  SPI_connect();
  const Outcome outcome = UpsertDocument(read_model, {VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)}, version,
                                         {VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload)}, false);
  SPI_finish();
  PG_RETURN_TEXT_P(cstring_to_text(OutcomeName(outcome)));
}
}

}  // namespace oasync
