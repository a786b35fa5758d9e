// Deadlines: what is to be given up when it takes too long.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace oasync {

// Thread-safe. What was in time stays on the list until its deadline, so what it holds should be little; how many there
// are is its users' to bound.
class Deadlines {
 public:
  void Add(int64_t at_ms, std::function<void()> expire) {
    const std::lock_guard lock(mutex_);
    entries_.emplace_back(at_ms, std::move(expire));
  }
  // Calls those whose time has come. To be called often, by one thread.
  void Tick(int64_t now_ms) {
    std::vector<std::pair<int64_t, std::function<void()>>> due;
    {
      const std::lock_guard lock(mutex_);
      const auto first = std::stable_partition(entries_.begin(), entries_.end(),
                                               [now_ms](const auto& entry) { return now_ms < entry.first; });
      std::move(first, entries_.end(), std::back_inserter(due));
      entries_.erase(first, entries_.end());
    }
    for (const auto& [at, expire] : due) expire();
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<int64_t, std::function<void()>>> entries_;
};

}  // namespace oasync
