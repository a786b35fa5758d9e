// HTTP without a socket: routes, names in paths, ETags, addresses, limits, answers of the database.
#include <gtest/gtest.h>

#include "auth/origin.h"
#include "fakes.h"
#include "net/address.h"
#include "net/client_limits.h"
#include "net/document_endpoints.h"
#include "net/http_content.h"
#include "net/http_router.h"

namespace oasync {
namespace {

TEST(MatchPath, NamesTakeAsLittleAsLetsTheRestMatch) {
  constexpr char kDocument[] = "/api/topics/{topic}/documents/{doc_key}";
  constexpr char kSnapshot[] = "/api/topics/{topic}/snapshot";
  PathArguments found;
  ASSERT_TRUE(MatchPath(kDocument, "/api/topics/run:42/events/documents/a/b:c", &found));
  EXPECT_EQ(found, (PathArguments{"run:42/events", "a/b:c"}));
  ASSERT_TRUE(MatchPath(kDocument, "/api/topics/a/documents/b/documents/c", &found));
  EXPECT_EQ(found, (PathArguments{"a", "b/documents/c"}));
  ASSERT_TRUE(MatchPath(kSnapshot, "/api/topics/a/snapshot/snapshot", &found));
  EXPECT_EQ(found, (PathArguments{"a/snapshot"}));
  EXPECT_FALSE(MatchPath(kSnapshot, "/api/topics//snapshot", &found));
  EXPECT_FALSE(MatchPath(kSnapshot, "/api/topics/snapshot", &found));
  EXPECT_FALSE(MatchPath(kSnapshot, "/api/topics/a/snapshot/", &found));
  EXPECT_FALSE(MatchPath(kDocument, "/api/topics/a/documents/", &found));
  EXPECT_FALSE(MatchPath(kDocument, "/api/topics//documents/a", &found));
  EXPECT_TRUE(MatchPath("/healthz", "/healthz", &found));
  EXPECT_FALSE(MatchPath("/healthz", "/healthz/", &found));
}

class Routing : public ::testing::Test {
 protected:
  Routing() : limits_(Limits()), router_({{"https://app.example"}, &limits_}) {
    Add(HttpMethod::kGet, "/thing", Exposure::kPublic, true);
    Add(HttpMethod::kPost, "/thing", Exposure::kPublic, true);
    Add(HttpMethod::kGet, "/admin", Exposure::kAdmin, false);
  }
  static ClientLimitOptions Limits() {
    ClientLimitOptions options;
    options.requests_per_second = 2;
    return options;
  }
  void Add(HttpMethod method, const char* pattern, Exposure exposure, bool is_api) {
    HttpRoute route;
    route.method = method;
    route.pattern = pattern;
    route.exposure = exposure;
    route.name = "thing";
    route.is_api = is_api;
    route.handler = [](const HttpRequest&, const PathArguments&, const HttpReply& reply) {
      reply(HttpText(200, "here"));
    };
    router_.Add(std::move(route));
  }
  HttpAnswer Ask(HttpMethod method, const char* path, const char* origin = "", bool is_admin = false,
                 const char* content_type = "application/json; charset=utf-8") {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.origin = origin;
    request.is_admin = is_admin;
    request.content_type = content_type;
    request.client = *IpAddress::Parse("192.0.2.1");
    HttpAnswer answer;
    router_.Handle(request, now_ms_ += 10000, [&](HttpAnswer given) { answer = std::move(given); });
    return answer;
  }
  ClientLimits limits_;
  HttpRouter router_;
  int64_t now_ms_ = 0;
};

TEST_F(Routing, MethodsAndPaths) {
  EXPECT_EQ(Ask(HttpMethod::kGet, "/thing").status, 200);
  EXPECT_EQ(Ask(HttpMethod::kHead, "/thing").status, 200);
  EXPECT_EQ(Ask(HttpMethod::kPost, "/thing").status, 200);
  EXPECT_EQ(Ask(HttpMethod::kPost, "/thing", "", false, "text/plain").status, 415);
  EXPECT_EQ(Ask(HttpMethod::kGet, "/other").status, 404);
  const HttpAnswer refused = Ask(HttpMethod::kDelete, "/thing");
  EXPECT_EQ(refused.status, 405);
  EXPECT_NE(refused.headers.find("allow: GET, HEAD, POST, OPTIONS\r\n"), std::string::npos);
  EXPECT_STREQ(refused.route, "thing");
}

TEST_F(Routing, EachListenerHasItsOwn) {
  EXPECT_EQ(Ask(HttpMethod::kGet, "/admin").status, 404);
  EXPECT_EQ(Ask(HttpMethod::kGet, "/admin", "", true).status, 200);
  EXPECT_EQ(Ask(HttpMethod::kGet, "/thing", "", true).status, 404);
}

TEST_F(Routing, OriginsAreJudgedAndEchoed) {
  const HttpAnswer allowed = Ask(HttpMethod::kGet, "/thing", "https://app.example");
  EXPECT_EQ(allowed.status, 200);
  EXPECT_NE(allowed.headers.find("access-control-allow-origin: https://app.example\r\n"), std::string::npos);
  const HttpAnswer refused = Ask(HttpMethod::kGet, "/thing", "https://evil.example");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.headers.find("access-control"), std::string::npos);
  const HttpAnswer preflight = Ask(HttpMethod::kOptions, "/thing", "https://app.example");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_NE(preflight.headers.find("access-control-allow-headers: authorization"), std::string::npos);
  EXPECT_EQ(HttpHead(preflight).find("content-length"), std::string::npos);
}

TEST_F(Routing, RequestsOfOneAddressAreCounted) {
  HttpRequest request;
  request.path = "/thing";
  request.client = *IpAddress::Parse("2001:db8::1");
  std::vector<int> statuses;
  for (int i = 0; i < 6; ++i) {
    router_.Handle(request, 1000000, [&](const HttpAnswer& answer) { statuses.push_back(answer.status); });
  }
  EXPECT_EQ(statuses, (std::vector<int>{200, 200, 200, 200, 429, 429}));
  request.client = *IpAddress::Parse("2001:db8:0:1::1");  // another network
  router_.Handle(request, 1000000, [&](const HttpAnswer& answer) { statuses.push_back(answer.status); });
  EXPECT_EQ(statuses.back(), 200);
}

TEST(Content, ETagsAndGzip) {
  const std::string body(5000, 'x');
  const std::string etag = StrongETag(body);
  EXPECT_EQ(etag.size(), 66u);
  EXPECT_TRUE(ETagMatches(etag, etag));
  EXPECT_TRUE(ETagMatches("\"a\", W/" + etag, etag));
  EXPECT_TRUE(ETagMatches("*", etag));
  EXPECT_FALSE(ETagMatches("\"a\"", etag));
  EXPECT_FALSE(ETagMatches("", etag));
  EXPECT_TRUE(AcceptsGzip("deflate, GZIP;q=0.5"));
  EXPECT_TRUE(AcceptsGzip("*"));
  EXPECT_FALSE(AcceptsGzip("*, gzip;q=0"));
  EXPECT_FALSE(AcceptsGzip("br"));
  EXPECT_FALSE(AcceptsGzip(""));

  HttpAnswer plain;
  plain.body = body;
  HttpAnswer packed = plain;
  HttpAnswer known = plain;
  FinishContent("", "", 1024, &plain);
  FinishContent("", "gzip", 1024, &packed);
  EXPECT_EQ(plain.body, body);
  EXPECT_LT(packed.body.size(), 200u);
  EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b");
  EXPECT_NE(packed.headers.find("-gz\"\r\n"), std::string::npos);
  FinishContent(etag.substr(0, etag.size() - 1) + "-gz\"", "gzip", 1024, &known);
  EXPECT_EQ(known.status, 304);
  EXPECT_TRUE(known.body.empty());
  EXPECT_FALSE(Gzip("abc"));  // would get larger
}

TEST(Addresses, TextLimitsAndRanges) {
  EXPECT_EQ(IpAddress::Parse("192.0.2.1")->Text(), "192.0.2.1");
  EXPECT_EQ(IpAddress::Parse("::ffff:192.0.2.1"), IpAddress::Parse("192.0.2.1"));
  EXPECT_EQ(IpAddress::Parse("2001:db8::1:2")->LimitKey().Text(), "2001:db8::");
  EXPECT_EQ(IpAddress::Parse("192.0.2.1")->LimitKey().Text(), "192.0.2.1");
  for (const char* bad : {"", "1.2.3", "x", "1.2.3.4.5", "::1%lo", "1.2.3.4 "})
    EXPECT_FALSE(IpAddress::Parse(bad)) << bad;
  AddressRanges ranges;
  EXPECT_TRUE(ranges.Add("10.0.0.0/9"));
  EXPECT_TRUE(ranges.Add("2001:db8::/33"));
  EXPECT_TRUE(ranges.Add("127.0.0.1"));
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "::/129", "x/8", "10.0.0.0/-1"})
    EXPECT_FALSE(ranges.Add(bad)) << bad;
  for (const char* in : {"10.127.0.1", "2001:db8:7fff::", "127.0.0.1"})
    EXPECT_TRUE(ranges.Contains(*IpAddress::Parse(in)));
  for (const char* out : {"10.128.0.1", "2001:db8:8000::", "127.0.0.2", "::1"}) {
    EXPECT_FALSE(ranges.Contains(*IpAddress::Parse(out)));
  }
}

TEST(Addresses, OnlyTrustedProxiesSpeakForOthers) {
  AddressRanges trusted;
  trusted.Add("10.0.0.0/8");
  const auto client = [&](const char* peer, const char* forwarded) {
    return ClientAddress(*IpAddress::Parse(peer), forwarded, trusted).Text();
  };
  EXPECT_EQ(client("192.0.2.9", "1.1.1.1"), "192.0.2.9");
  EXPECT_EQ(client("10.0.0.1", ""), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", "1.1.1.1"), "1.1.1.1");
  EXPECT_EQ(client("10.0.0.1", "1.1.1.1, 2.2.2.2"), "2.2.2.2");  // the first is the client's own invention
  EXPECT_EQ(client("10.0.0.1", "1.1.1.1, 2.2.2.2:999, 10.0.0.2"), "2.2.2.2");
  EXPECT_EQ(client("10.0.0.1", "[2001:db8::1]:99"), "2001:db8::1");
  EXPECT_EQ(client("10.0.0.1", "1.1.1.1, nonsense"), "10.0.0.1");
}

TEST(ClientLimits, PlacesAreGivenBack) {
  ClientLimitOptions options;
  options.connections_per_address = 2;
  options.connections_per_subject = 1;
  ClientLimits limits(options);
  const IpAddress here = *IpAddress::Parse("2001:db8::1");
  const IpAddress neighbour = *IpAddress::Parse("2001:db8::2");
  ClientLimits::Place first, third;
  {
    ClientLimits::Place second;
    EXPECT_TRUE(limits.EnterAddress(here, &first));
    EXPECT_TRUE(limits.EnterAddress(neighbour, &second));
    EXPECT_FALSE(limits.EnterAddress(here, &third));
  }
  EXPECT_TRUE(limits.EnterAddress(here, &third));
  ClientLimits::Place subject, other;
  EXPECT_TRUE(limits.EnterSubject("a", &subject));
  EXPECT_FALSE(limits.EnterSubject("a", &other));
  EXPECT_TRUE(limits.EnterSubject("b", &other));
  subject = ClientLimits::Place();
  ClientLimits::Place again;
  EXPECT_TRUE(limits.EnterSubject("a", &again));
}

TEST(ClientLimits, ManyAddressesShareOneAccount) {
  ClientLimitOptions options;
  options.requests_per_second = 1;
  options.max_addresses = 2;
  ClientLimits limits(options);
  const auto take = [&](const char* address) { return limits.TakeRequest(*IpAddress::Parse(address), 5000) == 0; };
  EXPECT_TRUE(take("1.0.0.1"));
  EXPECT_TRUE(take("1.0.0.2"));
  EXPECT_TRUE(take("1.0.0.3"));
  EXPECT_TRUE(take("1.0.0.4"));
  EXPECT_FALSE(take("1.0.0.5"));  // two tokens for all others
  EXPECT_TRUE(take("1.0.0.1"));
  EXPECT_FALSE(take("1.0.0.1"));
}

TEST(DatabaseFailures, HaveTheirStatus) {
  const auto status = [](const char* state, bool token = false) { return DatabaseFailure({state, "x"}, token).status; };
  EXPECT_EQ(status(""), 503);
  EXPECT_EQ(status("22023"), 400);
  EXPECT_EQ(status("40001"), 503);
  EXPECT_EQ(status("55000"), 409);
  EXPECT_EQ(status("55000", true), 410);
  EXPECT_EQ(status("54000"), 422);
  EXPECT_EQ(status("42501"), 500);
  EXPECT_EQ(status("57014"), 503);
  EXPECT_EQ(status("XX000"), 500);
  EXPECT_NE(DatabaseFailure({"", "secret words"}, false).headers.find("retry-after"), std::string::npos);
  EXPECT_EQ(DatabaseFailure({"XX000", "secret words"}, false).body.find("secret"), std::string::npos);
  EXPECT_EQ(WatermarkOf(R"({"document":{"payload":{"watermark":9}},"topic":"t","watermark":42})"), 42u);
  EXPECT_EQ(WatermarkOf("{}"), 0u);
}

}  // namespace
}  // namespace oasync
