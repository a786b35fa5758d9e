// Clock: the two times the server needs, behind an interface so that tests turn them by hand.
#pragma once

#include <chrono>
#include <cstdint>

namespace oasync {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds on a clock that never steps: for intervals and deadlines.
  virtual int64_t SteadyMs() const = 0;
  // Unix milliseconds: for token times.
  virtual int64_t WallMs() const = 0;
  // Unix microseconds: against commit times.
  virtual int64_t WallMicros() const { return WallMs() * 1000; }
};

// The machine's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  int64_t SteadyMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  int64_t WallMs() const override { return WallUs() / 1000; }
  int64_t WallMicros() const override { return WallUs(); }
  static int64_t WallUs() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace oasync
