#include "auth/authentication.h"

#include <utility>

#include "base/log.h"

namespace oasync {

Authentication::Authentication(const AuthenticationOptions& options, const Clock& clock, SharedCounters& shared)
    : options_(options),
      clock_(clock),
      shared_(shared),
      keys_(std::make_shared<Current<KeySet>>()),
      identity_keys_(std::make_shared<Current<KeySet>>()),
      service_keys_(std::make_shared<Current<ServiceKeys>>()),
      revocations_(options.max_revocations),
      verifier_(keys_, options.tokens, &revocations_),
      identity_(IdentityOptions()),
      issuer_(keys_, options.tokens, options.token_ttl_s),
      token_endpoint_(endpoint_environment(), issuer_, &revocations_) {
  // The watch begins before the file is read: what is written meanwhile is read again.
  const auto watch = [this](std::string (Authentication::*load)(), const std::vector<std::string>& paths) {
    Group group{{}, load};
    for (const std::string& path : paths) {
      if (!path.empty()) group.files.emplace_back(path);
    }
    if (!group.files.empty()) groups_.push_back(std::move(group));
  };
  watch(&Authentication::LoadKeys, {options_.keyring_file, options_.jwks_file});
  watch(&Authentication::LoadIdentityKeys, {options_.identity_keyring_file, options_.identity_jwks_file});
  watch(&Authentication::LoadServiceKeys, {options_.service_keys_file});
}

IdentityCheck::Options Authentication::IdentityOptions() const {
  IdentityCheck::Options identity;
  if (!options_.service_keys_file.empty()) identity.service_keys = service_keys_;
  if (!options_.identity_keyring_file.empty() || !options_.identity_jwks_file.empty()) {
    TokenPolicy policy = options_.identities;
    policy.is_identity = true;
    identity.identity_tokens = std::make_shared<TokenVerifier>(identity_keys_, std::move(policy), &revocations_);
  }
  identity.default_scopes = options_.identity_scopes;
  return identity;
}

std::string Authentication::Load() {
  for (const Group& group : groups_) {
    if (std::string error = (this->*group.load)(); !error.empty()) return error;
  }
  return {};
}

void Authentication::Reload(bool all) {
  for (Group& group : groups_) {
    bool changed = all;
    for (FileWatch& file : group.files) changed = file.Changed() || changed;
    if (!changed) continue;
    const std::string error = (this->*group.load)();
    shared_.key_reloads.Add(error.empty() ? "ok" : "failed");
    if (error.empty()) {
      LogInfo("keys.changed", "keys were read again");
    } else {
      LogError("keys.kept", "the keys in use are kept: {error}", {{"error", error}});
    }
  }
}

std::string Authentication::Fill(const KeyFile& keyring, const KeyFile& jwks, Current<KeySet>* keys) {
  std::string error;
  std::vector<std::string> warnings;
  auto read = LoadKeySet(keyring, jwks, &warnings, &error);
  if (!read) return error;
  for (const std::string& warning : warnings) LogWarn("keys.warning", "{warning}", {{"warning", warning}});
  keys->Set(std::move(read));
  return {};
}

std::string Authentication::LoadKeys() {
  return Fill({"--jwt-keyring", options_.keyring_file}, {"--jwt-jwks", options_.jwks_file}, keys_.get());
}

std::string Authentication::LoadIdentityKeys() {
  return Fill({"--identity-keyring", options_.identity_keyring_file}, {"--identity-jwks", options_.identity_jwks_file},
              identity_keys_.get());
}

std::string Authentication::LoadServiceKeys() {
  std::string text;
  std::string error;
  std::optional<ServiceKeys> keys;
  if (ReadSmallFile(options_.service_keys_file, &text, &error)) keys = ServiceKeys::Parse(text, &error);
  if (!keys) return "--service-keys: " + error;
  service_keys_->Set(std::make_shared<ServiceKeys>(std::move(*keys)));
  return {};
}

}  // namespace oasync
