// sync_snapshot and sync_snapshot_json: a topic's documents, in pages, with the cursor from which following events
// make them current.
//
// Documents and cursor are read with the caller's snapshot. The cursor is that of the first page, also on later ones:
// what those show of a later moment is repeated by the events behind it.
#include "pg.h"

extern "C" {
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

#include "canonical_json.h"
#include "documents.h"
#include "result_set.h"

namespace oasync {
namespace {

constexpr int64 kMostDocuments = 100000;
constexpr int64 kMostBytes = 256 * 1024 * 1024;

struct SnapshotArguments {
  std::string_view topic;
  int64 max_documents;
  int64 max_bytes;
  bool has_token;
  std::string_view token;
};

SnapshotArguments ReadArguments(FunctionCallInfo fcinfo) {
  SnapshotArguments args = {};
  args.topic = TopicArgument(PG_GETARG_DATUM(0), PG_ARGISNULL(0));
  for (const int i : {1, 3}) {
    if (!PG_ARGISNULL(i)) continue;
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("%s must not be null", i == 1 ? "max_documents" : "max_bytes")));
  }
  args.max_documents = PG_GETARG_INT32(1);
  args.max_bytes = PG_GETARG_INT64(3);
  args.has_token = !PG_ARGISNULL(2);
  if (args.has_token) {
    const text* token = PG_GETARG_TEXT_PP(2);
    args.token = {VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)};
  }
  if (args.max_documents < 1 || args.max_documents > kMostDocuments || args.max_bytes < 1 ||
      args.max_bytes > kMostBytes) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("limits of a page out of range"),
                    errdetail("max_documents is 1 to %d, max_bytes 1 to %d.", static_cast<int>(kMostDocuments),
                              static_cast<int>(kMostBytes))));
  }
  return args;
}

// What a page's token says is checked against the present; without one the snapshot begins.
void BeginToken(const SnapshotArguments& args, const TopicCursor& cursor, Bytes* scratch, SnapshotToken* token) {
  if (!args.has_token) {
    token->topic = args.topic;
    token->epoch = static_cast<uint64>(cursor.epoch);
    token->watermark = static_cast<uint64>(cursor.head);
    return;
  }
  if (const char* wrong = ParseToken(args.token, *scratch, *token); wrong != nullptr) RaiseBadToken(wrong);
  if (token->topic != args.topic) RaiseBadToken("it is of another topic");
  // Watermark 0 is before every event, in whatever history: the first event may have opened it since.
  if (token->epoch == 0 && token->watermark == 0) token->epoch = static_cast<uint64>(cursor.epoch);
  if (token->epoch != static_cast<uint64>(cursor.epoch)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the page token is of another history of the database"),
                    errdetail("It is of epoch %llu; the present one is %lld.",
                              static_cast<unsigned long long>(token->epoch), static_cast<long long>(cursor.epoch)),
                    errhint("Begin the snapshot again, without a token.")));
  }
  if (token->watermark > static_cast<uint64>(cursor.head)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the page token is newer than this transaction's snapshot"),
                    errhint("Read it in a new transaction, on a server that has what the first page showed.")));
  }
}

struct PageEnd {
  int64 epoch;
  int64 watermark;
  bool last;
  Bytes next_token;
};

// Reads one page, which gives its documents to `take`.
void ReadPage(const SnapshotArguments& args, DocumentTaker take, void* taker, PageEnd* end) {
  CheckNothingCaptured();
  const TopicCursor cursor = ReadTopicCursor(args.topic, GetActiveSnapshot());
  Bytes scratch;
  SnapshotToken token;
  BeginToken(args, cursor, &scratch, &token);
  const auto watermark = static_cast<int64>(token.watermark);
  if (args.has_token) CheckAboveFloor(args.topic, watermark);
  DocumentPage page = NewPage(args.topic, take, taker);
  page.head = cursor.head;
  page.max_documents = args.max_documents;
  page.max_bytes = args.max_bytes;
  end->last = ReadDocuments(&page, &token);
  end->epoch = static_cast<int64>(token.epoch);
  end->watermark = watermark;
  if (!end->last && !AppendToken(end->next_token, token)) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a key is too long for a page token"),
                    errhint("Give the table a shorter primary key.")));
  }
  // The events may have gone while the documents were read.
  CheckAboveFloor(args.topic, watermark);
  FlushWhatIsVisible();
}

// The rows of a page wait for its end: each has the token of the next one.
struct Row {
  Datum values[4];
  Row* next;
};
struct Rows {
  MemoryContext context;
  Row* first;
  Row** last;
};

void TakeRow(const Document& document, void* taker) {
  auto* rows = static_cast<Rows*>(taker);
  const ContextSwitch in(rows->context);
  auto* row = static_cast<Row*>(palloc0(sizeof(Row)));
  DocumentDatums(document, row->values);
  *rows->last = row;
  rows->last = &row->next;
  in.Back();
}

void TakeJson(const Document& document, void* taker) {
  auto* body = static_cast<Bytes*>(taker);
  if (body->data[body->len - 1] != '[') body->Append(',');
  AppendDocumentJson(*body, document);
}

}  // namespace
extern "C" {

PG_FUNCTION_INFO_V1(sync_snapshot);
PG_FUNCTION_INFO_V1(sync_snapshot_json);

// sync_snapshot(topic, max_documents, page_token, max_bytes): a row for each document, at least one row.
Datum sync_snapshot(PG_FUNCTION_ARGS) {
  const SnapshotArguments args = ReadArguments(fcinfo);
  ReturnSetInfo* set = BeginSet(fcinfo);
  Rows rows = {CurrentMemoryContext, nullptr, nullptr};
  rows.last = &rows.first;
  PageEnd end = {};
  ReadPage(args, TakeRow, &rows, &end);
  const Row nothing = {};
  const bool empty = rows.first == nullptr;
  Datum values[8] = {0, 0, 0, 0, PG_GETARG_DATUM(0), Int64GetDatum(end.epoch), Int64GetDatum(end.watermark), 0};
  bool isnull[8] = {empty, empty, empty, empty, false, false, false, end.last};
  if (!end.last) {
    values[7] = PointerGetDatum(cstring_to_text_with_len(end.next_token.data, static_cast<int>(end.next_token.len)));
  }
  for (const Row* row = empty ? &nothing : rows.first; row != nullptr; row = row->next) {
    memcpy(values, row->values, sizeof(row->values));
    tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
  }
  return static_cast<Datum>(0);
}

// sync_snapshot_json(topic, max_documents, page_token, max_bytes): the page as canonical JSON in UTF-8.
Datum sync_snapshot_json(PG_FUNCTION_ARGS) {
  const SnapshotArguments args = ReadArguments(fcinfo);
  Bytes body;
  body.Append("\0\0\0\0", VARHDRSZ);
  body.Append("{\"documents\":[");
  PageEnd end = {};
  ReadPage(args, TakeJson, &body, &end);
  char number[32];
  body.Append("],\"epoch\":");
  body.Append(number, static_cast<size_t>(pg_lltoa(end.epoch, number)));
  body.Append(",\"next_page_token\":");
  if (end.last) {
    body.Append("null");
  } else {
    AppendJsonString(body, end.next_token.view());
  }
  body.Append(",\"topic\":");
  AppendJsonString(body, args.topic);
  body.Append(",\"watermark\":");
  body.Append(number, static_cast<size_t>(pg_lltoa(end.watermark, number)));
  body.Append('}');
  SET_VARSIZE(body.data, body.len);
  PG_RETURN_BYTEA_P(body.data);
}
}

}  // namespace oasync
