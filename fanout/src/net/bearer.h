// The token of an Authorization header.
#pragma once

#include <strings.h>

#include <string_view>

namespace oasync {

// What follows "Bearer "; empty when the header is of another kind, or there is none.
inline std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kBearer = "Bearer ";
  if (authorization.size() <= kBearer.size() ||
      strncasecmp(authorization.data(), kBearer.data(), kBearer.size()) != 0) {
    return {};
  }
  return authorization.substr(kBearer.size());
}

}  // namespace oasync
