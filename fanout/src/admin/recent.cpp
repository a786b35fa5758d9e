#include "admin/recent.h"

#include <algorithm>
#include <utility>

namespace oasync {

void RecentMeter::Tick(int64_t now_ms) {
  if (now_ms < next_ms_) return;
  next_ms_ = now_ms + kSampleMs;
  RecentCounts counts = read_();
  const std::lock_guard lock(mutex_);
  samples_.push_back(counts);
  if (samples_.size() > kSamples) samples_.pop_front();
}

RecentCounts RecentMeter::Read() const {
  RecentCounts counts = read_();
  const std::lock_guard lock(mutex_);
  if (samples_.empty()) return counts;
  for (size_t i = 0; i < counts.size(); ++i) counts[i] -= samples_.front()[i];
  return counts;
}

void LoopLoad::Tick(int64_t now_ms) {
  if (now_ms - last_ms_ < kSampleMs) return;
  constexpr double kUsPerMs = 1000;
  std::vector<int64_t> busy = busy_us_();
  std::vector<double> load;
  const double elapsed_us = static_cast<double>(now_ms - last_ms_) * kUsPerMs;
  for (size_t i = 0; i < busy.size() && i < last_.size(); ++i) {
    load.push_back(std::clamp(static_cast<double>(busy[i] - last_[i]) / elapsed_us, 0.0, 1.0));
  }
  last_ms_ = now_ms;
  last_ = std::move(busy);
  const std::lock_guard lock(mutex_);
  load_ = std::move(load);
}

std::vector<double> LoopLoad::Read() const {
  const std::lock_guard lock(mutex_);
  return load_;
}

}  // namespace oasync
