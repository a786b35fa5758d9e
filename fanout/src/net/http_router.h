// HttpRouter: which handler answers a request; what is the same for all of them is done here.
//
// Pure: neither a socket nor a database. Built once, then read by every loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/client_limits.h"
#include "net/http_message.h"

namespace oasync {

// What the pattern's {names} matched, in their order.
using PathArguments = std::vector<std::string>;
using HttpHandler = std::function<void(const HttpRequest&, const PathArguments&, HttpReply)>;

// Who may come to a route.
enum class Exposure : uint8_t { kPublic, kAdmin, kBoth };

struct HttpRoute {
  HttpMethod method = HttpMethod::kGet;  // GET takes HEAD too
  // Literals and {names}. Paths come percent-decoded, so what a name matches may contain slashes: it takes as little as
  // lets the rest match, the last one all that is left. Never nothing.
  std::string pattern;
  Exposure exposure = Exposure::kBoth;
  const char* name = "none";  // for the metrics
  // Of the application's interface: origins are judged, requests counted. Probes are not.
  bool is_api = true;
  HttpHandler handler;
};

// True when the path matches; *arguments are set then.
bool MatchPath(std::string_view pattern, std::string_view path, PathArguments* arguments);

// What answers a path that no route has; nothing when it is not there either.
using HttpFallback = std::function<std::optional<HttpAnswer>(const HttpRequest&)>;

struct HttpRouterOptions {
  std::vector<std::string> allowed_origins;  // normalized
  ClientLimits* limits = nullptr;            // none: requests are not limited
};

class HttpRouter {
 public:
  explicit HttpRouter(HttpRouterOptions options) : options_(std::move(options)) {}

  // Routes are tried in the order they were added.
  void Add(HttpRoute route) { routes_.push_back(std::move(route)); }
  void SetFallback(HttpFallback fallback) { fallback_ = std::move(fallback); }

  // Calls reply once, now or later, on any thread. 404, 405 with allow, 403 for an origin, 429, 415 for a body that is
  // no JSON, OPTIONS (also preflights) and HEAD are dealt with here.
  void Handle(const HttpRequest& request, int64_t now_ms, HttpReply reply) const;

  // A refusal that the connection made itself, with what browsers need to be able to read it.
  HttpAnswer WithOrigin(const HttpRequest& request, HttpAnswer answer) const;

  // Whether a page of that origin may ask: one of the list, or one of this server's own (auth/origin.h).
  bool MayAsk(const HttpRequest& request) const;

 private:
  static bool Exposed(const HttpRoute& route, bool is_admin) {
    return route.exposure == Exposure::kBoth || (route.exposure == Exposure::kAdmin) == is_admin;
  }

  const HttpRouterOptions options_;
  std::vector<HttpRoute> routes_;
  HttpFallback fallback_;
};

}  // namespace oasync
