// TLS: the server's certificate, and how OpenSSL's contexts are set up and renewed. libwebsockets makes the contexts
// and does the handshakes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace oasync {

// A certificate with its chain and private key, and the keys of session tickets. Immutable, shared by all loops.
struct TlsIdentity;
using TlsIdentityRef = std::shared_ptr<const TlsIdentity>;

// Reads both files (PEM; the chain behind the certificate). Null and one line in *error, which holds no secret, when
// they cannot be read or do not belong together.
TlsIdentityRef LoadTlsIdentity(const std::string& certificate_file, const std::string& key_file, std::string* error);

// Unix seconds at which the certificate expires.
int64_t ExpiryOf(const TlsIdentity& identity);

// Sets up a new context: TLS 1.2 or later, the identity, no renegotiation; with `client_ca_file`, clients must show a
// certificate that it vouches for. Empty, or what failed.
std::string SetUpServerTls(ssl_ctx_st* context, const TlsIdentity& identity, const std::string& client_ca_file);

// Handshakes that a context has begun and completed.
struct TlsHandshakes {
  int64_t begun = 0;
  int64_t completed = 0;
};
TlsHandshakes HandshakesOf(ssl_ctx_st* context);

// Connections accepted from now on are shown `identity`. To be called on the thread that accepts with the context.
void UseIdentity(ssl_ctx_st* context, const TlsIdentity& identity);

}  // namespace oasync
