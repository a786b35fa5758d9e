// The clocks of the PostgreSQL side: a steady one for waits, Unix time for what others read.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace oasync::pg {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Millis = std::chrono::milliseconds;

inline int64_t UnixMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Milliseconds for poll(2) until `when`, rounded up so that the time has come when poll returns; at most max_ms.
inline int PollTimeout(TimePoint now, TimePoint when, int max_ms) {
  if (when <= now) return 0;
  const auto wait = std::chrono::ceil<Millis>(when - now).count();
  return static_cast<int>(std::min<int64_t>(wait, max_ms));
}

// Pauses between attempts: min, 2 min, 4 min, … max.
class Backoff {
 public:
  Backoff(Millis min, Millis max) : min_(min), max_(std::max(min, max)), next_(min) {}
  Millis Next() {
    const Millis pause = next_;
    next_ = std::min(next_ * 2, max_);
    return pause;
  }
  void Reset() { next_ = min_; }

 private:
  Millis min_;
  Millis max_;
  Millis next_;
};

}  // namespace oasync::pg
