#include "net/upgrade.h"

#include <libwebsockets.h>
#include <strings.h>

#include <optional>

#include "auth/origin.h"
#include "base/base64.h"
#include "net/bearer.h"
#include "net/http_exchange.h"
#include "net/shared.h"

namespace oasync {
namespace {

constexpr char kRetryAfterSeconds[] = "2";
constexpr std::string_view kTokenProtocol = "base64url.bearer.phx.";

// A query argument, already without its percent encoding.
std::string Argument(lws* wsi, std::string_view name) {
  const int length = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
  if (length <= 0) return {};
  std::string fragment(static_cast<size_t>(length) + 1, '\0');
  for (int i = 0;; ++i) {
    const int size =
        lws_hdr_copy_fragment(wsi, fragment.data(), static_cast<int>(fragment.size()), WSI_TOKEN_HTTP_URI_ARGS, i);
    if (size < 0) return {};
    const std::string_view argument(fragment.data(), static_cast<size_t>(size));
    if (argument.size() > name.size() && argument.substr(0, name.size()) == name && argument[name.size()] == '=') {
      return std::string(argument.substr(name.size() + 1));
    }
  }
}

std::optional<std::string> TokenFromProtocols(std::string_view protocols) {
  while (!protocols.empty()) {
    const size_t comma = protocols.find(',');
    std::string_view protocol = protocols.substr(0, comma);
    protocols.remove_prefix(comma == std::string_view::npos ? protocols.size() : comma + 1);
    while (!protocol.empty() && protocol.front() == ' ') protocol.remove_prefix(1);
    while (!protocol.empty() && protocol.back() == ' ') protocol.remove_suffix(1);
    if (protocol.substr(0, kTokenProtocol.size()) == kTokenProtocol) {
      // What does not decode is no token either; the verifier says so.
      return Base64Decode(protocol.substr(kTokenProtocol.size())).value_or("?");
    }
  }
  return std::nullopt;
}

}  // namespace

bool IsSocketPath(std::string_view path) { return path == "/socket/websocket" || path == "/sync/socket/websocket"; }

UpgradeRequest ReadUpgradeRequest(lws* wsi) {
  UpgradeRequest request;
  request.path = ReadHeader(wsi, WSI_TOKEN_GET_URI);
  request.origin = ReadHeader(wsi, WSI_TOKEN_ORIGIN);
  request.vsn = Argument(wsi, "vsn");
  request.query_token = Argument(wsi, "token");
  request.protocols = ReadHeader(wsi, WSI_TOKEN_PROTOCOL);
  request.authorization = ReadHeader(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  request.version = ReadHeader(wsi, WSI_TOKEN_VERSION);
  request.upgrade = ReadHeader(wsi, WSI_TOKEN_UPGRADE);
  request.forwarded_for = ReadHeader(wsi, WSI_TOKEN_X_FORWARDED_FOR);
  request.extensions = ReadHeader(wsi, WSI_TOKEN_EXTENSIONS);
  request.host = ReadHeader(wsi, WSI_TOKEN_HOST);
  request.is_tls = lws_is_ssl(wsi) != 0;
  return request;
}

std::string FindToken(const UpgradeRequest& request) {
  if (auto token = TokenFromProtocols(request.protocols)) return *token;
  if (const std::string_view token = BearerToken(request.authorization); !token.empty()) return std::string(token);
  return request.query_token;
}

HttpAnswer NoRoom(ServerShared& shared, const char* reason) {
  shared.metrics.shared.denials.Add(reason);
  HttpAnswer answer = HttpError(503, "unavailable", reason);
  answer.AddHeader("retry-after", kRetryAfterSeconds);
  return answer;
}

const char* FullReason(bool is_admin) { return is_admin ? "too_many_admin_connections" : "too_many_connections"; }

std::variant<GrantRef, HttpAnswer> JudgeUpgrade(ServerShared& shared, const UpgradeRequest& request) {
  const auto refuse = [&](int status, const char* code, const char* reason) -> HttpAnswer {
    shared.metrics.shared.denials.Add(reason);
    return HttpError(status, code, reason);
  };
  if (!IsSocketPath(request.path)) return refuse(404, "not_found", "no_such_path");
  if (strcasecmp(request.upgrade.c_str(), "websocket") != 0) return refuse(400, "bad_request", "unsupported_upgrade");
  if (request.version != "13") {
    HttpAnswer answer = refuse(426, "bad_request", "unsupported_websocket_version");
    answer.AddHeader("sec-websocket-version", "13");
    return answer;
  }
  if (!request.vsn.empty() && request.vsn.substr(0, 2) != "2.") return refuse(400, "bad_request", "unsupported_vsn");
  if (!IsOriginAllowed(shared.config.allowed_origins, request.origin) &&
      !IsOwnOrigin(request.origin, request.is_tls, request.host)) {
    return refuse(403, "forbidden", "origin_not_allowed");
  }
  // Whoever looks after the server gets in also when it is full, within a limit of their own. Looked at before the
  // token: a full server has no time for signatures.
  if (request.is_admin) {
    if (shared.admin_websockets.load(std::memory_order_relaxed) >= shared.config.admin_max_connections) {
      return NoRoom(shared, FullReason(true));
    }
  } else if (shared.websockets.load(std::memory_order_relaxed) >= shared.config.max_connections) {
    return NoRoom(shared, FullReason(false));
  } else if (shared.memory_pressure.load(std::memory_order_relaxed)) {
    return NoRoom(shared, "memory_pressure");
  }
  if (shared.config.refuse_without_revocations && !shared.revocations.IsKnown()) {
    return NoRoom(shared, "revocations_unknown");
  }
  TokenResult result = shared.verifier.Verify(FindToken(request), shared.clock.WallMs() / 1000);
  if (!result.grant) return refuse(401, "unauthorized", TokenFaultName(result.fault));
  return std::move(result.grant);
}

}  // namespace oasync
