#include "auth/token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "auth/scope_claims.h"
#include "auth/strict_json.h"
#include "base/base64.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

struct TokenParts {
  std::string_view signed_text;  // header.payload, as they came
  Json header;
  std::string payload;
  std::string signature;
};

// base64url without padding, and nothing else: one text for one meaning (RFC 7515, 2).
std::optional<std::string> DecodePart(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) return std::nullopt;
  return Base64Decode(text);
}

TokenFault Split(std::string_view token, size_t max_bytes, TokenParts* parts) {
  if (token.empty()) return TokenFault::kMissingToken;
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > max_bytes || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos || first == 0 || second == first + 1 ||
      second + 1 == token.size()) {
    return TokenFault::kInvalidTokenFormat;
  }
  const auto header = DecodePart(token.substr(0, first));
  auto payload = DecodePart(token.substr(first + 1, second - first - 1));
  auto signature = DecodePart(token.substr(second + 1));
  if (!header || !payload || !signature) return TokenFault::kInvalidTokenEncoding;
  parts->header = ParseStrictJson(*header);
  if (!parts->header.is_object()) return TokenFault::kInvalidHeader;
  parts->signed_text = token.substr(0, second);
  parts->payload = std::move(*payload);
  parts->signature = std::move(*signature);
  return TokenFault::kNone;
}

// The header must name an algorithm that is allowed, and a key that is for it.
TokenFault CheckHeader(const Json& header, const KeySet& keys, const AlgorithmSet& allowed, const VerifyKey** key) {
  const std::string* name = FindText(header, "alg");
  if (name == nullptr) return TokenFault::kInvalidHeader;
  const auto type = header.find("typ");
  if (type != header.end() && !type->is_string()) return TokenFault::kInvalidHeader;
  if (header.contains("crit")) return TokenFault::kInvalidHeader;  // RFC 7515, 4.1.11: none of them is known here
  const auto algorithm = FindAlgorithm(*name);
  if (!algorithm || !allowed.Has(*algorithm)) return TokenFault::kUnsupportedAlg;
  const std::string* kid = FindText(header, "kid");
  if (kid == nullptr || kid->empty()) return TokenFault::kMissingKid;
  *key = keys.Find(*kid);
  if (*key == nullptr) return TokenFault::kUnknownKid;
  // Never the token's choice: a public key must not become the secret of an HS256 signature.
  return (*key)->algorithm() == *algorithm ? TokenFault::kNone : TokenFault::kUnsupportedAlg;
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
      subject->get_ref<const std::string&>().empty() ||
      (!policy.is_identity && !ReadScopes(claims, policy.max_scopes, &grant->scopes))) {
    return TokenFault::kInvalidClaims;
  }
  if (*expires <= now) return TokenFault::kTokenExpired;
  if (*issued > now + policy.clock_skew_s || (not_before && *not_before > now + policy.clock_skew_s)) {
    return TokenFault::kTokenNotYetValid;
  }
  const auto issuer = claims.find("iss");
  const std::string version = TextClaim(claims, "oa_claims_version");
  if (issuer == claims.end() || *issuer != policy.issuer || !AudienceMatches(claims, policy.audience) ||
      (!policy.is_identity && version != kClaimsVersion)) {
    return TokenFault::kClaimMismatch;
  }
  grant->token_id = TextClaim(claims, "jti");
  if (grant->token_id.empty() && !policy.is_identity) return TokenFault::kMissingJti;
  if (now - *issued > policy.max_age_s) return TokenFault::kTokenTooOld;
  grant->subject = subject->get<std::string>();
  grant->org_id = ClaimText(claims, "oa_org_id").value_or("");
  grant->session_id = TextClaim(claims, "oa_session_id");
  grant->device_id = TextClaim(claims, "oa_device_id");
  // A socket that is not given a new token lives no longer than a token that could open one.
  grant->expires_at = std::min(*expires, *issued + policy.max_age_s);
  return TokenFault::kNone;
}

// By TokenFault.
constexpr const char* kFaultNames[] = {
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
    "token_revoked",
};
static_assert(std::size(kFaultNames) == static_cast<size_t>(TokenFault::kTokenRevoked) + 1);

}  // namespace

const char* TokenFaultName(TokenFault fault) { return kFaultNames[static_cast<size_t>(fault)]; }

std::span<const char* const> TokenFaultNames() { return std::span(kFaultNames).subspan(1); }

TokenResult TokenVerifier::Verify(std::string_view token, int64_t now_unix_s) const {
  const auto refuse = [](TokenFault fault) { return TokenResult{fault, nullptr}; };
  TokenParts parts;
  if (const TokenFault fault = Split(token, policy_.max_token_bytes, &parts); fault != TokenFault::kNone)
    return refuse(fault);
  const auto keys = keys_->Get();
  const VerifyKey* key = nullptr;
  const TokenFault header_fault = CheckHeader(parts.header, *keys, policy_.algorithms, &key);
  if (header_fault != TokenFault::kNone) return refuse(header_fault);
  if (!key->Verify(parts.signed_text, parts.signature)) return refuse(TokenFault::kInvalidSignature);
  const Json claims = ParseStrictJson(parts.payload);
  if (!claims.is_object()) return refuse(TokenFault::kInvalidClaims);
  auto grant = std::make_shared<Grant>();
  const TokenFault claims_fault = CheckClaims(claims, policy_, now_unix_s, grant.get());
  if (claims_fault != TokenFault::kNone) return refuse(claims_fault);
  if (Revoked(*grant, now_unix_s)) return refuse(TokenFault::kTokenRevoked);
  TokenResult result{TokenFault::kNone, std::move(grant)};
  if (policy_.is_identity) {
    result.user_id = ClaimText(claims, "oa_user_id").value_or("");
    if (claims.contains("oa_sync_scopes") && !ReadScopeTexts(claims, policy_.max_scopes, &result.scopes.emplace())) {
      return refuse(TokenFault::kInvalidClaims);
    }
  }
  return result;
}

std::optional<RevocationReason> TokenVerifier::Revoked(const Grant& grant, int64_t now_unix_s) const {
  return revocations_ == nullptr ? std::nullopt : revocations_->Find(grant, now_unix_s);
}

}  // namespace oasync
