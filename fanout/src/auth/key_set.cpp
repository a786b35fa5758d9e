#include "auth/key_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "auth/strict_json.h"
#include "base/base64.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxKeys = 256;

// A member that is base64url of bytes; nothing when it is missing or anything else.
std::optional<std::string> BytesOf(const Json& jwk, const char* name) {
  const std::string* text = FindText(jwk, name);
  if (text == nullptr || text->empty() || text->find_first_of("+/=") != std::string::npos) return std::nullopt;
  return Base64Decode(*text);
}

// The algorithm of the key's type; nothing when it is of none that is known here.
std::optional<Algorithm> AlgorithmOfType(const Json& jwk) {
  const std::string* type = FindText(jwk, "kty");
  const std::string* curve = FindText(jwk, "crv");
  if (*type == "RSA") return Algorithm::kRs256;
  if (*type == "EC" && curve != nullptr && *curve == "P-256") return Algorithm::kEs256;
  if (*type == "OKP" && curve != nullptr && *curve == "Ed25519") return Algorithm::kEdDsa;
  return std::nullopt;
}

// Why the key is not for verifying tokens with its algorithm; null when it is.
const char* ReasonToSkip(const Json& jwk, const std::optional<Algorithm>& algorithm) {
  if (!algorithm) return "of a type or curve that is not supported";
  if (const auto use = jwk.find("use"); use != jwk.end() && *use != "sig") return "not for signatures (use)";
  if (const auto operations = jwk.find("key_ops"); operations != jwk.end()) {
    if (!operations->is_array() || std::find(operations->begin(), operations->end(), "verify") == operations->end()) {
      return "not for verifying (key_ops)";
    }
  }
  if (const auto name = jwk.find("alg"); name != jwk.end() && *name != AlgorithmName(*algorithm)) {
    return "for another algorithm than its type's (alg)";
  }
  return nullptr;
}

std::optional<VerifyKey> MakeKey(const Json& jwk, Algorithm algorithm, std::string* error) {
  const auto x = BytesOf(jwk, "x");
  const auto y = BytesOf(jwk, "y");
  const auto modulus = BytesOf(jwk, "n");
  const auto exponent = BytesOf(jwk, "e");
  *error = "a number is missing or is not base64url";
  switch (algorithm) {
    case Algorithm::kRs256:
      return modulus && exponent ? VerifyKey::Rsa(*modulus, *exponent, error) : std::nullopt;
    case Algorithm::kEs256:
      return x && y ? VerifyKey::P256(*x, *y, error) : std::nullopt;
    case Algorithm::kEdDsa:
      return x ? VerifyKey::Ed25519(*x, error) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace

KeySet::KeySet(const Keyring& keyring) : signing_kid_(keyring.current) {
  std::string error;
  for (const auto& [kid, secret] : keyring.keys) {
    if (auto key = VerifyKey::Secret(secret, &error)) keys_.emplace(kid, std::move(*key));
  }
}

bool KeySet::AddJwks(std::string_view text, std::vector<std::string>* warnings, std::string* error) {
  const Json set = ParseStrictJson(text);
  const auto list = set.is_object() ? set.find("keys") : set.end();
  if (!set.is_object() || list == set.end() || !list->is_array() || list->size() > kMaxKeys) {
    *error = R"(the key set must be {"keys":[…]} with at most 256 keys)";
    return false;
  }
  size_t position = 0;
  for (const Json& jwk : *list) {
    const std::string* kid = FindText(jwk, "kid");
    const std::string name = "key " + (kid != nullptr ? '"' + *kid + '"' : "number " + std::to_string(position));
    ++position;
    if (FindText(jwk, "kty") == nullptr) {
      *error = name + " is no key: it has no kty";
      return false;
    }
    // The private members of RSA, EC and OKP keys, and the secret of an "oct" key.
    if (jwk.contains("d") || jwk.contains("p") || jwk.contains("q") || jwk.contains("k")) {
      *error = name + " is private or secret; only public keys belong into a key set, secrets into a keyring";
      return false;
    }
    const auto algorithm = AlgorithmOfType(jwk);
    const char* skip = kid == nullptr || kid->empty() ? "without a kid" : ReasonToSkip(jwk, algorithm);
    if (skip != nullptr) {
      warnings->push_back(name + " is left out: it is " + skip);
      continue;
    }
    std::string reason;
    auto key = MakeKey(jwk, *algorithm, &reason);
    if (!key) {
      *error = name;
      error->append(": ").append(reason);
      return false;
    }
    if (!keys_.emplace(*kid, std::move(*key)).second) {
      *error = name + " is there twice";
      return false;
    }
  }
  return true;
}

const VerifyKey* KeySet::Find(std::string_view kid) const {
  const auto it = keys_.find(kid);
  return it == keys_.end() ? nullptr : &it->second;
}

std::shared_ptr<const KeySet> LoadKeySet(const KeyFile& keyring, const KeyFile& jwks,
                                         std::vector<std::string>* warnings, std::string* error) {
  auto keys = std::make_shared<KeySet>();
  const auto fail = [error](const KeyFile& file) {
    *error = std::string(file.setting) + ": " + *error;
    return nullptr;
  };
  if (!keyring.path.empty()) {
    const auto ring = Keyring::Load(keyring.path, error);
    if (!ring) return fail(keyring);
    *keys = KeySet(*ring);
  }
  if (!jwks.path.empty()) {
    std::string text;
    std::vector<std::string> left_out;
    if (!ReadSmallFile(jwks.path, &text, error) || !keys->AddJwks(text, &left_out, error)) return fail(jwks);
    for (const std::string& key : left_out) warnings->push_back(std::string(jwks.setting) + ": " + key);
  }
  if (keys->size() > 0) return keys;
  *error = "there is no key to verify tokens with";
  return fail(jwks);
}

}  // namespace oasync
