// VerifyKey: one key, and the one algorithm it is for.
//
// On OpenSSL itself rather than on a JWT library: libjwt 1.10 (Debian's) reads no JWKS, parses header and claims before
// the signature with a parser that takes a member's last duplicate, picks the key by the token's alg, and answers with
// one error for everything, where wire.md has an order of checks and a reason for each. What remains is one call of EVP
// per algorithm, and the form of the signature, which is checked here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace oasync {

enum class Algorithm : uint8_t { kHs256, kRs256, kEs256, kEdDsa };
inline constexpr uint8_t kAlgorithms = 4;

const char* AlgorithmName(Algorithm algorithm);
// By its exact name; nothing for any other, "none" above all.
std::optional<Algorithm> FindAlgorithm(std::string_view name);

// A set of algorithms.
class AlgorithmSet {
 public:
  static AlgorithmSet All() { return AlgorithmSet((1u << kAlgorithms) - 1); }
  AlgorithmSet() = default;
  void Add(Algorithm algorithm) { bits_ |= 1u << static_cast<uint8_t>(algorithm); }
  bool Has(Algorithm algorithm) const { return (bits_ >> static_cast<uint8_t>(algorithm) & 1u) != 0; }

 private:
  explicit AlgorithmSet(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};

// Immutable; any thread may verify. Each maker returns nothing and sets *error (which names no key) for a key that must
// not be used.
class VerifyKey {
 public:
  // HS256; the secret is at least as long as the hash (RFC 7518, 3.2).
  static std::optional<VerifyKey> Secret(std::string secret, std::string* error);
  // RS256; big-endian numbers. Moduli of 2048 to 8192 bits, an odd exponent from 3 on.
  static std::optional<VerifyKey> Rsa(std::string_view modulus, std::string_view exponent, std::string* error);
  // ES256; coordinates of a point of P-256, 32 bytes each.
  static std::optional<VerifyKey> P256(std::string_view x, std::string_view y, std::string* error);
  // EdDSA; 32 bytes.
  static std::optional<VerifyKey> Ed25519(std::string_view x, std::string* error);

  Algorithm algorithm() const { return algorithm_; }
  bool Verify(std::string_view text, std::string_view signature) const;
  // The signature of an HS256 key; empty for any other.
  std::string Sign(std::string_view text) const;

 private:
  VerifyKey(Algorithm algorithm, std::string secret, std::shared_ptr<evp_pkey_st> key)
      : algorithm_(algorithm), secret_(std::move(secret)), key_(std::move(key)) {}

  Algorithm algorithm_;
  std::string secret_;
  std::shared_ptr<evp_pkey_st> key_;  // null for a secret
};

}  // namespace oasync
