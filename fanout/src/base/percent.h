// Percent encoding, for paths that the server names to clients.
#pragma once

#include <string>
#include <string_view>

namespace oasync {

// The text as a value in a query or one segment of a path: everything but RFC 3986's unreserved characters is encoded,
// byte by byte, as encodeURIComponent does it at least.
std::string PercentEncode(std::string_view text);

}  // namespace oasync
