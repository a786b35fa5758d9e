#include "auth/origin.h"

#include <arpa/inet.h>

#include <algorithm>

namespace oasync {
namespace {

// The name or address of a Host header, without its port; empty when it is not well formed.
std::string_view NameOf(std::string_view host) {
  const size_t end = host.front() == '[' ? host.find(']') : host.find(':');
  if (host.front() == '[') {
    if (end == std::string_view::npos) return {};
    const std::string_view rest = host.substr(end + 1);
    return rest.empty() || rest.front() == ':' ? host.substr(0, end + 1) : std::string_view();
  }
  return host.substr(0, end);
}

bool IsAddressLiteral(std::string_view name) {
  in6_addr parsed{};
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    return inet_pton(AF_INET6, std::string(name.substr(1, name.size() - 2)).c_str(), &parsed) == 1;
  }
  return inet_pton(AF_INET, std::string(name).c_str(), &parsed) == 1;
}

}  // namespace

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

bool IsOwnOrigin(std::string_view origin, bool is_tls, std::string_view host) {
  if (origin.empty() || host.empty() || host.find('\0') != std::string_view::npos) return false;
  const std::string own = NormalizeOrigin((is_tls ? "https://" : "http://") + std::string(host));
  if (NormalizeOrigin(origin) != own) return false;
  const std::string_view name = NameOf(host);
  return NormalizeOrigin(name) == "localhost" || IsAddressLiteral(name);
}

}  // namespace oasync
