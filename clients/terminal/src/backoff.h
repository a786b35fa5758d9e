// Backoff: how long to wait before connecting again, following the server's advice.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace oasync::terminal {

class Backoff {
 public:
  static constexpr int64_t kMaxMs = 10000;

  // `random` gives a number from 0 to its argument, both included.
  explicit Backoff(std::function<int64_t(int64_t)> random) : random_(std::move(random)) {}

  // What the reply to a join says; kept within reason, whoever said it.
  void Advise(int64_t base_ms, int64_t jitter_ms) {
    base_ms_ = std::clamp<int64_t>(base_ms, 1, kMaxMs);
    jitter_ms_ = std::clamp<int64_t>(jitter_ms, 0, kMaxMs);
  }
  // What a notice says about this one time (reconnect_after_ms, retry_after_ms).
  void AdviseOnce(int64_t wait_ms) { once_ms_ = std::clamp<int64_t>(wait_ms, 0, kMaxOnceMs); }

  // The next wait: what was advised for once, or the base doubled for each failure in a row, with jitter on top.
  int64_t Next() {
    const int64_t jitter = random_(jitter_ms_);
    if (once_ms_ >= 0) {
      const int64_t wait = once_ms_;
      once_ms_ = -1;
      ++failures_;
      return wait;
    }
    const int64_t wait = std::min(kMaxMs, base_ms_ << std::min(failures_, 20));
    ++failures_;
    return wait + jitter;
  }

  // It worked: the next failure is the first again.
  void Succeeded() {
    failures_ = 0;
    once_ms_ = -1;
  }
  int failures() const { return failures_; }

 private:
  static constexpr int64_t kMaxOnceMs = 60000;

  std::function<int64_t(int64_t)> random_;
  int64_t base_ms_ = 400;
  int64_t jitter_ms_ = 250;
  int64_t once_ms_ = -1;
  int failures_ = 0;
};

}  // namespace oasync::terminal
