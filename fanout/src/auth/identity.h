// Identity: who asks for a token. Service keys from a file, and identity tokens that the application signed.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/token.h"
#include "base/current.h"

namespace oasync {

// Somebody who was recognized. Scopes are as they were written, with claim placeholders.
struct Identity {
  std::string subject;
  std::string user_id;     // oa_user_id; may be empty
  std::string org_id;      // oa_org_id; may be empty
  std::string session_id;  // oa_session_id; may be empty
  std::string device_id;   // the only device it may name; may be empty
  std::string token_id;    // jti of the identity token; empty for a service key
  std::vector<std::string> scopes;
  bool may_mint = false;
  bool may_revoke = false;
  bool may_observe = false;  // what operators ask of the admin listener
};

// Service keys: long random texts that programs show as `Authorization: Bearer <key>`. Immutable; any thread.
class ServiceKeys {
 public:
  // Reads {"keys":[{"id","sha256" (hex, of the key)|"secret","subject","org_id"?,"user_id"?,"device_id"?,
  // "scopes":[…],"may"?:["token","revoke","observe"]}]}. On failure nothing, and *error is one line that holds no
  // secret.
  static std::optional<ServiceKeys> Parse(std::string_view text, std::string* error);

  // Looks at every key, so that the time tells nothing about them. Null when it is none of them.
  const Identity* Find(std::string_view key) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string digest;  // SHA-256 of the key
    Identity identity;
  };
  std::vector<Entry> entries_;
};

// Recognizes who asks, by whatever this server was given. Thread-safe.
class IdentityCheck {
 public:
  struct Options {
    // Either may be null: then nobody is recognized that way.
    std::shared_ptr<const Current<ServiceKeys>> service_keys;
    std::shared_ptr<const TokenVerifier> identity_tokens;
    // What an identity token without oa_sync_scopes may ask for.
    std::vector<std::string> default_scopes;
  };
  explicit IdentityCheck(Options options) : options_(std::move(options)) {}

  // Whether anybody can be recognized at all.
  bool IsConfigured() const { return options_.service_keys != nullptr || options_.identity_tokens != nullptr; }
  bool HasServiceKeys() const { return options_.service_keys != nullptr; }
  // By the header Authorization. Null when it names nobody; then *reason says why, by a name of a fixed list.
  std::shared_ptr<const Identity> Recognize(std::string_view authorization, int64_t now_unix_s,
                                            const char** reason) const;

 private:
  Options options_;
};

}  // namespace oasync
