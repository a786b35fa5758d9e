#include <fstream>
#include <nlohmann/json.hpp>

#include "auth/key_set.h"
#include "auth/strict_json.h"
#include "base/base64.h"

namespace oasync {

std::optional<Keyring> Keyring::Parse(std::string_view text, std::string* error) {
  const auto json = ParseStrictJson(text);
  const std::string* current = FindText(json, "current");
  if (current == nullptr || !json.contains("keys") || !json["keys"].is_object()) {
    *error = R"(the keyring must be {"current":"<kid>","keys":{"<kid>":"<base64url secret>"}})";
    return std::nullopt;
  }
  Keyring keyring;
  keyring.current = *current;
  for (const auto& [kid, value] : json["keys"].items()) {
    const auto secret = value.is_string() ? Base64Decode(value.get_ref<const std::string&>()) : std::nullopt;
    std::string reason;
    if (kid.empty() || !secret || !VerifyKey::Secret(*secret, &reason)) {
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
  std::string text;
  if (!ReadSmallFile(path, &text, error)) return std::nullopt;
  return Parse(text, error);
}

bool ReadSmallFile(const std::string& path, std::string* text, std::string* error) {
  constexpr size_t kMaxBytes = 1048576;
  std::ifstream file(path, std::ios::binary);
  text->assign(kMaxBytes + 1, '\0');
  file.read(text->data(), static_cast<std::streamsize>(text->size()));
  if (file.bad() || (!file && !file.eof())) {
    *error = "cannot be read";
    return false;
  }
  text->resize(static_cast<size_t>(file.gcount()));
  if (text->size() <= kMaxBytes) return true;
  *error = "has more than a megabyte";
  return false;
}

}  // namespace oasync
