// Projections: rows of an authority table become documents of a read model, in the transaction that writes them.
//
// For each document: lock it, compute it with a snapshot that is taken then, write it. So concurrent writers of one
// document compute one after the other, and the last one sees what all before it committed, whatever its isolation.
//
// Nobody needs a right on the read model to write the authority table. The document is computed as the owner of the
// authority table and written as the owner of the read model, both as security-restricted operations, with the
// settings that output depends on fixed and with search_path at pg_catalog.
#include "pg.h"

extern "C" {
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

#include "capture.h"
#include "document_write.h"
#include "event_log.h"
#include "payload_hash.h"

namespace oasync {
namespace {

// Who we were. An ERROR before Leave() is undone by the end of the (sub)transaction.
struct Authority {
  Oid user;
  int security;
  int settings;
};
OA_SYNC_POD(Authority);

void Set(const char* name, const char* value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

Authority Enter() {
  Authority saved = {};
  GetUserIdAndSecContext(&saved.user, &saved.security);
  saved.settings = BeginFixedSettings();
  Set("search_path", "pg_catalog, pg_temp");
  if (row_security) Set("row_security", "off");  // a policy on an owner is an error, not rows that are left out
  return saved;
}

void Leave(const Authority& saved) {
  SetUserIdAndSecContext(saved.user, saved.security);
  // Not EndFixedSettings(): what the owners' code SET (search_path, say) must not stay in the writer's session.
  AtEOXact_GUC(false, saved.settings);
}

void ActAs(const Authority& saved, Oid owner) {
  SetUserIdAndSecContext(owner, saved.security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

Oid OwnerOf(Oid relid, int32 projection) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the read model of projection %d does not exist", projection),
             errhint("End it with SELECT sync_unproject(%d).", projection)));
  }
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

enum class Result : uint8_t { kBusy, kUnchanged, kWritten, kDeleted, kStale, kGone };

Result Write(const TablePublication* pub, std::string_view doc_key, const LockedDocument& before, int64 row_version,
             std::string_view payload) {
  if (row_version == kVersionIsWatermark && before.exists) {
    uint8 hash[kHashBytes];
    HashPayload(payload, hash);
    if (memcmp(hash, before.hash, kHashBytes) == 0) {
      CountOutcome(Outcome::kUnchanged);
      return Result::kUnchanged;
    }
  }
  const int64 next = before.exists ? before.doc_version + 1 : 1;
  Bytes scratch;
  switch (UpsertDocument(pub->read_model, doc_key, row_version == kVersionIsWatermark ? next : row_version,
                         JsonToServerEncoding(scratch, payload), true)) {
    case Outcome::kStale:
      return Result::kStale;
    case Outcome::kUnchanged:
      return Result::kUnchanged;
    default:
      return Result::kWritten;
  }
}

// True when the version of a row that `row` holds is still the present one.
bool IsPresent(Relation rel, TupleTableSlot* row) {
  ItemPointerData tid = row->tts_tid;
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TupleTableSlot* again = table_slot_create(rel, nullptr);
  const bool present = table_tuple_fetch_row_version(rel, &tid, snapshot, again);
  ExecDropSingleTupleTableSlot(again);
  UnregisterSnapshot(snapshot);
  return present;
}

// Computes and writes the document of `row`, or deletes it. `authority` is null for a trigger's row, else the relation
// in which the row has to be present still: whoever changed it since it was read has projected it.
Result Project(TablePublication* pub, const Authority& saved, std::string_view doc_key, TupleTableSlot* row,
               Relation authority, bool wait) {
  const int64 row_version = RowVersion(pub, row);
  const Oid writer = OwnerOf(pub->read_model, pub->id);
  SPI_connect();
  ActAs(saved, writer);
  const LockedDocument before = LockDocument(pub->read_model, doc_key, wait);
  SPI_finish();
  if (before.busy) return Result::kBusy;
  if (authority != nullptr && !IsPresent(authority, row)) return Result::kGone;
  ActAs(saved, pub->owner);
  CommandCounterIncrement();  // what this transaction wrote is seen
  PushActiveSnapshot(GetLatestSnapshot());
  Bytes payload;
  const bool exists = AppendDocument(payload, pub, row);
  PopActiveSnapshot();
  ActAs(saved, writer);
  SPI_connect();
  Result result = Result::kUnchanged;
  if (exists) {
    result = Write(pub, doc_key, before, row_version, payload.view());
  } else if (before.exists) {
    DeleteDocument(pub->read_model, doc_key);
    result = Result::kDeleted;
  }
  SPI_finish();
  return result;
}

// A row went away from its document.
void Remove(TablePublication* pub, const Authority& saved, std::string_view doc_key, TupleTableSlot* row) {
  if (pub->on_delete == OnDelete::kProject) {
    Project(pub, saved, doc_key, row, nullptr, true);
  } else if (pub->on_delete == OnDelete::kDelete) {
    SPI_connect();
    ActAs(saved, OwnerOf(pub->read_model, pub->id));
    if (LockDocument(pub->read_model, doc_key, true).exists) DeleteDocument(pub->read_model, doc_key);
    SPI_finish();
  }
}

void ProjectChange(TablePublication* pub, const Authority& saved, const TriggerData* trigger) {
  Bytes key;
  if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
    RenderDocKey(key, pub, trigger->tg_trigslot);
    Project(pub, saved, key.view(), trigger->tg_trigslot, nullptr, true);
    return;
  }
  // A row that is older than the projection and can't be named never was a document: it can be corrected and deleted.
  const bool was_document = TryRenderDocKey(key, pub, trigger->tg_trigslot);
  if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event)) {
    if (was_document) Remove(pub, saved, key.view(), trigger->tg_trigslot);
  } else {
    Bytes new_key;
    RenderDocKey(new_key, pub, trigger->tg_newslot);
    if (was_document && key.view() != new_key.view()) Remove(pub, saved, key.view(), trigger->tg_trigslot);
    Project(pub, saved, new_key.view(), trigger->tg_newslot, nullptr, true);
  }
}

const TriggerData* CheckTrigger(FunctionCallInfo fcinfo) {
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || trigger->tg_trigger->tgnargs != 1) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("oa_sync_project_row() has to be fired AFTER, FOR EACH ROW, with a projection's id"),
                    errhint("Project the table with sync_project().")));
  }
  return trigger;
}

const char* ResultName(Result result) {
  static constexpr const char* kNames[] = {"busy", "unchanged", "written", "deleted", "stale", "gone"};
  return kNames[static_cast<int>(result)];
}

// Who rebuilds or reads through a projection owns its table.
void CheckOwner(const TablePublication* pub) {
  if (has_privs_of_role(GetUserId(), pub->owner)) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", get_rel_name(pub->root))));
}

// Fetches a row by its place into a slot of its own; null when the snapshot shows no row there.
TupleTableSlot* FetchRow(Relation rel, ItemPointer tid, Snapshot seen) {
  Snapshot snapshot = RegisterSnapshot(seen);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  const bool present = table_tuple_fetch_row_version(rel, tid, snapshot, slot);
  if (present) ExecMaterializeSlot(slot);
  UnregisterSnapshot(snapshot);
  if (present) return slot;
  ExecDropSingleTupleTableSlot(slot);
  return nullptr;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_project_row);
PG_FUNCTION_INFO_V1(oa_sync_check_projection);
PG_FUNCTION_INFO_V1(oa_sync_projected_key);
PG_FUNCTION_INFO_V1(oa_sync_projected_document);
PG_FUNCTION_INFO_V1(oa_sync_project_again);
PG_FUNCTION_INFO_V1(oa_sync_lock_document);

// AFTER row trigger of every projected table. Its argument is the projection's id.
Datum oa_sync_project_row(PG_FUNCTION_ARGS) {
  const TriggerData* trigger = CheckTrigger(fcinfo);
  const Authority saved = Enter();
  TablePublication* pub = FindProjection(trigger->tg_relation, pg_strtoint32(trigger->tg_trigger->tgargs[0]));
  ++pub->uses;
  ProjectChange(pub, saved, trigger);
  --pub->uses;
  Leave(saved);
  return PointerGetDatum(nullptr);
}

// oa_sync_check_projection(relation, id): ERROR when a projection does not fit its table.
Datum oa_sync_check_projection(PG_FUNCTION_ARGS) {
  Relation rel = relation_open(PG_GETARG_OID(0), AccessShareLock);
  const Authority saved = Enter();
  const TablePublication* pub = FindProjection(rel, PG_GETARG_INT32(1));
  if (pub->has_function) {
    // Looked at once, when the projection is made: later the function runs as the table's owner without asking.
#if PG_VERSION_NUM >= 160000
    const AclResult allowed = object_aclcheck(ProcedureRelationId, pub->function.fn_oid, pub->owner, ACL_EXECUTE);
#else
    const AclResult allowed = pg_proc_aclcheck(pub->function.fn_oid, pub->owner, ACL_EXECUTE);
#endif
    if (allowed != ACLCHECK_OK) {
      ereport(ERROR,
              (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
               errmsg("role \"%s\" may not execute the projection's function", GetUserNameFromId(pub->owner, false)),
               errdetail("It runs as the owner of the authority table.")));
    }
  }
  Leave(saved);
  relation_close(rel, AccessShareLock);
  PG_RETURN_VOID();
}

// oa_sync_projected_key(id, tableoid, ctid): the document key of a row; null when the row is not there any more.
Datum oa_sync_projected_key(PG_FUNCTION_ARGS) {
  Relation rel = table_open(PG_GETARG_OID(1), AccessShareLock);
  const Authority saved = Enter();
  TablePublication* pub = FindProjection(rel, PG_GETARG_INT32(0));
  CheckOwner(pub);
  Bytes key;
  TupleTableSlot* row = FetchRow(rel, reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(2)), GetLatestSnapshot());
  if (row != nullptr) {
    RenderDocKey(key, pub, row);
    ExecDropSingleTupleTableSlot(row);
  }
  Leave(saved);
  table_close(rel, AccessShareLock);
  if (row == nullptr) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text_with_len(key.data, static_cast<int>(key.len)));
}

// oa_sync_projected_document(id, tableoid, ctid): the document that a row makes, as the active snapshot shows it and
// without writing it: its key, the row's version (null: none of its own) and the payload's hash (null: no document).
// Null when the row is not there.
Datum oa_sync_projected_document(PG_FUNCTION_ARGS) {
  TupleDesc desc = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "oa_sync: not a row type");
  desc = BlessTupleDesc(desc);
  Relation rel = table_open(PG_GETARG_OID(1), AccessShareLock);
  const Authority saved = Enter();
  TablePublication* pub = FindProjection(rel, PG_GETARG_INT32(0));
  CheckOwner(pub);
  Bytes key;
  Datum values[3] = {};
  bool isnull[3] = {false, true, true};
  TupleTableSlot* row = FetchRow(rel, reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(2)), GetActiveSnapshot());
  const bool named = row != nullptr && TryRenderDocKey(key, pub, row);
  if (named) {
    ++pub->uses;
    const int64 version = RowVersion(pub, row);
    Bytes payload;
    ActAs(saved, pub->owner);
    const bool exists = AppendDocument(payload, pub, row);
    --pub->uses;
    values[0] = PointerGetDatum(cstring_to_text_with_len(key.data, static_cast<int>(key.len)));
    values[1] = Int64GetDatum(version);
    isnull[1] = version == kVersionIsWatermark;
    if (exists) {
      auto* hash = static_cast<bytea*>(palloc(VARHDRSZ + kHashBytes));
      SET_VARSIZE(hash, VARHDRSZ + kHashBytes);
      HashPayload(payload.view(), reinterpret_cast<uint8*>(VARDATA(hash)));
      values[2] = PointerGetDatum(hash);
      isnull[2] = false;
    }
  }
  if (row != nullptr) ExecDropSingleTupleTableSlot(row);
  Leave(saved);
  table_close(rel, AccessShareLock);
  if (!named) PG_RETURN_NULL();
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

// oa_sync_project_again(id, tableoid, ctid, wait): projects a row that is there already. Returns what it came to:
// written, unchanged, stale, deleted, gone (somebody changed the row and projected it), busy (only without wait).
Datum oa_sync_project_again(PG_FUNCTION_ARGS) {
  Relation rel = table_open(PG_GETARG_OID(1), AccessShareLock);
  const Authority saved = Enter();
  TablePublication* pub = FindProjection(rel, PG_GETARG_INT32(0));
  CheckOwner(pub);
  Result result = Result::kGone;
  TupleTableSlot* row = FetchRow(rel, reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(2)), GetLatestSnapshot());
  if (row != nullptr) {
    ++pub->uses;
    Bytes key;
    RenderDocKey(key, pub, row);
    result = Project(pub, saved, key.view(), row, rel, PG_GETARG_BOOL(3));
    --pub->uses;
    ExecDropSingleTupleTableSlot(row);
  }
  Leave(saved);
  table_close(rel, AccessShareLock);
  PG_RETURN_TEXT_P(cstring_to_text(ResultName(result)));
}

// oa_sync_lock_document(read_model, doc_key, wait): as writers of the document do; true when it exists, null when
// another transaction has it.
Datum oa_sync_lock_document(PG_FUNCTION_ARGS) {
  const text* key = PG_GETARG_TEXT_PP(1);
  SPI_connect();
  const LockedDocument document =
      LockDocument(PG_GETARG_OID(0), {VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)}, PG_GETARG_BOOL(2));
  SPI_finish();
  if (document.busy) PG_RETURN_NULL();
  PG_RETURN_BOOL(document.exists);
}
}

}  // namespace oasync
