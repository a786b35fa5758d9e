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
  UpdateFields fields = {};
  fields.topic = View(row.Value(kColTopic));
  fields.doc_key = Utf8(row.Value(kColDocKey));
  fields.doc_version = static_cast<uint64>(DatumGetInt64(row.Value(kColDocVersion)));
  Bytes scratch;
  if (!row.IsNull(kColPayload)) fields.payload = JsonFromServerEncoding(scratch, View(row.Value(kColPayload)));
  fields.watermark = static_cast<uint64>(DatumGetInt64(row.Value(kColWatermark)));
  fields.payload_hash = View(row.Value(kColPayloadHash));
  if (!ParseOp(View(row.Value(kColOp)), fields.op)) {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("the journal holds an unknown op \"%s\"", TextDatumGetCString(row.Value(kColOp)))));
  }
  // An upsert without payload is one whose payload was left out, by policy.
  fields.hydration_required = fields.op == Op::kUpsert && row.IsNull(kColPayload);
  fields.epoch = static_cast<uint64>(DatumGetInt64(row.Value(kColEpoch)));
  fields.inserted_at_us = DatumGetTimestampTz(row.Value(kColInsertedAt)) + kUnixEpochOffsetUs;
  fields.commit_time_us = commit_time_us;
  if (!row.IsNull(kColTraceparent)) fields.traceparent = View(row.Value(kColTraceparent));
  AppendUpdate(out, fields);
}

}  // namespace oasync
