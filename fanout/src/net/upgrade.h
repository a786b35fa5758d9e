// The decision on a WebSocket upgrade, before it is accepted.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "auth/token.h"
#include "net/http_message.h"

struct lws;

namespace oasync {

struct ServerShared;

// What of an upgrade request decides.
struct UpgradeRequest {
  std::string path;
  std::string origin;
  std::string vsn;            // query argument; empty when absent
  std::string query_token;    // query argument
  std::string protocols;      // Sec-WebSocket-Protocol
  std::string authorization;  // Authorization
  std::string version;        // Sec-WebSocket-Version
  std::string upgrade;        // Upgrade
  std::string forwarded_for;  // X-Forwarded-For
  std::string extensions;     // Sec-WebSocket-Extensions
  std::string host;           // Host
  bool is_tls = false;
  bool is_admin = false;  // came by the admin listener
};

// Paths of the Phoenix socket.
bool IsSocketPath(std::string_view path);

// Copies it out of libwebsockets' headers, which are gone once the WebSocket stands.
UpgradeRequest ReadUpgradeRequest(lws* wsi);

// The token wherever the client put it: the subprotocol (Phoenix 1.8), the Authorization header, or the query.
std::string FindToken(const UpgradeRequest& request);

// The refusal where there is no room. Counts it.
HttpAnswer NoRoom(ServerShared& shared, const char* reason);

// Why there is no room once --max-connections, or --admin-max-connections, is reached.
const char* FullReason(bool is_admin);

// A grant, or the refusal. Counts refusals. That there is room is the caller's to make sure of: others may get in
// meanwhile.
std::variant<GrantRef, HttpAnswer> JudgeUpgrade(ServerShared& shared, const UpgradeRequest& request);

}  // namespace oasync
