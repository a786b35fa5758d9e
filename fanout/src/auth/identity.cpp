#include "auth/identity.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <set>

#include "auth/strict_json.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

constexpr size_t kDigestBytes = 32;
constexpr size_t kMinSecretChars = 32;
constexpr size_t kMaxKeyChars = 8192;
constexpr size_t kMaxKeys = 10000;

std::string Digest(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
  return {reinterpret_cast<const char*>(digest.data()), length};
}

std::optional<std::string> FromHex(std::string_view text) {
  std::string bytes;
  if (text.size() != 2 * kDigestBytes) return std::nullopt;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = OPENSSL_hexchar2int(static_cast<unsigned char>(text[i]));
    const int low = OPENSSL_hexchar2int(static_cast<unsigned char>(text[i + 1]));
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

// The key's digest, from "sha256" or from "secret"; nothing and *error when neither is usable.
std::optional<std::string> ReadDigest(const Json& key, std::string* error) {
  const std::string* hex = FindText(key, "sha256");
  const std::string* secret = FindText(key, "secret");
  if ((hex == nullptr) == (secret == nullptr)) {
    *error = R"(needs either "sha256" or "secret")";
    return std::nullopt;
  }
  if (secret != nullptr) {
    if (secret->size() >= kMinSecretChars) return Digest(*secret);
    *error = "the secret must have at least 32 characters";
    return std::nullopt;
  }
  auto digest = FromHex(*hex);
  if (!digest) *error = "sha256 must be 64 hexadecimal digits";
  return digest;
}

// "may": a list of "token", "revoke" and "observe"; without it, "token".
bool ReadRights(const Json& key, Identity* identity) {
  const auto may = key.find("may");
  identity->may_mint = may == key.end();
  if (may == key.end()) return true;
  if (!may->is_array()) return false;
  for (const Json& right : *may) {
    if (right != "token" && right != "revoke" && right != "observe") return false;
    (right == "token" ? identity->may_mint : right == "revoke" ? identity->may_revoke : identity->may_observe) = true;
  }
  return true;
}

bool ReadScopesOf(const Json& key, std::vector<std::string>* scopes) {
  const auto list = key.find("scopes");
  if (list == key.end()) return true;
  if (!list->is_array()) return false;
  for (const Json& scope : *list) {
    if (!scope.is_string() || scope.get_ref<const std::string&>().empty()) return false;
    scopes->push_back(scope.get<std::string>());
  }
  return true;
}

// A misspelt member must not go unnoticed: it might be the one that narrows what a key may do.
const char* FindUnknownMember(const Json& key) {
  static constexpr std::array kKnown = {"id",     "sha256",    "secret", "subject", "user_id",
                                        "org_id", "device_id", "scopes", "may",     "comment"};
  for (const auto& [name, value] : key.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) return "has a member that is not known";
  }
  return nullptr;
}

// Empty, or what is wrong with the key.
std::string ReadIdentity(const Json& key, Identity* identity) {
  const auto text = [&key](const char* name, std::string* value) {
    const std::string* found = FindText(key, name);
    if (found != nullptr) *value = *found;
    return found != nullptr || !key.contains(name);
  };
  if (const char* unknown = FindUnknownMember(key)) return unknown;
  if (!text("subject", &identity->subject) || !text("user_id", &identity->user_id) ||
      !text("org_id", &identity->org_id) || !text("device_id", &identity->device_id)) {
    return "subject, user_id, org_id and device_id must be strings";
  }
  if (!ReadRights(key, identity)) return R"("may" must be a list of "token", "revoke" and "observe")";
  if (!ReadScopesOf(key, &identity->scopes)) return R"("scopes" must be a list of scopes)";
  if (identity->may_mint && identity->subject.empty()) return "needs a subject, for the tokens it is to be given";
  return {};
}

// The credentials of "Bearer …"; nothing when it is anything else.
std::optional<std::string_view> BearerOf(std::string_view authorization) {
  constexpr std::string_view kBearer = "Bearer ";
  if (authorization.size() <= kBearer.size() || authorization.size() > kMaxKeyChars ||
      strncasecmp(authorization.data(), kBearer.data(), kBearer.size()) != 0) {
    return std::nullopt;
  }
  return authorization.substr(kBearer.size());
}

}  // namespace

std::optional<ServiceKeys> ServiceKeys::Parse(std::string_view text, std::string* error) {
  const Json file = ParseStrictJson(text);
  if (!file.is_object() || !file.contains("keys") || !file["keys"].is_array() || file["keys"].size() > kMaxKeys) {
    *error = R"(the service keys must be {"keys":[{"id":…,"sha256":…,"subject":…,"scopes":[…]}]})";
    return std::nullopt;
  }
  ServiceKeys keys;
  std::set<std::string> ids;
  std::set<std::string> digests;
  for (const Json& key : file["keys"]) {
    const std::string* id = FindText(key, "id");
    if (id == nullptr || id->empty() || !ids.insert(*id).second) {
      *error = "every service key needs an \"id\" of its own";
      return std::nullopt;
    }
    Entry entry;
    std::string reason;
    auto digest = ReadDigest(key, &reason);
    if (digest) reason = ReadIdentity(key, &entry.identity);
    if (reason.empty() && !digests.insert(*digest).second) reason = "is the same key as another one";
    if (!reason.empty()) {
      *error = "service key \"" + *id + "\": " + reason;
      return std::nullopt;
    }
    entry.digest = std::move(*digest);
    keys.entries_.push_back(std::move(entry));
  }
  return keys;
}

const Identity* ServiceKeys::Find(std::string_view key) const {
  const std::string digest = Digest(key);
  const Identity* found = nullptr;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), kDigestBytes) == 0) found = &entry.identity;
  }
  return found;
}

std::shared_ptr<const Identity> IdentityCheck::Recognize(std::string_view authorization, int64_t now_unix_s,
                                                         const char** reason) const {
  const auto credentials = BearerOf(authorization);
  if (!credentials) {
    *reason = "missing_credentials";
    return nullptr;
  }
  if (options_.service_keys != nullptr) {
    const auto keys = options_.service_keys->Get();
    // Shares the ownership of the keys, which may be replaced meanwhile.
    if (const Identity* identity = keys->Find(*credentials)) return {keys, identity};
  }
  *reason = "unknown_service_key";
  // A token has two dots; a service key may be anything, so it was looked for first.
  if (options_.identity_tokens == nullptr || std::count(credentials->begin(), credentials->end(), '.') != 2) {
    return nullptr;
  }
  TokenResult result = options_.identity_tokens->Verify(*credentials, now_unix_s);
  if (!result.grant) {
    *reason = TokenFaultName(result.fault);
    return nullptr;
  }
  auto identity = std::make_shared<Identity>();
  identity->subject = result.grant->subject;
  identity->user_id = std::move(result.user_id);
  identity->org_id = result.grant->org_id;
  identity->session_id = result.grant->session_id;
  identity->device_id = result.grant->device_id;
  identity->token_id = result.grant->token_id;
  identity->scopes = std::move(result.scopes).value_or(options_.default_scopes);
  identity->may_mint = true;
  return identity;
}

}  // namespace oasync
