#include "auth/verify_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#include <array>

namespace oasync {
namespace {

constexpr size_t kHashBytes = 32;
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // beyond it one verification takes a loop's time from everybody else
constexpr int kMaxExponentBits = 64;
constexpr size_t kCoordinateBytes = 32;
constexpr size_t kEd25519Bytes = 32;
constexpr size_t kSignatureBytes = 64;  // of ES256 and of Ed25519

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;

using Number = Owned<BIGNUM, BN_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using ParamBuilder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using EcSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;
using PublicKey = std::shared_ptr<EVP_PKEY>;

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Number ToNumber(std::string_view bytes) {
  return Number(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

// Null when OpenSSL finds the numbers to be no key of that kind.
PublicKey BuildKey(const char* kind, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0) {
    return nullptr;
  }
  PublicKey owned(key, EVP_PKEY_free);
  const KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) <= 0) return nullptr;
  return owned;
}

// ES256's signature is r || s (RFC 7518, 3.4); OpenSSL's is their DER sequence. Empty when the length is wrong, so that
// a DER signature, or one with anything added, is none. (r, n - s) verifies where (r, s) does, and has to: signers do
// not care which they make. Nothing here takes a signature for the name of a token.
std::string ToDer(std::string_view signature) {
  if (signature.size() != kSignatureBytes) return {};
  Number r = ToNumber(signature.substr(0, kCoordinateBytes));
  Number s = ToNumber(signature.substr(kCoordinateBytes));
  const EcSignature pair(ECDSA_SIG_new());
  if (!r || !s || !pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();  // owned by the pair now
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

bool VerifyPublic(EVP_PKEY* key, const EVP_MD* digest, std::string_view text, std::string_view signature) {
  const DigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text), text.size()) == 1;
}

constexpr const char* kNames[kAlgorithms] = {"HS256", "RS256", "ES256", "EdDSA"};

}  // namespace

const char* AlgorithmName(Algorithm algorithm) { return kNames[static_cast<size_t>(algorithm)]; }

std::optional<Algorithm> FindAlgorithm(std::string_view name) {
  for (uint8_t i = 0; i < kAlgorithms; ++i) {
    if (name == kNames[i]) return static_cast<Algorithm>(i);
  }
  return std::nullopt;
}

std::optional<VerifyKey> VerifyKey::Secret(std::string secret, std::string* error) {
  if (secret.size() < kHashBytes) {
    *error = "a secret must have at least 32 bytes";
    return std::nullopt;
  }
  return VerifyKey(Algorithm::kHs256, std::move(secret), nullptr);
}

std::optional<VerifyKey> VerifyKey::Rsa(std::string_view modulus, std::string_view exponent, std::string* error) {
  // Checked before the numbers are made: their size is the file's.
  if (modulus.size() > kMaxRsaBits / 8 || exponent.size() > kMaxExponentBits / 8) {
    *error = "RSA keys may have a modulus of 8192 bits and an exponent of 64 bits at most";
    return std::nullopt;
  }
  const Number n = ToNumber(modulus);
  const Number e = ToNumber(exponent);
  if (!n || !e || BN_num_bits(n.get()) < kMinRsaBits) {
    *error = "RSA keys must have at least 2048 bits";
    return std::nullopt;
  }
  // With an exponent of 1 every text would be its own signature.
  if (BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1) {
    *error = "the RSA exponent must be odd and at least 3";
    return std::nullopt;
  }
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  PublicKey key;
  if (builder && OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1) {
    key = BuildKey("RSA", builder.get());
  }
  if (!key) {
    *error = "not an RSA key";
    return std::nullopt;
  }
  return VerifyKey(Algorithm::kRs256, {}, std::move(key));
}

std::optional<VerifyKey> VerifyKey::P256(std::string_view x, std::string_view y, std::string* error) {
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  std::string point("\x04");  // uncompressed
  point.append(x).append(y);
  PublicKey key;
  if (x.size() == kCoordinateBytes && y.size() == kCoordinateBytes && builder &&
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1) {
    key = BuildKey("EC", builder.get());
  }
  if (!key) {
    *error = "not a point of the curve P-256";
    return std::nullopt;
  }
  return VerifyKey(Algorithm::kEs256, {}, std::move(key));
}

std::optional<VerifyKey> VerifyKey::Ed25519(std::string_view x, std::string* error) {
  PublicKey key;
  if (x.size() == kEd25519Bytes) {
    key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(x), x.size()), EVP_PKEY_free);
  }
  if (!key) {
    *error = "an Ed25519 key has 32 bytes";
    return std::nullopt;
  }
  return VerifyKey(Algorithm::kEdDsa, {}, std::move(key));
}

std::string VerifyKey::Sign(std::string_view text) const {
  if (algorithm_ != Algorithm::kHs256) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), Bytes(text), text.size(), mac.data(),
           &length) == nullptr) {
    return {};
  }
  return {reinterpret_cast<const char*>(mac.data()), length};
}

bool VerifyKey::Verify(std::string_view text, std::string_view signature) const {
  switch (algorithm_) {
    case Algorithm::kHs256: {
      const std::string mac = Sign(text);
      return !mac.empty() && signature.size() == mac.size() &&
             CRYPTO_memcmp(signature.data(), mac.data(), mac.size()) == 0;
    }
    case Algorithm::kRs256:
      return VerifyPublic(key_.get(), EVP_sha256(), text, signature);
    case Algorithm::kEs256: {
      const std::string der = ToDer(signature);
      return !der.empty() && VerifyPublic(key_.get(), EVP_sha256(), text, der);
    }
    case Algorithm::kEdDsa:
      return signature.size() == kSignatureBytes && VerifyPublic(key_.get(), nullptr, text, signature);
  }
  return false;
}

}  // namespace oasync
