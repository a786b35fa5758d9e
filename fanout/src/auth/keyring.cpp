#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "auth/token.h"
#include "base/base64.h"

namespace oasync {

namespace {
// RFC 7518 3.2: an HS256 key must be at least as long as the hash.
constexpr size_t kMinSecretBytes = 32;
}  // namespace

std::optional<Keyring> Keyring::Parse(std::string_view text, std::string* error) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("current") || !json["current"].is_string() || !json.contains("keys") ||
      !json["keys"].is_object()) {
    *error = R"(the keyring must be {"current":"<kid>","keys":{"<kid>":"<base64url secret>"}})";
    return std::nullopt;
  }
  Keyring keyring;
  keyring.current = json["current"].get<std::string>();
  for (const auto& [kid, value] : json["keys"].items()) {
    const auto secret = value.is_string() ? Base64Decode(value.get_ref<const std::string&>()) : std::nullopt;
    if (kid.empty() || !secret || secret->size() < kMinSecretBytes) {
      *error = "the secret of key \"" + kid + "\" must be base64url of at least 32 bytes";
      return std::nullopt;
    }
    keyring.keys[kid] = *secret;
  }
  if (keyring.keys.find(keyring.current) == keyring.keys.end()) {
    *error = "the current key \"" + keyring.current + "\" is not among the keys";
    return std::nullopt;
  }
  return keyring;
}

std::optional<Keyring> Keyring::Load(const std::string& path, std::string* error) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    *error = "cannot be read";
    return std::nullopt;
  }
  return Parse(text.str(), error);
}

}  // namespace oasync
