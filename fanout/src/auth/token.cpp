#include "auth/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "auth/scope_claims.h"
#include "base/base64.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

constexpr char kClaimsVersion[] = "oa_sync_claims_v1";

struct TokenParts {
  std::string_view signed_text;  // header.payload, as they came
  Json header;
  std::string payload;
  std::string signature;
};

TokenFault Split(std::string_view token, size_t max_bytes, TokenParts* parts) {
  if (token.empty()) return TokenFault::kMissingToken;
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > max_bytes || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos || first == 0 || second == first + 1 ||
      second + 1 == token.size()) {
    return TokenFault::kInvalidTokenFormat;
  }
  const auto header = Base64Decode(token.substr(0, first));
  auto payload = Base64Decode(token.substr(first + 1, second - first - 1));
  auto signature = Base64Decode(token.substr(second + 1));
  if (!header || !payload || !signature) return TokenFault::kInvalidTokenEncoding;
  parts->header = Json::parse(*header, nullptr, false);
  if (!parts->header.is_object()) return TokenFault::kInvalidHeader;
  parts->signed_text = token.substr(0, second);
  parts->payload = std::move(*payload);
  parts->signature = std::move(*signature);
  return TokenFault::kNone;
}

// The header must name the one algorithm and a key of the ring; *secret is that key's.
TokenFault CheckHeader(const Json& header, const Keyring& keyring, std::string_view* secret) {
  const auto alg = header.find("alg");
  if (alg == header.end() || !alg->is_string()) return TokenFault::kInvalidHeader;
  const auto type = header.find("typ");
  if (type != header.end() && !type->is_string()) return TokenFault::kInvalidHeader;
  if (header.contains("crit")) return TokenFault::kInvalidHeader;  // RFC 7515, 4.1.11: none of them is known here
  if (*alg != "HS256") return TokenFault::kUnsupportedAlg;
  const auto kid = header.find("kid");
  if (kid == header.end() || !kid->is_string() || kid->get_ref<const std::string&>().empty()) {
    return TokenFault::kMissingKid;
  }
  const auto key = keyring.keys.find(kid->get_ref<const std::string&>());
  if (key == keyring.keys.end()) return TokenFault::kUnknownKid;
  *secret = key->second;
  return TokenFault::kNone;
}

bool SignatureMatches(const TokenParts& parts, std::string_view secret) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(parts.signed_text.data()), parts.signed_text.size(), mac.data(),
           &length) == nullptr) {
    return false;
  }
  return parts.signature.size() == length && CRYPTO_memcmp(parts.signature.data(), mac.data(), length) == 0;
}

// A claim that may be missing; anything but a string counts as missing.
std::string TextClaim(const Json& claims, const char* name) {
  const auto it = claims.find(name);
  return it != claims.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// A NumericDate: an integer, or a number with a fraction, which is dropped.
std::optional<int64_t> TimeClaim(const Json& claims, const char* name) {
  const auto it = claims.find(name);
  if (it == claims.end() || !it->is_number()) return std::nullopt;
  const double seconds = it->get<double>();
  if (!(seconds >= 0 && seconds < 1e15)) return std::nullopt;
  return static_cast<int64_t>(seconds);
}

bool AudienceMatches(const Json& claims, const std::string& audience) {
  const auto it = claims.find("aud");
  if (it == claims.end()) return false;
  if (it->is_string()) return *it == audience;
  return it->is_array() && std::find(it->begin(), it->end(), audience) != it->end();
}

TokenFault CheckClaims(const Json& claims, const TokenPolicy& policy, int64_t now, Grant* grant) {
  const auto expires = TimeClaim(claims, "exp");
  const auto issued = TimeClaim(claims, "iat");
  const bool has_not_before = claims.contains("nbf");
  const auto not_before = TimeClaim(claims, "nbf");
  const auto subject = claims.find("sub");
  if (!expires || !issued || (has_not_before && !not_before) || subject == claims.end() || !subject->is_string() ||
      subject->get_ref<const std::string&>().empty() || !ReadScopes(claims, policy.max_scopes, &grant->scopes)) {
    return TokenFault::kInvalidClaims;
  }
  if (*expires <= now) return TokenFault::kTokenExpired;
  if (*issued > now + policy.clock_skew_s || (not_before && *not_before > now + policy.clock_skew_s)) {
    return TokenFault::kTokenNotYetValid;
  }
  const auto issuer = claims.find("iss");
  const auto version = claims.find("oa_claims_version");
  if (issuer == claims.end() || *issuer != policy.issuer || !AudienceMatches(claims, policy.audience) ||
      version == claims.end() || *version != kClaimsVersion) {
    return TokenFault::kClaimMismatch;
  }
  const auto id = claims.find("jti");
  if (id == claims.end() || !id->is_string() || id->get_ref<const std::string&>().empty()) {
    return TokenFault::kMissingJti;
  }
  if (now - *issued > policy.max_age_s) return TokenFault::kTokenTooOld;
  grant->subject = subject->get<std::string>();
  grant->token_id = id->get<std::string>();
  grant->session_id = TextClaim(claims, "oa_session_id");
  grant->device_id = TextClaim(claims, "oa_device_id");
  // A socket that is not given a new token lives no longer than a token that could open one.
  grant->expires_at = std::min(*expires, *issued + policy.max_age_s);
  return TokenFault::kNone;
}

}  // namespace

const char* TokenFaultName(TokenFault fault) {
  static constexpr const char* kNames[] = {
      "none",
      "missing_token",
      "invalid_token_format",
      "invalid_token_encoding",
      "invalid_header",
      "unsupported_alg",
      "missing_kid",
      "unknown_kid",
      "invalid_signature",
      "invalid_claims",
      "token_expired",
      "token_not_yet_valid",
      "claim_mismatch",
      "missing_jti",
      "token_too_old",
  };
  return kNames[static_cast<size_t>(fault)];
}

TokenResult TokenVerifier::Verify(std::string_view token, int64_t now_unix_s) const {
  TokenParts parts;
  if (const TokenFault fault = Split(token, policy_.max_token_bytes, &parts); fault != TokenFault::kNone)
    return {fault, nullptr};
  std::string_view secret;
  if (const TokenFault fault = CheckHeader(parts.header, keyring_, &secret); fault != TokenFault::kNone) {
    return {fault, nullptr};
  }
  if (!SignatureMatches(parts, secret)) return {TokenFault::kInvalidSignature, nullptr};
  const Json claims = Json::parse(parts.payload, nullptr, false);
  if (!claims.is_object()) return {TokenFault::kInvalidClaims, nullptr};
  auto grant = std::make_shared<Grant>();
  if (const TokenFault fault = CheckClaims(claims, policy_, now_unix_s, grant.get()); fault != TokenFault::kNone) {
    return {fault, nullptr};
  }
  return {TokenFault::kNone, std::move(grant)};
}

}  // namespace oasync
