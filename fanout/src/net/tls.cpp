#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdint>
#include <ctime>

namespace oasync {
namespace {

constexpr size_t kTicketKeyBytes = 80;  // what SSL_CTX_set_tlsext_ticket_keys takes

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// The newest of OpenSSL's errors, in words; they name files and functions, not contents.
std::string Reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return text == nullptr ? "unknown error" : text;
}

}  // namespace

struct TlsIdentity {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
  Owned<STACK_OF(X509)> chain;
  // The same in every loop, so that a client can resume wherever it comes in.
  std::array<unsigned char, kTicketKeyBytes> ticket_keys{};
};

TlsIdentityRef LoadTlsIdentity(const std::string& certificate_file, const std::string& key_file, std::string* error) {
  ERR_clear_error();
  const auto identity = std::make_shared<TlsIdentity>();
  const Owned<BIO> certificates(BIO_new_file(certificate_file.c_str(), "r"));
  if (certificates) identity->certificate.reset(PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
  if (!identity->certificate) {
    *error = "no certificate in " + certificate_file + ": " + Reason();
    return nullptr;
  }
  identity->chain.reset(sk_X509_new_null());
  while (X509* next = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(identity->chain.get(), next);
  }
  ERR_clear_error();  // the end of the file is one to OpenSSL
  const Owned<BIO> keys(BIO_new_file(key_file.c_str(), "r"));
  // Not asked for on a terminal: a key with a passphrase is refused.
  static constexpr auto kNoPassphrase = [](char*, int, int, void*) { return -1; };
  if (keys) identity->key.reset(PEM_read_bio_PrivateKey(keys.get(), nullptr, kNoPassphrase, nullptr));
  if (!identity->key) {
    *error = "no private key in " + key_file + ": " + Reason();
    return nullptr;
  }
  if (X509_check_private_key(identity->certificate.get(), identity->key.get()) != 1) {
    *error = "the private key is not that of the certificate: " + Reason();
    return nullptr;
  }
  // Only a context knows what is too weak for OpenSSL; those in use must not find out.
  const Owned<SSL_CTX> trial(SSL_CTX_new(TLS_server_method()));
  if (!trial || SSL_CTX_use_cert_and_key(trial.get(), identity->certificate.get(), identity->key.get(),
                                         identity->chain.get(), /*override=*/1) != 1) {
    *error = "the certificate cannot be used: " + Reason();
    return nullptr;
  }
  if (RAND_bytes(identity->ticket_keys.data(), static_cast<int>(identity->ticket_keys.size())) != 1) {
    *error = "no random numbers: " + Reason();
    return nullptr;
  }
  return identity;
}

int64_t ExpiryOf(const TlsIdentity& identity) {
  tm when{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(identity.certificate.get()), &when) != 1) return 0;
  return timegm(&when);
}

TlsHandshakes HandshakesOf(ssl_ctx_st* context) {
  return {SSL_CTX_sess_accept(context), SSL_CTX_sess_accept_good(context)};
}

void UseIdentity(ssl_ctx_st* context, const TlsIdentity& identity) {
  // All three at once, replacing those before; SSLs that exist keep what they have. Tried out when it was loaded.
  SSL_CTX_use_cert_and_key(context, identity.certificate.get(), identity.key.get(), identity.chain.get(),
                           /*override=*/1);
  auto keys = identity.ticket_keys;
  SSL_CTX_set_tlsext_ticket_keys(context, keys.data(), keys.size());
}

std::string SetUpServerTls(ssl_ctx_st* context, const TlsIdentity& identity, const std::string& client_ca_file) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  // An idle connection holds no buffers. Tickets make sessions the client's to keep.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  UseIdentity(context, identity);
  if (SSL_CTX_check_private_key(context) != 1) return "the certificate cannot be used: " + Reason();
  if (client_ca_file.empty()) return {};
  if (SSL_CTX_load_verify_locations(context, client_ca_file.c_str(), nullptr) != 1) {
    return "--admin-client-ca: no certificates in " + client_ca_file + ": " + Reason();
  }
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(client_ca_file.c_str()));
  // Sessions of one listener are not good for the other, which asks for no certificate.
  static constexpr unsigned char kSessions[] = "oa-sync admin";
  SSL_CTX_set_session_id_context(context, kSessions, sizeof(kSessions) - 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

}  // namespace oasync
