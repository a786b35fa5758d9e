// HTTP without its socket: whatever a request holds, it is answered once, with a status of the fixed list and JSON, and
// the database is asked only for topics that the token opens, and what operators ask only with their key. The input's
// lines are the parts of a request; the first byte chooses the method and the listener.
#include <algorithm>
#include <future>
#include <set>
#include <sstream>

#include "../unit/fakes.h"
#include "admin/access.h"
#include "admin/routes.h"
#include "admin/views.h"
#include "auth/identity.h"
#include "auth/origin.h"
#include "base/percent.h"
#include "base/utf8.h"
#include "base/worker_thread.h"
#include "fuzz.h"
#include "net/address.h"
#include "net/console_files.h"
#include "net/document_endpoints.h"
#include "net/http_content.h"
#include "net/http_router.h"

namespace oasync {
namespace {

// Answers at once, and keeps which topic it was asked for.
class FakeDatabase final : public Database {
 public:
  void ReadSnapshot(SnapshotQuestion question, DocumentCallback done) override {
    asked.insert(question.topic);
    DocumentAnswer answer;
    answer.body = R"({"documents":[],"epoch":1,"next_page_token":null,"topic":"t","watermark":7})";
    done(std::move(answer));
  }
  void ReadDocument(std::string topic, std::string, DocumentCallback done) override {
    asked.insert(topic);
    DocumentAnswer answer;
    answer.body = R"({"document":null,"epoch":1,"topic":"t","watermark":7})";
    done(std::move(answer));
  }
  void ReadRevocations(RevocationsCallback done) override { done({}); }
  void Revoke(std::vector<Revocation>, DoneCallback done) override { done({}); }
  void EmitCanary(DoneCallback done) override { done({}); }

  std::set<std::string> asked;
};

// Answers at once. Nobody may come here without the key.
class FakeOperatorDatabase final : public OperatorDatabase {
 public:
  void ReadOverview(DocumentCallback done) override { Answer("{}", done); }
  void ReadTopics(TopicsQuestion question, DocumentCallback done) override {
    PROMISE(question.max_topics >= 1 && question.max_topics <= AdminLimits().topics);
    Answer(R"({"topics":[{"topic":"t"}]})", done);
  }
  void ReadEvents(EventsQuestion question, DocumentCallback done) override {
    PROMISE(question.max_events >= 1 && question.max_events <= AdminLimits().events);
    PROMISE(IsValidTopic(question.topic) && (!question.doc_key || IsValidUtf8(*question.doc_key)));
    Answer(R"({"events":[]})", done);
  }
  int asked = 0;

 private:
  void Answer(const char* body, const DocumentCallback& done) {
    ++asked;
    DocumentAnswer answer;
    answer.body = body;
    done(std::move(answer));
  }
};

const std::string kServiceKey(32, 'k');

IdentityCheck::Options Operators() {
  std::string error;
  auto keys =
      ServiceKeys::Parse(R"({"keys":[{"id":"o","secret":")" + kServiceKey + R"(","may":["observe"]}]})", &error);
  return {std::make_shared<Current<ServiceKeys>>(std::make_shared<ServiceKeys>(std::move(*keys))), {}, {}};
}

// Everything that a route needs. Made once: the worker is a thread.
struct Stand {
  Stand() : verifier(TestKeyring(), {"openagents", "oa-sync"}) {
    documents.AddTo(&router);
    AddViewRoutes(access, views, &router);
    token = SignToken(TestClaims(clock.wall_ms / 1000));
  }
  FakeClock clock;
  FakeSource source;
  FakeDatabase database;
  TokenVerifier verifier;
  SharedCounters counters;
  WorkerThread worker;
  DocumentEndpoints documents{{database, source, verifier, clock, counters, worker}, {}};
  IdentityCheck identity{Operators()};
  AdminAccess access{{identity, clock, counters}};
  FakeOperatorDatabase operators;
  Deadlines deadlines;
  AdminViews views{{operators, {[](const auto&) { return size_t{0}; }, deadlines, clock}, worker}, {}};
  HttpRouter router{{{"https://app.example"}, nullptr}};
  std::string token;
};

HttpRequest ParseRequest(std::string_view input, const std::string& token) {
  constexpr HttpMethod kMethods[] = {HttpMethod::kGet,   HttpMethod::kHead,   HttpMethod::kPost,   HttpMethod::kPut,
                                     HttpMethod::kPatch, HttpMethod::kDelete, HttpMethod::kOptions};
  HttpRequest request;
  request.method = kMethods[static_cast<unsigned char>(input[0]) % std::size(kMethods)];
  request.is_admin = (static_cast<unsigned char>(input[0]) & 0x80) != 0;
  std::istringstream lines{std::string(input.substr(1))};
  std::getline(lines, request.path);
  std::getline(lines, request.authorization);
  if (request.authorization == "good") request.authorization = "Bearer " + token;
  if (request.authorization == "key") request.authorization = "Bearer " + kServiceKey;
  for (std::string* part : {&request.origin, &request.content_type, &request.accept_encoding, &request.if_none_match}) {
    std::getline(lines, *part);
  }
  for (std::string line; std::getline(lines, line);) {
    if (line.substr(0, 5) == "host:") request.host = line.substr(5);
    const size_t equals = line.find('=');
    request.query.emplace_back(line.substr(0, equals), equals == std::string::npos ? "" : line.substr(equals + 1));
  }
  return request;
}

bool IsJson(const std::string& text) { return !Json::parse(text, nullptr, false).is_discarded(); }

void CheckAnswer(const HttpAnswer& answer) {
  constexpr int kStatuses[] = {200, 204, 304, 400, 401, 403, 404, 405, 409, 410,
                               411, 413, 415, 422, 429, 500, 501, 503, 504};
  PROMISE(std::find(std::begin(kStatuses), std::end(kStatuses), answer.status) != std::end(kStatuses));
  PROMISE(answer.status < 400 || answer.body.empty() || IsJson(answer.body));
  // Nothing of a request may begin another header, or end them.
  PROMISE(answer.headers.find("\r\n\r\n") == std::string::npos);
  PROMISE(answer.headers.empty() || answer.headers.substr(answer.headers.size() - 2) == "\r\n");
}

void CheckParts(std::string_view input) {
  PathArguments arguments;
  if (MatchPath("/api/sync/topics/{topic}/documents/{doc_key}", input, &arguments)) {
    PROMISE(arguments.size() == 2 && !arguments[0].empty() && !arguments[1].empty());
    PROMISE("/api/sync/topics/" + arguments[0] + "/documents/" + arguments[1] == input);
  }
  for (const char byte : PercentEncode(input)) PROMISE(byte > ' ' && byte < 127 && byte != '&' && byte != '#');
  if (const auto address = IpAddress::Parse(input)) PROMISE(IpAddress::Parse(address->Text()) == address);
  AddressRanges trusted;
  trusted.Add(input);
  ClientAddress(IpAddress::Parse("192.0.2.1").value(), input, trusted);
  AcceptsGzip(input);
  ETagMatches(input, StrongETag(input));
  PROMISE(!IsPagePath(input) || input.find('.') == std::string_view::npos);
  const std::string policy = ContentSecurityPolicy(input);
  PROMISE(std::count(policy.begin(), policy.end(), ';') == 10 && policy.find('\n') == std::string::npos);
  // What is taken for a page of this server's own has the server's own address for its host.
  PROMISE(!IsOwnOrigin("http://" + std::string(input), false, input) || input.find('@') == std::string_view::npos);
}

}  // namespace
}  // namespace oasync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oasync;
  static Stand stand;
  if (size == 0) return 0;
  const std::string_view input = AsText(data, size);
  CheckParts(input.substr(1));
  const HttpRequest request = ParseRequest(input, stand.token);
  stand.database.asked.clear();
  stand.operators.asked = 0;
  std::promise<HttpAnswer> answered;  // a second answer throws
  std::future<HttpAnswer> answer = answered.get_future();
  stand.router.Handle(request, stand.clock.SteadyMs(),
                      [&answered](HttpAnswer given) { answered.set_value(std::move(given)); });
  while (stand.source.Answer()) {
  }
  PROMISE(answer.wait_for(std::chrono::seconds(40)) == std::future_status::ready);
  CheckAnswer(answer.get());
  const TokenResult token = stand.verifier.Verify(stand.token, stand.clock.WallMs() / 1000);
  PROMISE(stand.operators.asked == 0 || (request.is_admin && request.authorization == "Bearer " + kServiceKey));
  for (const std::string& topic : stand.database.asked) PROMISE(token.grant->scopes.Allows(topic));
  return 0;
}
