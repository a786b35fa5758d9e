// Addresses of clients: what limits count by, and who may speak for whom.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace oasync {

// An IP address; IPv4 in its IPv6 form (::ffff:a.b.c.d), so that both listeners know one client by one value.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;
  bool IsV4() const;
  // "192.0.2.1", "2001:db8::1"
  std::string Text() const;
  // What limits count by: an IPv4 address, or the /64 network of an IPv6 one, which is what one customer is given.
  IpAddress LimitKey() const;

  static std::optional<IpAddress> Parse(std::string_view text);
  // Anything but IPv4 and IPv6 is ::.
  static IpAddress Of(const sockaddr& address);
};

// A set of networks such as 10.0.0.0/8 or 2001:db8::/32; a lone address is a network of one.
class AddressRanges {
 public:
  // False when it is not one.
  bool Add(std::string_view network);
  bool Contains(const IpAddress& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    IpAddress first;
    unsigned bits;  // of the 128
  };
  std::vector<Range> ranges_;
};

// The client behind `peer`: `peer` itself, unless it is a trusted proxy. Then the last address in X-Forwarded-For that
// is no trusted proxy either: what stands before it was written by the client and proves nothing.
IpAddress ClientAddress(const IpAddress& peer, std::string_view forwarded_for, const AddressRanges& trusted);

}  // namespace oasync

template <>
struct std::hash<oasync::IpAddress> {
  size_t operator()(const oasync::IpAddress& address) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
  }
};
