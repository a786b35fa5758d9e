#include "endpoint.h"

#include <charconv>

namespace oasync::terminal {
namespace {

bool TakePrefix(std::string_view* text, std::string_view prefix) {
  if (text->substr(0, prefix.size()) != prefix) return false;
  text->remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view* text, std::string_view suffix) {
  if (text->size() < suffix.size() || text->substr(text->size() - suffix.size()) != suffix) return false;
  text->remove_suffix(suffix.size());
  return true;
}

bool ParsePort(std::string_view text, uint16_t* port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  return error == std::errc() && end == text.data() + text.size() && *port != 0;
}

// "host", "host:port", "[::1]:port"
bool ParseAuthority(std::string_view text, Endpoint* endpoint) {
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    endpoint->host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (endpoint->host.empty()) return false;
    return text.empty() || (text.front() == ':' && ParsePort(text.substr(1), &endpoint->port));
  }
  const size_t colon = text.find(':');
  endpoint->host = text.substr(0, colon);
  if (endpoint->host.empty()) return false;
  return colon == std::string_view::npos || ParsePort(text.substr(colon + 1), &endpoint->port);
}

// Spaces and control characters would end up in a request line.
bool IsPlain(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F) return false;
  }
  return true;
}

}  // namespace

std::string Endpoint::Authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Endpoint::HttpUrl() const { return (tls ? "https://" : "http://") + Authority() + base; }

std::optional<Endpoint> ParseEndpoint(std::string_view url, std::string* error) {
  Endpoint endpoint;
  std::string_view rest = url;
  if (TakePrefix(&rest, "wss://") || TakePrefix(&rest, "https://")) {
    endpoint.tls = true;
  } else if (!TakePrefix(&rest, "ws://") && !TakePrefix(&rest, "http://")) {
    *error = "not a URL that begins with ws://, wss://, http:// or https://";
    return std::nullopt;
  }
  if (!IsPlain(rest)) {
    *error = "has characters that a URL can't have";
    return std::nullopt;
  }
  if (rest.find_first_of("?#@") != std::string_view::npos) {
    *error =
        "has a user, a query or a fragment: take them out (a token comes from --token-file or OA_SYNC_TOKEN, never "
        "from a URL)";
    return std::nullopt;
  }
  const size_t slash = rest.find('/');
  endpoint.port = endpoint.tls ? 443 : 80;
  if (!ParseAuthority(rest.substr(0, slash), &endpoint)) {
    *error = "has no valid HOST:PORT";
    return std::nullopt;
  }
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  while (TakeSuffix(&path, "/")) {
  }
  TakeSuffix(&path, "/websocket");
  std::string_view base = path;
  const bool sync = TakeSuffix(&base, "/sync/socket");
  if (!sync) TakeSuffix(&base, "/socket");
  endpoint.base = base;
  endpoint.socket = endpoint.base + (sync ? "/sync/socket/websocket" : "/socket/websocket");
  return endpoint;
}

}  // namespace oasync::terminal
