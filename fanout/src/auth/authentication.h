// Authentication: all of it together, from the settings; and its files, which are read again when they change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "auth/endpoints.h"
#include "auth/identity.h"
#include "auth/key_set.h"
#include "auth/revocation_list.h"
#include "auth/token.h"
#include "auth/token_issuer.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/file_watch.h"

namespace oasync {

struct AuthenticationOptions {
  // Keys of tokens: one of the files, or both.
  std::string keyring_file;
  std::string jwks_file;
  TokenPolicy tokens;
  int64_t token_ttl_s = kTokenTtlDefaultS;  // of those made here
  // Who may ask for tokens; each may be empty.
  std::string service_keys_file;
  std::string identity_keyring_file;
  std::string identity_jwks_file;
  TokenPolicy identities;
  std::vector<std::string> identity_scopes;
  uint32_t max_revocations = 100000;
};

class Authentication {
 public:
  // The references must outlive it.
  Authentication(const AuthenticationOptions& options, const Clock& clock, SharedCounters& shared);

  // Reads every file; empty, or one line that begins with the setting. Before anything else.
  std::string Load();
  // Reads the files that have changed, or all of them. What cannot be used is logged and counted, and what there was
  // stays in use. To be called by one thread, every second or so.
  void Reload(bool all);

  const TokenVerifier& verifier() const { return verifier_; }
  RevocationList& revocations() { return revocations_; }
  const TokenEndpoint& token_endpoint() const { return token_endpoint_; }
  // For the other endpoint.
  EndpointEnvironment endpoint_environment() const { return {identity_, clock_, shared_}; }

 private:
  // Files that make one thing together.
  struct Group {
    std::vector<FileWatch> files;
    std::string (Authentication::*load)();  // empty, or what is wrong
  };

  std::string LoadKeys();
  std::string LoadIdentityKeys();
  std::string LoadServiceKeys();
  static std::string Fill(const KeyFile& keyring, const KeyFile& jwks, Current<KeySet>* keys);
  IdentityCheck::Options IdentityOptions() const;

  const AuthenticationOptions options_;
  const Clock& clock_;
  SharedCounters& shared_;
  const std::shared_ptr<Current<KeySet>> keys_;
  const std::shared_ptr<Current<KeySet>> identity_keys_;
  const std::shared_ptr<Current<ServiceKeys>> service_keys_;
  std::vector<Group> groups_;
  RevocationList revocations_;
  TokenVerifier verifier_;
  IdentityCheck identity_;
  TokenIssuer issuer_;
  TokenEndpoint token_endpoint_;
};

}  // namespace oasync
