#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace oasync {
namespace {

constexpr std::array<uint8_t, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kV4PrefixBits = 96;
constexpr size_t kNetworkBytes = 8;  // of an IPv6 address: the /64

IpAddress FromV4(const in_addr& address) {
  IpAddress result;
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), result.bytes.begin());
  std::memcpy(result.bytes.data() + kV4Prefix.size(), &address, sizeof(address));
  return result;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// An entry of X-Forwarded-For may carry a port.
std::optional<IpAddress> ParseForwarded(std::string_view text) {
  text = Trim(text);
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    return end == std::string_view::npos ? std::nullopt : IpAddress::Parse(text.substr(1, end - 1));
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    text = text.substr(0, colon);
  }
  return IpAddress::Parse(text);
}

}  // namespace

bool IpAddress::IsV4() const { return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin()); }

std::string IpAddress::Text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (IsV4()) {
    inet_ntop(AF_INET, bytes.data() + kV4Prefix.size(), text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  }
  return text;
}

IpAddress IpAddress::LimitKey() const {
  IpAddress key = *this;
  if (!IsV4()) std::fill(key.bytes.begin() + kNetworkBytes, key.bytes.end(), uint8_t{0});
  return key;
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = "";
  if (text.empty() || text.size() >= sizeof(terminated)) return std::nullopt;
  text.copy(terminated, text.size());
  in_addr v4{};
  if (inet_pton(AF_INET, terminated, &v4) == 1) return FromV4(v4);
  IpAddress address;
  if (inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

IpAddress IpAddress::Of(const sockaddr& address) {
  IpAddress result;
  if (address.sa_family == AF_INET) return FromV4(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  if (address.sa_family == AF_INET6) {
    std::memcpy(result.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, result.bytes.size());
  }
  return result;
}

bool AddressRanges::Add(std::string_view network) {
  network = Trim(network);
  const size_t slash = network.find('/');
  const auto first = IpAddress::Parse(network.substr(0, slash));
  if (!first) return false;
  const unsigned before = first->IsV4() && network.find(':') == std::string_view::npos ? kV4PrefixBits : 0;
  unsigned bits = 128 - before;
  if (slash != std::string_view::npos) {
    const std::string_view number = network.substr(slash + 1);
    const unsigned most = bits;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size() || bits > most) return false;
  }
  ranges_.push_back({*first, before + bits});
  return true;
}

bool AddressRanges::Contains(const IpAddress& address) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    const size_t whole = range.bits / 8;
    if (!std::equal(address.bytes.begin(), address.bytes.begin() + static_cast<ptrdiff_t>(whole),
                    range.first.bytes.begin())) {
      return false;
    }
    const unsigned rest = range.bits % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
    return ((address.bytes[whole] ^ range.first.bytes[whole]) & mask) == 0;
  });
}

IpAddress ClientAddress(const IpAddress& peer, std::string_view forwarded_for, const AddressRanges& trusted) {
  IpAddress client = peer;
  while (trusted.Contains(client) && !forwarded_for.empty()) {
    const size_t comma = forwarded_for.rfind(',');
    const auto before =
        ParseForwarded(comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1));
    if (!before) break;  // not written by a proxy of ours: the last one we know of is the client
    client = *before;
    forwarded_for = comma == std::string_view::npos ? std::string_view() : forwarded_for.substr(0, comma);
  }
  return client;
}

}  // namespace oasync
