// KeySet: the keys that tokens are verified with, from a keyring of secrets, a JWKS file of public keys, or both.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/verify_key.h"

namespace oasync {

// HS256 secrets by key id.
struct Keyring {
  std::string current;
  std::map<std::string, std::string, std::less<>> keys;

  // Reads {"current":"k1","keys":{"k1":"<base64url secret>", …}}. On failure nothing, and *error is one line that
  // holds no secret.
  static std::optional<Keyring> Load(const std::string& path, std::string* error);
  static std::optional<Keyring> Parse(std::string_view text, std::string* error);
};

// Immutable once built; shared by everybody who verifies.
class KeySet {
 public:
  KeySet() = default;
  // A ring from Keyring::Parse, which has checked it.
  explicit KeySet(const Keyring& keyring);

  // Adds the public keys of a JSON Web Key Set (RFC 7517). What cannot verify tokens here (an unknown kty or curve,
  // another use, another alg, no kid) is left out, and *warnings says so. False, and *error, for what is no key set,
  // for keys too weak or broken, for two keys of one kid, and for private or secret keys: those do not belong into a
  // file that is handed around. Neither names more of a key than its kid.
  bool AddJwks(std::string_view text, std::vector<std::string>* warnings, std::string* error);

  const VerifyKey* Find(std::string_view kid) const;
  // The keyring's current key; both null when there is no keyring.
  const VerifyKey* signing_key() const { return signing_kid_.empty() ? nullptr : Find(signing_kid_); }
  const std::string& signing_kid() const { return signing_kid_; }
  size_t size() const { return keys_.size(); }

 private:
  std::map<std::string, VerifyKey, std::less<>> keys_;
  std::string signing_kid_;
};

// A file that a setting names; not given when the path is empty.
struct KeyFile {
  const char* setting;  // "--jwt-keyring", for messages
  std::string path;
};

// The set of the files that are given. Null, and *error beginning with the setting, when one of them is not to be used
// or there is no key in them. Warnings begin with the setting too.
std::shared_ptr<const KeySet> LoadKeySet(const KeyFile& keyring, const KeyFile& jwks,
                                         std::vector<std::string>* warnings, std::string* error);

// The file's text; false and *error when it cannot be read or has more than a megabyte.
bool ReadSmallFile(const std::string& path, std::string* text, std::string* error);

}  // namespace oasync
