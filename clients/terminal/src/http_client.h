// HttpClient: one HTTP/1.1 request on a connection of its own, as the fan-out serves them. Redirects are not followed:
// a token goes to the server that was named and to no other.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "endpoint.h"
#include "http_response.h"
#include "net_stream.h"

namespace oasync::terminal {

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // behind the endpoint's base, with its query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Adds `Authorization: Bearer …`, unless the token is empty.
  HttpRequest& Bearer(const std::string& token);
};

struct HttpOutcome {
  std::optional<HttpResponse> response;
  NetFault fault = NetFault::kNone;    // why there is none
  std::string error;                   // in words
  int64_t certificate_expires_at = 0;  // Unix time; 0 without TLS

  bool Is(int status) const { return response && response->status == status; }
};

// Largest answer, unless it is said otherwise: a snapshot's page is some megabytes.
inline constexpr size_t kMaxHttpAnswerBytes = size_t{256} << 20;

class HttpClient {
 public:
  HttpClient(Endpoint endpoint, TlsOptions tls, int timeout_ms, size_t max_answer_bytes = kMaxHttpAnswerBytes)
      : endpoint_(std::move(endpoint)),
        tls_(std::move(tls)),
        timeout_ms_(timeout_ms),
        max_answer_bytes_(max_answer_bytes) {}

  HttpOutcome Send(const HttpRequest& request) const;
  HttpOutcome Get(const std::string& path, const std::string& token) const;
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  const Endpoint endpoint_;
  const TlsOptions tls_;
  const int timeout_ms_;
  const size_t max_answer_bytes_;
};

// The exit code that goes with an answer that is no success, or with none.
int ExitCodeOf(const HttpOutcome& outcome);
// What an answer that is no success says: "401 unauthorized: token_expired". Understands the server's error bodies.
std::string DescribeError(const HttpResponse& response);
// The "reason" of an error body (or its code, if it has no reason); empty when it is none.
std::string ErrorReason(const HttpResponse& response);

}  // namespace oasync::terminal
