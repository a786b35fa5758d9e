#include "auth/token_issuer.h"

#include <openssl/rand.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/base64.h"

namespace oasync {
namespace {

constexpr size_t kTokenIdBytes = 16;

std::string Base64Url(std::string_view bytes) {
  std::string text = Base64Encode(bytes);
  while (!text.empty() && text.back() == '=') text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

// Empty when there is no randomness to be had.
std::string NewTokenId() {
  std::array<unsigned char, kTokenIdBytes> bytes;
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return {};
  return Base64Url({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

nlohmann::json ClaimsOf(const Identity& identity, const TokenRequest& request) {
  nlohmann::json claims = {
      {"sub", identity.subject}, {"oa_sync_scopes", request.scopes}, {"oa_claims_version", kClaimsVersion}};
  const auto add = [&claims](const char* name, const std::string& value) {
    if (!value.empty()) claims[name] = value;
  };
  add("oa_user_id", identity.user_id);
  add("oa_org_id", identity.org_id);
  add("oa_session_id", identity.session_id);
  add("oa_device_id", request.device_id);
  return claims;
}

}  // namespace

bool TokenIssuer::CanSign() const { return keys_->Get()->signing_key() != nullptr; }

std::optional<IssuedToken> TokenIssuer::Issue(const Identity& identity, const TokenRequest& request,
                                              int64_t now_unix_s) const {
  const auto keys = keys_->Get();
  const VerifyKey* key = keys->signing_key();
  const std::string id = NewTokenId();
  if (key == nullptr || id.empty()) return std::nullopt;
  IssuedToken issued;
  issued.kid = keys->signing_kid();
  issued.issued_at = now_unix_s;
  issued.expires_at = now_unix_s + request.ttl_s;
  nlohmann::json claims = ClaimsOf(identity, request);
  claims["iss"] = policy_.issuer;
  claims["aud"] = policy_.audience;
  claims["iat"] = issued.issued_at;
  claims["nbf"] = issued.issued_at;
  claims["exp"] = issued.expires_at;
  claims["jti"] = id;
  const nlohmann::json header = {{"alg", AlgorithmName(key->algorithm())}, {"typ", "JWT"}, {"kid", issued.kid}};
  issued.token = Base64Url(header.dump()) + '.' + Base64Url(claims.dump());
  issued.token += '.' + Base64Url(key->Sign(issued.token));
  return issued;
}

}  // namespace oasync
