#include "capture.h"

extern "C" {
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

#include "canonical_json.h"
#include "commit.h"
#include "event_limits.h"
#include "event_log.h"
#include "payload_hash.h"
#include "restore_watch.h"

namespace oasync {
namespace {

constexpr int64 kUnixEpochOffsetUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

using Identity = RowIdentity;

void Render(Bytes& out, CompiledTemplate& compiled, const char* what, const TablePublication* pub,
            TupleTableSlot* row) {
  for (int i = 0; i < compiled.count; ++i) {
    CompiledTemplate::Part& part = compiled.parts[i];
    if (part.number == 0) {
      out.Append(part.literal);
      continue;
    }
    bool isnull = true;
    const Datum value = slot_getattr(row, part.number, &isnull);
    if (isnull) {
      ereport(ERROR,
              (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
               errmsg("column \"%s\" of published table \"%s\" is null", part.column_name, get_rel_name(pub->relid)),
               errdetail("The %s of its events is made of it.", what),
               errhint("Declare the column NOT NULL, or publish the table with another %s.", what)));
    }
    AppendPlainValue(out, &part.writer, value);
  }
}

void CheckTopic(std::string_view topic) {
  if (IsValidTopic(topic)) return;
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
           errmsg("invalid topic \"%.*s\"", pg_mbcliplen(topic.data(), topic.size(), kMaxTopicBytes), topic.data()),
           errdetail("A topic is 1 to %zu bytes of letters, digits and _ . : / -", kMaxTopicBytes)));
}

[[noreturn]] void RaiseOwnTopic(std::string_view topic) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("topic \"%.*s\" is reserved", static_cast<int>(topic.size()), topic.data()),
                  errdetail("Topics that begin with %s are OA Sync's own.", kOwnTopics.data()),
                  errhint("Choose a topic with another beginning.")));
}

// A topic that rows or callers name.
void CheckGivenTopic(std::string_view topic) {
  CheckTopic(topic);
  if (IsOwnTopic(topic)) RaiseOwnTopic(topic);
}

bool MayBeGiven(std::string_view topic) { return IsValidTopic(topic) && !IsOwnTopic(topic); }

void CheckDocKey(std::string_view key) {
  if (!key.empty() && key.size() <= kMaxDocKeyBytes) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a document key of %zu bytes", key.size()),
                  errdetail("A document key is 1 to %zu bytes.", kMaxDocKeyBytes)));
}

void CheckVersion(int64 version) {
  if (version >= 0) return;
  ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                  errmsg("document version %lld is negative", static_cast<long long>(version))));
}

enum class VersionFault { kNone, kNull, kInfinite, kNegative };

VersionFault ReadVersion(const TablePublication* pub, TupleTableSlot* row, int64* version) {
  *version = kVersionIsWatermark;
  if (pub->version_column == 0) return VersionFault::kNone;
  bool isnull = true;
  const Datum value = slot_getattr(row, pub->version_column, &isnull);
  if (isnull) return VersionFault::kNull;
  switch (pub->version_type) {
    case INT2OID:
      *version = DatumGetInt16(value);
      break;
    case INT4OID:
      *version = DatumGetInt32(value);
      break;
    case INT8OID:
      *version = DatumGetInt64(value);
      break;
    default: {
      const Timestamp time = DatumGetTimestamp(value);
      if (TIMESTAMP_NOT_FINITE(time)) return VersionFault::kInfinite;
      *version = time + kUnixEpochOffsetUs;
    }
  }
  return *version < 0 ? VersionFault::kNegative : VersionFault::kNone;
}

int64 RenderVersion(const TablePublication* pub, TupleTableSlot* row) {
  int64 version = 0;
  switch (ReadVersion(pub, row, &version)) {
    case VersionFault::kNone:
      break;
    case VersionFault::kNull:
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("the doc_version column of published table \"%s\" is null", get_rel_name(pub->relid))));
    case VersionFault::kInfinite:
      ereport(ERROR,
              (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
               errmsg("the doc_version column of published table \"%s\" is infinite", get_rel_name(pub->relid))));
    case VersionFault::kNegative:
      CheckVersion(version);
  }
  return version;
}

void Identify(Identity* identity, TablePublication* pub, TupleTableSlot* row) {
  Render(identity->topic, pub->topic, "topic", pub, row);
  CheckGivenTopic(identity->topic.view());
  Render(identity->doc_key, pub->doc_key, "doc_key", pub, row);
  CheckDocKey(identity->doc_key.view());
  identity->doc_version = RenderVersion(pub, row);
}

bool HasNull(const CompiledTemplate& compiled, TupleTableSlot* row) {
  for (int i = 0; i < compiled.count; ++i) {
    const int number = compiled.parts[i].number;
    if (number != 0 && slot_attisnull(row, number)) return true;
  }
  return false;
}

// The same for a row that goes away. False when it can't be named: it is older than the publication, was never an
// event, and has to be correctable and deletable all the same.
bool TryIdentify(Identity* identity, TablePublication* pub, TupleTableSlot* row) {
  if (HasNull(pub->topic, row) || HasNull(pub->doc_key, row)) return false;
  if (ReadVersion(pub, row, &identity->doc_version) != VersionFault::kNone) return false;
  Render(identity->topic, pub->topic, "topic", pub, row);
  Render(identity->doc_key, pub->doc_key, "doc_key", pub, row);
  return MayBeGiven(identity->topic.view()) && identity->doc_key.len > 0 && identity->doc_key.len <= kMaxDocKeyBytes;
}

// The row as a value of the published table's row type: a partition may have its columns in another order.
Datum RowOfRoot(const TablePublication* pub, TupleTableSlot* row) {
  if (pub->root_row == nullptr) return ExecFetchSlotHeapTupleDatum(row);
  bool should_free = false;
  HeapTuple tuple = ExecFetchSlotHeapTuple(row, false, &should_free);
  if (pub->to_root != nullptr) tuple = execute_attr_map_tuple(tuple, pub->to_root);
  return heap_copy_tuple_as_datum(tuple, pub->root_row);
}

// False when the function returned null.
bool AppendFunctionValue(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, &pub->function, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = RowOfRoot(pub, row);
  call->args[0].isnull = false;
  const Datum result = FunctionCallInvoke(call);
  if (call->isnull) return false;
  ValueWriter writer;
  writer.kind = pub->function_is_jsonb ? ValueKind::kJsonb : ValueKind::kJson;
  AppendJsonValue(out, &writer, result);
  return true;
}

void AppendFunctionPayload(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  if (AppendFunctionValue(out, pub, row)) return;
  ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                  errmsg("the payload function of published table \"%s\" returned null", get_rel_name(pub->relid)),
                  errhint("Return a json value; a document without content is 'null'::json.")));
}

// The value of one column is the payload.
void AppendColumnPayload(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  PublishedColumn& column = pub->columns[0];
  bool isnull = true;
  const Datum value = slot_getattr(row, column.number, &isnull);
  if (isnull) {
    const FormData_pg_attribute* attr = TupleDescAttr(row->tts_tupleDescriptor, column.number - 1);
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("payload column \"%s\" of published table \"%s\" is null", NameStr(attr->attname),
                           get_rel_name(pub->relid)),
                    errhint("Declare the column NOT NULL; a document without content is 'null'::json.")));
  }
  AppendJsonValue(out, &column.writer, value);
}

// Appends the row's payload, canonical, in UTF-8.
void AppendPayload(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  if (pub->has_function) {
    AppendFunctionPayload(out, pub, row);
    return;
  }
  if (pub->is_column) {
    AppendColumnPayload(out, pub, row);
    return;
  }
  slot_getallattrs(row);
  out.Append('{');
  for (int i = 0; i < pub->column_count; ++i) {
    PublishedColumn& column = pub->columns[i];
    if (i > 0) out.Append(',');
    out.Append(column.key);
    if (row->tts_isnull[column.number - 1]) {
      out.Append("null", 4);
    } else {
      AppendJsonValue(out, &column.writer, row->tts_values[column.number - 1]);
    }
  }
  out.Append('}');
}

void LogUpsert(std::string_view topic, std::string_view doc_key, int64 doc_version, std::string_view payload) {
  const bool in_journal = AdmitUpsert(topic, doc_key, payload.size());
  uint8 hash[kHashBytes];
  HashPayload(payload, hash);
  if (!in_journal) {
    // The hash is of the document that clients will fetch.
    LogEvent({topic, doc_key, doc_version, Op::kUpsert, nullptr, hash});
    return;
  }
  Bytes scratch;
  const std::string_view stored = JsonToServerEncoding(scratch, payload);
  LogEvent({topic, doc_key, doc_version, Op::kUpsert, &stored, hash});
}

void LogWithoutPayload(std::string_view topic, std::string_view doc_key, int64 doc_version, Op op) {
  AdmitEvent(topic);
  LogEvent({topic, doc_key, doc_version, op, nullptr, NullPayloadHash()});
}

void CaptureUpsert(TablePublication* pub, TupleTableSlot* row) {
  Identity identity = {};
  Identify(&identity, pub, row);
  Bytes payload;
  AppendPayload(payload, pub, row);
  LogUpsert(identity.topic.view(), identity.doc_key.view(), identity.doc_version, payload.view());
}

// Pages of snapshots follow a unique key. A row that moves in it may go from a page that is still to be read to one
// that was read already: the client has it from an event, or not at all.
bool MovedInKey(Relation rel, TupleTableSlot* old_row, TupleTableSlot* new_row) {
  const Bitmapset* columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
  for (int i = -1; (i = bms_next_member(columns, i)) >= 0;) {
    const int number = i + FirstLowInvalidHeapAttributeNumber;
    if (number <= 0) continue;
    bool null_before = true;
    bool null_after = true;
    const Datum before = slot_getattr(old_row, number, &null_before);
    const Datum after = slot_getattr(new_row, number, &null_after);
    if (null_before != null_after) return true;
    const FormData_pg_attribute* attr = TupleDescAttr(RelationGetDescr(rel), number - 1);
    if (!null_before && !datum_image_eq(before, after, attr->attbyval, attr->attlen)) return true;
  }
  return false;
}

void CaptureUpdate(TablePublication* pub, Relation rel, TupleTableSlot* old_row, TupleTableSlot* new_row) {
  Identity before = {};
  Identity after = {};
  const bool was_event = TryIdentify(&before, pub, old_row);
  Identify(&after, pub, new_row);
  const bool same =
      was_event && before.topic.view() == after.topic.view() && before.doc_key.view() == after.doc_key.view();
  Bytes payload;
  AppendPayload(payload, pub, new_row);
  if (was_event && !same) {
    LogWithoutPayload(before.topic.view(), before.doc_key.view(), before.doc_version, Op::kDelete);
  } else if (same && pub->skip_unchanged && before.doc_version == after.doc_version) {
    Bytes old_payload;
    AppendPayload(old_payload, pub, old_row);
    if (old_payload.view() == payload.view() && !MovedInKey(rel, old_row, new_row)) return;
  }
  LogUpsert(after.topic.view(), after.doc_key.view(), after.doc_version, payload.view());
}

void CaptureRow(TablePublication* pub, const TriggerData* trigger) {
  if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
    CaptureUpsert(pub, trigger->tg_trigslot);
  } else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)) {
    CaptureUpdate(pub, trigger->tg_relation, trigger->tg_trigslot, trigger->tg_newslot);
  } else {
    CaptureDelete(pub, trigger->tg_trigslot);
  }
}

// Whether a row of a dump is being loaded. pg_dump makes the triggers of ordinary tables after their rows; ours of the
// read models come with CREATE EXTENSION, before them, and the events of those rows come with the journal. Only while
// the database is being restored, because a write that is taken for one is no event. For the same reason only rows that
// are inserted (a dump updates and deletes nothing), and only by the table's owner or a superuser, who restore.
bool RestoresDump(const TablePublication* pub, const TriggerData* trigger) {
  return TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && has_privs_of_role(GetUserId(), pub->owner) &&
         SessionLoadsDump() && IsBeingRestored(GetJournal());
}

const TriggerData* CheckTrigger(FunctionCallInfo fcinfo) {
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || trigger->tg_trigger->tgnargs != 1) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("oa_sync_capture_row() has to be fired AFTER, FOR EACH ROW, with a publication's id"),
                    errhint("Publish the table with sync_publish().")));
  }
  return trigger;
}

void EmitUpsert(std::string_view topic, std::string_view doc_key, int64 version, const text* json) {
  Bytes payload;
  AppendCanonicalSqlJson(payload, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
  LogUpsert(topic, doc_key, version, payload.view());
}

}  // namespace

bool TryRenderTopic(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  if (HasNull(pub->topic, row)) return false;
  Render(out, pub->topic, "topic", pub, row);
  return MayBeGiven(out.view());
}

bool FixedTopic(Bytes& out, const TablePublication* pub) {
  for (int i = 0; i < pub->topic.count; ++i) {
    if (pub->topic.parts[i].number != 0) return false;
  }
  for (int i = 0; i < pub->topic.count; ++i) out.Append(pub->topic.parts[i].literal);
  CheckGivenTopic(out.view());
  return true;
}

bool IdentifyRow(RowIdentity* identity, TablePublication* pub, TupleTableSlot* row) {
  return TryIdentify(identity, pub, row);
}

void AppendRowPayload(Bytes& out, TablePublication* pub, TupleTableSlot* row) { AppendPayload(out, pub, row); }

void CaptureDelete(TablePublication* pub, TupleTableSlot* row) {
  Identity identity = {};
  if (!TryIdentify(&identity, pub, row)) return;
  LogWithoutPayload(identity.topic.view(), identity.doc_key.view(), identity.doc_version, Op::kDelete);
}

void CaptureTruncate(const TablePublication* pub, std::string_view topic) {
  LogWithoutPayload(topic, pub->truncate_key, kVersionIsWatermark, Op::kTruncate);
}

void RenderDocKey(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  Render(out, pub->doc_key, "doc_key", pub, row);
  CheckDocKey(out.view());
}

bool TryRenderDocKey(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  int64 version = 0;
  if (HasNull(pub->doc_key, row) || ReadVersion(pub, row, &version) != VersionFault::kNone) return false;
  Render(out, pub->doc_key, "doc_key", pub, row);
  return out.len > 0 && out.len <= kMaxDocKeyBytes;
}

int64 RowVersion(const TablePublication* pub, TupleTableSlot* row) { return RenderVersion(pub, row); }

bool AppendDocument(Bytes& out, TablePublication* pub, TupleTableSlot* row) {
  if (pub->has_function) return AppendFunctionValue(out, pub, row);
  AppendPayload(out, pub, row);
  return true;
}

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_capture_row);
PG_FUNCTION_INFO_V1(sync_emit);
PG_FUNCTION_INFO_V1(oa_sync_emit_own);
PG_FUNCTION_INFO_V1(oa_sync_check_publication);

// AFTER row trigger of every published table. Its argument is the publication's id.
Datum oa_sync_capture_row(PG_FUNCTION_ARGS) {
  const TriggerData* trigger = CheckTrigger(fcinfo);
  CheckMayCapture();
  TablePublication* pub = FindPublication(trigger->tg_relation, pg_strtoint32(trigger->tg_trigger->tgargs[0]));
  if (pub->of_extension && RestoresDump(pub, trigger)) return PointerGetDatum(nullptr);
  ++pub->uses;
  // What is allocated here goes with the executor's per-tuple context.
  const int nest_level = pub->depends_on_settings ? BeginFixedSettings() : 0;
  CaptureRow(pub, trigger);
  if (nest_level != 0) EndFixedSettings(nest_level);
  --pub->uses;
  return PointerGetDatum(nullptr);
}

// sync_emit(topic, doc_key, doc_version, payload): appends one event by hand. A null payload is a delete.
Datum sync_emit(PG_FUNCTION_ARGS) {
  PreventCommandIfReadOnly("sync_emit()");
  CheckMayCapture();
  static constexpr const char* kNames[] = {"topic", "doc_key"};
  for (int i = 0; i < 2; ++i) {
    if (PG_ARGISNULL(i)) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", kNames[i])));
    }
  }
  const char* topic = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char* doc_key = text_to_cstring(PG_GETARG_TEXT_PP(1));
  const int64 version = PG_ARGISNULL(2) ? kVersionIsWatermark : PG_GETARG_INT64(2);
  CheckGivenTopic(topic);
  CheckDocKey(doc_key);
  if (!PG_ARGISNULL(2)) CheckVersion(version);
  if (PG_ARGISNULL(3)) {
    LogWithoutPayload(topic, doc_key, version, Op::kDelete);
    PG_RETURN_VOID();
  }
  EmitUpsert(topic, doc_key, version, PG_GETARG_TEXT_PP(3));
  PG_RETURN_VOID();
}

// oa_sync_emit_own(topic, doc_key, payload): the same for a topic of OA Sync's own, and for no other. STRICT; only for
// functions of the extension, which run as its owner.
Datum oa_sync_emit_own(PG_FUNCTION_ARGS) {
  PreventCommandIfReadOnly("oa_sync_emit_own()");
  CheckMayCapture();
  const char* topic = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char* doc_key = text_to_cstring(PG_GETARG_TEXT_PP(1));
  CheckTopic(topic);
  CheckDocKey(doc_key);
  if (!IsOwnTopic(topic)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("topic \"%s\" is not OA Sync's own", topic),
                    errhint("Call sync_emit().")));
  }
  EmitUpsert(topic, doc_key, kVersionIsWatermark, PG_GETARG_TEXT_PP(2));
  PG_RETURN_VOID();
}

// Compiles a publication, so that sync_publish() fails where its first row would.
Datum oa_sync_check_publication(PG_FUNCTION_ARGS) {
  Relation rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
  if (rel == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %u does not exist", PG_GETARG_OID(0))));
  }
  const TablePublication* pub = CompilePublication(rel, PG_GETARG_INT32(1));
  Bytes topic;
  if (!FixedTopic(topic, pub) && IsOwnTopic(pub->topic.parts[0].literal)) RaiseOwnTopic(pub->topic.parts[0].literal);
  relation_close(rel, AccessShareLock);
  PG_RETURN_VOID();
}
}

}  // namespace oasync
