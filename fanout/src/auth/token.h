// Tokens: what a client shows to be let in, and what it is then allowed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/grant.h"
#include "auth/key_set.h"
#include "auth/revocation_list.h"
#include "base/current.h"

namespace oasync {

// What oa_claims_version must be.
inline constexpr char kClaimsVersion[] = "oa_sync_claims_v1";

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
  kTokenRevoked,
};
const char* TokenFaultName(TokenFault fault);
// All of them but that of kNone.
std::span<const char* const> TokenFaultNames();

// What a token has to be like.
struct TokenPolicy {
  std::string issuer;
  std::string audience;
  int64_t max_age_s = 900;  // from iat
  size_t max_token_bytes = 8192;
  size_t max_scopes = 256;
  int64_t clock_skew_s = 30;  // iat and nbf may be this far ahead; exp has no leeway
  AlgorithmSet algorithms = AlgorithmSet::All();
  // An application's own token, which only says who somebody is: oa_claims_version, jti and scopes are not asked for.
  bool is_identity = false;
};

struct TokenResult {
  TokenFault fault = TokenFault::kNone;
  GrantRef grant;  // set when fault is kNone
  // Of an identity token, beside the grant, which has no scopes then: as they are written.
  std::string user_id{};
  std::optional<std::vector<std::string>> scopes{};  // nothing when it does not say; an empty list is one
};

// Verifies in a fixed order: header, signature, claims, expected values, revocation; nothing of a token is believed
// before its signature is. The key is the one that the token's kid names, and its algorithm the only one that counts:
// a token whose alg is another one is refused, whatever it is signed with. Thread-safe.
class TokenVerifier {
 public:
  // `keys` may be replaced at any time. `revocations` may be null, and must outlive the verifier.
  TokenVerifier(std::shared_ptr<const Current<KeySet>> keys, TokenPolicy policy,
                const RevocationList* revocations = nullptr)
      : keys_(std::move(keys)), policy_(std::move(policy)), revocations_(revocations) {}
  // A ring for good.
  TokenVerifier(const Keyring& keyring, TokenPolicy policy)
      : TokenVerifier(std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(keyring)), std::move(policy)) {}

  TokenResult Verify(std::string_view token, int64_t now_unix_s) const;

  // Why the grant, which was good once, is revoked; nothing when it is not.
  std::optional<RevocationReason> Revoked(const Grant& grant, int64_t now_unix_s) const;

 private:
  const std::shared_ptr<const Current<KeySet>> keys_;
  const TokenPolicy policy_;
  const RevocationList* const revocations_;
};

}  // namespace oasync
