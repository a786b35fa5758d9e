#include "net/client_limits.h"

namespace oasync {
namespace {
// An account that was left alone this long is full again, so it may as well be forgotten.
constexpr int64_t kFullAgainMs = 2000;
}  // namespace

int64_t ClientLimits::TakeRequest(const IpAddress& address, int64_t now_ms) {
  if (options_.requests_per_second == 0) return 0;
  const std::lock_guard lock(mutex_);
  if (now_ms >= forget_at_ms_) {
    std::erase_if(requests_, [&](const auto& entry) { return entry.second.IdleSince(now_ms) >= kFullAgainMs; });
    forget_at_ms_ = now_ms + kFullAgainMs;
  }
  IpAddress key = address.LimitKey();
  if (requests_.size() >= options_.max_addresses && !requests_.contains(key)) key = IpAddress();
  const auto [it, _] =
      requests_.try_emplace(key, options_.requests_per_second, 2 * options_.requests_per_second, now_ms);
  return it->second.Take(now_ms) ? 0 : it->second.WaitMs();
}

}  // namespace oasync
