#include "tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

namespace oasync::terminal {

bool IsAddress(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

TlsContext MakeTlsContext(const Endpoint& endpoint, const TlsOptions& options, std::string* error) {
  TlsContext context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context) {
    *error = "OpenSSL could not be set up";
    return context;
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int loaded = options.ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(context.get())
                         : SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr);
  ERR_clear_error();
  if (loaded != 1) {
    *error = "no authorities can be read from " + options.ca_file;
    context.reset();
  } else if (IsAddress(endpoint.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(context.get()), endpoint.host.c_str());
  }
  return context;
}

}  // namespace oasync::terminal
