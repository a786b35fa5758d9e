#include "net/document_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/base64.h"
#include "base/log.h"
#include "base/utf8.h"
#include "hub/system_topics.h"
#include "net/bearer.h"
#include "net/http_content.h"
#include "wire/messages.h"
#include "wire/requests.h"

namespace oasync {
namespace {

constexpr int64_t kRetryMs = 1000;
constexpr int64_t kUnreachableRetryMs = 2000;
// As PostgreSQL's text type could hold more, but no document's key is that long.
constexpr size_t kMaxKeyBytes = 65536;
constexpr size_t kMaxPageTokenBytes = 131072;
// How sync_document_json begins when there is no such document.
constexpr std::string_view kNoDocument = R"({"document":null,)";

// Digits only; false otherwise.
bool ParseNumber(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

HttpAnswer BadRequest(std::string_view reason) { return HttpError(400, "bad_request", reason); }

// What PostgreSQL can hold as text.
bool IsText(std::string_view bytes) { return bytes.find('\0') == std::string_view::npos && IsValidUtf8(bytes); }

// A document that is not there: the error, and the place in the stream at which it was not.
HttpAnswer NoDocument(std::string_view body) {
  HttpAnswer answer = HttpError(404, "not_found", "no_such_document");
  answer.body.pop_back();
  answer.body.append(",").append(body.substr(kNoDocument.size()));
  return answer;
}

bool HasHash(std::string_view body, std::string_view hash) {
  return !hash.empty() && body.find(fmt::format(R"("payload_hash":"{}")", hash)) != std::string_view::npos;
}

}  // namespace

HttpAnswer DatabaseFailure(const DatabaseError& error, bool has_page_token) {
  const std::string& state = error.sqlstate;
  if (state.empty()) return HttpRetryLater(503, "unavailable", "database_unreachable", kUnreachableRetryMs);
  // The last two: what is no text, or not in the database's encoding.
  if (state == "22023" || state == "22004" || state == "22021" || state == "22P05") {
    return BadRequest(has_page_token ? "invalid_page_token" : "invalid_argument");
  }
  if (state == "54000") return HttpError(422, "snapshot_too_large", "see_docs_snapshots");
  if (state == "55000" && has_page_token) return HttpError(410, "stale_cursor", "begin_again_without_page_token");
  if (state == "55000") return HttpError(409, "no_snapshot_source", "the_topic_has_no_source_of_documents");
  if (state == "42501") return HttpError(500, "internal", "database_permission_denied");
  const std::string_view kind = std::string_view(state).substr(0, 2);
  // Lost serialization, no connection left, cancelled, shutting down: another try may do better.
  if (kind == "40" || kind == "08" || kind == "53" || kind == "57") {
    return HttpRetryLater(503, "unavailable", "database_busy", kRetryMs);
  }
  return HttpError(500, "internal", "database_error");
}

uint64_t WatermarkOf(std::string_view body) {
  constexpr std::string_view kName = R"("watermark":)";
  const size_t at = body.rfind(kName);
  uint64_t watermark = 0;
  if (at != std::string_view::npos) {
    std::from_chars(body.data() + at + kName.size(), body.data() + body.size(), watermark);
  }
  return watermark;
}

void DocumentEndpoints::AddTo(HttpRouter* router) const {
  const auto add = [router](const char* pattern, const char* name, HttpHandler handler) {
    HttpRoute route;
    route.pattern = pattern;
    route.name = name;
    route.handler = std::move(handler);
    router->Add(std::move(route));
  };
  add("/api/sync/topics/{topic}/documents/{doc_key}", "document",
      [this](const HttpRequest& request, const PathArguments& path, HttpReply reply) {
        Document(request, path[0], path[1], std::move(reply));
      });
  add("/api/sync/topics/{topic}/snapshot", "snapshot",
      [this](const HttpRequest& request, const PathArguments& path, HttpReply reply) {
        Snapshot(request, path[0], std::move(reply));
      });
  add("/api/sync/documents", "document", [this](const HttpRequest& request, const PathArguments&, HttpReply reply) {
    Document(request, std::string(request.Argument("topic")), std::string(request.Argument("doc_key")),
             std::move(reply));
  });
  add("/api/sync/snapshot", "snapshot", [this](const HttpRequest& request, const PathArguments&, HttpReply reply) {
    Snapshot(request, std::string(request.Argument("topic")), std::move(reply));
  });
  add("/api/sync/heads", "heads",
      [this](const HttpRequest& request, const PathArguments&, HttpReply reply) { Heads(request, std::move(reply)); });
}

bool DocumentEndpoints::MayRead(const HttpRequest& request, const std::vector<std::string>& topics,
                                const HttpReply& reply) const {
  const RevocationList* revocations = environment_.required_revocations;
  if (revocations != nullptr && !revocations->IsKnown()) {
    environment_.counters.denials.Add("revocations_unknown");
    reply(HttpRetryLater(503, "unavailable", "revocations_unknown", kUnreachableRetryMs));
    return false;
  }
  const TokenResult result =
      environment_.verifier.Verify(BearerToken(request.authorization), environment_.clock.WallMs() / 1000);
  if (!result.grant) {
    environment_.counters.denials.Add(TokenFaultName(result.fault));
    HttpAnswer answer = HttpError(401, "unauthorized", TokenFaultName(result.fault));
    answer.AddHeader("www-authenticate", "Bearer");
    reply(std::move(answer));
    return false;
  }
  if (!std::all_of(topics.begin(), topics.end(), IsValidTopic)) {
    reply(BadRequest("invalid_topic"));
    return false;
  }
  const bool all_open = std::all_of(topics.begin(), topics.end(), [&](const std::string& topic) {
    return !IsSystemTopic(topic) && result.grant->scopes.Allows(topic);
  });
  if (!all_open) {
    environment_.counters.denials.Add("forbidden_topic");
    reply(HttpError(403, "forbidden_topic", "not_in_scope"));
  }
  return all_open;
}

HttpReply DocumentEndpoints::TakePlace(HttpReply reply) const {
  if (under_way_->fetch_add(1) >= limits_.max_answers) {
    under_way_->fetch_sub(1);
    environment_.counters.denials.Add("too_many_answers");
    reply(HttpRetryLater(503, "unavailable", "too_many_answers", kRetryMs));
    return nullptr;
  }
  const std::shared_ptr<void> place(nullptr, [under_way = under_way_](void*) { under_way->fetch_sub(1); });
  return [reply = std::move(reply), place](HttpAnswer answer) {
    answer.place = place;
    reply(std::move(answer));
  };
}

HttpReply DocumentEndpoints::Finishing(const HttpRequest& request, HttpReply reply) const {
  return [if_none_match = request.if_none_match, accept_encoding = request.accept_encoding, reply = std::move(reply),
          gzip_min_bytes = limits_.gzip_min_bytes, &worker = environment_.worker](HttpAnswer answer) {
    worker.Post([=, answer = std::move(answer)]() mutable {
      FinishContent(if_none_match, accept_encoding, gzip_min_bytes, &answer);
      reply(std::move(answer));
    });
  };
}

void DocumentEndpoints::Snapshot(const HttpRequest& request, const std::string& topic, HttpReply reply) const {
  if (!MayRead(request, {topic}, reply)) return;
  SnapshotQuestion question;
  question.topic = topic;
  question.page_token = request.Argument("page_token");
  question.max_bytes = limits_.max_bytes;
  uint64_t limit = limits_.max_documents;
  if (request.HasArgument("limit") && (!ParseNumber(request.Argument("limit"), &limit) || limit == 0)) {
    return reply(BadRequest("invalid_limit"));
  }
  if (question.page_token.size() > kMaxPageTokenBytes || !IsText(question.page_token))
    return reply(BadRequest("invalid_page_token"));
  question.max_documents = static_cast<uint32_t>(std::min<uint64_t>(limit, limits_.max_documents));
  reply = TakePlace(std::move(reply));
  if (!reply) return;
  const bool has_token = !question.page_token.empty();
  reply = Finishing(request, std::move(reply));
  environment_.database.ReadSnapshot(std::move(question), [reply = std::move(reply), has_token](DocumentAnswer found) {
    if (!found.ok()) {
      LogDebug("database.snapshot_failed", "snapshot: {sqlstate} {error}",
               {{"sqlstate", found.sqlstate}, {"error", found.error}});
      return reply(DatabaseFailure(found, has_token));
    }
    HttpAnswer answer;
    answer.AddHeader("oa-sync-watermark", std::to_string(WatermarkOf(found.body)));
    answer.body = std::move(found.body);
    reply(std::move(answer));
  });
}

void DocumentEndpoints::Document(const HttpRequest& request, const std::string& topic, const std::string& doc_key,
                                 HttpReply reply) const {
  if (!MayRead(request, {topic}, reply)) return;
  if (doc_key.empty() || doc_key.size() > kMaxKeyBytes || !IsText(doc_key)) return reply(BadRequest("invalid_doc_key"));
  uint64_t min_watermark = 0;
  if (request.HasArgument("min_watermark") && !ParseNumber(request.Argument("min_watermark"), &min_watermark)) {
    return reply(BadRequest("invalid_min_watermark"));
  }
  reply = TakePlace(std::move(reply));
  if (!reply) return;
  reply = Finishing(request, std::move(reply));
  // Either alphabet of base64 is understood; '+' and '/' are awkward in a query.
  const auto hash = Base64Decode(request.Argument("payload_hash"));
  environment_.database.ReadDocument(topic, doc_key,
                                     [reply = std::move(reply), min_watermark,
                                      hash = hash ? Base64Encode(*hash) : std::string()](DocumentAnswer found) {
                                       if (!found.ok()) {
                                         LogDebug("database.document_failed", "document: {sqlstate} {error}",
                                                  {{"sqlstate", found.sqlstate}, {"error", found.error}});
                                         return reply(DatabaseFailure(found, false));
                                       }
                                       const uint64_t watermark = WatermarkOf(found.body);
                                       HttpAnswer answer;
                                       // A commit can reach subscribers a moment before other sessions see it.
                                       if (watermark < min_watermark && !HasHash(found.body, hash)) {
                                         answer = HttpRetryLater(503, "unavailable", "not_yet_visible", kRetryMs);
                                       } else if (found.body.substr(0, kNoDocument.size()) == kNoDocument) {
                                         answer = NoDocument(found.body);
                                       } else {
                                         answer.body = std::move(found.body);
                                       }
                                       answer.AddHeader("oa-sync-watermark", std::to_string(watermark));
                                       reply(std::move(answer));
                                     });
}

void DocumentEndpoints::Heads(const HttpRequest& request, HttpReply reply) const {
  std::vector<std::string> topics;
  for (const auto& [name, value] : request.query) {
    if (name == "topic") topics.push_back(value);
  }
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  if (!MayRead(request, topics, reply)) return;
  if (topics.empty()) return reply(BadRequest("topic_is_required"));
  if (topics.size() > limits_.max_topics) return reply(BadRequest("too_many_topics"));
  reply = TakePlace(std::move(reply));
  if (!reply) return;
  reply = Finishing(request, std::move(reply));
  environment_.source.ReadHeads(
      std::move(topics), [reply = std::move(reply)](const ReadResult<std::vector<TopicState>>& result) {
        if (!result.ok()) {
          return reply(HttpRetryLater(503, "unavailable", "database_unreachable", kUnreachableRetryMs));
        }
        Json heads = Json::array();
        for (const TopicState& state : result.value) {
          heads.push_back({{"topic", state.topic},
                           {"head_watermark", WatermarkJson(state.head)},
                           {"retention_floor", WatermarkJson(state.floor)},
                           {"epoch", WatermarkJson(state.epoch)}});
        }
        HttpAnswer answer;
        answer.body = Json{{"heads", std::move(heads)}}.dump();
        reply(std::move(answer));
      });
}

}  // namespace oasync
