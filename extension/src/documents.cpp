#include "documents.h"

extern "C" {
#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
}

#include "canonical_json.h"
#include "event_log.h"
#include "journal_documents.h"
#include "named_documents.h"
#include "payload_hash.h"
#include "policy.h"
#include "table_documents.h"
#include "text_template.h"
#include "value_json.h"

namespace oasync {
namespace {

void TakePosition(DocumentPage* page, const SnapshotToken& token) {
  page->by_key = token.by_key;
  page->position_count = 0;
  const char* values[kMaxPositionValues];
  for (int i = 0; i < token.position_count; ++i) {
    values[i] = pnstrdup(token.position[i].data(), token.position[i].size());
    if (!pg_verify_mbstr(GetDatabaseEncoding(), values[i], static_cast<int>(token.position[i].size()), true)) {
      RaiseBadToken("it is damaged");
    }
  }
  SetPosition(page, token.by_key, token.position_count, values);
}

void GivePosition(const DocumentPage& page, SnapshotToken* token) {
  token->by_key = page.by_key;
  token->position_count = page.position_count;
  for (int i = 0; i < page.position_count; ++i) token->position[i] = page.position[i];
}

// The source of a later page has to be that of the first.
void CheckSource(SnapshotToken* token, DocumentSource source) {
  if (token->position_count > 0 && token->source != source)
    RaiseBadToken("the topic's documents have another source now");
  token->source = source;
}

bool ReadFromTables(const TableSource* sources, int count, DocumentPage* page, SnapshotToken* token) {
  CheckSource(token, DocumentSource::kPublication);
  bool known = token->position_count == 0;
  for (int i = 0; i < count; ++i) {
    if (sources[i].id < token->publication_id) continue;
    if (sources[i].id == token->publication_id && token->position_count > 0) {
      known = sources[i].published_at == token->published_at;
    } else {
      page->position_count = 0;  // another table: from its beginning
    }
    if (!known) break;
    if (ReadTableDocuments(sources[i], page)) continue;
    token->publication_id = sources[i].id;
    token->published_at = sources[i].published_at;
    GivePosition(*page, token);
    return false;
  }
  if (!known) RaiseBadToken("the table was published anew, or no longer is");
  return true;
}

}  // namespace

std::string_view TopicArgument(Datum value, bool isnull) {
  if (isnull) ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("topic must not be null")));
  const text* given = DatumGetTextPP(value);
  const std::string_view topic = {VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given)};
  if (!IsValidTopic(topic)) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("invalid topic \"%.*s\"", pg_mbcliplen(topic.data(), topic.size(), kMaxTopicBytes), topic.data()),
             errdetail("A topic is 1 to %zu bytes of letters, digits and _ . : / -", kMaxTopicBytes)));
  }
  return topic;
}

void CheckNothingCaptured() {
  if (LogIsEmpty()) return;
  ereport(ERROR,
          (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
           errmsg("documents can not be read in a transaction that has written to a published table"),
           errdetail("They would show what is not committed, and has no watermark yet."), errhint("Commit first.")));
}

DocumentPage NewPage(std::string_view topic, DocumentTaker take, void* taker) {
  DocumentPage page = {};
  page.topic = topic;
  page.max_documents = 1;
  page.max_bytes = 1;
  page.take = take;
  page.taker = taker;
  for (MemoryContext& context : page.position_contexts) {
    context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync position", ALLOCSET_SMALL_SIZES);
  }
  return page;
}

bool ReadDocuments(DocumentPage* page, SnapshotToken* token) {
  TakePosition(page, *token);
  const char* named = PolicyOf(page->topic)->snapshot_source;
  TableSource* sources = nullptr;
  const int count = named == nullptr ? ListTableSources(page->topic, &sources) : 0;
  if (count > 0) return ReadFromTables(sources, count, page, token);
  bool finished = true;
  if (named != nullptr && !NamesJournal(named)) {
    CheckSource(token, DocumentSource::kNamed);
    finished = ReadNamedDocuments(pstrdup(named), page);
  } else {
    CheckSource(token, DocumentSource::kJournal);
    finished = ReadJournalDocuments(static_cast<int64>(token->watermark), page);
  }
  GivePosition(*page, token);
  return finished;
}

void AppendDocumentJson(Bytes& out, const Document& document) {
  char number[32];
  uint8 hash[kHashBytes];
  HashPayload(document.payload, hash);
  out.Append("{\"doc_key\":");
  const char* key = pnstrdup(document.doc_key.data(), document.doc_key.size());
  AppendJsonString(out, pg_server_to_any(key, static_cast<int>(document.doc_key.size()), PG_UTF8));
  out.Append(",\"doc_version\":");
  out.Append(number, static_cast<size_t>(pg_lltoa(document.doc_version, number)));
  out.Append(",\"payload\":");
  out.Append(document.payload);
  out.Append(",\"payload_hash\":\"");
  const int room = pg_b64_enc_len(kHashBytes);
  out.Reserve(static_cast<size_t>(room));
#if PG_VERSION_NUM >= 180000
  out.len += static_cast<size_t>(pg_b64_encode(hash, kHashBytes, out.data + out.len, room));
#else
  out.len +=
      static_cast<size_t>(pg_b64_encode(reinterpret_cast<const char*>(hash), kHashBytes, out.data + out.len, room));
#endif
  out.Append("\"}");
}

void DocumentDatums(const Document& document, Datum* values) {
  uint8 hash[kHashBytes];
  HashPayload(document.payload, hash);
  Bytes scratch;
  const std::string_view payload = JsonToServerEncoding(scratch, document.payload);
  const auto datum = [](std::string_view bytes) {
    return PointerGetDatum(cstring_to_text_with_len(bytes.data(), static_cast<int>(bytes.size())));
  };
  values[0] = datum(document.doc_key);
  values[1] = Int64GetDatum(document.doc_version);
  values[2] = datum(payload);
  values[3] = datum({reinterpret_cast<const char*>(hash), kHashBytes});
}

}  // namespace oasync
