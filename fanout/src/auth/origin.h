// Origin: which web pages may open a socket.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oasync {

// Lower case, without trailing slashes.
std::string NormalizeOrigin(std::string_view origin);

// A missing (empty) origin is allowed: only browsers send one, and they always do. `allowed` is normalized.
bool IsOriginAllowed(const std::vector<std::string>& allowed, std::string_view origin);

// Whether the page was served by the very server that the request went to: its origin is the request's own scheme and
// Host, and that host is `localhost` or an IP address. A name proves nothing: whoever owns a name can have it point to
// this server (DNS rebinding), so a server that is reached by one lists it in --allowed-origin.
bool IsOwnOrigin(std::string_view origin, bool is_tls, std::string_view host);

}  // namespace oasync
