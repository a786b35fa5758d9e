#include "http_client.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "auth/strict_json.h"
#include "exit_code.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

std::string Format(const Endpoint& endpoint, const HttpRequest& request) {
  std::string text = request.method + " " + endpoint.base + request.path +
                     " HTTP/1.1\r\nHost: " + endpoint.Authority() + "\r\nUser-Agent: oa-sync\r\n";
  bool has_connection = false;
  for (const auto& [name, value] : request.headers) {
    has_connection = has_connection || name == "Connection";
    text.append(name).append(": ").append(value).append("\r\n");
  }
  if (!has_connection) text += "Connection: close\r\n";
  if (!request.body.empty()) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

HttpOutcome Failed(NetFault fault, std::string error) { return {std::nullopt, fault, std::move(error), 0}; }

// The server's {"error":{…}}; null when the body is another.
nlohmann::json ErrorOf(const HttpResponse& response) {
  const nlohmann::json body = ParseStrictJson(response.body);
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) return nullptr;
  return body["error"];
}

}  // namespace

HttpRequest& HttpRequest::Bearer(const std::string& token) {
  if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
  return *this;
}

HttpOutcome HttpClient::Send(const HttpRequest& request) const {
  NetStream stream;
  NetFault fault = stream.Connect(endpoint_, tls_, timeout_ms_);
  if (fault != NetFault::kNone) return Failed(fault, stream.error());
  fault = stream.Write(Format(endpoint_, request));
  if (fault != NetFault::kNone) return Failed(fault, stream.error());
  HttpResponseReader reader(max_answer_bytes_);
  std::string data;
  for (;;) {
    data.clear();
    fault = stream.Read(&data);
    const bool at_end = fault == NetFault::kClosed;
    if (fault != NetFault::kNone && !at_end) return Failed(fault, stream.error());
    switch (at_end ? reader.End() : reader.Feed(data)) {
      case HttpResponseReader::State::kDone:
        return {std::move(reader.response()), NetFault::kNone, {}, stream.CertificateExpiry()};
      case HttpResponseReader::State::kMore:
        break;
      case HttpResponseReader::State::kBad:
        return at_end ? Failed(NetFault::kClosed, "the connection was closed before the whole answer was there")
                      : Failed(NetFault::kNonsense, "what answers does not speak HTTP");
      case HttpResponseReader::State::kTooLarge:
        return Failed(NetFault::kNonsense, "the answer is too large");
    }
  }
}

HttpOutcome HttpClient::Get(const std::string& path, const std::string& token) const {
  HttpRequest request;
  request.path = path;
  return Send(request.Bearer(token));
}

int ExitCodeOf(const HttpOutcome& outcome) {
  if (outcome.fault == NetFault::kStopped) return kExitSignal + StopSignal();
  if (!outcome.response) {
    const bool answered = outcome.fault == NetFault::kClosed || outcome.fault == NetFault::kNonsense;
    return answered ? kExitBadAnswer : kExitCannotConnect;
  }
  const int status = outcome.response->status;
  const std::array<int, 5> refusals = {401, 403, 404, 409, 422};
  if (std::count(refusals.begin(), refusals.end(), status) > 0) return kExitRefused;
  return status == 429 || status >= 500 ? kExitCannotConnect : kExitBadAnswer;
}

std::string ErrorReason(const HttpResponse& response) {
  const nlohmann::json error = ErrorOf(response);
  if (const std::string* reason = FindText(error, "reason")) return *reason;
  const std::string* code = FindText(error, "code");
  return code == nullptr ? std::string() : *code;
}

std::string DescribeError(const HttpResponse& response) {
  std::string text = "HTTP " + std::to_string(response.status);
  const nlohmann::json error = ErrorOf(response);
  const std::string* code = FindText(error, "code");
  const std::string* reason = FindText(error, "reason");
  const std::string* message = FindText(error, "message");
  if (code != nullptr) text += " " + *code;
  if (reason != nullptr) text += ": " + *reason;
  if (reason == nullptr && message != nullptr) text += ": " + *message;
  return text;
}

}  // namespace oasync::terminal
