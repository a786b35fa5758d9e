// Tokens: what a client shows to be let in, and what it is then allowed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/scope.h"

namespace oasync {

// What a verified token grants. Shared by the sessions that use it; immutable.
struct Grant {
  std::string subject;
  std::string token_id;    // jti
  std::string session_id;  // oa_session_id; empty when the token has none
  std::string device_id;   // oa_device_id; empty when the token has none
  int64_t expires_at = 0;  // Unix seconds
  ScopeSet scopes;
};
using GrantRef = std::shared_ptr<const Grant>;

// Why a token was refused. The names are part of the wire.
enum class TokenFault : uint8_t {
  kNone,
  kMissingToken,
  kInvalidTokenFormat,
  kInvalidTokenEncoding,
  kInvalidHeader,
  kUnsupportedAlg,
  kMissingKid,
  kUnknownKid,
  kInvalidSignature,
  kInvalidClaims,
  kTokenExpired,
  kTokenNotYetValid,
  kClaimMismatch,
  kMissingJti,
  kTokenTooOld,
};
const char* TokenFaultName(TokenFault fault);

// HS256 secrets by key id.
struct Keyring {
  std::string current;
  std::map<std::string, std::string, std::less<>> keys;

  // Reads {"current":"k1","keys":{"k1":"<base64url secret>", …}}. On failure nothing, and *error is one line that
  // holds no secret.
  static std::optional<Keyring> Load(const std::string& path, std::string* error);
  static std::optional<Keyring> Parse(std::string_view text, std::string* error);
};

struct TokenPolicy {
  std::string issuer;
  std::string audience;
  int64_t max_age_s = 900;  // from iat
  size_t max_token_bytes = 8192;
  size_t max_scopes = 256;
  int64_t clock_skew_s = 30;  // iat and nbf may be this far ahead; exp has no leeway
};

struct TokenResult {
  TokenFault fault = TokenFault::kNone;
  GrantRef grant;  // set when fault is kNone
};

// Verifies in a fixed order: header, signature, claims, expected values; nothing of a token is believed before its
// signature is. Thread-safe.
class TokenVerifier {
 public:
  TokenVerifier(Keyring keyring, TokenPolicy policy) : keyring_(std::move(keyring)), policy_(std::move(policy)) {}

  TokenResult Verify(std::string_view token, int64_t now_unix_s) const;

 private:
  const Keyring keyring_;
  const TokenPolicy policy_;
};

}  // namespace oasync
