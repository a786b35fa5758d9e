// How servers are believed over TLS, for HTTP and WebSockets alike: by a certificate that an authority signed for the
// name or the address that was asked for. There is no way to turn that off.
#pragma once

#include <memory>
#include <string>

#include "endpoint.h"

struct ssl_ctx_st;

namespace oasync::terminal {

struct TlsOptions {
  std::string ca_file;  // PEM; empty: the system's authorities
};

using TlsContext = std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)>;

// TLS 1.2 and 1.3. Where the endpoint is an address, connections made of it take certificates of that address only;
// where it is a name, each connection has to be told the name. Null, and *error, when that can't be set up.
TlsContext MakeTlsContext(const Endpoint& endpoint, const TlsOptions& options, std::string* error);

// Whether the host is an IP address.
bool IsAddress(const std::string& host);

}  // namespace oasync::terminal
