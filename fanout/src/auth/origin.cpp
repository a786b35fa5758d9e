#include "auth/origin.h"

#include <algorithm>

namespace oasync {

std::string NormalizeOrigin(std::string_view origin) {
  while (!origin.empty() && origin.back() == '/') origin.remove_suffix(1);
  std::string normal(origin);
  std::transform(normal.begin(), normal.end(), normal.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return normal;
}

bool IsOriginAllowed(const std::vector<std::string>& allowed, std::string_view origin) {
  return origin.empty() || std::find(allowed.begin(), allowed.end(), NormalizeOrigin(origin)) != allowed.end();
}

}  // namespace oasync
