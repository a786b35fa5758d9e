#include "journal_update.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
}

#include "update_wire.h"
#include "value_json.h"

namespace oasync {
namespace {

constexpr int64 kUnixEpochOffsetUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

std::string_view View(Datum value) {
  const struct varlena* v = PG_DETOAST_DATUM_PACKED(value);
  return {VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v)};
}

std::string_view Utf8(Datum value) {
  const std::string_view stored = View(value);
  char* converted = pg_server_to_any(stored.data(), static_cast<int>(stored.size()), PG_UTF8);
  if (converted == stored.data()) return stored;
  return {converted, strlen(converted)};
}

}  // namespace

void AppendJournalUpdate(Bytes& out, const JournalValues& row, int64 commit_time_us) {
  const Datum* value = row.values - 1;
  const bool* isnull = row.isnull - 1;
  UpdateFields fields = {};
  fields.topic = View(value[kColTopic]);
  fields.doc_key = Utf8(value[kColDocKey]);
  fields.doc_version = static_cast<uint64>(DatumGetInt64(value[kColDocVersion]));
  Bytes scratch;
  if (!isnull[kColPayload]) fields.payload = JsonFromServerEncoding(scratch, View(value[kColPayload]));
  fields.watermark = static_cast<uint64>(DatumGetInt64(value[kColWatermark]));
  fields.payload_hash = View(value[kColPayloadHash]);
  if (!ParseOp(View(value[kColOp]), fields.op)) {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("the journal holds an unknown op \"%s\"", TextDatumGetCString(value[kColOp]))));
  }
  // An upsert without payload is one whose payload was left out, by policy.
  fields.hydration_required = fields.op == Op::kUpsert && isnull[kColPayload];
  fields.epoch = static_cast<uint64>(DatumGetInt64(value[kColEpoch]));
  fields.inserted_at_us = DatumGetTimestampTz(value[kColInsertedAt]) + kUnixEpochOffsetUs;
  fields.commit_time_us = commit_time_us;
  if (!isnull[kColTraceparent]) fields.traceparent = View(value[kColTraceparent]);
  AppendUpdate(out, fields);
}

}  // namespace oasync
