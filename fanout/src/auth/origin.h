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

}  // namespace oasync
