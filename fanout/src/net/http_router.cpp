#include "net/http_router.h"

#include <strings.h>

#include <utility>

#include "auth/origin.h"

namespace oasync {
namespace {

// How long a browser may remember what a preflight said.
constexpr char kPreflightAge[] = "600";

// "application/json", with or without parameters.
bool IsJson(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  constexpr std::string_view kJson = "application/json";
  return type.size() == kJson.size() && strncasecmp(type.data(), kJson.data(), kJson.size()) == 0;
}

// The methods of every route with this path, for `allow`.
std::string Methods(const std::vector<const HttpRoute*>& routes) {
  std::string methods;
  for (const HttpRoute* route : routes) {
    methods += HttpMethodName(route->method);
    methods += route->method == HttpMethod::kGet ? ", HEAD, " : ", ";
  }
  return methods + "OPTIONS";
}

// Lets a page of the origin read the answer. Nothing without an origin.
HttpAnswer WithCors(const std::string& origin, HttpAnswer answer) {
  if (origin.empty()) return answer;
  answer.AddHeader("access-control-allow-origin", origin);
  answer.AddHeader("access-control-expose-headers", "etag, link, retry-after, oa-sync-watermark");
  return answer;
}

HttpAnswer Options(const std::string& methods, bool is_api) {
  HttpAnswer answer;
  answer.status = 204;
  answer.AddHeader("allow", methods);
  if (is_api) {
    answer.AddHeader("access-control-allow-methods", methods);
    answer.AddHeader("access-control-allow-headers", "authorization, content-type, if-none-match");
    answer.AddHeader("access-control-max-age", kPreflightAge);
  }
  return answer;
}

}  // namespace

bool MatchPath(std::string_view pattern, std::string_view path, PathArguments* arguments) {
  arguments->clear();
  while (true) {
    const size_t name = pattern.find('{');
    const std::string_view literal = pattern.substr(0, name);
    if (name == std::string_view::npos) return path == literal;
    if (path.substr(0, literal.size()) != literal) return false;
    path.remove_prefix(literal.size());
    pattern.remove_prefix(pattern.find('}') + 1);
    if (path.empty()) return false;
    // The literal that ends the argument: the next one, which is at the end when no other name follows.
    const size_t next = pattern.find('{');
    const std::string_view after = pattern.substr(0, next);
    size_t size = path.size();
    if (!after.empty() && next != std::string_view::npos) {
      size = path.find(after, 1);
    } else if (path.size() <= after.size() || path.substr(path.size() - after.size()) != after) {
      return false;
    } else {
      size = path.size() - after.size();
    }
    if (size == std::string_view::npos) return false;
    arguments->emplace_back(path.substr(0, size));
    path.remove_prefix(size);
  }
}

bool HttpRouter::MayAsk(const HttpRequest& request) const {
  return IsOriginAllowed(options_.allowed_origins, request.origin) ||
         IsOwnOrigin(request.origin, request.is_tls, request.host);
}

HttpAnswer HttpRouter::WithOrigin(const HttpRequest& request, HttpAnswer answer) const {
  return MayAsk(request) ? WithCors(request.origin, std::move(answer)) : answer;
}

void HttpRouter::Handle(const HttpRequest& request, int64_t now_ms, HttpReply reply) const {
  std::vector<const HttpRoute*> found;
  const HttpRoute* chosen = nullptr;
  PathArguments arguments;
  for (const HttpRoute& route : routes_) {
    PathArguments matched;
    if (!Exposed(route, request.is_admin) || !MatchPath(route.pattern, request.path, &matched)) continue;
    // A path that two patterns match belongs to the first.
    if (!found.empty() && found.front()->pattern != route.pattern) continue;
    found.push_back(&route);
    if (route.method == request.method || (route.method == HttpMethod::kGet && request.method == HttpMethod::kHead)) {
      chosen = &route;
      arguments = std::move(matched);
    }
  }
  if (found.empty()) {
    auto answer = fallback_ ? fallback_(request) : std::nullopt;
    return reply(answer ? std::move(*answer) : HttpError(404, "not_found", "no_such_path"));
  }
  const bool is_api = found.front()->is_api;
  const char* name = found.front()->name;
  // Every answer of the interface depends on who asks from where.
  const bool may_ask = MayAsk(request);
  const auto finish = [is_api, name, origin = may_ask ? request.origin : std::string(),
                       reply = std::move(reply)](HttpAnswer answer) {
    answer.route = name;
    if (is_api) {
      answer.AddHeader("vary", "origin, authorization, accept-encoding");
      answer = WithCors(origin, std::move(answer));
    }
    reply(std::move(answer));
  };
  if (is_api) {
    if (!may_ask) {
      return finish(HttpError(403, "forbidden", "origin_not_allowed"));
    }
    if (options_.limits != nullptr) {
      const int64_t wait_ms = options_.limits->TakeRequest(request.client, now_ms);
      if (wait_ms > 0) return finish(HttpRetryLater(429, "rate_limited", "too_many_requests", wait_ms));
    }
  }
  const std::string methods = Methods(found);
  if (request.method == HttpMethod::kOptions) return finish(Options(methods, is_api));
  if (chosen == nullptr) {
    HttpAnswer answer = HttpError(405, "method_not_allowed", "see_allow");
    answer.AddHeader("allow", methods);
    return finish(std::move(answer));
  }
  if (request.method == HttpMethod::kPost && !IsJson(request.content_type)) {
    return finish(HttpError(415, "unsupported_media_type", "content_type_must_be_json"));
  }
  chosen->handler(request, arguments, finish);
}

}  // namespace oasync
