// The plain HTTP side of the listening port: health, readiness, metrics, and refusals before a WebSocket exists.
#pragma once

#include <string>
#include <string_view>

struct lws;

namespace oasync {

struct ServerShared;

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string extra_header;  // "name: value\r\n" or empty
};

// {"error":{"code":…,"reason":…}}
HttpAnswer HttpError(int status, std::string_view code, std::string_view reason);

// Answers a request that is no WebSocket upgrade. `is_get` is false for every other method.
HttpAnswer AnswerHttp(const ServerShared& shared, std::string_view path, bool is_get);

// Writes the whole answer; the callback is to hang up afterwards, which waits for what the kernel did not take at once.
void SendHttpAnswer(lws* wsi, const HttpAnswer& answer);

// Paths of the Phoenix socket.
bool IsSocketPath(std::string_view path);

}  // namespace oasync
