#include "canonical_text.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <new>

#include "base/base64.h"
#include "canonical_json.h"  // of the extension

namespace oasync {

// The memory of the extension's Bytes, outside of a server.
void* Reallocate(void* memory, size_t size) {
  void* grown = realloc(memory, size);
  if (grown == nullptr) throw std::bad_alloc();
  return grown;
}

void Release(void* memory) { free(memory); }

namespace terminal {
namespace {

constexpr size_t kHexDigits = size_t{2} * SHA256_DIGEST_LENGTH;

struct OwnedBytes {
  Bytes bytes;
  OwnedBytes() = default;
  ~OwnedBytes() { bytes.Free(); }
  OwnedBytes(const OwnedBytes&) = delete;
  OwnedBytes& operator=(const OwnedBytes&) = delete;
};

}  // namespace

std::optional<std::string> CanonicalJson(std::string_view text) {
  OwnedBytes out;
  if (AppendCanonicalJson(out.bytes, text) != JsonStatus::kOk) return std::nullopt;
  return std::string(out.bytes.view());
}

std::optional<std::string> PayloadHash(std::string_view json) {
  const auto canonical = CanonicalJson(json);
  if (!canonical) return std::nullopt;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(canonical->data()), canonical->size(), hash.data());
  return HashOfBytes({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

std::optional<std::string> NormalHash(std::string_view text) {
  if (text.substr(0, 2) == "\\x") text.remove_prefix(2);  // as PostgreSQL prints bytea
  if (text.size() == kHexDigits) {
    std::string lower(text);
    for (char& c : lower) {
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return lower;
  }
  const auto bytes = Base64Decode(text);
  if (!bytes || bytes->size() != SHA256_DIGEST_LENGTH) return std::nullopt;
  return HashOfBytes(*bytes);
}

std::string HashOfBytes(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  if (bytes.size() != SHA256_DIGEST_LENGTH) return text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

}  // namespace terminal
}  // namespace oasync
