// HTTP requests and answers as the routes see them: no socket and no library in sight.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/address.h"

namespace oasync {

enum class HttpMethod : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };
const char* HttpMethodName(HttpMethod method);

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string path;                                        // percent-decoded; docs/operations/http.md says how
  std::vector<std::pair<std::string, std::string>> query;  // percent-decoded
  std::string authorization;
  std::string origin;
  std::string host;  // Host
  std::string accept;
  std::string content_type;
  std::string accept_encoding;
  std::string if_none_match;
  std::string body;
  IpAddress client;
  bool is_admin = false;  // came by the admin listener
  bool is_tls = false;

  // The first argument of that name; empty when there is none.
  std::string_view Argument(std::string_view name) const;
  bool HasArgument(std::string_view name) const;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<const std::string> shared_body;  // if set, instead of `body`: the same bytes for many answers
  std::string headers;                             // further ones, each "name: value\r\n"
  const char* route = "none";                      // for the metrics; from the fixed list of the router
  std::shared_ptr<void> place;                     // held until the answer is out

  void AddHeader(std::string_view name, std::string_view value);
  std::string_view Content() const { return shared_body ? std::string_view(*shared_body) : std::string_view(body); }
};

// Takes the answer, once, on any thread; when the connection is gone by then, nothing happens.
using HttpReply = std::function<void(HttpAnswer)>;

const char* HttpStatusText(int status);

// {"error":{"code":…,"reason":…}}
HttpAnswer HttpError(int status, std::string_view code, std::string_view reason);
// The same with a sentence for people, as "message".
HttpAnswer HttpErrorSaying(int status, std::string_view code, std::string_view reason, std::string_view message);
// The first with retry-after, in whole seconds, at least 1.
HttpAnswer HttpRetryLater(int status, std::string_view code, std::string_view reason, int64_t after_ms);
HttpAnswer HttpText(int status, std::string body);

// Status line, headers and the empty line. One answer per connection: "connection: close" is always among them.
std::string HttpHead(const HttpAnswer& answer);

}  // namespace oasync
