// sync_document and sync_document_json: one document of a topic, for events whose payload is not with them.
#include "pg.h"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

#include "canonical_json.h"
#include "documents.h"
#include "result_set.h"
#include "text_template.h"

namespace oasync {
namespace {

std::string_view KeyArgument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(1)) ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("doc_key must not be null")));
  const text* given = PG_GETARG_TEXT_PP(1);
  const std::string_view key = {VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given)};
  if (key.empty() || key.size() > kMaxDocKeyBytes) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a document key of %zu bytes", key.size()),
                    errdetail("A document key is 1 to %zu bytes.", kMaxDocKeyBytes)));
  }
  return key;
}

// Gives the document to `take`, if it exists.
TopicCursor ReadDocument(FunctionCallInfo fcinfo, DocumentTaker take, void* taker) {
  const std::string_view topic = TopicArgument(PG_GETARG_DATUM(0), PG_ARGISNULL(0));
  const std::string_view key = KeyArgument(fcinfo);
  CheckNothingCaptured();
  const TopicCursor cursor = ReadTopicCursor(topic, GetActiveSnapshot());
  DocumentPage page = NewPage(topic, take, taker);
  page.only_key = key;
  page.head = cursor.head;
  SnapshotToken token;
  token.watermark = static_cast<uint64>(cursor.head);
  (void)ReadDocuments(&page, &token);
  FlushWhatIsVisible();
  return cursor;
}

struct TakenRow {
  MemoryContext context;
  bool found;
  Datum values[6];
};

void TakeRow(const Document& document, void* taker) {
  auto* row = static_cast<TakenRow*>(taker);
  const ContextSwitch in(row->context);
  DocumentDatums(document, row->values);
  in.Back();
  row->found = true;
}

void TakeJson(const Document& document, void* taker) { AppendDocumentJson(*static_cast<Bytes*>(taker), document); }

void AppendNumber(Bytes& out, int64 value) {
  char number[32];
  out.Append(number, static_cast<size_t>(pg_lltoa(value, number)));
}

}  // namespace
extern "C" {

PG_FUNCTION_INFO_V1(sync_document);
PG_FUNCTION_INFO_V1(sync_document_json);

// sync_document(topic, doc_key): the document, or no row.
Datum sync_document(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  TakenRow row = {};
  row.context = CurrentMemoryContext;
  const TopicCursor cursor = ReadDocument(fcinfo, TakeRow, &row);
  if (!row.found) return static_cast<Datum>(0);
  row.values[4] = Int64GetDatum(cursor.epoch);
  row.values[5] = Int64GetDatum(cursor.head);
  bool isnull[6] = {};
  tuplestore_putvalues(set->setResult, set->setDesc, row.values, isnull);
  return static_cast<Datum>(0);
}

// sync_document_json(topic, doc_key): the same as canonical JSON in UTF-8; its "document" is null when there is none.
Datum sync_document_json(PG_FUNCTION_ARGS) {
  Bytes body;
  body.Append("\0\0\0\0", VARHDRSZ);
  body.Append("{\"document\":");
  const size_t before = body.len;
  const TopicCursor cursor = ReadDocument(fcinfo, TakeJson, &body);
  if (body.len == before) body.Append("null");
  body.Append(",\"epoch\":");
  AppendNumber(body, cursor.epoch);
  body.Append(",\"topic\":");
  AppendJsonString(body, TopicArgument(PG_GETARG_DATUM(0), false));
  body.Append(",\"watermark\":");
  AppendNumber(body, cursor.head);
  body.Append('}');
  SET_VARSIZE(body.data, body.len);
  PG_RETURN_BYTEA_P(body.data);
}
}

}  // namespace oasync
