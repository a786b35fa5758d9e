// Endpoint: where a fan-out is, as a URL says it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oasync::terminal {

struct Endpoint {
  bool tls = false;
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string base;    // path in front of /api, /healthz, …: empty, or "/prefix"
  std::string socket;  // path of the WebSocket

  // "host:port", an IPv6 address in brackets.
  std::string Authority() const;
  // "http://host:port/prefix"
  std::string HttpUrl() const;
};

// Understands ws://, wss://, http:// and https:// URLs: that of the socket as a Phoenix client has it (ending in
// /socket, or /socket/websocket), or that in front of it. Nothing, and *error, for any other, and for a URL with a
// user, a query or a fragment: what is secret does not belong there.
std::optional<Endpoint> ParseEndpoint(std::string_view url, std::string* error);

}  // namespace oasync::terminal
