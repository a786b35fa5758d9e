// TokenIssuer: makes the tokens that this server, and every one with the same keys, accepts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/identity.h"
#include "auth/key_set.h"
#include "auth/token.h"
#include "base/current.h"

namespace oasync {

// Seconds a token is good for.
inline constexpr int64_t kTokenTtlDefaultS = 300;
inline constexpr int64_t kTokenTtlMinS = 60;
inline constexpr int64_t kTokenTtlMaxS = 900;

struct TokenRequest {
  std::vector<std::string> scopes;  // as they go into the token
  int64_t ttl_s = kTokenTtlDefaultS;
  std::string device_id;  // may be empty
};

struct IssuedToken {
  std::string token;
  std::string kid;
  int64_t issued_at = 0;  // Unix seconds
  int64_t expires_at = 0;
};

// Signs with HS256 and the keyring's current key. Thread-safe.
class TokenIssuer {
 public:
  // The policy is that of who verifies: it says whose tokens they are, for whom, and how large they may be.
  TokenIssuer(std::shared_ptr<const Current<KeySet>> keys, TokenPolicy policy,
              int64_t default_ttl_s = kTokenTtlDefaultS)
      : keys_(std::move(keys)), policy_(std::move(policy)), default_ttl_s_(default_ttl_s) {}

  // Nothing when there is no key to sign with. REQUIRES: request.ttl_s within the bounds above.
  std::optional<IssuedToken> Issue(const Identity& identity, const TokenRequest& request, int64_t now_unix_s) const;

  bool CanSign() const;
  const TokenPolicy& policy() const { return policy_; }
  int64_t default_ttl_s() const { return default_ttl_s_; }

 private:
  const std::shared_ptr<const Current<KeySet>> keys_;
  const TokenPolicy policy_;
  const int64_t default_ttl_s_;
};

}  // namespace oasync
