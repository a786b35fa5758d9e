#include "net/upgrade.h"

#include <libwebsockets.h>
#include <strings.h>

#include <optional>

#include "auth/origin.h"
#include "base/base64.h"
#include "net/shared.h"

namespace oasync {
namespace {

constexpr std::string_view kTokenProtocol = "base64url.bearer.phx.";

std::string Header(lws* wsi, lws_token_indexes token) {
  const int length = lws_hdr_total_length(wsi, token);
  if (length <= 0) return {};
  // Not lws_hdr_copy: net/subprotocol.cpp answers that one.
  std::string value;
  std::string fragment(static_cast<size_t>(length) + 1, '\0');
  for (int i = 0;; ++i) {
    const int size = lws_hdr_copy_fragment(wsi, fragment.data(), static_cast<int>(fragment.size()), token, i);
    if (size < 0) return value;
    if (!value.empty()) value.push_back(',');
    value.append(fragment.data(), static_cast<size_t>(size));
  }
}

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

UpgradeRequest ReadUpgradeRequest(lws* wsi) {
  UpgradeRequest request;
  request.path = Header(wsi, WSI_TOKEN_GET_URI);
  request.origin = Header(wsi, WSI_TOKEN_ORIGIN);
  request.vsn = Argument(wsi, "vsn");
  request.query_token = Argument(wsi, "token");
  request.protocols = Header(wsi, WSI_TOKEN_PROTOCOL);
  request.authorization = Header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  request.version = Header(wsi, WSI_TOKEN_VERSION);
  request.upgrade = Header(wsi, WSI_TOKEN_UPGRADE);
  return request;
}

std::string FindToken(const UpgradeRequest& request) {
  if (auto token = TokenFromProtocols(request.protocols)) return *token;
  constexpr std::string_view kBearer = "Bearer ";
  if (request.authorization.size() > kBearer.size() &&
      strncasecmp(request.authorization.c_str(), kBearer.data(), kBearer.size()) == 0) {
    return request.authorization.substr(kBearer.size());
  }
  return request.query_token;
}

std::variant<GrantRef, HttpAnswer> JudgeUpgrade(ServerShared& shared, const UpgradeRequest& request) {
  const auto refuse = [&](int status, const char* code, const char* reason) -> HttpAnswer {
    shared.metrics.shared.denials.Add(reason);
    return HttpError(status, code, reason);
  };
  if (!IsSocketPath(request.path)) return refuse(404, "not_found", "no_such_path");
  if (strcasecmp(request.upgrade.c_str(), "websocket") != 0) return refuse(400, "bad_request", "unsupported_upgrade");
  if (request.version != "13") {
    HttpAnswer answer = refuse(426, "bad_request", "unsupported_websocket_version");
    answer.extra_header = "sec-websocket-version: 13\r\n";
    return answer;
  }
  if (!request.vsn.empty() && request.vsn.substr(0, 2) != "2.") return refuse(400, "bad_request", "unsupported_vsn");
  if (!IsOriginAllowed(shared.config.allowed_origins, request.origin)) {
    return refuse(403, "forbidden", "origin_not_allowed");
  }
  if (shared.websockets.load(std::memory_order_relaxed) >= shared.config.max_connections) {
    HttpAnswer answer = refuse(503, "unavailable", "too_many_connections");
    answer.extra_header = "retry-after: 2\r\n";
    return answer;
  }
  if (shared.config.refuse_without_revocations && !shared.revocations.IsKnown()) {
    HttpAnswer answer = refuse(503, "unavailable", "revocations_unknown");
    answer.extra_header = "retry-after: 2\r\n";
    return answer;
  }
  TokenResult result = shared.verifier.Verify(FindToken(request), shared.clock.WallMs() / 1000);
  if (!result.grant) return refuse(401, "unauthorized", TokenFaultName(result.fault));
  return std::move(result.grant);
}

}  // namespace oasync
