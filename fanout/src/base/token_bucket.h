// TokenBucket: how often one socket may ask for something.
#pragma once

#include <algorithm>
#include <cstdint>

namespace oasync {

// Holds at most `burst` tokens, refilled at `per_second`. Not thread-safe. Times are steady milliseconds.
class TokenBucket {
 public:
  TokenBucket(uint32_t per_second, uint32_t burst, int64_t now_ms)
      : per_second_(per_second), burst_(burst), tokens_(static_cast<float>(burst)), at_ms_(now_ms) {}

  // Takes one token; false if there is none.
  bool Take(int64_t now_ms) {
    Refill(now_ms);
    if (tokens_ < 1.0f) return false;
    tokens_ -= 1.0f;
    return true;
  }

  // Milliseconds since it was last asked.
  int64_t IdleSince(int64_t now_ms) const { return now_ms - at_ms_; }

  // Milliseconds until a token is there again, at least 1.
  int64_t WaitMs() const {
    const float missing = 1.0f - tokens_;
    return std::max<int64_t>(1, static_cast<int64_t>(missing * 1000.0f / static_cast<float>(per_second_)) + 1);
  }

 private:
  void Refill(int64_t now_ms) {
    const auto elapsed = static_cast<float>(now_ms - at_ms_);
    tokens_ = std::min(static_cast<float>(burst_), tokens_ + elapsed * static_cast<float>(per_second_) / 1000.0f);
    at_ms_ = now_ms;
  }

  uint32_t per_second_;
  uint32_t burst_;
  float tokens_;
  int64_t at_ms_;
};

}  // namespace oasync
