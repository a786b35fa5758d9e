#include "admin/views.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"
#include "net/document_endpoints.h"
#include "net/http_content.h"
#include "wire/messages.h"
#include "wire/requests.h"

namespace oasync {
namespace {

constexpr size_t kMaxKeyBytes = 65536;
constexpr size_t kMaxTopicBytes = 160;

HttpAnswer BadRequest(std::string_view reason) { return HttpError(400, "bad_request", reason); }

// False when the argument is there and is no number above 0.
bool ReadNumber(const HttpRequest& request, const char* name, uint64_t* number) {
  if (!request.HasArgument(name)) return true;
  const std::string_view text = request.Argument(name);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number > 0;
}

// Nothing when the request asks for a page that is no page.
std::optional<uint32_t> ReadLimit(const HttpRequest& request, uint32_t most) {
  uint64_t limit = std::min(kDefaultPage, most);
  if (!ReadNumber(request, "limit", &limit)) return std::nullopt;
  return static_cast<uint32_t>(std::min<uint64_t>(limit, most));
}

// The beginning of a topic, or nothing.
bool IsTopicPart(std::string_view text) {
  return text.size() <= kMaxTopicBytes && (text.empty() || IsValidTopic(text));
}

bool IsText(std::string_view bytes) { return bytes.find('\0') == std::string_view::npos && IsValidUtf8(bytes); }

std::string Dump(const Json& body) { return body.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json SessionJson(const SurveyedSession& session, size_t loop) {
  Json topics = Json::array();
  for (const SurveyedTopic& topic : session.topics) {
    const uint64_t lag = topic.head > topic.watermark ? topic.head - topic.watermark : 0;
    topics.push_back({{"topic", topic.topic},
                      {"watermark", WatermarkJson(topic.watermark)},
                      {"head_watermark", WatermarkJson(topic.head)},
                      {"lag", WatermarkJson(lag)}});
  }
  const char* status = session.socket.strikes > 0 ? "stalled" : session.is_catching_up ? "catching_up" : "live";
  constexpr int64_t kMsPerSecond = 1000;
  return {{"id", session.id},
          {"subject", session.subject},
          {"org_id", OrNull(session.org_id)},
          {"session_id", OrNull(session.session_id)},
          {"device_id", OrNull(session.device_id)},
          {"token_id", session.token_id},
          {"address", session.socket.address},
          {"admin", session.socket.is_admin},
          {"client", OrNull(session.client)},
          {"client_build_id", OrNull(session.client_build_id)},
          {"encoding", session.encoding},
          {"connected_at", session.socket.connected_at_ms},
          {"token_expires_at", session.token_expires_at_s * kMsPerSecond},
          {"status", status},
          {"strikes", session.socket.strikes},
          {"bytes_out", session.socket.bytes_out},
          {"topics_total", session.topics_total},
          {"lag_events_max", WatermarkJson(session.lag_events_max)},
          {"topics", std::move(topics)},
          {"loop", loop}};
}

std::string RenderSessions(const std::vector<std::optional<Survey>>& surveys, size_t limit) {
  Json sessions = Json::array();
  size_t total = 0;
  bool is_partial = false;
  for (size_t loop = 0; loop < surveys.size(); ++loop) {
    if (!surveys[loop]) {
      is_partial = true;  // it did not answer in time
      continue;
    }
    total += surveys[loop]->total;
    is_partial = is_partial || surveys[loop]->is_partial;
    for (const SurveyedSession& session : surveys[loop]->sessions) {
      if (sessions.size() < limit) sessions.push_back(SessionJson(session, loop));
    }
  }
  const bool truncated = is_partial || sessions.size() < total;
  return Dump({{"sessions", std::move(sessions)}, {"total", total}, {"truncated", truncated}});
}

// Of each topic, how many sessions of the loop follow it.
using Subscribers = std::vector<size_t>;

std::string RenderTopics(Json* found, const std::vector<std::optional<Subscribers>>& parts,
                         const TopicsQuestion& question) {
  Json& page = *found;
  Json& topics = page["topics"];
  for (size_t i = 0; i < topics.size(); ++i) {
    size_t subscribers = 0;
    for (const auto& part : parts) {
      if (part && i < part->size()) subscribers += (*part)[i];
    }
    topics[i]["subscribers"] = subscribers;
  }
  const bool is_full = topics.size() >= question.max_topics;
  page["next_after"] = is_full ? topics.back()["topic"] : Json();
  page["total"] = !is_full && question.after.empty() ? Json(topics.size()) : Json();
  return Dump(page);
}

}  // namespace

HttpAnswer OperatorFailure(const DatabaseError& error) {
  if (error.sqlstate == "42883") {
    return HttpErrorSaying(501, "not_available", "extension_too_old",
                           "the extension in the database is before 0.4.0: install the newer one, restart PostgreSQL, "
                           "ALTER EXTENSION oa_sync UPDATE, and call sync_grant_reader again");
  }
  if (error.sqlstate == "42501") {
    return HttpErrorSaying(501, "not_available", "not_granted",
                           "the fan-out's role may not call what this needs: call sync_grant_reader for it again");
  }
  return DatabaseFailure(error, false);
}

void AdminViews::Reply(const HttpRequest& request, std::function<std::string()> render, HttpReply reply) const {
  environment_.worker.Post([render = std::move(render), reply = std::move(reply),
                            gzip_min_bytes = limits_.gzip_min_bytes, gzip = AcceptsGzip(request.accept_encoding)] {
    HttpAnswer answer;
    answer.body = render();
    if (gzip && answer.body.size() >= gzip_min_bytes) {
      if (auto compressed = Gzip(answer.body)) {
        answer.body = std::move(*compressed);
        answer.AddHeader("content-encoding", "gzip");
      }
    }
    reply(std::move(answer));
  });
}

void AdminViews::Topics(const HttpRequest& request, HttpReply reply) const {
  const auto limit = ReadLimit(request, limits_.topics);
  if (!limit) return reply(BadRequest("invalid_limit"));
  TopicsQuestion question{std::string(request.Argument("prefix")), std::string(request.Argument("after")), *limit};
  if (!IsTopicPart(question.prefix)) return reply(BadRequest("invalid_prefix"));
  if (!IsTopicPart(question.after)) return reply(BadRequest("invalid_after"));
  if (request.HasArgument("order") && request.Argument("order") != "topic") return reply(BadRequest("invalid_order"));
  environment_.database.ReadTopics(question, [this, request, question,
                                              reply = std::move(reply)](const DocumentAnswer& found) {
    Json page = found.ok() ? Json::parse(found.body, nullptr, /*allow_exceptions=*/false) : Json();
    if (!found.ok() || !page.is_object() || !page["topics"].is_array()) {
      LogDebug("database.topics_failed", "topics: {sqlstate} {error}",
               {{"sqlstate", found.sqlstate}, {"error", found.error}});
      return reply(OperatorFailure(found.ok() ? DatabaseError{"XX001", "unexpected answer"}
                                              : static_cast<const DatabaseError&>(found)));
    }
    // Loops do not copy pages: all share them.
    auto names = std::make_shared<std::vector<std::string>>();
    for (const Json& topic : page["topics"]) names->push_back(topic.value("topic", ""));
    auto shared = std::make_shared<Json>(std::move(page));
    GatherFromLoops<Subscribers>(
        environment_.loops,
        [names = std::move(names)](Hub& hub) {
          Subscribers subscribers;
          for (const std::string& name : *names) subscribers.push_back(hub.SubscribersOf(name));
          return subscribers;
        },
        [this, request, question, reply, page = std::move(shared)](std::vector<std::optional<Subscribers>> parts) {
          Reply(
              request, [page, parts = std::move(parts), question] { return RenderTopics(page.get(), parts, question); },
              reply);
        });
  });
}

void AdminViews::ReadEvents(const HttpRequest& request, EventsQuestion question, HttpReply reply) const {
  const auto limit = ReadLimit(request, limits_.events);
  if (!limit) return reply(BadRequest("invalid_limit"));
  question.topic = request.Argument("topic");
  if (!IsValidTopic(question.topic)) return reply(BadRequest("invalid_topic"));
  if (!ReadNumber(request, "before", &question.before)) return reply(BadRequest("invalid_before"));
  question.max_events = *limit;
  question.max_bytes = limits_.event_bytes;
  question.max_searched = limits_.events_searched;
  environment_.database.ReadEvents(std::move(question),
                                   [this, request, reply = std::move(reply)](DocumentAnswer found) {
                                     if (!found.ok()) {
                                       LogDebug("database.events_failed", "events: {sqlstate} {error}",
                                                {{"sqlstate", found.sqlstate}, {"error", found.error}});
                                       return reply(OperatorFailure(found));
                                     }
                                     // The text as it is: numbers of payloads may have more digits than a parser keeps.
                                     Reply(
                                         request, [body = std::move(found.body)] { return body; }, reply);
                                   });
}

void AdminViews::Events(const HttpRequest& request, HttpReply reply) const {
  ReadEvents(request, {}, std::move(reply));
}

void AdminViews::History(const HttpRequest& request, HttpReply reply) const {
  EventsQuestion question;
  question.doc_key = std::string(request.Argument("doc_key"));
  if (question.doc_key->empty() || question.doc_key->size() > kMaxKeyBytes || !IsText(*question.doc_key)) {
    return reply(BadRequest("invalid_doc_key"));
  }
  ReadEvents(request, std::move(question), std::move(reply));
}

void AdminViews::Sessions(const HttpRequest& request, HttpReply reply) const {
  const auto limit = ReadLimit(request, limits_.sessions);
  if (!limit) return reply(BadRequest("invalid_limit"));
  SurveyQuestion question{std::string(request.Argument("topic")), std::string(request.Argument("subject")), *limit};
  if (!question.topic.empty() && !IsValidTopic(question.topic)) return reply(BadRequest("invalid_topic"));
  GatherFromLoops<Survey>(
      environment_.loops, [question](Hub& hub) { return hub.TakeSurvey(question); },
      [this, request, limit, reply = std::move(reply)](std::vector<std::optional<Survey>> surveys) {
        Reply(
            request, [surveys = std::move(surveys), limit] { return RenderSessions(surveys, *limit); }, reply);
      });
}

}  // namespace oasync
