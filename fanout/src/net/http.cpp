#include "net/http.h"

#include <fmt/format.h>
#include <libwebsockets.h>

#include <nlohmann/json.hpp>

#include "net/metrics.h"
#include "net/shared.h"

namespace oasync {
namespace {

const char* StatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 426:
      return "Upgrade Required";
    default:
      return "Service Unavailable";
  }
}

HttpAnswer Text(int status, std::string body) { return {status, "text/plain; charset=utf-8", std::move(body), {}}; }

}  // namespace

HttpAnswer HttpError(int status, std::string_view code, std::string_view reason) {
  return {status, "application/json", nlohmann::json{{"error", {{"code", code}, {"reason", reason}}}}.dump(), {}};
}

bool IsSocketPath(std::string_view path) { return path == "/socket/websocket" || path == "/sync/socket/websocket"; }

HttpAnswer AnswerHttp(const ServerShared& shared, std::string_view path, bool is_get) {
  if (!is_get) {
    HttpAnswer answer = HttpError(405, "method_not_allowed", "only GET");
    answer.extra_header = "allow: GET\r\n";
    return answer;
  }
  if (path == "/healthz") return Text(200, "ok\n");
  if (path == "/readyz") return shared.ready() ? Text(200, "ready\n") : Text(503, "not ready: no live tail\n");
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", RenderMetrics(shared.metrics), {}};
  if (IsSocketPath(path)) {
    HttpAnswer answer = HttpError(426, "upgrade_required", "this is a WebSocket endpoint");
    answer.extra_header = "upgrade: websocket\r\n";
    return answer;
  }
  return HttpError(404, "not_found", "no such path");
}

void SendHttpAnswer(lws* wsi, const HttpAnswer& answer) {
  std::string text(LWS_PRE, '\0');
  // One answer per connection: probes and refused clients gain nothing from keeping it.
  fmt::format_to(std::back_inserter(text),
                 "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n"
                 "connection: close\r\n{}\r\n{}",
                 answer.status, StatusText(answer.status), answer.content_type, answer.body.size(), answer.extra_header,
                 answer.body);
  const size_t size = text.size() - LWS_PRE;
  auto* bytes = reinterpret_cast<unsigned char*>(text.data()) + LWS_PRE;
  lws_write(wsi, bytes, size, LWS_WRITE_HTTP_HEADERS);
}

}  // namespace oasync
