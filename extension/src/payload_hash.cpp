// The EVP interface frees and allocates its state for every message, which costs ten times the hash of a small
// payload; the older one keeps it on the stack and runs the same code.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "payload_hash.h"

namespace oasync {

static_assert(kHashBytes == SHA256_DIGEST_LENGTH);

void HashPayload(std::string_view payload, uint8* hash) {
  SHA256_CTX context;
  if (SHA256_Init(&context) != 1 || SHA256_Update(&context, payload.data(), payload.size()) != 1 ||
      SHA256_Final(hash, &context) != 1) {
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not compute a sha256 hash")));
  }
}

const uint8* NullPayloadHash() {
  static uint8 hash[kHashBytes];
  static bool known = false;
  if (!known) {
    HashPayload("null", hash);
    known = true;
  }
  return hash;
}

}  // namespace oasync
