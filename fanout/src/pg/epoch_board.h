// EpochBoard: the highest epoch of the database that any connection has seen.
//
// Shared by all threads of a PgSource. The epoch of one history is constant, so a connection whose epoch is lower
// than the board's leads to a server of the past (an old primary): nothing it says may be delivered.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace oasync::pg {

class EpochBoard {
 public:
  // `on_raise` is called, by the thread that saw it, after the epoch has grown.
  explicit EpochBoard(std::function<void()> on_raise) : on_raise_(std::move(on_raise)) {}

  // 0 before the first connection.
  uint64_t current() const { return current_.load(std::memory_order_acquire); }

  // Takes note of an epoch. False when it is lower than the current one.
  bool Offer(uint64_t epoch) {
    uint64_t seen = current_.load(std::memory_order_acquire);
    while (seen < epoch) {
      if (!current_.compare_exchange_weak(seen, epoch, std::memory_order_acq_rel)) continue;
      on_raise_();
      return true;
    }
    return seen == epoch;
  }

 private:
  std::atomic<uint64_t> current_{0};
  const std::function<void()> on_raise_;
};

}  // namespace oasync::pg
